//! Recognises the layout of a file of series.

use crate::{
    FileOptions, Layout, TableError,
    rows::{Row, Rows, is_missing, shortened},
    times,
};

/// Where a file has what. Columns count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A series per row.
    Rows { header: bool },
    /// A time column, and a series in each other column.
    Columns { header: bool, time: usize },
    /// A value per row.
    Long { header: bool, id: usize, time: usize, value: usize },
}

/// The number of rows that decide on the layout.
const HEAD: usize = 100;

/// Names of time columns, in lower case without punctuation.
const TIME_NAMES: [&str; 21] = [
    "time",
    "times",
    "timestamp",
    "timestamps",
    "ts",
    "date",
    "datetime",
    "ds",
    "epoch",
    "epochs",
    "epochms",
    "epochseconds",
    "unix",
    "unixtime",
    "unixtimestamp",
    "createdat",
    "eventtime",
    "localtime",
    "starttime",
    "timeutc",
    "recordedat",
];

/// Names of id columns, in the same form.
const ID_NAMES: [&str; 6] = ["id", "uniqueid", "series", "seriesid", "itemid", "unique"];

/// Names of value columns, in the same form.
const VALUE_NAMES: [&str; 5] = ["y", "value", "values", "target", "load"];

/// Recognises the shape of the file from its first rows. A header is not numeric: `8080` is the name of a
/// series only where another column is the time.
///
/// # Errors
/// [`TableError`] if the file is empty or the layout is not certain.
pub(crate) fn recognise(rows: &mut Rows<'_>, options: &FileOptions) -> Result<Shape, TableError> {
    let head = rows.head(HEAD)?;
    let Some((first, body)) = head.split_first() else { return Err(TableError::Empty) };
    let head = Head { first, body };
    let given = options.time.as_deref().map(|given| head.column(given)).transpose()?;
    match (options.layout, given) {
        (Some(Layout::Rows), _) => Ok(Shape::Rows { header: is_header(first)? }),
        (Some(Layout::Columns), given) => {
            let time = given.or(head.time()?).unwrap_or(0);
            Ok(Shape::Columns { header: !is_time(first.text(time)?), time })
        }
        (Some(Layout::Long), given) => {
            let time = given.or(head.time()?);
            time.map(|time| head.long(time, true)).transpose()?.flatten().ok_or_else(|| {
                let columns = head.columns();
                TableError::NotLong { columns }
            })
        }
        (None, Some(time)) => head.timed(time),
        (None, None) => head.recognise(),
    }
}

struct Head<'a> {
    first: &'a Row,
    body: &'a [Row],
}

impl Head<'_> {
    fn recognise(&self) -> Result<Shape, TableError> {
        if self.first.len() < 2 && self.body.iter().all(|row| row.len() < 2) {
            // There is no value, which the reader of columns refuses.
            return Ok(Shape::Columns { header: true, time: 0 });
        }
        if let Some(time) = self.time()? {
            return self.timed(time);
        }
        // Without times, each row must be a series, and its first cell the id.
        let header = is_header(self.first)?;
        let cells = if header { self.body } else { std::slice::from_ref(self.first) };
        match cells.first() {
            Some(row) if is_number(row.text(0)?) => Err(TableError::Uncertain {
                line: row.line,
                name: shortened(self.first.text(0)?),
                cell: shortened(row.text(0)?),
            }),
            _ => Ok(Shape::Rows { header }),
        }
    }

    /// Finds the time column: by its name, otherwise by its cells.
    fn time(&self) -> Result<Option<usize>, TableError> {
        let columns = self.first.len();
        let all_numbers_behind = !is_header(self.first)?;
        for column in 0..columns {
            let name = self.first.text(column)?;
            let named = TIME_NAMES.contains(&plain(name).as_str());
            // A series may be called "time" where each row is a series.
            let doubtful = column > 0 || all_numbers_behind;
            if named && (!doubtful || self.all(column, |text| is_time(text) || is_number(text))?) {
                return Ok(Some(column));
            }
        }
        for column in 0..columns {
            if self.all(column, times::is_date)? && self.may_be_name(column, times::is_date)? {
                return Ok(Some(column));
            }
        }
        let is_time = self.all(0, times::is_epoch)? && self.may_be_name(0, times::is_epoch)?;
        Ok((is_time && self.ascends(0)?).then_some(0))
    }

    /// The shape of a file whose time column is known.
    fn timed(&self, time: usize) -> Result<Shape, TableError> {
        if let Some(long) = self.long(time, false)? {
            return Ok(long);
        }
        let first = self.first.text(time)?;
        let header = !(is_time(first) || is_number(first));
        Ok(Shape::Columns { header, time })
    }

    /// The shape of a file with a value per row; `None` if it is another one. If the layout is `given`, the
    /// first other column is the id.
    fn long(&self, time: usize, given: bool) -> Result<Option<Shape>, TableError> {
        let columns = self.first.len();
        let header = !is_time(self.first.text(time)?);
        let name = |column| self.first.text(column).map(plain);
        let others = || (0..columns).filter(|column| *column != time);
        let mut id = None;
        for column in others() {
            let is_text = self.all(column, |text| !is_number(text) && !is_missing(text))?
                && (header || !is_number(self.first.text(column)?));
            let named = header && columns == 3 && ID_NAMES.contains(&name(column)?.as_str());
            if (is_text && columns > 2) || named {
                id = Some(column);
                break;
            }
        }
        let id = if given { id.or_else(|| others().next()) } else { id };
        let Some(id) = id else { return Ok(None) };
        let values: Vec<usize> = others().filter(|column| *column != id).collect();
        let mut named = Vec::new();
        for column in &values {
            if VALUE_NAMES.contains(&name(*column)?.as_str()) {
                named.push(*column);
            }
        }
        match (values.as_slice(), named.as_slice()) {
            ([value], _) | (_, [value]) => {
                Ok(Some(Shape::Long { header, id, time, value: *value }))
            }
            _ => Err(TableError::NotLong { columns: self.columns() }),
        }
    }

    /// The column with this name, or with this number, from 1.
    fn column(&self, given: &str) -> Result<usize, TableError> {
        let columns = self.first.len();
        for column in 0..columns {
            if self.first.text(column)?.eq_ignore_ascii_case(given.trim()) {
                return Ok(column);
            }
        }
        let number = given.trim().parse::<usize>().ok();
        number
            .and_then(|number| number.checked_sub(1))
            .filter(|column| *column < columns)
            .ok_or_else(|| TableError::NoSuchColumn {
                given: shortened(given),
                columns: self.columns(),
            })
    }

    /// The cells of the first row, for errors.
    fn columns(&self) -> String {
        let names = (0..self.first.len().min(20)).map(|column| self.first.text(column));
        let names: Vec<String> =
            names.map(|name| format!("{:?}", shortened(name.unwrap_or_default()))).collect();
        names.join(", ")
    }

    /// Whether there are cells in this column below the first row, and all that are known are of this kind.
    fn all(&self, column: usize, kind: impl Fn(&str) -> bool) -> Result<bool, TableError> {
        let mut known = false;
        for row in self.body {
            let text = row.text(column)?;
            if !is_missing(text) {
                if !kind(text) {
                    return Ok(false);
                }
                known = true;
            }
        }
        Ok(known)
    }

    /// Whether the first cell of this column is of the same kind, or a name.
    fn may_be_name(&self, column: usize, kind: fn(&str) -> bool) -> Result<bool, TableError> {
        let text = self.first.text(column)?;
        Ok(kind(text) || !is_number(text))
    }

    /// Whether the numbers in this column never decrease.
    fn ascends(&self, column: usize) -> Result<bool, TableError> {
        let mut last = f64::NEG_INFINITY;
        for row in self.body {
            let number = row.text(column)?.parse().unwrap_or(last);
            if number < last {
                return Ok(false);
            }
            last = number;
        }
        Ok(true)
    }
}

/// The name without its case, punctuation and a remark in brackets: `Time (UTC)` is `time`.
fn plain(name: &str) -> String {
    let name = name.split(['(', '[']).next().unwrap_or(name);
    name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

fn is_time(text: &str) -> bool {
    times::is_date(text) || times::is_epoch(text)
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok()
}

/// Whether there are cells after the first, none of which is a number or a missing value.
fn is_header(row: &Row) -> Result<bool, TableError> {
    let mut named = false;
    for column in 1..row.len() {
        let text = row.text(column)?;
        if is_number(text) {
            return Ok(false);
        }
        named |= !is_missing(text);
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::{Shape, recognise};
    use crate::{FileOptions, Layout, Limits, TableError, rows::Rows};

    fn shape(text: &str, options: &FileOptions) -> Result<Shape, TableError> {
        recognise(&mut Rows::new(text.as_bytes(), Limits::default()).unwrap(), options)
    }

    fn columns(header: bool, time: usize) -> Shape {
        Shape::Columns { header, time }
    }

    #[test]
    fn finds_the_time_column() {
        for name in [
            "time",
            "ts",
            "epoch",
            "timestamp",
            "unix_time",
            "created_at",
            "\"Time (UTC)\"",
            "DS",
            "when",
            "x",
        ] {
            let text = format!("{name},orders\n1767225600,50\n1767225660,51\n");
            assert_eq!(shape(&text, &FileOptions::default()).unwrap(), columns(true, 0), "{name}");
        }
        for (text, expected) in [
            ("time,8080,9090\n2026-01-01T00:00:00Z,30,60\n", columns(true, 0)),
            ("when,8080\n2026-01-01,30\n2026-01-02,31\n", columns(true, 0)),
            ("1767225600,50\n1767225660,51\n", columns(false, 0)),
            ("2026-01-01 00:00,50,7\n2026-01-01 00:01,51,8\n", columns(false, 0)),
            ("20260101,50\n20260102,51\n", columns(false, 0)),
            ("orders,created_at\n5,2026-01-01T00:00:00Z\n", columns(true, 1)),
            ("orders,when\n5,2026-01-01T00:00:00Z\n", columns(true, 1)),
            ("time,web\n1,1\n2,1\n", columns(true, 0)),
            ("H1,1,2\nH2,3,4\n", Shape::Rows { header: false }),
            ("V1,V2\nH1,1\n", Shape::Rows { header: true }),
            ("time,5,6\nspace,7,8\n", Shape::Rows { header: false }),
            (
                "unique_id,ds,y\nweb,2026-01-01,5\n",
                Shape::Long { header: true, id: 0, time: 1, value: 2 },
            ),
            (
                "ds,y,unique_id\n2026-01-01,5,7\n",
                Shape::Long { header: true, id: 2, time: 0, value: 1 },
            ),
            (
                "time,service,requests\n1767225600,web,5\n",
                Shape::Long { header: true, id: 1, time: 0, value: 2 },
            ),
            (
                "web,2026-01-01,5\nweb,2026-01-02,6\n",
                Shape::Long { header: false, id: 0, time: 1, value: 2 },
            ),
        ] {
            assert_eq!(shape(text, &FileOptions::default()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn says_what_to_pass_where_it_is_not_certain() {
        for text in
            ["step,web\n0,5\n1,6\n", "0,5\n1,6\n", "1,5,6,7\n2,6,7,8\n", "x,web\n1,1\n2,1\n"]
        {
            let error = shape(text, &FileOptions::default()).unwrap_err().to_string();
            assert!(error.contains("column 1 is") && error.contains("--time"), "{text}: {error}");
            assert!(error.contains("--layout rows"), "{text}: {error}");
        }
        let two = "id,time,cpu,memory\nweb,2026-01-01,1,2\n";
        let error = shape(two, &FileOptions::default()).unwrap_err().to_string();
        assert!(error.contains("needs three columns") && error.contains("\"memory\""), "{error}");
    }

    #[test]
    fn takes_what_is_given() {
        let rows = FileOptions { layout: Some(Layout::Rows), ..FileOptions::default() };
        assert_eq!(shape("1,5,6\n2,6,7\n", &rows).unwrap(), Shape::Rows { header: false });
        let time =
            |given: &str| FileOptions { time: Some(given.to_owned()), ..FileOptions::default() };
        assert_eq!(shape("n,step\n5,0\n6,1\n", &time("step")).unwrap(), columns(true, 1));
        assert_eq!(shape("n,step\n5,0\n6,1\n", &time("2")).unwrap(), columns(true, 1));
        let error = shape("n,step\n5,0\n", &time("clock")).unwrap_err().to_string();
        assert!(
            error.contains("no column \"clock\"") && error.contains("\"n\", \"step\""),
            "{error}"
        );
        let long = FileOptions { layout: Some(Layout::Long), ..FileOptions::default() };
        let error = shape("web,cart\n5,6\n", &long).unwrap_err().to_string();
        assert!(error.contains("three columns"), "{error}");
    }
}
