//! The shop: its documents, and the facts that it sends.

use std::collections::BTreeMap;

use haggle_control::{Change, Principal};
use haggle_model::{Dependency, Document, Name, Timestamp};
use haggle_observe::{DEFAULT_METRIC, Sample};
use haggle_runtime::{FailureReport, Host, block_on};

use super::{load, vitals};
use crate::documents::{self, Placed};

/// The documents that `haggle apply -f policies/shop.yaml` would send.
const DOCUMENTS: &str = include_str!("../../../../../policies/shop.yaml");

/// The service that visitors call.
const FRONT: &str = "web";

/// The services whose replicas are measured.
const MEASURED: [&str; 2] = ["cart", "payment"];

/// The shop as described, with each service's share of the visitors' load.
pub(super) struct Shop {
    /// The start of the demo's story.
    story: Timestamp,
    /// Number of requests that reach each service for one request of a visitor.
    reach: BTreeMap<Name, f64>,
}

impl Shop {
    /// Creates the shop's documents on a host.
    pub(super) fn open(host: &Host, story: Timestamp) -> anyhow::Result<Self> {
        let documents = documents()?;
        for placed in &documents {
            let change = match placed.document.clone() {
                Document::Policy(policy) => Change::PutPolicy(*policy),
                Document::Provider(provider) => Change::PutProvider(provider),
                Document::Service(service) => Change::PutService(service),
                Document::Dependency(edge) => {
                    let (from, to) = (edge.from.clone(), edge.to.clone());
                    Change::PutDependency(from, to, Dependency::from(edge))
                }
                Document::Event(event) => Change::PutEvent(event),
            };
            block_on(host.change(Principal::Anonymous, change))?;
        }
        Ok(Self { story, reach: reach(&documents) })
    }

    /// The load of every service at `at`.
    pub(super) fn loads(&self, at: Timestamp) -> Vec<Sample> {
        let visitors = load::visitors(self.story, at);
        let sample = |(index, (service, reach)): (usize, (&Name, &f64))| Sample {
            service: service.clone(),
            metric: DEFAULT_METRIC.to_owned(),
            instance: None,
            time: Some(at),
            value: visitors * reach * load::noise(index as u64 + 1, at),
        };
        self.reach.iter().enumerate().map(sample).collect()
    }

    /// Returns all measurements of a minute, and the failures in it.
    pub(super) fn minute(&self, at: Timestamp) -> (Vec<Sample>, Vec<FailureReport>) {
        let mut samples = self.loads(at);
        let mut failures = Vec::new();
        let measured = self.reach.keys().filter(|name| MEASURED.contains(&name.as_str()));
        for (index, service) in measured.enumerate() {
            samples.extend(vitals::samples(service, index as u64, at));
            failures.extend(vitals::failures(service, index as u64, at));
        }
        (samples, failures)
    }
}

fn documents() -> anyhow::Result<Vec<Placed>> {
    documents::ordered(documents::parse("policies/shop.yaml", DOCUMENTS)?)
}

/// Follows the calls from the front through the shop, along every path.
fn reach(documents: &[Placed]) -> BTreeMap<Name, f64> {
    let mut reach = BTreeMap::new();
    let mut waiting: Vec<(&str, f64)> = vec![(FRONT, 1.0)];
    // A cyclic call graph would never end; six services need fewer iterations than this.
    for _ in 0..100 {
        let Some((service, calls)) = waiting.pop() else { break };
        for placed in documents {
            match &placed.document {
                Document::Service(found) if found.name.as_str() == service => {
                    *reach.entry(found.name.clone()).or_insert(0.0) += calls;
                }
                Document::Dependency(edge) if edge.from.as_str() == service => {
                    let ratio = edge.ratios.get(haggle_model::Resource::RequestsPerSecond);
                    waiting.push((edge.to.as_str(), calls * ratio));
                }
                _ => {}
            }
        }
    }
    reach
}

#[cfg(test)]
mod tests {
    use super::{documents, reach};
    use crate::documents::Identity;

    #[test]
    fn the_shop_has_six_services_on_three_providers() {
        let documents = documents().unwrap();
        let count = |kind| {
            documents.iter().filter(|placed| Identity::of(&placed.document).kind() == kind).count()
        };
        assert_eq!([count("service"), count("provider"), count("policy")], [6, 3, 1]);
    }

    #[test]
    fn calls_reach_a_service_on_every_path() {
        let reach = reach(&documents().unwrap());
        assert_eq!(reach.len(), 6);
        assert!((reach["web"] - 1.0).abs() < 1e-12);
        // One path from the web, one from each checkout.
        assert!((reach["cart"] - 0.36).abs() < 1e-12);
        assert!((reach["catalogue"] - 1.0).abs() < 1e-12);
    }
}
