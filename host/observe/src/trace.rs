use std::{collections::BTreeSet, fs::File, io::Read, path::Path};

use haggle_model::{InvalidName, Name, Series, Span, Timestamp};

use crate::{
    FileError, FileOptions, Limits, TableError,
    layout::{Shape, recognise},
    rows::{Rows, shortened},
    table::{Axis, joined, read_columns, read_long},
};

/// A recorded load: one column per service, all at the same regular times.
///
/// The file is CSV, optionally gzipped, with a header `time,<service>,...` and a row for each time, or with the
/// id of a service, a time and a value in each row. Times are RFC 3339, `2026-01-31 12:00:00` (taken as UTC,
/// or in the zone of the options), the same in digits only, or Unix seconds or milliseconds, and must not go
/// backwards. An empty cell is a missing value. The step is the usual distance between two rows; a time
/// without a row is missing, and rows with the same time are averaged.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The time of the first value.
    pub start: Timestamp,
    /// The distance between two values. Never zero.
    pub step: Span,
    /// The columns, in the order of the file: at least one, all of the same length.
    pub columns: Vec<Column>,
}

/// The load of one service.
#[derive(Clone, Debug)]
pub struct Column {
    /// The header, converted to the name of a service: in lower case, with a hyphen for invalid characters
    /// (`Requests_Per_Second` becomes `requests-per-second`).
    pub service: Name,
    /// One value per step, in the unit of the file. NaN is a missing value.
    pub values: Vec<f64>,
}

impl Trace {
    /// Reads a file with the default options.
    ///
    /// # Errors
    /// [`FileError`] with the path, the line and the column.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Self::open_with(path, &FileOptions::default())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`FileError`] with the path, the line and the column.
    pub fn open_with(path: &Path, options: &FileOptions) -> Result<Self, FileError> {
        File::open(path)
            .map_err(TableError::Io)
            .and_then(|file| Self::read_with(file, options))
            .map_err(|source| FileError { path: path.to_owned(), source })
    }

    /// Reads from any reader with the default options.
    ///
    /// # Errors
    /// [`TableError`] with the line and the column.
    pub fn read(reader: impl Read, limits: Limits) -> Result<Self, TableError> {
        Self::read_with(reader, &FileOptions { limits, ..FileOptions::default() })
    }

    /// Reads from any reader. The layout is recognised as in [`read_panel`](crate::read_panel).
    ///
    /// # Errors
    /// [`TableError`] with the line and the column.
    pub fn read_with(reader: impl Read, options: &FileOptions) -> Result<Self, TableError> {
        let mut rows = Rows::new(reader, options.limits)?;
        let limit = options.limits.values;
        let recorded = match recognise(&mut rows, options)? {
            Shape::Columns { header, time } => read_columns(&mut rows, options, header, time)?,
            shape @ Shape::Long { .. } => joined(read_long(&mut rows, options, shape)?, limit)?,
            Shape::Rows { .. } => {
                let first = rows.head(1)?;
                let first = first.first().map(|row| row.text(0)).transpose()?.unwrap_or_default();
                return Err(TableError::NoTimes { first: shortened(first) });
            }
        };
        let services = services(recorded.columns.iter().map(|(name, _)| name.as_str()))?;
        let table = recorded.regular(limit, Axis::Absolute)?;
        let columns = services
            .into_iter()
            .zip(table.columns)
            .map(|(service, (_, values))| Column { service, values })
            .collect();
        Ok(Self { start: table.start, step: table.step, columns })
    }

    /// Returns the number of steps.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.columns.first().map_or(0, |column| column.values.len())
    }

    /// Returns the time one step after the last value.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.start + Span::from_millis(self.step.as_millis().saturating_mul(self.steps() as u64))
    }

    /// Returns the load of a service.
    #[must_use]
    pub fn series(&self, service: &Name) -> Option<Series> {
        let column = self.columns.iter().find(|column| column.service == *service)?;
        Some(Series { start: self.start, step: self.step, values: column.values.clone() })
    }
}

/// Converts the headers. Columns in errors count from 2, because the first is usually the time.
fn services<'a>(headers: impl Iterator<Item = &'a str>) -> Result<Vec<Name>, TableError> {
    let mut seen = BTreeSet::new();
    headers
        .zip(2..)
        .map(|(text, column)| {
            let name = service_name(text).map_err(|source| TableError::Name { column, source })?;
            if !seen.insert(name.clone()) {
                return Err(TableError::duplicate(1, column, &name));
            }
            Ok(name)
        })
        .collect()
}

fn service_name(header: &str) -> Result<Name, InvalidName> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let text: String = header.chars().map(plain).collect();
    let text = text.trim_matches('-');
    // If nothing remains, the error shows the original text.
    Name::new(if text.is_empty() { header } else { text })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use haggle_model::{Name, Span};
    use proptest::prelude::*;

    use super::Trace;
    use crate::{FileOptions, Layout, Limits, Readings, TableError};

    fn read(text: &str) -> Result<Trace, TableError> {
        Trace::read(text.as_bytes(), Limits::default())
    }

    fn column(trace: &Trace, at: usize) -> Vec<f64> {
        trace.columns[at].values.clone()
    }

    #[test]
    fn fills_gaps_and_averages_what_shares_a_time() {
        let trace = read(
            "time,Web_Shop,cart\n\
             2024-01-01T00:00:00Z,1,10\n\
             2024-01-01T00:01:00Z,,20\n\
             2024-01-01T00:01:00Z,3,40\n\
             2024-01-01T00:02:01Z,4,NaN\n\
             2024-01-01T00:05:00Z,5.5,60\n",
        )
        .unwrap();
        assert_eq!(trace.step, Span::from_secs(60));
        assert_eq!(trace.columns[0].service, Name::new("web-shop").unwrap());
        assert_eq!(format!("{:?}", column(&trace, 0)), "[1.0, 3.0, 4.0, NaN, NaN, 5.5]");
        assert_eq!(format!("{:?}", column(&trace, 1)), "[10.0, 30.0, NaN, NaN, NaN, 60.0]");
        assert_eq!(trace.end().to_string(), "2024-01-01T00:06:00Z");
        assert!(trace.series(&Name::new("nope").unwrap()).is_none());
    }

    #[test]
    fn reads_files_packed_or_not() {
        let text = "time,web\r\n1376314800,1\r\n\r\n1376315100,2\r\n";
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        // The content determines the format, not the file name.
        for bytes in [text.as_bytes(), &packed.finish().unwrap()] {
            let mut file = tempfile::NamedTempFile::with_suffix(".csv").unwrap();
            file.write_all(bytes).unwrap();
            let trace = Trace::open(file.path()).unwrap();
            assert_eq!((trace.step, column(&trace, 0)), (Span::from_mins(5), vec![1.0, 2.0]));
        }
        let error = Trace::open(std::path::Path::new("/nowhere/load.csv")).unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/load.csv: "), "{error}");
    }

    #[test]
    fn jitter_does_not_add_up() {
        let row =
            |i: u64| format!("{},{}\n", 1_376_314_800_000 + i * 60_000 + (i * 37) % 100, i % 7);
        let rows: String = (0..10_000).map(row).collect();
        let trace = read(&format!("time,web\n{rows}")).unwrap();
        assert_eq!((trace.step, trace.steps()), (Span::from_secs(60), 10_000));
        let column = column(&trace, 0);
        assert!((0..10_000).all(|i| column[i] == (i % 7) as f64));
    }

    #[test]
    fn every_layout_with_times_is_a_load() {
        let columns = read("time,web,cart\n2026-01-01,1,10\n2026-01-02,2,20\n").unwrap();
        for text in [
            "ts,web,cart\n1767225600,1,10\n1767312000,2,20\n",
            "web,cart,created_at\n1,10,2026-01-01\n2,20,2026-01-02\n",
            "time,service,load\n2026-01-01,web,1\n2026-01-01,cart,10\n2026-01-02,web,2\n2026-01-02,cart,20\n",
        ] {
            let trace = read(text).unwrap();
            assert_eq!((trace.start, trace.step), (columns.start, columns.step), "{text}");
            for (one, other) in trace.columns.iter().zip(&columns.columns) {
                assert_eq!((&one.service, &one.values), (&other.service, &other.values), "{text}");
            }
        }
        let error = read("H1,1,2\nH2,3,4\n").unwrap_err().to_string();
        assert!(error.contains("column 1 is \"H1\"") && error.contains("--time"), "{error}");
    }

    #[test]
    fn says_where_and_how_to_mend_it() {
        let cases = [
            ("", "it is empty"),
            ("\n\n", "it is empty"),
            ("time,web\n", "0 rows"),
            ("time,web\n1,1\n1,2\n", "2 rows"),
            ("time\n1\n2\n", "one column only"),
            ("time,web,\n1,1,1\n", "line 1, column 3: there is no name"),
            ("time,web,Web\n1,1,1\n", "line 1, column 3: \"web\" is there already"),
            ("time,%\n1,1\n", "line 1, column 2: \"%\" is not a name"),
            ("time,web\n1,1\n2\n", "line 3: 1 columns where the header has 2"),
            ("time,web\n1,1\n\n2,1,1\n", "line 4: 3 columns where the header has 2"),
            ("time,web\n1,1\nnoon,1\n", "line 3, column 1: \"noon\" is not a time"),
            ("time,web\n1,1\n2,many\n", "line 3, column 2: \"many\" is not a finite number"),
            ("time,web\n1,1\n2,inf\n", "line 3, column 2: \"inf\" is not a finite number"),
            ("time,web\n5,1\n4,1\n", "line 3, column 1: 1970-01-01T00:00:04Z lies before"),
        ];
        for (text, expected) in cases {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?} gave {error:?}");
        }
        let bytes = b"time,web\n1,1\n2,\xff\n";
        let error = Trace::read(&bytes[..], Limits::default()).unwrap_err();
        assert!(matches!(error, TableError::Encoding { line: 3, column: 2 }), "{error}");
    }

    #[test]
    fn stays_within_its_limits() {
        let wide = "time,web\n1,1\n2,1\n4000000000,1\n";
        let small = Limits { bytes: 1000, values: 1000 };
        let error = Trace::read(wide.as_bytes(), small).unwrap_err();
        assert!(matches!(error, TableError::TooManyValues { limit: 1000 }), "{error}");
        let long = format!("time,web\n{}", "1,1\n".repeat(500));
        let error = Trace::read(long.as_bytes(), small).unwrap_err();
        assert!(matches!(error, TableError::TooLarge { limit: 1000 }), "{error}");
    }

    proptest! {
        #[test]
        fn a_regular_trace_reads_back(
            start in 0_u64..2_000_000_000,
            step in 1_u64..100_000,
            values in prop::collection::vec(prop::option::weighted(0.9, -1e9..1e9), 2..50),
        ) {
            let mut text = String::from("time,web\n");
            for (i, value) in values.iter().enumerate() {
                let time = start + step * i as u64;
                text += &format!("{time},{}\n", value.map_or_else(String::new, |v: f64| v.to_string()));
            }
            let trace = read(&text).unwrap();
            prop_assert_eq!(trace.step, Span::from_secs(step));
            let read: Vec<_> =
                trace.columns[0].values.iter().map(|v| v.is_finite().then_some(*v)).collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn no_table_breaks_it(
            text in "(([a-z]{1,3}|[0-9]{1,14}|2026-1?[0-9]-[0-3][0-9]|-?[0-9.]{1,4}|NA|)[,\n]){0,60}",
            time in prop::option::of("[a-z0-9]{1,2}"),
            layout in prop::sample::select(vec![
                None, Some(Layout::Columns), Some(Layout::Rows), Some(Layout::Long),
            ]),
            readings in prop::sample::select(vec![Readings::Checked, Readings::Counter]),
            zone in prop::option::of(Just("Europe/Berlin")),
        ) {
            let limits = Limits { bytes: 10_000, values: 10_000 };
            let zone = zone.map(|zone| zone.parse().unwrap());
            let options = FileOptions { limits, time, layout, readings, zone };
            let _ = Trace::read_with(text.as_bytes(), &options);
            if let Ok(panel) = crate::read_panel(text.as_bytes(), &options) {
                let count: usize = panel.iter().map(|(_, series)| series.values.len()).sum();
                prop_assert!(!panel.is_empty() && count <= limits.values);
            }
        }

        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let limits = Limits { bytes: 10_000, values: 10_000 };
            let _ = Trace::read(&bytes[..], limits);
            let _ = crate::read_panel(&bytes[..], &crate::FileOptions { limits, ..Default::default() });
        }
    }
}
