//! Numbers that YAML readers do not agree on: `010` is ten or eight, `1_000` a number or a text.

use granit_parser::{Event, Parser, ScalarStyle};

/// A number that is not written plainly.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Odd {
    /// From 1.
    pub(super) line: u64,
    /// From 1.
    pub(super) column: u64,
    /// What is wrong, and what to write instead.
    pub(super) what: String,
}

/// Finds the first number that is not written plainly. Text that is not YAML has none: its parser refuses it.
pub(super) fn find(text: &str) -> Option<Odd> {
    for event in Parser::new_from_str(text) {
        let (event, span) = event.ok()?;
        let Event::Scalar(value, ScalarStyle::Plain, ..) = event else { continue };
        if let Some(plain) = plain_spelling(&value) {
            let what = format!(
                "{value} is not the same number for every reader of YAML: write {plain}, or \"{value}\" in quotes if it is a text"
            );
            let (line, column) = (span.start.line() as u64, span.start.col() as u64 + 1);
            return Some(Odd { line, column, what });
        }
    }
    None
}

/// The plain spelling of a number with a base prefix, a zero in front or underscores; `None` for anything
/// else.
fn plain_spelling(text: &str) -> Option<String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { "-" } else { "" };
    let digits: String = unsigned.chars().filter(|c| *c != '_').collect();
    let prefixed = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
    for (prefix, radix) in prefixed {
        if let Some(digits) = digits.strip_prefix(prefix) {
            let number = u128::from_str_radix(digits, radix).ok()?;
            return Some(format!("{sign}{number}"));
        }
    }
    let is_number =
        digits.starts_with(|c: char| c.is_ascii_digit()) && digits.parse::<f64>().is_ok();
    let trimmed = digits.trim_start_matches('0');
    let padded = digits.starts_with('0') && digits.len() > 1;
    let plain = match trimmed.chars().next() {
        // 0.5 and 00.5.
        Some('.' | 'e' | 'E') | None => format!("0{trimmed}"),
        Some(_) => trimmed.to_owned(),
    };
    let is_odd = unsigned.contains('_') || (padded && plain != digits);
    (is_number && is_odd).then(|| format!("{sign}{plain}"))
}

#[cfg(test)]
mod tests {
    use super::{Odd, find, plain_spelling};

    #[test]
    fn a_number_has_one_spelling() {
        for (text, plain) in [
            ("010", "10"),
            ("-010", "-10"),
            ("00", "0"),
            ("007.5", "7.5"),
            ("00.5", "0.5"),
            ("1_000", "1000"),
            ("1_000.5", "1000.5"),
            ("0x10", "16"),
            ("0XfF", "255"),
            ("0o17", "15"),
            ("0b11", "3"),
            ("0b1_1", "3"),
            ("-0x10", "-16"),
        ] {
            assert_eq!(plain_spelling(text).as_deref(), Some(plain), "{text}");
        }
        for text in [
            "0",
            "10",
            "-5",
            "0.5",
            "1e3",
            "0e0",
            "512Mi",
            "web",
            "0xyz",
            "_",
            "a_b",
            "",
            "10m",
            "2026-01-02",
            "1.2.3",
            "0day",
            "true",
        ] {
            assert_eq!(plain_spelling(text), None, "{text}");
        }
    }

    #[test]
    fn only_plain_text_is_a_number() {
        let found = find("a: 1\nb: {c: 010}\n");
        let Some(Odd { line: 2, column: 8, what }) = found else { panic!("{found:?}") };
        assert!(what.contains("write 10") && what.contains("\"010\" in quotes"), "{what}");
        for text in ["a: '010'\n", "a: \"0x10\"\n", "a: |\n  010\n", "a: [\n", "# 010\na: 1\n"] {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
