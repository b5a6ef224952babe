use std::{collections::BTreeSet, fs::File, io::Read, path::Path};

use haggle_model::{Series, Span, Timestamp};

use crate::{
    FileError, Limits, TableError,
    rows::{Row, Rows, is_missing, shortened},
    table::Table,
    times,
};

/// The step of series without times. Their times are meaningless; a policy uses only the steps.
pub const PANEL_STEP: Span = Span::from_mins(60);

/// Reads a batch of series from a file within the default limits; see [`read_panel`].
///
/// # Errors
/// [`FileError`] with the path, the line and the column.
pub fn open_panel(path: &Path) -> Result<Vec<(String, Series)>, FileError> {
    File::open(path)
        .map_err(TableError::Io)
        .and_then(|file| read_panel(file, Limits::default()))
        .map_err(|source| FileError { path: path.to_owned(), source })
}

/// Reads a batch of series, each with its id, from CSV, optionally gzipped, in one of two layouts:
///
/// - One series per row, `id,value,value,...`, as in the M4 competition. Rows may differ in length; missing
///   values are empty or `NA`; trailing missing values and a header (`V1,V2,...`) are skipped. The series
///   have no times: they start at the epoch with a step of [`PANEL_STEP`].
/// - One series per column below a header, with a time column first, read as a [`Trace`](crate::Trace). The
///   ids are the headers, unchanged.
///
/// The second layout applies if no cell of the first row except the first is a number, and either that first
/// cell is the name of a time column or the cell below it is a date.
///
/// # Errors
/// [`TableError`] with the line and the column.
pub fn read_panel(reader: impl Read, limits: Limits) -> Result<Vec<(String, Series)>, TableError> {
    let mut rows = Rows::new(reader, limits)?;
    let mut first = Row::default();
    if !rows.read(&mut first)? {
        return Err(TableError::Empty);
    }
    if !is_header(&first)? {
        rows.unread(first);
        return by_row(&mut rows);
    }
    let mut second = Row::default();
    let below = rows.read(&mut second)?;
    let timed =
        names_time(first.text(0)?) || (below && times::parse_date(second.text(0)?).is_some());
    if below {
        rows.unread(second);
    }
    if timed { by_column(&first, &mut rows) } else { by_row(&mut rows) }
}

fn by_column(header: &Row, rows: &mut Rows<'_>) -> Result<Vec<(String, Series)>, TableError> {
    let Table { start, step, columns } = Table::read(header, rows)?;
    Ok(columns.into_iter().map(|(id, values)| (id, Series { start, step, values })).collect())
}

fn by_row(rows: &mut Rows<'_>) -> Result<Vec<(String, Series)>, TableError> {
    let limit = rows.limits().values;
    let mut panel: Vec<(String, Series)> = Vec::new();
    let mut ids = BTreeSet::new();
    let mut count = 0_usize;
    let mut row = Row::default();
    while rows.read(&mut row)? {
        let id = row.text(0)?;
        if id.is_empty() {
            return Err(TableError::Unnamed { line: row.line, column: 1 });
        }
        if !ids.insert(id.to_owned()) {
            let name = shortened(id);
            return Err(TableError::Duplicate { line: row.line, column: 1, name });
        }
        let mut values: Vec<f64> =
            (1..row.len()).map(|column| row.value(column)).collect::<Result<_, _>>()?;
        let known = values.iter().rposition(|value| value.is_finite());
        let Some(last) = known else {
            return Err(TableError::NoValues { line: row.line, id: shortened(id) });
        };
        values.truncate(last + 1);
        count = count.saturating_add(values.len());
        if count > limit {
            return Err(TableError::TooManyValues { limit });
        }
        let start = Timestamp::from_millis(0);
        panel.push((id.to_owned(), Series { start, step: PANEL_STEP, values }));
    }
    if panel.is_empty() { Err(TableError::NoSeries) } else { Ok(panel) }
}

/// Whether there are cells after the first, none of which is a number or a missing value.
fn is_header(row: &Row) -> Result<bool, TableError> {
    let mut named = false;
    for column in 1..row.len() {
        let text = row.text(column)?;
        if text.parse::<f64>().is_ok() {
            return Ok(false);
        }
        named |= !is_missing(text);
    }
    Ok(named)
}

fn names_time(text: &str) -> bool {
    ["time", "timestamp", "date", "datetime", "ds"].iter().any(|t| text.eq_ignore_ascii_case(t))
}

#[cfg(test)]
mod tests {
    use haggle_model::Span;

    use super::{PANEL_STEP, read_panel};
    use crate::{Limits, TableError};

    fn read(text: &str) -> Result<Vec<(String, Vec<f64>, Span)>, TableError> {
        let panel = read_panel(text.as_bytes(), Limits::default())?;
        Ok(panel.into_iter().map(|(id, series)| (id, series.values, series.step)).collect())
    }

    #[test]
    fn reads_a_series_a_row() {
        let expected =
            "[(\"H1\", [1.0, NaN, 3.0], Span(3600000)), (\"a|b, c\", [4.5], Span(3600000))]";
        let rows = "\"H1\",1,NA,3,,\n\"a|b, c\",4.5\n";
        for header in ["", "V1,V2,V3,V4\n", "\"\",\"V2\",\"V3\"\n", "id,V2\n"] {
            let panel = read(&format!("{header}{rows}")).unwrap();
            assert_eq!(format!("{panel:?}"), expected, "{header:?}");
        }
        assert_eq!(PANEL_STEP, Span::from_mins(60));
    }

    #[test]
    fn reads_a_series_a_column() {
        for header in ["time", "Timestamp", "when"] {
            let text = format!("{header},Web Shop,cart\n2024-01-01,1,2\n2024-01-02,3,\n");
            let panel = read(&text).unwrap();
            assert_eq!(panel[0], ("Web Shop".to_owned(), vec![1.0, 3.0], Span::from_mins(24 * 60)));
            assert_eq!(panel[1].0, "cart");
        }
        assert_eq!(read("ds,y\n1376314800,1\n1376314860,2\n").unwrap()[0].2, Span::from_secs(60));
    }

    #[test]
    fn says_where_and_how_to_mend_it() {
        let cases = [
            ("", "it is empty"),
            ("V1,V2\n", "no series"),
            ("H1,1,2\nH1,1,2\n", "line 2, column 1: \"H1\" is there already"),
            ("H1,1,2\n,1,2\n", "line 2, column 1: there is no name"),
            ("H1,1,x\n", "line 1, column 3: \"x\" is not a finite number"),
            ("V1,V2\nH1,x\n", "line 2, column 2: \"x\" is not a finite number"),
            ("H1,1\nH2\n", "line 2: series \"H2\" has no values"),
            ("time,web\n1,2\n", "1 rows"),
        ];
        for (text, expected) in cases {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?} gave {error:?}");
        }
    }
}
