//! Checks a plugin's description of itself. It is stored and displayed, so its size is bounded, and its
//! schema must match the plugin's configuration.

use serde_json::Value;

use crate::{configuration, error::LoadError, metadata::Description};

/// Maximum length of a name and of a version, in bytes.
const NAME: usize = 256;
/// Maximum length of a summary, in bytes.
const SUMMARY: usize = 4 << 10;

/// Checks a description, and a configuration against its schema.
pub(crate) fn check(description: &Description, configuration: &Value) -> Result<(), LoadError> {
    let Description { name, version, summary, configuration_schema } = description;
    for (what, text, most) in [
        ("name", name, NAME),
        ("version", version, NAME),
        ("summary", summary, SUMMARY),
        ("configuration-schema", configuration_schema, configuration::MOST_BYTES),
    ] {
        if text.len() > most {
            let bytes = text.len();
            return Err(LoadError::Description(format!(
                "has a {what} of {bytes} bytes, and it may have {most}: shorten it"
            )));
        }
        if what != "configuration-schema" && text.contains(char::is_control) {
            return Err(LoadError::Description(format!(
                "has a {what} with control characters, {text:?}: leave them out"
            )));
        }
    }
    configuration::check(configuration, configuration_schema).map_err(|wrong| {
        LoadError::Description(format!("has a configuration-schema that is none: {wrong}"))
    })??;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::{error::LoadError, metadata::Description};
    use serde_json::json;

    fn description(bytes: [usize; 3], schema: &str) -> Description {
        let [name, version, summary] = bytes.map(|bytes| "x".repeat(bytes));
        Description { name, version, summary, configuration_schema: schema.to_owned() }
    }

    #[test]
    fn every_text_is_bounded() {
        let most = [256, 256, 4096];
        let schema = |bytes: usize| format!("{{{}}}", " ".repeat(bytes - 2));
        let of = |bytes, schema: &str| check(&description(bytes, schema), &json!({}));
        assert!(of(most, &schema(65536)).is_ok());
        let refused = |bytes, schema: &str, says: &str| {
            let error = of(bytes, schema).unwrap_err();
            assert!(matches!(error, LoadError::Description(_)), "{error}");
            assert!(error.to_string().contains(says), "{error}");
        };
        refused([257, 256, 4096], "{}", "a name of 257 bytes");
        refused([256, 257, 4096], "{}", "a version of 257 bytes");
        refused([256, 256, 4097], "{}", "a summary of 4097 bytes");
        let forged =
            Description { name: "mine\r\nERROR".to_owned(), ..description([1, 1, 1], "{}") };
        let error = check(&forged, &json!({})).unwrap_err().to_string();
        assert!(error.contains(r#"a name with control characters, "mine\r\nERROR""#), "{error}");
        refused(most, &schema(65537), "a configuration-schema of 65537 bytes");
    }

    #[test]
    fn a_schema_that_is_none_is_the_plugins_fault_and_a_configuration_the_operators() {
        let of = |schema: &str| check(&description([1; 3], schema), &json!({"a": 1}));
        let error = of(r#"{"properties": {"a": 3}}"#).unwrap_err();
        assert!(matches!(error, LoadError::Description(_)), "{error}");
        assert!(error.to_string().contains("/properties/a is 3"), "{error}");
        let error = of(r#"{"additionalProperties": false}"#).unwrap_err();
        assert!(matches!(error, LoadError::Configuration(_)), "{error}");
    }
}
