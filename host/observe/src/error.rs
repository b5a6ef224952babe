use std::{io, path::PathBuf};

use haggle_model::{InvalidName, InvalidTime, Name, Timestamp};

/// The error of a table file, with its path.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// The error.
    pub source: TableError,
}

/// The reason why a table of recorded values is refused. Lines and columns count from 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Io(io::Error),
    /// The file is empty.
    #[error(
        "it is empty: write a header (time and a name for each column), then a row for each time"
    )]
    Empty,
    /// The layout is not certain.
    #[error(
        "line {line}: the layout is not certain: column 1 is {name:?} and holds {cell:?}: pass --time 1 if it is the time (seconds or milliseconds since 1970), --time NAME if another column is, or --layout rows if each row is a series"
    )]
    Uncertain {
        /// The line of the cell.
        line: u64,
        /// The header of the first column, or its first cell if there is no header.
        name: String,
        /// A cell of the first column.
        cell: String,
    },
    /// No column has the name of the time column.
    #[error("there is no column {given:?} for the time: the first line has {columns}")]
    NoSuchColumn {
        /// The given name.
        given: String,
        /// The columns of the first line.
        columns: String,
    },
    /// The layout has a value per row, but a column for the id, the time or the value is missing.
    #[error(
        "line 1: a value per row needs three columns: the id of the series, its time and the value, e.g. unique_id,ds,y; the first line has {columns}"
    )]
    NotLong {
        /// The columns of the first line.
        columns: String,
    },
    /// Each row is a series without times, where times are needed.
    #[error(
        "column 1 is {first:?} and each row is a series without times: a load needs a time for each value: begin with a time column (time,frontend), or pass --time with the name of the time column"
    )]
    NoTimes {
        /// The first cell.
        first: String,
    },
    /// The header has only a time column.
    #[error(
        "line 1: there is one column only: put the values behind the time, separated by commas"
    )]
    NoColumns,
    /// A column or series has no name.
    #[error("line {line}, column {column}: there is no name: give the column or series one")]
    Unnamed {
        /// The line.
        line: u64,
        /// The column.
        column: usize,
    },
    /// Two columns or rows have the same name.
    #[error(
        "line {line}, column {column}: {name:?} is there already: a name may occur once; upper case, punctuation and spaces do not tell columns of a load apart"
    )]
    Duplicate {
        /// The line.
        line: u64,
        /// The column.
        column: usize,
        /// The name.
        name: String,
    },
    /// A column's name cannot be converted to the name of a service.
    #[error("line 1, column {column}: {source}")]
    Name {
        /// The column.
        column: usize,
        /// The reason.
        source: InvalidName,
    },
    /// Too few rows to determine the step.
    #[error("{}there are {rows} rows below the header: two or more at different times are needed", of_series(series.as_deref()))]
    TooFewRows {
        /// The series, if each has rows of its own.
        series: Option<String>,
        /// The number of rows.
        rows: usize,
    },
    /// A row has the wrong number of columns.
    #[error(
        "line {line}: {found} columns where the header has {expected}: write an empty cell for a missing value"
    )]
    ColumnCount {
        /// The line.
        line: u64,
        /// The number of columns of the row.
        found: usize,
        /// The number of columns of the header.
        expected: usize,
    },
    /// A cell is not a time.
    #[error(
        "line {line}, column {column}: {text:?} is not a time: use RFC 3339 (2026-01-31T12:00:00Z), 2026-01-31 12:00:00 (taken as UTC, or pass --zone), 20260131T1200, or Unix seconds or milliseconds"
    )]
    Time {
        /// The line.
        line: u64,
        /// The column.
        column: usize,
        /// The text of the cell, shortened.
        text: String,
    },
    /// A cell has the form of a time, but breaks one of its rules.
    #[error("line {line}, column {column}: {source}")]
    TimeRule {
        /// The line.
        line: u64,
        /// The column.
        column: usize,
        /// The reason.
        source: InvalidTime,
    },
    /// A local time does not exist in the zone.
    #[error(
        "line {line}, column {column}: there is no local time {text} in this zone, because clocks are set forward then: check --zone, or write the offset (2026-01-31T12:00:00+01:00)"
    )]
    Skipped {
        /// The line.
        line: u64,
        /// The column.
        column: usize,
        /// The text of the cell, shortened.
        text: String,
    },
    /// Local times without an offset repeat, as in the night in which clocks are set back.
    #[error(
        "line {line}, column {column}: {time} comes after {previous}: local times repeat, as when clocks are set back: write the offset (2026-10-25T02:00:00+02:00), or pass --zone with the zone of these times"
    )]
    Repeats {
        /// The line.
        line: u64,
        /// The column.
        column: usize,
        /// The local time.
        time: String,
        /// The local time of the row above.
        previous: String,
    },
    /// Local times without an offset leave out an hour, as in the night in which clocks are set forward.
    #[error(
        "line {line}, column {column}: local times jump from {previous} to {time}, as when clocks are set forward: write the offset (2026-03-29T03:00:00+02:00), or pass --zone with the zone of these times (--zone UTC if only values are missing)"
    )]
    Jumps {
        /// The line.
        line: u64,
        /// The column.
        column: usize,
        /// The local time.
        time: String,
        /// The local time of the row above.
        previous: String,
    },
    /// A series looks like a counter.
    #[error(
        "series {series:?} only grows over its {values} values{}: it looks like a counter: pass --counter to turn it into a rate per second, or --level if its values are loads", resets_of(*resets)
    )]
    Counter {
        /// The series.
        series: String,
        /// The number of its values.
        values: usize,
        /// How often it begins again near zero.
        resets: usize,
    },
    /// A cell is not a number.
    #[error(
        "line {line}, column {column}: {text:?} is not a finite number: write one with a point (12.5), or leave the cell empty where the value is missing"
    )]
    Number {
        /// The line.
        line: u64,
        /// The column.
        column: usize,
        /// The text of the cell, shortened.
        text: String,
    },
    /// A time is before the time of the row above.
    #[error(
        "line {line}, column {column}: {time} lies before {previous} in the row above: sort the rows by time"
    )]
    Backwards {
        /// The line.
        line: u64,
        /// The column.
        column: usize,
        /// The time.
        time: Timestamp,
        /// The time of the row above.
        previous: Timestamp,
    },
    /// A cell is not UTF-8.
    #[error("line {line}, column {column}: this is not UTF-8: save the file as UTF-8 text")]
    Encoding {
        /// The line.
        line: u64,
        /// The column.
        column: usize,
    },
    /// There is a header, but no series.
    #[error("there are no series below the header: write a row for each, e.g. web,12,15,11")]
    NoSeries,
    /// A series has an id, but no values.
    #[error(
        "line {line}: series {id:?} has no values: put them behind the id, separated by commas"
    )]
    NoValues {
        /// The line.
        line: u64,
        /// The series.
        id: String,
    },
    /// The file exceeds the size limit.
    #[error("it has more than {limit} bytes once unpacked: split it, or raise the limit")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The file exceeds the limit of values, including those missing in gaps.
    #[error(
        "it has more than {limit} values, those missing in its gaps included: split it where the times jump, or raise the limit"
    )]
    TooManyValues {
        /// The limit.
        limit: usize,
    },
}

impl TableError {
    pub(crate) fn duplicate(line: u64, column: usize, name: &Name) -> Self {
        Self::Duplicate { line, column, name: name.to_string() }
    }
}

fn resets_of(resets: usize) -> String {
    match resets {
        0 => String::new(),
        1 => ", except where it begins again near zero".to_owned(),
        _ => format!(", except where it begins again near zero ({resets} times)"),
    }
}

fn of_series(series: Option<&str>) -> String {
    series.map_or_else(String::new, |series| format!("series {series:?}: "))
}
