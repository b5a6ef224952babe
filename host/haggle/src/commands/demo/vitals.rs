//! Measurements of replicas that fail periodically: memory leaks until none is left, and the error rate rises
//! before the failure.

use haggle_model::{Name, Span, Timestamp};
use haggle_observe::Sample;
use haggle_runtime::FailureReport;

use super::load::uniform;

/// Number of measured replicas per service.
const SUBJECTS: u64 = 2;

/// Minutes from one failure of a replica to the next.
const LIFE: u64 = 50;

/// Length of the phase before a failure in which requests fail, in minutes.
const DECLINE: f64 = 8.0;

const MINUTE: u64 = 60_000;

/// The measurements of a service's replicas at `at`.
pub(super) fn samples(service: &Name, index: u64, at: Timestamp) -> Vec<Sample> {
    let sample = |number: u64| {
        let thing = index * SUBJECTS + number;
        let age = age(thing, at) as f64;
        let shake = 0.02 * (uniform(thing + 1000, at) - 0.5);
        let memory = 0.3 + 0.68 * age / LIFE as f64 + shake;
        let decline = (age - (LIFE as f64 - DECLINE)).max(0.0) / DECLINE;
        let errors = 0.002 * uniform(thing + 2000, at) + 0.08 * decline * decline;
        let measured = [("memory_utilization", memory), ("error_share", errors)];
        measured.map(|(metric, value)| Sample {
            service: service.clone(),
            metric: metric.to_owned(),
            instance: Some(instance(service, number)),
            time: Some(at),
            value,
        })
    };
    (0..SUBJECTS).flat_map(sample).collect()
}

/// The replicas of a service that fail at `at`.
pub(super) fn failures(service: &Name, index: u64, at: Timestamp) -> Vec<FailureReport> {
    (0..SUBJECTS)
        .filter(|number| age(index * SUBJECTS + number, at) == LIFE - 1)
        .map(|number| FailureReport {
            service: service.clone(),
            instance: Some(instance(service, number)),
            time: Some(at + Span::from_millis(MINUTE - 1)),
        })
        .collect()
}

/// Minutes since the replica last started; the replicas started one after another.
fn age(thing: u64, at: Timestamp) -> u64 {
    (at.as_millis() / MINUTE + thing * 13) % LIFE
}

fn instance(service: &Name, number: u64) -> String {
    format!("{service}-{number}")
}

#[cfg(test)]
mod tests {
    use super::{LIFE, failures, samples};
    use haggle_model::{Name, Span, Timestamp};

    #[test]
    fn every_replica_fails_once_in_its_life_with_its_memory_full() {
        let cart = Name::new("cart").unwrap();
        let start = Timestamp::from_millis(1_700_000_000_000).floor(Span::from_mins(1));
        let minutes = (0..LIFE).map(|minute| start + Span::from_mins(minute));
        let failed: Vec<(Timestamp, String)> = minutes
            .flat_map(|at| failures(&cart, 0, at).into_iter().map(move |one| (at, one)))
            .map(|(at, failure)| (at, failure.instance.unwrap()))
            .collect();
        assert_eq!(failed.len(), 2);
        for (at, instance) in failed {
            let memory = samples(&cart, 0, at)
                .into_iter()
                .find(|s| {
                    s.instance.as_ref() == Some(&instance) && s.metric == "memory_utilization"
                })
                .unwrap();
            assert!(memory.value > 0.9, "{memory:?}");
        }
    }
}
