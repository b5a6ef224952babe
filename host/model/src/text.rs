//! Length limits of texts from documents, plugins and parties.

use serde::{Deserialize, Deserializer, de};

/// The maximum length in bytes of a location or an accelerator kind.
pub const MOST_LABEL: usize = 128;

/// The error for a text that is not a label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} ({bytes} bytes) is not a label: use at most {MOST_LABEL} bytes, none of them a control character"
)]
pub struct InvalidLabel {
    /// The given text, shortened.
    given: String,
    bytes: usize,
}

/// The beginning of a text: at most `most` bytes, cut between two characters.
#[must_use]
pub fn bounded_text(text: &str, most: usize) -> String {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text).to_owned()
}

/// The maximum number of characters of a foreign text that a message quotes.
const MOST_REPEATED: usize = 100;

/// The maximum number of characters of a message.
const MOST_SAID: usize = 1000;

/// Makes a text safe to display. Control characters and invisible formatting characters, such as those that
/// change the direction of text, become escapes (`\u{1b}`).
#[must_use]
pub fn escaped(text: &str) -> String {
    escape(text, |_| false)
}

/// Escapes invisible characters, except those that `keep` accepts.
fn escape(text: &str, keep: fn(char) -> bool) -> String {
    if !text.contains(is_unseen) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unseen(c) && !keep(c) {
            shown.extend(c.escape_debug());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Whether a character is a control character or an invisible formatting character: marks, embeddings,
/// overrides and isolates of direction, zero-width joiners and spaces, line and paragraph separators, tags.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Shortens a message and escapes invisible characters; only line breaks stay.
///
/// A message may quote foreign text: a name, a number, a whole document. Each quotation, and each piece
/// without a space, is limited to 100 characters. The whole message is limited to 1000 characters, of which
/// the last 300 are its end, because a message ends with the remedy. `…` marks omissions.
#[must_use]
pub fn concise(message: &str) -> String {
    let message = escape(message, |c| c == '\n');
    let message = message.as_str();
    if message.len() <= MOST_REPEATED {
        return message.to_owned();
    }
    let mut said = String::with_capacity(message.len().min(4 * MOST_SAID));
    let mut rest = message;
    while let Some(first) = rest.chars().next() {
        let piece = match first {
            '"' | '`' => quotation(rest, first).unwrap_or(first.len_utf8()),
            first if first.is_whitespace() => first.len_utf8(),
            _ => rest
                .find(|c: char| c.is_whitespace() || matches!(c, '"' | '`'))
                .unwrap_or(rest.len()),
        };
        let (piece, behind) = rest.split_at(piece);
        push_shortened(&mut said, piece);
        rest = behind;
    }
    within(said)
}

/// The length of the quotation at the beginning of a text, including both marks, if it is closed.
fn quotation(text: &str, mark: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if mark == '"' => escaped = true,
            c if c == mark => return Some(at + c.len_utf8()),
            _ => {}
        }
    }
    None
}

/// Appends a piece, or its beginning and a closing mark if it is too long.
fn push_shortened(said: &mut String, piece: &str) {
    let cut = piece.char_indices().nth(MOST_REPEATED).map(|(at, _)| at);
    let Some(cut) = cut else { return said.push_str(piece) };
    said.push_str(piece.get(..cut).unwrap_or_default());
    said.push('…');
    said.extend(piece.chars().next_back().filter(|last| matches!(last, '"' | '`')));
}

fn within(said: String) -> String {
    let count = said.chars().count();
    if count <= MOST_SAID {
        return said;
    }
    const END: usize = 300;
    let beginning: String = said.chars().take(MOST_SAID - END).collect();
    let end: String = said.chars().skip(count - END).collect();
    format!("{beginning}…{end}")
}

/// Checks a location or an accelerator kind.
pub(crate) fn check_label(text: &str) -> Result<(), InvalidLabel> {
    if text.len() <= MOST_LABEL && !text.contains(char::is_control) {
        Ok(())
    } else {
        Err(InvalidLabel { given: bounded_text(text, 80), bytes: text.len() })
    }
}

/// Deserialises a label.
pub(crate) fn label<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    check_label(&text).map_err(de::Error::custom)?;
    Ok(text)
}

/// Deserialises an optional label.
pub(crate) fn optional_label<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.as_deref().map_or(Ok(()), check_label).map_err(de::Error::custom)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MOST_LABEL, bounded_text, check_label, concise, escaped};

    #[test]
    fn a_message_repeats_little_and_says_how_to_mend_it() {
        let long = "x".repeat(100_000);
        let spaced = "x ".repeat(50_000);
        for message in [
            format!("{long:?} is not a name: use letters"),
            format!("`{long}` is not known: use letters"),
            format!("{long} is not known: use letters"),
            format!("{spaced:?} is not known: use letters"),
            format!("{:?} is not known: use letters", spaced.replace('x', "\"")),
            format!("{spaced} is not known: use letters"),
            format!("\"{spaced} is not known: use letters"),
        ] {
            let said = concise(&message);
            assert!(said.chars().count() <= 1001 && said.contains('…'), "{said}");
            assert!(said.ends_with(": use letters"), "{said}");
        }
        assert_eq!(
            concise(&format!("{} is too large, \"a b\" is not", "1".repeat(309))),
            format!("{}… is too large, \"a b\" is not", "1".repeat(100))
        );
    }

    proptest! {
        #[test]
        fn a_message_of_short_pieces_stays_as_it_is(pieces in prop::collection::vec("[^\\s\"`\\p{C}]{1,20}", 0..40)) {
            let message = pieces.join(" ");
            prop_assert_eq!(concise(&message), message);
        }

        #[test]
        fn a_concise_message_is_bounded(message in "(\\PC|[\" `\\\\]){0,3000}") {
            prop_assert!(concise(&message).chars().count() <= 1001);
        }

        #[test]
        fn a_bounded_text_is_the_longest_beginning_that_fits(text in "\\PC{0,40}", most in 0_usize..60) {
            let bounded = bounded_text(&text, most);
            prop_assert!(text.starts_with(&bounded) && bounded.len() <= most);
            let next = text.chars().nth(bounded.chars().count());
            prop_assert!(next.is_none_or(|next| bounded.len() + next.len_utf8() > most));
        }
    }

    #[test]
    fn what_is_not_seen_is_escaped() {
        for (text, shown) in [
            ("plain ünïcode 日本 \u{1f600}", "plain ünïcode 日本 \u{1f600}"),
            ("a\u{1b}[31mb", "a\\u{1b}[31mb"),
            ("a\r\n\tb\u{85}", "a\\r\\n\\tb\\u{85}"),
            ("a\u{202e}b\u{2066}c\u{200f}d\u{61c}", "a\\u{202e}b\\u{2066}c\\u{200f}d\\u{61c}"),
            ("a\u{2028}b\u{feff}", "a\\u{2028}b\\u{feff}"),
        ] {
            assert_eq!(escaped(text), shown);
        }
        assert_eq!(concise("one\u{1b}\ntwo\u{202e}"), "one\\u{1b}\ntwo\\u{202e}");
    }

    #[test]
    fn counts_bytes_and_refuses_control_characters() {
        assert_eq!(check_label(&"x".repeat(MOST_LABEL)), Ok(()));
        for bad in [&"x".repeat(MOST_LABEL + 1), &"日".repeat(43), "a\nb", "a\u{0}"] {
            let error = check_label(bad).unwrap_err().to_string();
            assert!(error.contains("at most 128 bytes"), "{error}");
        }
    }
}
