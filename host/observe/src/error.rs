use std::{io, path::PathBuf};

use haggle_model::{InvalidName, Name, Timestamp};

/// A file that cannot be read as a table, with its path.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub source: TableError,
}

/// Why a table of recorded values is refused. Lines and columns count from 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The bytes cannot be had.
    #[error("it cannot be read: {0}")]
    Io(io::Error),
    /// Nothing in it.
    #[error(
        "it is empty: write a header (time and a name for each column), then a row for each time"
    )]
    Empty,
    /// The first line is data already.
    #[error(
        "line 1: the header is missing: begin with a line that names the columns, e.g. time,frontend"
    )]
    NoHeader,
    /// The header has a time column only.
    #[error(
        "line 1: there is one column only: put the values behind the time, separated by commas"
    )]
    NoColumns,
    /// A column or a series without a name.
    #[error("line {line}, column {column}: there is no name: give the column or series one")]
    Unnamed {
        /// Where.
        line: u64,
        /// Where.
        column: usize,
    },
    /// Two columns or two rows of the same name.
    #[error(
        "line {line}, column {column}: {name:?} is there already: a name may occur once; upper case, punctuation and spaces do not tell columns of a load apart"
    )]
    Duplicate {
        /// Where.
        line: u64,
        /// Where.
        column: usize,
        /// The name.
        name: String,
    },
    /// A column whose name cannot become the name of a service.
    #[error("line 1, column {column}: {source}")]
    Name {
        /// Where.
        column: usize,
        /// Why not.
        source: InvalidName,
    },
    /// Too few rows to know the distance between two.
    #[error("there are {rows} rows below the header: two or more at different times are needed")]
    TooFewRows {
        /// How many there are.
        rows: usize,
    },
    /// A row of the wrong length.
    #[error(
        "line {line}: {found} columns where the header has {expected}: write an empty cell for a missing value"
    )]
    ColumnCount {
        /// Where.
        line: u64,
        /// How many the row has.
        found: usize,
        /// How many the header has.
        expected: usize,
    },
    /// A cell that is no time.
    #[error(
        "line {line}, column {column}: {text:?} is not a time: use RFC 3339 (2026-01-31T12:00:00Z), 2026-01-31 12:00:00 (taken as UTC), or Unix seconds or milliseconds"
    )]
    Time {
        /// Where.
        line: u64,
        /// Where.
        column: usize,
        /// What stands there, shortened.
        text: String,
    },
    /// A cell that is no number.
    #[error(
        "line {line}, column {column}: {text:?} is not a finite number: write one with a point (12.5), or leave the cell empty where the value is missing"
    )]
    Number {
        /// Where.
        line: u64,
        /// Where.
        column: usize,
        /// What stands there, shortened.
        text: String,
    },
    /// A time before the one of the row above.
    #[error(
        "line {line}, column 1: {time} lies before {previous} in the row above: sort the rows by time"
    )]
    Backwards {
        /// Where.
        line: u64,
        /// The time.
        time: Timestamp,
        /// The time above.
        previous: Timestamp,
    },
    /// Bytes that are no text.
    #[error("line {line}, column {column}: this is not UTF-8: save the file as UTF-8 text")]
    Encoding {
        /// Where.
        line: u64,
        /// Where.
        column: usize,
    },
    /// A header and no series.
    #[error("there are no series below the header: write a row for each, e.g. web,12,15,11")]
    NoSeries,
    /// A series with an id and nothing else.
    #[error(
        "line {line}: series {id:?} has no values: put them behind the id, separated by commas"
    )]
    NoValues {
        /// Where.
        line: u64,
        /// The series.
        id: String,
    },
    /// More bytes than agreed to.
    #[error("it has more than {limit} bytes once unpacked: split it, or raise the limit")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// More values than agreed to, gaps included.
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
