//! Splits a YAML file into documents.

/// The text of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    /// The number of the document, from 1; empty documents do not count.
    pub(crate) number: usize,
    /// The line of the file on which the document begins, from 1.
    pub(crate) line: u64,
    /// Its text.
    pub(crate) text: &'a str,
}

/// Splits a file at its `---` lines, and omits parts that are empty or only comments. A `---` at the
/// beginning of a line always separates documents, even within a text, so this needs no parser. The rest of a
/// `---` line belongs to the document; `...` and directives are omitted.
pub(crate) fn split(text: &str) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    let (mut begin, mut first_line) = (0, 1);
    let mut offset = 0;
    let mut close = |begin: usize, end: usize, line: u64| {
        let text = text.get(begin..end).unwrap_or_default();
        if text.lines().any(says_something) {
            parts.push(Part { number: parts.len() + 1, line, text });
        }
    };
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let end = offset + line.len();
        let number = index as u64 + 1;
        if let Some(behind) = marker(line) {
            close(begin, offset, first_line);
            (begin, first_line) = (end - behind.len(), number);
        } else if line.starts_with('%') || line.trim_end() == "..." {
            close(begin, offset, first_line);
            (begin, first_line) = (end, number + 1);
        }
        offset = end;
    }
    close(begin, offset, first_line);
    parts
}

/// The rest of a line after its `---`.
fn marker(line: &str) -> Option<&str> {
    let behind = line.strip_prefix("---")?;
    (behind.is_empty() || behind.starts_with([' ', '\t', '\r', '\n'])).then_some(behind)
}

fn says_something(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}').trim();
    !line.is_empty() && !line.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::{Part, split};

    #[test]
    fn documents_are_counted_and_know_their_line() {
        let text = "# a file\n%YAML 1.2\n---\na: 1\n--- # again\nb: 2\n...\n---\n# empty\n---\nc: |\n  --- no\n";
        let part = |number, line, text| Part { number, line, text };
        assert_eq!(
            split(text),
            [
                part(1, 3, "\na: 1\n"),
                part(2, 5, " # again\nb: 2\n"),
                part(3, 10, "\nc: |\n  --- no\n"),
            ]
        );
        assert_eq!(split("a: 1"), [part(1, 1, "a: 1")]);
        assert_eq!(split("\r\n---\r\na: 1\r\n"), [part(1, 2, "\r\na: 1\r\n")]);
        assert!(split("").is_empty() && split("---\n---\n").is_empty());
    }
}
