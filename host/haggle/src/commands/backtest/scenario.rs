//! The scenario that a recorded load runs through.

use std::path::Path;

use anyhow::Context;
use haggle_backtest::{Workload, WorkloadError, default_services};
use haggle_model::{
    CalendarEvent, DependencyDocument, Document, ForecastingPolicy, Provider, ScalingPolicy,
    Service, Span,
};
use haggle_observe::Trace;

use crate::documents;

/// Services with their load, and the documents that govern their scaling.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) workload: Workload,
    pub(super) policies: Vec<ScalingPolicy>,
    pub(super) providers: Vec<Provider>,
    pub(super) dependencies: Vec<DependencyDocument>,
    pub(super) events: Vec<CalendarEvent>,
}

impl Scenario {
    /// Reads a scenario from documents.
    pub(super) fn open(path: &Path, trace: &Trace) -> anyhow::Result<Self> {
        let (mut services, mut policies) = (Vec::<Service>::new(), Vec::new());
        let (mut providers, mut dependencies) = (Vec::new(), Vec::new());
        let mut events = Vec::new();
        for placed in documents::open(path)? {
            match placed.document {
                Document::Service(service) => services.push(service),
                Document::Policy(policy) => policies.push(*policy),
                Document::Provider(provider) => providers.push(provider),
                Document::Dependency(dependency) => dependencies.push(dependency),
                Document::Event(event) => events.push(event),
            }
        }
        let workload = Workload::new(&services, trace)
            .with_context(|| format!("the scenario {} does not fit the load", path.display()))?;
        Ok(Self { workload, policies, providers, dependencies, events })
    }

    /// Builds a scenario with one independent service for each column.
    pub(super) fn of_columns(trace: &Trace) -> Result<Self, WorkloadError> {
        let workload = Workload::new(&default_services(trace)?, trace)?;
        let policies = vec![policy_for(trace.step)];
        Ok(Self {
            workload,
            policies,
            providers: Vec::new(),
            dependencies: Vec::new(),
            events: Vec::new(),
        })
    }
}

/// The default policy, adapted to the step of a recording: finer steps would be mostly missing values.
fn policy_for(step: Span) -> ScalingPolicy {
    let usual = ForecastingPolicy::default();
    let step = step.max(usual.step);
    let times = |count: u64| Span::from_millis(step.as_millis().saturating_mul(count));
    let horizon = usual.horizon.max(times(3));
    let history = usual.history.max(times(288)).min(times(ScalingPolicy::MOST_STEPS));
    let history = history.min(Span::LONGEST);
    ScalingPolicy {
        forecasting: ForecastingPolicy { step, horizon, history, ..usual },
        ..ScalingPolicy::default()
    }
}

#[cfg(test)]
mod tests {
    use super::policy_for;
    use haggle_model::{ScalingPolicy, Span};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_policy_is_valid_whatever_the_step(millis in 1_u64..4_000_000_000) {
            let policy = policy_for(Span::from_millis(millis));
            prop_assert_eq!(policy.validate(), Ok(()));
            prop_assert!(policy.forecasting.step >= Span::from_millis(millis));
        }
    }

    #[test]
    fn a_recording_by_the_minute_meets_the_default_policy() {
        assert_eq!(policy_for(Span::from_mins(1)), ScalingPolicy::default());
    }
}
