use std::{io, path::PathBuf};

use haggle_model::{InvalidName, Name, Timestamp};

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
    /// The first line is already data.
    #[error(
        "line 1: the header is missing: begin with a line that names the columns, e.g. time,frontend"
    )]
    NoHeader,
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
    #[error("there are {rows} rows below the header: two or more at different times are needed")]
    TooFewRows {
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
        "line {line}, column {column}: {text:?} is not a time: use RFC 3339 (2026-01-31T12:00:00Z), 2026-01-31 12:00:00 (taken as UTC), or Unix seconds or milliseconds"
    )]
    Time {
        /// The line.
        line: u64,
        /// The column.
        column: usize,
        /// The text of the cell, shortened.
        text: String,
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
        "line {line}, column 1: {time} lies before {previous} in the row above: sort the rows by time"
    )]
    Backwards {
        /// The line.
        line: u64,
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
