//! Plugin configurations: JSON documents of bounded size and depth that match the plugin's schema.

use serde_json::Value;

use crate::schema::Schema;

/// Maximum size of a configuration, and of a schema, in bytes.
pub(crate) const MOST_BYTES: usize = 64 << 10;
/// Maximum nesting depth of a configuration. It is stored within other documents, whose limit is higher.
const MOST_DEPTH: usize = 32;
/// Maximum nesting depth of a schema, which needs two levels for each level of a configuration.
const MOST_SCHEMA_DEPTH: usize = 64;

/// The error of an invalid configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// It exceeds the maximum size.
    #[error("it has {actual} bytes and may have {most}: keep data in a granted directory")]
    TooLarge {
        /// The actual size, in bytes.
        actual: usize,
        /// The maximum size, in bytes.
        most: usize,
    },
    /// It nests too deeply.
    #[error("it nests arrays and objects more than {most} deep: flatten it")]
    TooDeep {
        /// The maximum depth.
        most: usize,
    },
    /// It is not JSON.
    #[error("it is not JSON: {0}")]
    NotJson(String),
    /// The plugin's schema does not allow it; the text names the position.
    #[error("{0}")]
    Mismatch(String),
    /// The plugin refuses it although the schema allows it; the text is the plugin's reason.
    #[error("the plugin refuses it: {0}")]
    Refused(String),
}

/// Parses a configuration.
pub(crate) fn parse(text: &str) -> Result<Value, ConfigurationError> {
    bounded(text, MOST_DEPTH)
}

/// Checks a configuration against the plugin's schema. The outer error means that the schema is invalid.
pub(crate) fn check(
    configuration: &Value,
    schema: &str,
) -> Result<Result<(), ConfigurationError>, String> {
    let schema = bounded(schema, MOST_SCHEMA_DEPTH).map_err(|error| error.to_string())?;
    let schema = Schema::parse(&schema)?;
    Ok(schema.check(configuration).map_err(ConfigurationError::Mismatch))
}

fn bounded(text: &str, most: usize) -> Result<Value, ConfigurationError> {
    if text.len() > MOST_BYTES {
        return Err(ConfigurationError::TooLarge { actual: text.len(), most: MOST_BYTES });
    }
    if depth(text) > most {
        return Err(ConfigurationError::TooDeep { most });
    }
    serde_json::from_str(text).map_err(|error| ConfigurationError::NotJson(error.to_string()))
}

/// The nesting depth of a JSON text, found without recursion by counting brackets outside of strings.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::{ConfigurationError, MOST_BYTES, MOST_DEPTH, check, depth, parse};

    #[test]
    fn size_and_depth_are_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(MOST_DEPTH)).is_ok());
        let too_deep = ConfigurationError::TooDeep { most: MOST_DEPTH };
        assert_eq!(parse(&nested(MOST_DEPTH + 1)), Err(too_deep.clone()));
        // A recursive parser would overflow here.
        assert_eq!(parse(&"[".repeat(MOST_BYTES)), Err(too_deep));
        let long = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
        assert!(parse(&long(MOST_BYTES)).is_ok());
        assert!(matches!(parse(&long(MOST_BYTES + 1)), Err(ConfigurationError::TooLarge { .. })));
        assert!(matches!(parse("{a: 1}"), Err(ConfigurationError::NotJson(_))));
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        assert_eq!(depth(r#"{"[[[": ["\"[[", "{"]}"#), 2);
        assert_eq!(depth("[[], {}, [[]]]"), 3);
    }

    #[test]
    fn what_is_accepted_can_be_read_within_another_document() {
        let deepest = format!("{}1{}", r#"{"a":"#.repeat(MOST_DEPTH), "}".repeat(MOST_DEPTH));
        let configuration = parse(&deepest).unwrap();
        let document = serde_json::json!([{ "plugin": { "configuration": configuration } }]);
        let again: serde_json::Value = serde_json::from_str(&document.to_string()).unwrap();
        assert_eq!(again, document);
    }

    #[test]
    fn a_schema_that_is_none_is_not_the_configurations_fault() {
        let configuration = parse("{}").unwrap();
        assert_eq!(check(&configuration, "{}"), Ok(Ok(())));
        for wrong in ["", "[]", "{", &"[".repeat(1000)] {
            assert!(check(&configuration, wrong).is_err(), "{wrong}");
        }
        let refused = check(&configuration, r#"{"required": ["a"]}"#).unwrap().unwrap_err();
        assert!(matches!(refused, ConfigurationError::Mismatch(_)), "{refused}");
    }
}
