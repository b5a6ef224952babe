//! How deep JSON is nested. A reader follows 128 levels at most, so what is kept stays below.

use serde_json::Value;

/// The most levels of a record.
pub(crate) const MOST_KEPT: usize = 100;

/// The most levels of JSON that is accepted from outside to become part of a record: a plugin's configuration
/// or the detail of an outcome.
pub const MOST_JSON_DEPTH: usize = 32;

/// How many arrays and objects lie within each other: 0 for a number, 1 for a list of numbers.
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

/// The same for valid JSON text.
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
    use serde_json::{Value, json};

    use super::{json_depth, of_text};

    #[test]
    fn counts_levels() {
        assert_eq!(json_depth(&json!(1)), 0);
        assert_eq!(json_depth(&json!([])), 1);
        assert_eq!(json_depth(&json!({"a": [1, {"b": {}}]})), 4);
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
            prop_assert_eq!(of_text(&serde_json::to_vec(&value).unwrap()), json_depth(&value));
        }
    }
}
