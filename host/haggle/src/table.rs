//! Text tables with columns aligned by spaces.

use haggle_model::escaped;

/// A table. Every row has as many cells as the header.
#[derive(Debug)]
pub(crate) struct Table {
    header: Vec<Header>,
    rows: Vec<Vec<String>>,
}

/// The head of a column, and the alignment of its cells.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Header {
    /// Left-aligned, for text.
    Left(&'static str),
    /// Right-aligned, for numbers.
    Right(&'static str),
}

impl Header {
    const fn text(self) -> &'static str {
        match self {
            Self::Left(text) | Self::Right(text) => text,
        }
    }
}

impl Table {
    /// Creates a table without rows.
    pub(crate) fn new(header: impl Into<Vec<Header>>) -> Self {
        Self { header: header.into(), rows: Vec::new() }
    }

    /// Adds a row. Invisible characters are escaped.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| escaped(&cell)).collect());
    }

    fn width(&self, column: usize, header: Header) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(header.text().chars().count())
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns: Vec<(Header, usize)> = self
            .header
            .iter()
            .enumerate()
            .map(|(column, header)| (*header, self.width(column, *header)))
            .collect();
        let header: Vec<String> = self.header.iter().map(|h| h.text().to_owned()).collect();
        for (number, row) in std::iter::once(&header).chain(&self.rows).enumerate() {
            let mut line = String::new();
            for (cell, (header, width)) in row.iter().zip(&columns) {
                if !line.is_empty() {
                    line.push_str("  ");
                }
                line.push_str(&match header {
                    Header::Left(_) => format!("{cell:<width$}"),
                    Header::Right(_) => format!("{cell:>width$}"),
                });
            }
            let separator = if number == 0 { "" } else { "\n" };
            write!(f, "{separator}{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Header, Table};

    #[test]
    fn columns_are_aligned_and_lines_do_not_trail() {
        let mut table =
            Table::new([Header::Left("name"), Header::Right("size"), Header::Left("why")]);
        table.row(["a".to_owned(), "1000000".to_owned(), String::new()]);
        table.row(["größer".to_owned(), "7".to_owned(), "yes".to_owned()]);
        assert_eq!(
            table.to_string(),
            "name       size  why\na       1000000\ngrößer        7  yes"
        );
    }
}
