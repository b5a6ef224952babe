//! YAML into types, with errors that say where.

use anyhow::anyhow;
use serde::de::DeserializeOwned;

/// Reads one document, whose text begins on line `first` of the place that it is from.
///
/// # Errors
/// `PLACE, line L, column C: WHAT`.
pub(crate) fn read<T: DeserializeOwned>(text: &str, place: &str, first: u64) -> anyhow::Result<T> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let rendered = error.to_string();
        eprintln!("{rendered} {:?}", error.location());
        match error.location() {
            Some(at) if at.line() > 0 => {
                let (line, column) = (first + at.line() - 1, at.column());
                anyhow!("{place}, line {line}, column {column}: {rendered}")
            }
            _ => anyhow!("{place}: {rendered}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::read;
    use haggle_model::{Document, Service, ScalingPolicy, Provider};

    #[test]
    fn x() {
        for text in [
            "name: web\nreplica:\n  serves: {requests_per_second: -1}\n",
            "name: web\nreplica:\n  serves: {requests_per_second: many}\n",
            "name: Web\nreplica:\n  serves: {requests_per_second: 1}\n",
            "name: web\nreplicca:\n  serves: {requests_per_second: 1}\n",
            "name: web\nreplicas: {max: 3}\n",
            "name: web\nreplica: [1\n",
            "name: web\nreplica:\n  serves: {requests_per_second: 1}\n  startup: soon\n",
            "name: web\nname: x\nreplica:\n  serves: {requests_per_second: 1}\n  startup: 1s\n",
            "name: web\nreplica: 3\n",
            "- 1\n",
            "x: *a\n",
            "name: web\n\treplica: 1\n",
        ] {
            println!("{}", read::<Service>(text, "a.yaml, document 2", 11).unwrap_err());
            println!("{}", read::<crate::documents::Typed<Service>>(text, "a.yaml, document 2", 11).unwrap_err());
        }
    }
}
