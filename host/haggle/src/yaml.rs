//! Deserializes YAML; errors give the position.

mod numbers;

use anyhow::{anyhow, bail};
use haggle_model::Strict;
use serde::de::DeserializeOwned;
use serde_saphyr::{Error, UserMessageFormatter, options::MergeKeyPolicy};

/// Reads one document, whose text begins on line `first` of `place`. YAML features without a JSON counterpart
/// are refused: quoted numbers, `yes` for true, merge keys, and tags that a type would have to interpret. So
/// are numbers such as `010`, `1_000` and `0x10`, which are other numbers or texts for other readers.
///
/// # Errors
/// `PLACE, line L, column C: WHAT`.
pub(crate) fn read<T: DeserializeOwned>(text: &str, place: &str, first: u64) -> anyhow::Result<T> {
    if let Some(odd) = numbers::find(text) {
        let line = first + odd.line - 1;
        bail!("{place}, line {line}, column {}: {}", odd.column, odd.what);
    }
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        merge_keys: MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        reject_tagged_field_names: true,
    };
    let read = serde_saphyr::from_str_with_options(text, options).map(|Strict(value)| value);
    read.map_err(|error| {
        let what = refused(&error);
        let what = what.unwrap_or_else(|| error.render_with_formatter(&UserMessageFormatter));
        match error.location().filter(|at| at.line() > 0) {
            Some(at) => {
                let (line, column) = (at.line(), at.column());
                // The message counts lines from the beginning of the document, not of the file.
                let behind = format!(" at line {line}, column {column}");
                let what = what.strip_suffix(&behind).unwrap_or(&what);
                anyhow!("{place}, line {}, column {column}: {what}", first + line - 1)
            }
            None => anyhow!("{place}: {what}"),
        }
    })
}

/// The reason why valid YAML is refused, if it is a refused feature.
fn refused(error: &Error) -> Option<String> {
    match error.without_snippet() {
        Error::MergeKeyNotAllowed { .. } => Some(
            "the merge key `<<` is not taken: write out the fields that it stands for".to_owned(),
        ),
        Error::UnsupportedTag { tag, .. } | Error::TaggedStructFieldName { tag, .. } => {
            Some(format!("the tag `{tag}` is not taken: leave it out"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use haggle_model::Service;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Thing {
        #[allow(dead_code)]
        width: Option<u8>,
        #[allow(dead_code)]
        ratio: Option<f64>,
        #[allow(dead_code)]
        open: Option<bool>,
    }

    #[test]
    fn what_json_does_not_take_is_not_taken() {
        let whole = "expected a whole number from 0 to 255";
        for (text, given, says) in [
            ("width: '2'", r#"string "2""#, whole),
            ("width: \"2\"", r#"string "2""#, whole),
            ("width: 256", "integer `256`", whole),
            ("width: 2.5", "floating point `2.5`", whole),
            ("width: 010", "010 is not", "write 10"),
            ("width: 0x10", "0x10 is not", "write 16"),
            ("width: 0b11", "0b11 is not", "write 3"),
            ("ratio: 1_000", "1_000 is not", "write 1000"),
            ("ratio: 010", "010 is not", "write 10"),
            ("ratio: '2.5'", r#"string "2.5""#, "expected a number"),
            ("open: yes", r#"string "yes""#, "expected true or false"),
            ("<<: {width: 2}", "`<<`", "write out the fields"),
            ("width: !small 2", "`!small`", "leave it out"),
            ("!thing {width: 2}", "`!thing`", "leave it out"),
            ("!small width: 2", "`!small`", "leave it out"),
        ] {
            let error = read::<Thing>(text, "a.yaml", 11).unwrap_err().to_string();
            assert!(error.starts_with("a.yaml, line 11, column "), "{text}: {error}");
            assert!(error.contains(given) && error.contains(says), "{text}: {error}");
        }
        for text in ["width: 2", "ratio: 2", "ratio: -2.5e3", "open: true", "{}", "width: null"] {
            assert!(read::<Thing>(text, "a.yaml", 1).is_ok(), "{text}");
        }
    }

    #[test]
    fn an_error_says_where_it_is_in_the_file() {
        for (text, said) in [
            ("name: web\nreplicca:\n  capacity: {}\n", "a.yaml, line 12, column 1: "),
            (
                "name: web\nreplica:\n  capacity: {requests_per_second: many}\n",
                "line 13, column 35: \"many\" is not an amount",
            ),
            (
                "name: web\nreplica:\n  capacity: {}\n  startup: soon\n",
                "line 14, column 12: \"soon\" is not a duration",
            ),
            (
                "name: web\nreplica:\n  capacity: {}\n  startup: 45\n",
                "line 14, column 12: 45 is not a duration: write 45s",
            ),
            (
                "name: web\nreplica:\n  capacity: {cpu_cores: 010}\n",
                "line 13, column 25: 010 is not the same number",
            ),
            ("name: Web\n", "line 11, column 7: \"Web\" is not a name"),
            ("name: [web\n", "a.yaml, line 1"),
            ("- web\n- {}\n", "line 11, column 1: expected mapping start"),
            ("name: web\nreplica: [{}]\n", "line 12, column 10: expected mapping start"),
            ("name: web\nname: web\n", "line 12, column 1: duplicate"),
            (
                "name: web\nreplica:\n  capacity: {cpu_cores: 1, cpu_cores: 2}\n",
                "line 13, column 28: duplicate",
            ),
            ("", "a.yaml"),
        ] {
            let error = read::<Service>(text, "a.yaml", 11).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
            assert!(!error.contains(" at line"), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}
