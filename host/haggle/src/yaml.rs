//! YAML into types, with errors that say where.

use anyhow::anyhow;
use haggle_model::Strict;
use serde::de::DeserializeOwned;
use serde_saphyr::UserMessageFormatter;

/// Reads one document, whose text begins on line `first` of the place that it is from.
///
/// # Errors
/// `PLACE, line L, column C: WHAT`.
pub(crate) fn read<T: DeserializeOwned>(text: &str, place: &str, first: u64) -> anyhow::Result<T> {
    let options = serde_saphyr::options! { with_snippet: false };
    let read = serde_saphyr::from_str_with_options(text, options).map(|Strict(value)| value);
    read.map_err(|error| {
        let what = error.render_with_formatter(&UserMessageFormatter);
        match error.location().filter(|at| at.line() > 0) {
            Some(at) => {
                let (line, column) = (at.line(), at.column());
                // The text counts lines from the beginning of the document, not of the file.
                let behind = format!(" at line {line}, column {column}");
                let what = what.strip_suffix(&behind).unwrap_or(&what);
                anyhow!("{place}, line {}, column {column}: {what}", first + line - 1)
            }
            None => anyhow!("{place}: {what}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::read;
    use haggle_model::Service;

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
                "line 14, column 12: \"soon\" is not a length",
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
