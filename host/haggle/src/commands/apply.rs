//! `haggle apply`

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use haggle_model::Document;
use serde::Serialize;

use crate::{
    client::{Client, Put, Remote},
    documents::{self, Identity},
    output,
};

/// Create or replace services, dependencies, providers, policies and events on a host
///
/// The command reads and checks all documents before it sends any. It sends policies first, then providers,
/// services, dependencies and events. Existing documents are replaced.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Apply {
    /// A YAML file with one or more documents, or a folder of such files
    #[arg(short, long, value_name = "FILE|DIR")]
    file: PathBuf,
    /// Read and check only; send nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

const EXAMPLES: &str = "\
Examples:
  haggle apply -f policies/shop.yaml
  haggle apply -f policies/ --url http://10.0.0.7:4870
  haggle apply -f shop.yaml --dry-run

A document:
  kind: service                  # or dependency, provider, policy, calendar_event
  name: cart
  replica:
    requests: {cpu_cores: 500m, memory_bytes: 512Mi}
    capacity: {requests_per_second: 80}
    startup: 45s";

/// The result for one document.
#[derive(Debug, Serialize)]
struct Applied {
    kind: &'static str,
    name: String,
    result: Outcome,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Outcome {
    Put(Put),
    /// Serialized as `valid`.
    Checked(&'static str),
}

impl Apply {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let documents = documents::open(&self.file)?;
        let client = self.remote.connect();
        let mut applied = Vec::new();
        for (done, placed) in documents.iter().enumerate() {
            let identity = Identity::of(&placed.document);
            let result = if self.dry_run {
                Outcome::Checked("valid")
            } else {
                let put = put(&client, &placed.document).with_context(|| {
                    let (place, all) = (&placed.place, documents.len());
                    format!("{place}: {identity} was not applied ({done} of {all} documents were)")
                })?;
                Outcome::Put(put)
            };
            if !self.json {
                output::line(format_args!("{identity} {}", result.word()))?;
            }
            applied.push(Applied { kind: identity.kind(), name: identity.name(), result });
        }
        if self.json { output::json(&applied) } else { Ok(()) }
    }
}

impl Outcome {
    const fn word(&self) -> &'static str {
        match self {
            Self::Put(Put::Created) => "created",
            Self::Put(Put::Updated) => "updated",
            Self::Checked(word) => word,
        }
    }
}

fn put(client: &Client, document: &Document) -> anyhow::Result<Put> {
    match document {
        Document::Policy(policy) => client.put(&format!("/v1/policies/{}", policy.name), policy),
        Document::Provider(provider) => {
            client.put(&format!("/v1/providers/{}", provider.name), provider)
        }
        Document::Service(service) => {
            client.put(&format!("/v1/services/{}", service.name), service)
        }
        Document::Dependency(edge) => {
            let path = format!("/v1/dependencies/{}/{}", edge.from, edge.to);
            client.put(&path, &haggle_model::Dependency::from(edge.clone()))
        }
        Document::Event(event) => client.put(&format!("/v1/calendar/{}", event.name), event),
    }
}
