//! Bounds of texts that come from documents, plugins and parties.

use serde::{Deserialize, Deserializer, de};

/// The most bytes of a location or of the kind of an accelerator.
pub const MOST_LABEL: usize = 128;

/// Why a text is no label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} ({bytes} bytes) is not a label: use at most {MOST_LABEL} bytes, none of them a control character"
)]
pub struct InvalidLabel {
    /// What was given, shortened.
    given: String,
    bytes: usize,
}

/// The beginning of a text: at most `most` bytes, cut between two characters.
#[must_use]
pub fn bounded_text(text: &str, most: usize) -> String {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text).to_owned()
}

/// Checks a location or the kind of an accelerator.
pub(crate) fn check_label(text: &str) -> Result<(), InvalidLabel> {
    if text.len() <= MOST_LABEL && !text.contains(char::is_control) {
        Ok(())
    } else {
        Err(InvalidLabel { given: bounded_text(text, 80), bytes: text.len() })
    }
}

/// Serde for a label.
pub(crate) fn label<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    check_label(&text).map_err(de::Error::custom)?;
    Ok(text)
}

/// Serde for a label that may be missing.
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

    use super::{MOST_LABEL, bounded_text, check_label};

    proptest! {
        #[test]
        fn a_bounded_text_is_the_longest_beginning_that_fits(text in "\\PC{0,40}", most in 0_usize..60) {
            let bounded = bounded_text(&text, most);
            prop_assert!(text.starts_with(&bounded) && bounded.len() <= most);
            let next = text.chars().nth(bounded.chars().count());
            prop_assert!(next.is_none_or(|next| bounded.len() + next.len_utf8() > most));
        }
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
