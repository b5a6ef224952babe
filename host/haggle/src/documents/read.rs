//! Parses YAML into valid documents.

use anyhow::{Context, anyhow};
use haggle_model::{CalendarEvent, DependencyDocument, Document, Provider, ScalingPolicy, Service};
use serde::de::DeserializeOwned;

use super::{
    Placed,
    split::{Part, split},
    typed::{Kind, Typed},
};
use crate::yaml;

/// Parses the documents of a text and validates each one by itself; `source` names the text in errors.
///
/// # Errors
/// For the first invalid document, with its number, line and column.
pub(crate) fn parse(source: &str, text: &str) -> anyhow::Result<Vec<Placed>> {
    split(text)
        .into_iter()
        .map(|part| {
            let place = format!("{source}, document {}", part.number);
            let document = typed(&part, &place)?;
            validate(&document).with_context(|| format!("{place}, line {}", first_line(&part)))?;
            Ok(Placed { document, place })
        })
        .collect()
}

fn typed(part: &Part<'_>, place: &str) -> anyhow::Result<Document> {
    let Kind { kind } = yaml(part, place)?;
    Ok(match kind.as_str() {
        "service" => Document::Service(yaml::<Typed<Service>>(part, place)?.0),
        "dependency" => Document::Dependency(yaml::<Typed<DependencyDocument>>(part, place)?.0),
        "provider" => Document::Provider(yaml::<Typed<Provider>>(part, place)?.0),
        "policy" => Document::Policy(Box::new(yaml::<Typed<ScalingPolicy>>(part, place)?.0)),
        "calendar_event" => Document::Event(yaml::<Typed<CalendarEvent>>(part, place)?.0),
        other => {
            let line = first_line(part);
            return Err(anyhow!(
                "{place}, line {line}: there is no kind {other:?}: use service, dependency, provider, policy or calendar_event"
            ));
        }
    })
}

fn yaml<T: DeserializeOwned>(part: &Part<'_>, place: &str) -> anyhow::Result<T> {
    yaml::read(part.text, place, part.line)
}

fn validate(document: &Document) -> anyhow::Result<()> {
    match document {
        Document::Service(service) => service.validate()?,
        Document::Provider(provider) => provider.validate()?,
        Document::Policy(policy) => policy.validate()?,
        Document::Event(event) => event.validate()?,
        Document::Dependency(DependencyDocument { from, to, ratios, .. }) => {
            let complain = |what: String| Err(anyhow!("dependency {from} -> {to}: {what}"));
            if from == to {
                return complain("a service cannot depend on itself: count such calls into what one replica serves".to_owned());
            }
            if ratios.is_zero() {
                return complain("`ratios` names no amount above 0: say how much it asks for, e.g. requests_per_second: 1".to_owned());
            }
        }
    }
    Ok(())
}

/// The first line of a document that is neither empty nor a comment.
fn first_line(part: &Part<'_>) -> u64 {
    let silent = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
    part.line + part.text.lines().take_while(silent).count() as u64
}
