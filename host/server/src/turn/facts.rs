//! What is measured and what was made of it.

use std::collections::BTreeMap;

use haggle_model::{Decision, Lease, Timestamp};
use haggle_observe::Sample;
use haggle_store::{Batch, Decisions, Negotiations, Outcome, Outcomes};
use serde_json::{Value, json};

use crate::{
    documents::catalog::not_found,
    error::HostError,
    host::{Host, lock},
    views::{Accepted, FailureReport, SampleBatch},
};

impl Host {
    /// Takes in facts: all of the batch or nothing.
    ///
    /// # Errors
    /// [`HostError::Samples`] saying which sample is wrong, [`HostError::Missing`] for a service that is
    /// not known.
    pub fn push_samples(&self, batch: SampleBatch) -> Result<Accepted, HostError> {
        let SampleBatch { samples, failures } = batch;
        let now = self.clock.now();
        let catalog = self.catalog();
        let services = samples.iter().map(|sample| &sample.service);
        let reported = failures.iter().map(|failure| &failure.service);
        for service in services.chain(reported) {
            catalog.service(service)?;
        }
        let mut history = self.history();
        let accepted = history.push_all(now, &samples)?;
        // Still under the lock: what a reader sees is written in the order it was seen.
        self.persistence.commit(written(&samples, &failures, now)?)?;
        drop(history);
        let mut learnt = lock(&self.failures);
        for failure in failures {
            learnt.report(&failure.service, failure.subject, failure.time.unwrap_or(now));
        }
        Ok(accepted)
    }

    /// How a negotiation went.
    ///
    /// # Errors
    /// [`HostError::NotFound`]; old negotiations are forgotten.
    pub fn negotiation(&self, id: &str) -> Result<Value, HostError> {
        if let Some(waiting) = lock(&self.waiting).get(id) {
            return Ok(json!({ "id": id, "outcome": "open", "demand": waiting.demand }));
        }
        let found = match self.persistence.store() {
            Some(store) => store.get::<Negotiations>(&id.to_owned())?,
            None => self.persistence.remembered(id),
        };
        found.ok_or_else(|| not_found("negotiation", id))
    }

    /// The leases that are held or confirmed.
    #[must_use]
    pub fn leases(&self) -> Vec<Lease> {
        let now = self.clock.now();
        self.ledger().leases().filter(|lease| lease.is_active(now)).cloned().collect()
    }

    /// Up to `limit` decisions after that sequence, oldest first.
    ///
    /// # Errors
    /// [`HostError::Store`].
    pub fn decisions(&self, after: u64, limit: usize) -> Result<Vec<Decision>, HostError> {
        match self.persistence.store() {
            Some(store) => Ok(store.after::<Decisions>(after, limit)?),
            None => Ok(self.persistence.decisions_after(after, limit)),
        }
    }
}

/// What the store keeps of a batch of facts.
fn written(
    samples: &[Sample],
    failures: &[FailureReport],
    now: Timestamp,
) -> Result<Batch, HostError> {
    let mut batch = Batch::new();
    let mut series: BTreeMap<haggle_store::SeriesKey, Vec<haggle_store::Sample>> = BTreeMap::new();
    for sample in samples {
        let key = haggle_store::SeriesKey {
            service: sample.service.clone(),
            metric: sample.metric.clone(),
            subject: sample.subject.clone().unwrap_or_default(),
        };
        let at = sample.time.unwrap_or(now);
        series.entry(key).or_default().push(haggle_store::Sample { at, value: sample.value });
    }
    for (key, samples) in &series {
        batch.samples(key, samples)?;
    }
    for failure in failures {
        batch.append::<Outcomes>(&Outcome {
            sequence: 0,
            at: failure.time.unwrap_or(now),
            subject: failure.subject.clone().unwrap_or_else(|| failure.service.to_string()),
            kind: "failure".to_owned(),
            detail: serde_json::json!({ "service": failure.service }),
        })?;
    }
    Ok(batch)
}
