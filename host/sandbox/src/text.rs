//! Texts that guests write and people read.

/// Maximum length of a text from a guest, in bytes.
pub(crate) const MOST: usize = 4 << 10;

const CUT: char = '…';

/// Truncates a text to at most `most` bytes at a character boundary, and marks the cut with an ellipsis. If
/// `most` is less than the ellipsis, only the ellipsis remains.
pub(crate) fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most.saturating_sub(CUT.len_utf8())));
        text.push(CUT);
    }
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_long_text_is_cut_where_a_character_begins() {
        for (text, expected) in [
            ("short", "short"),
            ("exactly8", "exactly8"),
            ("too long by far", "too l…"),
            ("1234äöü", "1234…"),
        ] {
            let mut text = text.to_owned();
            cut(&mut text, 8);
            assert_eq!(text, expected);
        }
    }
}
