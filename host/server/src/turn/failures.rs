//! The risk stage of a turn: assess every subject that is measured, and learn from those whose outcome
//! is known by now.

use std::collections::{BTreeMap, VecDeque};

use haggle_model::{Name, ScalingPolicy, Span, Timestamp};
use haggle_observe::{History, SeriesKey};
use haggle_sandbox::{Assess, Digest, Learn, Role, failure_prediction as failure};
use haggle_store::{Batch, FittedModel, Models};

use crate::{
    documents::catalog::Catalog,
    error::HostError,
    events::EventKind,
    host::{Host, lock},
    negotiating::counterparties::context,
    persistence::models::stored,
};

/// How many values of a metric a policy sees.
const WINDOW: usize = 20;

/// Subjects whose outcome is not known yet, at most.
const PENDING: usize = 100_000;

/// Examples are learnt in batches of at least so many.
const LESSON: usize = 32;

/// What is waiting to be learnt, and what was.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// When each subject failed: (service, subject).
    reported: BTreeMap<(Name, String), VecDeque<Timestamp>>,
    pending: VecDeque<Pending>,
    models: BTreeMap<Name, Learnt>,
}

#[derive(Debug)]
struct Pending {
    service: Name,
    policy: Name,
    /// When the outcome is known.
    due: Timestamp,
    vitals: failure::Vitals,
}

#[derive(Clone, Debug)]
struct Learnt {
    digest: Digest,
    bytes: Vec<u8>,
}

impl Failures {
    /// Notes that a subject failed; the service itself where none is named.
    pub(crate) fn report(&mut self, service: &Name, subject: Option<String>, at: Timestamp) {
        let subject = subject.unwrap_or_else(|| service.to_string());
        let times = self.reported.entry((service.clone(), subject)).or_default();
        times.push_back(at);
        if times.len() > 1000 {
            times.pop_front();
        }
    }

    fn failed(&self, pending: &Pending) -> bool {
        let key = (pending.service.clone(), pending.vitals.subject.clone());
        let seen = Timestamp::from_millis(pending.vitals.at);
        let within = |at: &Timestamp| seen < *at && *at <= pending.due;
        self.reported.get(&key).is_some_and(|times| times.iter().any(within))
    }

    fn wait_for(&mut self, pending: Pending) {
        if self.pending.len() < PENDING {
            self.pending.push_back(pending);
        }
    }

    /// The examples of a policy whose outcome is known.
    fn lesson(&mut self, policy: &Name, now: Timestamp) -> Vec<failure::Example> {
        let known = |pending: &Pending| pending.policy == *policy && pending.due <= now;
        if self.pending.iter().filter(|pending| known(pending)).count() < LESSON {
            return Vec::new();
        }
        let (learnt, waiting): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(known);
        self.pending = waiting;
        learnt
            .into_iter()
            .map(|pending| failure::Example {
                failed: self.failed(&pending),
                vitals: pending.vitals,
            })
            .collect()
    }
}

impl Host {
    /// Assesses every service that is measured by more than its load; returns how many are at risk.
    pub(crate) fn assess_all(&self, catalog: &Catalog, now: Timestamp) -> Result<usize, HostError> {
        let mut at_risk = 0;
        for policy in catalog.policies.values() {
            let (owners, subjects) = self.vitals(catalog, policy, now);
            if subjects.is_empty() {
                continue;
            }
            self.learn(policy, now)?;
            at_risk += self.assess(policy, owners, subjects, now)?;
        }
        Ok(at_risk)
    }

    fn vitals(
        &self,
        catalog: &Catalog,
        policy: &ScalingPolicy,
        now: Timestamp,
    ) -> (Vec<Name>, Vec<failure::Vitals>) {
        let history = self.history();
        let (mut owners, mut subjects) = (Vec::new(), Vec::new());
        for service in catalog.services.values().filter(|service| service.policy == policy.name) {
            let mut metrics: BTreeMap<String, Vec<failure::Vital>> = BTreeMap::new();
            let load = SeriesKey::load_of(service);
            for key in history.keys_of(&service.name).filter(|key| **key != load) {
                let subject = key.subject.clone().unwrap_or_else(|| service.name.to_string());
                let vital = vital(&history, key, now, policy.forecast.step);
                metrics.entry(subject).or_default().extend(vital);
            }
            for (subject, metrics) in metrics.into_iter().filter(|(_, m)| !m.is_empty()) {
                let at = now.floor(policy.forecast.step).as_millis();
                let step = policy.forecast.step.as_millis();
                owners.push(service.name.clone());
                subjects.push(failure::Vitals { subject, at, step, metrics });
            }
        }
        (owners, subjects)
    }

    fn learn(&self, policy: &ScalingPolicy, now: Timestamp) -> Result<(), HostError> {
        let examples = lock(&self.failures).lesson(&policy.name, now);
        if examples.is_empty() {
            return Ok(());
        }
        let model = self.failure_model(policy)?;
        let horizon = policy.failure.horizon.as_millis();
        let seed = now.as_millis();
        let call = Learn { context: context(now, seed), model, horizon, examples };
        let decided = match self.decider.call(now, &policy.failure.plugin, call) {
            Ok(decided) => decided,
            Err(error) => {
                tracing::debug!(?error, "nothing was learnt");
                return Ok(());
            }
        };
        let current = self.decider.current(&policy.failure.plugin, Role::FailurePrediction);
        let digest = decided.by.digest();
        // What a stand-in has learnt is of no use to the plugin itself.
        if current.is_some_and(|current| current.digest() == digest) {
            let learnt = Learnt { digest, bytes: decided.answer };
            if let Some(store) = self.persistence.store() {
                let mut batch = Batch::new();
                let fitted = FittedModel::alone(now, learnt.bytes.clone());
                batch.put::<Models>(&model_key(policy, &digest), &fitted)?;
                store.commit_lazy(batch)?;
            }
            lock(&self.failures).models.insert(policy.name.clone(), learnt);
        }
        Ok(())
    }

    /// What the plugin has learnt under this policy, if it can read it.
    fn failure_model(&self, policy: &ScalingPolicy) -> Result<Option<Vec<u8>>, HostError> {
        let plugin = &policy.failure.plugin;
        let Some(current) = self.decider.current(plugin, Role::FailurePrediction) else {
            return Ok(None);
        };
        let digest = current.digest();
        let known = lock(&self.failures).models.get(&policy.name).cloned();
        if let Some(learnt) = known.filter(|learnt| learnt.digest == digest) {
            return Ok(Some(learnt.bytes));
        }
        let Some(store) = self.persistence.store() else { return Ok(None) };
        Ok(store.get::<Models>(&model_key(policy, &digest))?.map(|fitted| fitted.model))
    }

    fn assess(
        &self,
        policy: &ScalingPolicy,
        owners: Vec<Name>,
        subjects: Vec<failure::Vitals>,
        now: Timestamp,
    ) -> Result<usize, HostError> {
        let model = self.failure_model(policy)?;
        let horizon = policy.failure.horizon;
        let call = Assess {
            context: context(now, now.as_millis()),
            model,
            horizon: horizon.as_millis(),
            subjects: subjects.clone(),
        };
        let risks = match self.decider.call(now, &policy.failure.plugin, call) {
            Ok(decided) => decided.answer,
            Err(error) => {
                tracing::debug!(?error, "no risk was assessed");
                Vec::new()
            }
        };
        let mut highest: BTreeMap<&Name, (f64, String)> = BTreeMap::new();
        for ((owner, vitals), risk) in owners.iter().zip(&subjects).zip(risks) {
            let Ok(risk) = risk else { continue };
            let text = explain(vitals, &risk);
            let entry = highest.entry(owner).or_insert((0.0, String::new()));
            if risk.probability >= entry.0 {
                *entry = (risk.probability, text);
            }
        }
        let mut at_risk = 0;
        let mut states = self.states();
        for owner in owners.iter().collect::<std::collections::BTreeSet<_>>() {
            let Some(state) = states.get_mut(owner) else { continue };
            let found = highest.get(owner);
            let above =
                |risk: Option<f64>| risk.is_some_and(|risk| risk >= policy.failure.threshold);
            let (before, after) = (state.risk, found.map(|(probability, _)| *probability));
            state.risk = after;
            at_risk += usize::from(above(after));
            if let Some((probability, text)) = found
                && above(after)
                && !above(before)
            {
                let detail = serde_json::json!({ "probability": probability });
                self.emit(EventKind::Risk, owner.as_str(), text.clone(), detail);
            }
        }
        drop(states);
        let mut failures = lock(&self.failures);
        for (service, vitals) in owners.into_iter().zip(subjects) {
            let due = Timestamp::from_millis(vitals.at) + horizon;
            let policy = policy.name.clone();
            failures.wait_for(Pending { service, policy, due, vitals });
        }
        Ok(at_risk)
    }
}

fn vital(history: &History, key: &SeriesKey, now: Timestamp, step: Span) -> Option<failure::Vital> {
    let mut values = history.series(key, now, step, WINDOW).values;
    for value in &mut values {
        if !value.is_finite() {
            *value = f64::NAN;
        }
    }
    let known = values.iter().any(|value| value.is_finite());
    known.then(|| failure::Vital { metric: key.metric.clone(), values })
}

fn explain(vitals: &failure::Vitals, risk: &failure::Risk) -> String {
    let drivers: Vec<&str> =
        risk.drivers.iter().take(3).map(|driver| driver.metric.as_str()).collect();
    let because =
        if drivers.is_empty() { String::new() } else { format!(", by {}", drivers.join(", ")) };
    format!("{} fails soon with probability {:.2}{because}", vitals.subject, risk.probability)
}

fn model_key(policy: &ScalingPolicy, digest: &Digest) -> (haggle_store::Digest, String) {
    (stored(digest), format!("failures/{}", policy.name))
}
