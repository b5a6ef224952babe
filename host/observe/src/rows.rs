use std::{
    collections::VecDeque,
    io::{self, Chain, ErrorKind, Read},
};

use csv::{ByteRecord, ReaderBuilder, Terminator};

use crate::{Limits, TableError, source};

/// Appended to every file, so that its last line always ends.
const LINE_BREAK: &[u8] = b"\n";

/// Reads the rows of a CSV file. Rows may differ in length.
pub(crate) struct Rows<'a> {
    reader: csv::Reader<Chain<Box<dyn Read + 'a>, &'static [u8]>>,
    limits: Limits,
    unread: VecDeque<Row>,
}

/// One row. Columns count from 0 here and from 1 in errors.
#[derive(Clone, Default)]
pub(crate) struct Row {
    pub(crate) line: u64,
    record: ByteRecord,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(reader: impl Read + 'a, limits: Limits) -> Result<Self, TableError> {
        let bytes =
            source::unpacked(reader, limits.bytes).map_err(|error| refusal(error, limits))?;
        // A carriage return before the line break counts as white space of the last cell.
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .terminator(Terminator::Any(b'\n'))
            .from_reader(bytes.chain(LINE_BREAK));
        Ok(Self { reader, limits, unread: VecDeque::new() })
    }

    /// Reads the next row that is not blank into `row`; returns `false` at the end.
    pub(crate) fn read(&mut self, row: &mut Row) -> Result<bool, TableError> {
        if let Some(unread) = self.unread.pop_front() {
            *row = unread;
            return Ok(true);
        }
        loop {
            let more = self.reader.read_byte_record(&mut row.record);
            if !more.map_err(|error| refusal(io_error(error), self.limits))? {
                return Ok(false);
            }
            row.line = self.line_of(&row.record);
            if row.len() > 1 || !row.record.as_slice().trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// The line on which the record just read begins, computed backwards from the current position, because
    /// the record's own position is before the blank lines above it.
    fn line_of(&self, record: &ByteRecord) -> u64 {
        let within = record.as_slice().iter().filter(|c| **c == b'\n').count() as u64;
        self.reader.position().line().saturating_sub(within + 1)
    }

    /// Returns up to `count` next rows, which are read again next.
    pub(crate) fn head(&mut self, count: usize) -> Result<Vec<Row>, TableError> {
        let mut head = Vec::new();
        let mut row = Row::default();
        while head.len() < count && self.read(&mut row)? {
            head.push(row.clone());
        }
        head.iter().rev().for_each(|row| self.unread.push_front(row.clone()));
        Ok(head)
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }
}

/// Converts an error of the reader. With rows of any length and bytes as text, only I/O can fail.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn refusal(error: io::Error, limits: Limits) -> TableError {
    if error.kind() == ErrorKind::FileTooLarge {
        return TableError::TooLarge { limit: limits.bytes };
    }
    TableError::Io(error)
}

impl Row {
    pub(crate) fn len(&self) -> usize {
        self.record.len()
    }

    /// Returns the cell's text without surrounding white space; empty if there is no such cell.
    pub(crate) fn text(&self, column: usize) -> Result<&str, TableError> {
        let bytes = self.record.get(column).unwrap_or_default();
        std::str::from_utf8(bytes)
            .map(str::trim)
            .map_err(|_| TableError::Encoding { line: self.line, column: column + 1 })
    }

    /// Returns the cell's number; NaN if the value is missing.
    pub(crate) fn value(&self, column: usize) -> Result<f64, TableError> {
        let text = self.text(column)?;
        if is_missing(text) {
            return Ok(f64::NAN);
        }
        text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(|| {
            TableError::Number { line: self.line, column: column + 1, text: shortened(text) }
        })
    }
}

pub(crate) fn is_missing(text: &str) -> bool {
    ["", "na", "nan", "null"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::{Row, Rows};
    use crate::Limits;

    #[test]
    fn counts_lines_as_an_editor_does() {
        let text = "\n\na,b\n\n  \n\"c\n\",d\ne\n\nf,";
        for text in [text.to_owned(), text.replace('\n', "\r\n"), format!("{text}\n")] {
            let mut rows = Rows::new(text.as_bytes(), Limits::default()).unwrap();
            let mut row = Row::default();
            let mut seen = Vec::new();
            while rows.read(&mut row).unwrap() {
                seen.push((row.line, row.text(0).unwrap().to_owned(), row.len()));
            }
            let expected = [(3, "a", 2), (6, "c", 2), (8, "e", 1), (10, "f", 2)];
            assert_eq!(seen, expected.map(|(line, text, len)| (line, text.to_owned(), len)));
        }
    }
}
