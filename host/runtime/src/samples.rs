//! Accepts measurements: each batch as a whole or not at all. A batch that the store refuses leaves no trace.

use std::collections::BTreeMap;

use haggle_control::{Event, EventKind, Input, Observed};
use haggle_model::{Name, Timestamp, Window};
use haggle_observe::{Accepted, FailureReport, Sample, SeriesKey};
use haggle_store::{Batch, Outcome, Outcomes, readable};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{HostError, host::Host, shared::Shared};

/// A batch of measurements and failures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleBatch {
    /// The measurements.
    #[serde(default)]
    pub samples: Vec<Sample>,
    /// The failures.
    #[serde(default)]
    pub failures: Vec<FailureReport>,
}

impl Host {
    /// Accepts a batch, unless one of its items is invalid. The data is durable when this returns. Items that
    /// are older than any history or too far ahead of the clock are counted and listed, but not stored.
    ///
    /// # Errors
    /// [`HostError`] with the invalid sample or failure and how to fix it.
    pub async fn push_samples(&self, batch: SampleBatch) -> Result<Accepted, HostError> {
        let SampleBatch { samples, mut failures } = batch;
        let shared = self.shared();
        let now = shared.clock.now();
        let state = shared.snapshot.load_full();
        let services = samples.iter().map(|sample| &sample.service).enumerate();
        let failing = failures.iter().map(|failure| &failure.service).enumerate();
        let services = services.map(|(index, service)| ("sample", index, service));
        let failing = failing.map(|(index, service)| ("failure", index, service));
        for (what, index, service) in services.chain(failing) {
            if state.catalog().service(service).is_err() {
                return Err(HostError::NoService { what, index, service: service.clone() });
            }
        }
        let (failed, commit) = {
            // Check and commit under one lock, so that the checked samples still fit.
            let history = shared.history();
            history.check(now, &samples)?;
            history.check_failures(now, &failures)?;
            let failed = history.accept_failures(now, &mut failures);
            let kept = samples.iter().filter(|s| history.takes(now, s.time.unwrap_or(now)));
            let series = by_series(kept, now);
            let all = series.iter().map(|(key, samples)| (key, samples.as_slice()));
            shared.store.admit_samples(all)?;
            (failed, shared.store.commit(written(&series, &failures, now)?))
        };
        commit.await?;
        let mut accepted = shared.history().push_all(now, &samples)?;
        accepted.add(failed);
        for counter in accepted.counters.iter().filter(|counter| counter.is_new) {
            shared.events.emit(Event {
                at: now,
                kind: EventKind::Alert,
                subject: counter.key.service.to_string(),
                message: counter.complaint(),
                detail: serde_json::json!({ "metric": counter.key.metric }),
            });
        }
        for failure in failures {
            let at = failure.time.unwrap_or(now);
            shared.prediction.report_failure(&failure.service, failure.instance, at);
        }
        let observed = shared.observed(samples.iter().map(|sample| &sample.service));
        self.happened(Input::Observed(observed)).await;
        Ok(accepted)
    }
}

impl Shared {
    /// Returns the present loads of these services.
    pub(crate) fn observed<'a>(&self, services: impl Iterator<Item = &'a Name>) -> Vec<Observed> {
        let state = self.snapshot.load();
        let names: std::collections::BTreeSet<&Name> = services.collect();
        let history = self.history();
        let latest = |name: &Name| {
            let service = state.catalog().service(name).ok()?;
            let step = state.catalog().policy_of(service).forecasting.step;
            let level = history.level(&SeriesKey::load_of(service), step)?;
            let (at, load, steps) = (level.at, level.value, level.steps);
            Some(Observed { service: name.clone(), at, load, steps })
        };
        names.into_iter().filter_map(latest).collect()
    }

    /// Reloads the measurements from before a restart.
    pub(crate) fn restore_history(&self, tell: &mut dyn FnMut(String)) -> Result<(), HostError> {
        let now = self.clock.now();
        let keep = self.history().keep();
        let window =
            Window { start: now.before(keep), end: now + haggle_model::Span::from_mins(1) };
        let keys: Vec<_> =
            readable(self.store.series(), |unreadable| tell(unreadable.to_string())).collect();
        for key in keys {
            let key = key?;
            let instance = Some(key.instance.clone()).filter(|instance| !instance.is_empty());
            for chunk in self.store.sample_chunks(&key, window)? {
                let chunk = match chunk {
                    Ok(chunk) => chunk,
                    Err(haggle_store::StoreError::Unreadable(unreadable)) => {
                        tell(unreadable.to_string());
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                };
                let samples: Vec<Sample> = chunk
                    .into_iter()
                    .map(|sample| Sample {
                        service: key.service.clone(),
                        metric: key.metric.clone(),
                        instance: instance.clone(),
                        time: Some(sample.at),
                        value: sample.value,
                    })
                    .collect();
                // The samples were valid when stored; a limit that was lowered since excludes some.
                if let Err(error) = self.history().push_all(now, &samples) {
                    tell(format!("samples of {} are left out: {error}", key.service));
                }
            }
        }
        Ok(())
    }
}

/// Encodes the stored part of a batch.
fn written(
    series: &BTreeMap<haggle_store::SeriesKey, Vec<haggle_store::Sample>>,
    failures: &[FailureReport],
    now: Timestamp,
) -> Result<Batch, HostError> {
    let mut batch = Batch::new();
    for (key, samples) in series {
        batch.samples(key, samples)?;
    }
    for failure in failures {
        batch.append::<Outcomes>(&Outcome {
            sequence: 0,
            at: failure.time.unwrap_or(now),
            instance: failure.instance.clone().unwrap_or_else(|| failure.service.to_string()),
            kind: "failure".to_owned(),
            detail: serde_json::json!({ "service": failure.service }),
        })?;
    }
    Ok(batch)
}

fn by_series<'a>(
    samples: impl Iterator<Item = &'a Sample>,
    now: Timestamp,
) -> BTreeMap<haggle_store::SeriesKey, Vec<haggle_store::Sample>> {
    let mut series: BTreeMap<haggle_store::SeriesKey, Vec<haggle_store::Sample>> = BTreeMap::new();
    for sample in samples {
        let key = haggle_store::SeriesKey {
            service: sample.service.clone(),
            metric: sample.metric.clone(),
            instance: sample.instance.clone().unwrap_or_default(),
        };
        let at = sample.time.unwrap_or(now);
        series.entry(key).or_default().push(haggle_store::Sample { at, value: sample.value });
    }
    series
}
