//! Measures the nesting depth of JSON. Readers accept at most 128 levels, so stored JSON stays below.

use std::io;

use serde_json::{Value, ser::Formatter};

/// Maximum nesting depth of a record.
pub(crate) const MOST_KEPT: usize = 100;

/// Maximum nesting depth of external JSON that becomes part of a record: a plugin's configuration or the
/// detail of an outcome.
pub const MOST_JSON_DEPTH: usize = 32;

/// Returns the nesting depth of arrays and objects: 0 for a number, 1 for a list of numbers.
#[must_use]
pub fn json_depth(value: &Value) -> usize {
    let mut deepest = 0;
    let mut left = vec![(value, 0)];
    while let Some((value, above)) = left.pop() {
        let inside: Vec<&Value> = match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(fields) => fields.values().collect(),
            _ => continue,
        };
        deepest = deepest.max(above + 1);
        left.extend(inside.into_iter().map(|value| (value, above + 1)));
    }
    deepest
}

/// Measures the nesting depth of JSON while it is written.
#[derive(Debug, Default)]
pub(crate) struct Nesting {
    depth: usize,
    deepest: usize,
    has_raw: bool,
}

impl Nesting {
    /// The maximum depth so far, as in [`json_depth`].
    pub(crate) const fn deepest(&self) -> usize {
        self.deepest
    }

    /// Whether the serializer produced all of the text. Raw text may be nested, and may contain numbers that
    /// no reader accepts.
    pub(crate) const fn is_known(&self) -> bool {
        !self.has_raw
    }

    fn enter(&mut self) {
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
    }

    const fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}

/// Writes compact JSON.
impl Formatter for &mut Nesting {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter();
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.leave();
        writer.write_all(b"]")
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter();
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.leave();
        writer.write_all(b"}")
    }

    fn write_raw_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        self.has_raw = true;
        writer.write_all(fragment.as_bytes())
    }
}

/// Like [`json_depth`], for valid JSON text.
pub(crate) fn of_text(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Serialize;
    use serde_json::{Serializer, Value, json, ser::Formatter};

    use super::{Nesting, json_depth, of_text};

    #[test]
    fn counts_levels() {
        assert_eq!(json_depth(&json!(1)), 0);
        assert_eq!(json_depth(&json!([])), 1);
        assert_eq!(json_depth(&json!({"a": [1, {"b": {}}]})), 4);
    }

    #[test]
    fn text_that_is_put_in_as_it_is_counts_as_unknown() {
        let (mut text, mut nesting) = (Vec::new(), Nesting::default());
        (&mut nesting).write_raw_fragment(&mut text, "[[1e999]]").unwrap();
        assert!(!nesting.is_known());
        assert_eq!(text, b"[[1e999]]");
    }

    proptest! {
        #[test]
        fn a_value_and_its_text_are_equally_deep(
            value in prop_oneof![any::<u32>().prop_map(Value::from), ".{0,4}".prop_map(Value::from)]
                .prop_recursive(40, 60, 2, |inner| prop_oneof![
                    prop::collection::vec(inner.clone(), 0..2).prop_map(Value::Array),
                    (r#"[\[{"\\]{0,3}"#, inner).prop_map(|(key, value)| json!({ key: value })),
                ]),
        ) {
            let depth = json_depth(&value);
            prop_assert_eq!(of_text(&serde_json::to_vec(&value).unwrap()), depth);
            let (mut text, mut nesting) = (Vec::new(), Nesting::default());
            value.serialize(&mut Serializer::with_formatter(&mut text, &mut nesting)).unwrap();
            prop_assert_eq!(nesting.deepest(), depth);
            prop_assert!(nesting.is_known());
            prop_assert_eq!(text, serde_json::to_vec(&value).unwrap());
        }
    }
}
