//! Texts that guests write and people read.

/// The most bytes of a text that comes from a guest.
pub(crate) const MOST: usize = 4 << 10;

const CUT: char = '…';

/// Cuts a text that has more than so many bytes where a character begins, and says so with an ellipsis. What
/// is left has at most that many bytes, if that is room for the ellipsis.
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
