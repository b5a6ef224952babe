use std::{collections::BTreeSet, fs::File, io::Read, path::Path};

use haggle_model::{Series, Span, Timestamp};

use crate::{
    FileError, FileOptions, Readings, TableError,
    growth::read_as,
    layout::{Shape, recognise},
    rows::{Row, Rows, shortened},
    table::{Axis, Recorded, Table, read_columns, read_long},
};

/// The step of series without times. Their times are meaningless; a policy uses only the steps.
pub const PANEL_STEP: Span = Span::from_mins(60);

/// Reads a batch of series from a file; see [`read_panel`].
///
/// # Errors
/// [`FileError`] with the path, the line and the column.
pub fn open_panel(path: &Path, options: &FileOptions) -> Result<Vec<(String, Series)>, FileError> {
    File::open(path)
        .map_err(TableError::Io)
        .and_then(|file| read_panel(file, options))
        .map_err(|source| FileError { path: path.to_owned(), source })
}

/// Reads a batch of series, each with its id, from CSV, optionally gzipped, in one of three layouts:
///
/// - One series per row, `id,value,value,...`, as in the M4 competition. Rows may differ in length; missing
///   values are empty or `NA`; trailing missing values and a header (`V1,V2,...`) are skipped. The series
///   have no times: they start at the epoch with a step of [`PANEL_STEP`].
/// - One series per column with a time column, read as a [`Trace`](crate::Trace). The ids are the headers,
///   unchanged, or `series-1`, `series-2`, ... without a header.
/// - One value per row: the id of its series, its time and the value. Each series has a step of its own.
///
/// The first rows decide on the layout. The time column is the one with a usual name (`time`, `ts`,
/// `created_at`, ...) or the one whose cells are times.
///
/// If the offsets of the times change, as where clocks are set back, or if the options name a zone, the
/// series follow the local clock: each day has the same number of steps, a skipped hour is missing, and a
/// repeated hour is averaged.
///
/// # Errors
/// [`TableError`] with the line and the column, or with what to pass where the layout is not certain.
pub fn read_panel(
    reader: impl Read,
    options: &FileOptions,
) -> Result<Vec<(String, Series)>, TableError> {
    let mut rows = Rows::new(reader, options.limits)?;
    let recorded = match recognise(&mut rows, options)? {
        Shape::Rows { header } => {
            if header {
                rows.read(&mut Row::default())?;
            }
            return by_row(&mut rows, options.readings);
        }
        Shape::Columns { header, time } => vec![read_columns(&mut rows, options, header, time)?],
        shape @ Shape::Long { .. } => read_long(&mut rows, options, shape)?,
    };
    let mut left = options.limits.values;
    let mut panel = Vec::new();
    for one in recorded {
        let series = regular(one, left)?;
        let values = series.iter().map(|(_, series)| series.values.len()).sum();
        left = left.saturating_sub(values);
        panel.extend(series);
    }
    Ok(panel)
}

fn regular(recorded: Recorded, limit: usize) -> Result<Vec<(String, Series)>, TableError> {
    let Table { start, step, columns } = recorded.regular(limit, Axis::Local)?;
    Ok(columns.into_iter().map(|(id, values)| (id, Series { start, step, values })).collect())
}

fn by_row(rows: &mut Rows<'_>, readings: Readings) -> Result<Vec<(String, Series)>, TableError> {
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
        // Many series without times are yearly figures that grow all the time, so only one that begins again is
        // a counter.
        read_as(readings, id, &mut values, 1, |from, to| (to - from) as f64)?;
        count = count.saturating_add(values.len());
        if count > limit {
            return Err(TableError::TooManyValues { limit });
        }
        let start = Timestamp::from_millis(0);
        panel.push((id.to_owned(), Series { start, step: PANEL_STEP, values }));
    }
    if panel.is_empty() { Err(TableError::NoSeries) } else { Ok(panel) }
}

#[cfg(test)]
mod tests {
    use haggle_model::Span;

    use super::{PANEL_STEP, read_panel};
    use crate::{FileOptions, Readings, TableError};

    fn read(text: &str) -> Result<Vec<(String, Vec<f64>, Span)>, TableError> {
        read_as(text, &FileOptions::default())
    }

    fn read_as(
        text: &str,
        options: &FileOptions,
    ) -> Result<Vec<(String, Vec<f64>, Span)>, TableError> {
        let panel = read_panel(text.as_bytes(), options)?;
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

    fn hourly(rows: impl Iterator<Item = (String, u32)>) -> String {
        rows.fold("time,desk\n".to_owned(), |text, (time, value)| {
            text + &format!("{time},{value}\n")
        })
    }

    #[test]
    fn reads_a_value_a_row() {
        let text = "unique_id,ds,y\nweb,2026-01-01,1\ncart,2026-01-01,10\nweb,2026-01-02,2\ncart,2026-01-03,30\nweb,2026-01-04,4\n";
        let panel = read(text).unwrap();
        assert_eq!(panel[0].0, "web");
        assert_eq!(format!("{:?}", panel[0].1), "[1.0, 2.0, NaN, 4.0]");
        assert_eq!(panel[1], ("cart".to_owned(), vec![10.0, 30.0], Span::from_mins(2 * 24 * 60)));
        let error = read("unique_id,ds,y\nweb,2026-01-01,1\n").unwrap_err().to_string();
        assert!(error.starts_with("series \"web\": there are 1 rows"), "{error}");
    }

    #[test]
    fn a_file_without_a_header_numbers_its_series() {
        let panel = read("1767225600,5,6\n1767225660,7,8\n").unwrap();
        assert_eq!(panel[1], ("series-2".to_owned(), vec![6.0, 8.0], Span::from_secs(60)));
    }

    #[test]
    fn every_day_has_24_hours_by_the_local_clock() {
        // The switch from +02:00 to +01:00: 02:00 comes twice.
        let switch = hourly((0..6).map(|hour: u32| {
            let (local, offset) = if hour < 3 { (hour, 2) } else { (hour - 1, 1) };
            (format!("2026-10-25T{local:02}:00:00+0{offset}:00"), [0, 1, 2, 4, 3, 4][hour as usize])
        }));
        let panel = read(&switch).unwrap();
        assert_eq!(panel[0].1, [0.0, 1.0, 3.0, 3.0, 4.0]);
        let berlin =
            FileOptions { zone: Some("Europe/Berlin".parse().unwrap()), ..FileOptions::default() };
        let naive = switch.replace("+02:00", "").replace("+01:00", "");
        assert_eq!(read_as(&naive, &berlin).unwrap(), panel);
        // The last row keeps its true time.
        let series = super::read_panel(switch.as_bytes(), &FileOptions::default()).unwrap();
        assert_eq!(series[0].1.end().to_string(), "2026-10-25T04:00:00Z");
        let spring = "time,desk\n2026-03-29T00:00+01:00,0\n2026-03-29T01:00+01:00,1\n2026-03-29T03:00+02:00,3\n";
        assert_eq!(format!("{:?}", read(spring).unwrap()[0].1), "[0.0, 1.0, NaN, 3.0]");
    }

    #[test]
    fn a_step_that_drifts_is_the_usual_one() {
        let rows = (0..5000_u64).map(|i| format!("{},{}\n", 1_767_225_600_000 + i * 60_013, i % 7));
        let text: String = std::iter::once("time,web\n".to_owned()).chain(rows).collect();
        let panel = read(&text).unwrap();
        assert_eq!(panel[0].2, Span::from_secs(60));
        let missing = panel[0].1.iter().filter(|value| value.is_nan()).count();
        assert!(missing <= 2, "{missing}");
    }

    #[test]
    fn a_counter_is_refused_or_becomes_a_rate() {
        let value = |i: u64| 1000 * (if i < 50 { i } else { i - 50 });
        let rows = (0..80_u64).map(|i| format!("{},{}\n", 1_767_225_600 + 10 * i, value(i)));
        let text: String = std::iter::once("time,hits\n".to_owned()).chain(rows).collect();
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains("\"hits\" only grows") && error.contains("--counter"), "{error}");
        let with = |readings| FileOptions { readings, ..FileOptions::default() };
        assert_eq!(read_as(&text, &with(Readings::Level)).unwrap()[0].1.len(), 80);
        let rates = &read_as(&text, &with(Readings::Counter)).unwrap()[0].1;
        let usual = rates.iter().filter(|rate| **rate == 100.0).count();
        assert_eq!((usual, rates.len()), (78, 80));
        // A yearly figure grows all the time.
        let yearly: String = (0..200).map(|i| format!(",{}", 1000 + i)).collect();
        assert_eq!(read(&format!("Y1{yearly}\n")).unwrap()[0].1.len(), 200);
    }
}
