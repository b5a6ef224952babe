//! Failure prediction: assesses every measured instance, and learns from the outcomes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use haggle_control::{EventKind, Input, Risk, State as Snapshot};
use haggle_model::{Name, ScalingPolicy, Service, Span, Timestamp};
use haggle_observe::{History, SeriesKey};
use haggle_plugins::{Who, context, cut};
use haggle_sandbox::{
    Assess, Learn, Role,
    failure_prediction::{self as failure, Vitals},
    types::Fault,
};
use serde_json::json;

use crate::{
    failure_outcomes::{Pending, end},
    models::{ModelKey, StoredModel, read},
    policies::Answer,
    shared_state::SharedState,
};

/// Number of values of a metric that a plugin receives.
const WINDOW: usize = 20;

/// Maximum number of instances in one call.
const PANEL: usize = 256;

/// Learns from and assesses the services of one policy.
pub(crate) struct FailureJob {
    busy: Busy,
    now: Timestamp,
    policy: Arc<ScalingPolicy>,
    services: Vec<Arc<Service>>,
}

/// Blocks other jobs for the same policy until it is dropped.
struct Busy {
    inner: Arc<SharedState>,
    policy: Name,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.inner.state().failures.busy.remove(&self.policy);
    }
}

/// The measurements of a service's instance.
struct Measured {
    service: Name,
    vitals: Vitals,
}

/// Creates a job for every policy with services, ordered by name.
pub(crate) fn jobs(
    inner: &Arc<SharedState>,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Vec<FailureJob> {
    let catalog = snapshot.catalog();
    let mut by_policy: BTreeMap<&Name, Vec<Arc<Service>>> = BTreeMap::new();
    for service in catalog.services() {
        by_policy.entry(&service.policy).or_default().push(Arc::clone(service));
    }
    let known = inner.policies.known();
    let mut state = inner.state();
    let failures = &mut state.failures;
    failures.models.retain(|(policy, component), _| {
        known.contains(component) && catalog.policy(policy).is_ok()
    });
    failures.assessed.retain(|policy, _| catalog.policy(policy).is_ok());
    failures.pending.retain(|pending| catalog.policy(&pending.policy).is_ok());
    failures.forget_reports(now);
    let mut jobs = Vec::new();
    for policy in catalog.policies() {
        let Some(services) = by_policy.remove(&policy.name) else { continue };
        if !failures.busy.insert(policy.name.clone()) {
            continue;
        }
        let busy = Busy { inner: Arc::clone(inner), policy: policy.name.clone() };
        jobs.push(FailureJob { busy, now, policy: Arc::clone(policy), services });
    }
    jobs
}

impl FailureJob {
    pub(crate) fn plugin(&self) -> &Name {
        &self.policy.failure_prediction.plugin
    }

    pub(crate) fn services(&self) -> Vec<Name> {
        self.services.iter().map(|service| service.name.clone()).collect()
    }

    pub(crate) fn run(self) -> Vec<Input> {
        let measured = self.measured();
        let mut risks = Vec::new();
        if !measured.is_empty() {
            self.learn();
            risks = self.assess(&measured);
        }
        self.note(measured, &mut risks);
        if risks.is_empty() { Vec::new() } else { vec![Input::Risks(risks)] }
    }

    /// Collects the measurements other than the load. It locks the history service by service, so that other
    /// readers are not blocked for long.
    fn measured(&self) -> Vec<Measured> {
        let (step, now) = (self.policy.forecasting.step, self.now);
        let mut all = Vec::new();
        for service in &self.services {
            self.busy.inner.history.read(&mut |history| {
                let mut metrics: BTreeMap<String, Vec<failure::MetricSeries>> = BTreeMap::new();
                let load = SeriesKey::load_of(service);
                for key in history.keys_of(&service.name).filter(|key| **key != load) {
                    let instance = key.instance.clone().unwrap_or_else(|| service.name.to_string());
                    let metric = metric(history, key, now, step);
                    metrics.entry(instance).or_default().extend(metric);
                }
                for (instance, metrics) in metrics.into_iter().filter(|(_, m)| !m.is_empty()) {
                    let vitals = Vitals {
                        service: service.name.to_string(),
                        instance,
                        last_at_ms: now.floor(step).before(step).as_millis(),
                        step_ms: step.as_millis(),
                        metrics,
                    };
                    all.push(Measured { service: service.name.clone(), vitals });
                }
            });
        }
        all
    }

    fn learn(&self) {
        let (inner, policy, now) = (&self.busy.inner, &self.policy, self.now);
        let examples = inner.state().failures.lesson(&policy.name, now);
        if examples.is_empty() {
            return;
        }
        let ask = |who: &Who| Learn {
            context: context(now, now.as_millis()),
            model: self.model(who),
            horizon_ms: policy.failure_prediction.horizon.as_millis(),
            examples: examples.clone(),
        };
        let learnt = match inner.policies.learn(now, &policy.failure_prediction.plugin, &ask) {
            Ok(learnt) => learnt,
            Err(error) => {
                tracing::debug!(policy = %policy.name, %error, "nothing was learnt about failures");
                return;
            }
        };
        let component = learnt.by.digest;
        let bytes = Arc::new(learnt.answer);
        let model = Some(Arc::clone(&bytes));
        inner.state().failures.remember((policy.name.clone(), component), model);
        let stored = StoredModel {
            fitted_at: now,
            bytes: bytes.as_ref().clone(),
            shared: None,
            lookback: None,
        };
        let key = ModelKey::failures(component, &policy.name);
        if let Err(error) = inner.models.put(&key, stored) {
            inner.delete(&key);
            let plugin = &learnt.by.plugin;
            let message = format!(
                "what plugin {plugin} has learnt about failures is not kept and is forgotten at a restart: {error}"
            );
            let detail = json!({ "policy": policy.name });
            inner.observer.event(EventKind::Alert, plugin.as_str(), message, detail);
        }
    }

    /// Returns the model that a component has learned for this policy.
    fn model(&self, who: &Who) -> Option<Vec<u8>> {
        let inner = &self.busy.inner;
        let key = (self.policy.name.clone(), who.digest);
        let known = inner.state().failures.models.get(&key).cloned();
        let model = known.unwrap_or_else(|| {
            let stored = ModelKey::failures(who.digest, &self.policy.name);
            let found = read(inner.models.as_ref(), &stored).map(|kept| Arc::new(kept.bytes));
            inner.state().failures.remember(key, found.clone());
            found
        });
        model.map(|bytes| bytes.as_ref().clone())
    }

    /// Assesses the instances. The risk of a service is the highest risk of its instances.
    fn assess(&self, measured: &[Measured]) -> Vec<Risk> {
        let (inner, policy, now) = (&self.busy.inner, &self.policy, self.now);
        let mut worst: BTreeMap<&Name, Risk> = BTreeMap::new();
        for panel in measured.chunks(PANEL) {
            let ask = |items: &[usize], who: &Who| Assess {
                context: context(now, now.as_millis()),
                model: self.model(who),
                horizon_ms: policy.failure_prediction.horizon.as_millis(),
                instances: items
                    .iter()
                    .filter_map(|item| Some(panel.get(*item)?.vitals.clone()))
                    .collect(),
            };
            let plugin = &policy.failure_prediction.plugin;
            let answers = inner.policies.assess(now, plugin, panel.len(), &ask);
            self.forget_unread(&answers);
            for (instance, answer) in panel.iter().zip(answers) {
                let risk = risk(instance, answer);
                let known = worst.entry(&instance.service).or_insert_with(|| risk.clone());
                if risk.probability >= known.probability {
                    *known = risk;
                }
            }
        }
        worst.into_values().collect()
    }

    /// Drops models that their plugin cannot read, so that it learns anew.
    fn forget_unread(&self, answers: &[Answer<failure::Risk>]) {
        let is_unread = |answer: &Answer<failure::Risk>| {
            let fault = answer.as_ref().err().and_then(|error| error.fault());
            matches!(fault, Some(Fault::IncompatibleModel(_)))
        };
        if !answers.iter().any(is_unread) {
            return;
        }
        let (inner, policy) = (&self.busy.inner, &self.policy);
        let plugin = &policy.failure_prediction.plugin;
        let Some(who) = inner.policies.current(plugin, Role::FailurePrediction) else { return };
        inner.state().failures.remember((policy.name.clone(), who.digest), None);
        inner.delete(&ModelKey::failures(who.digest, &policy.name));
    }

    /// Queues the assessed instances until their outcome is known, and clears the risk of services that are
    /// no longer measured.
    fn note(&self, measured: Vec<Measured>, risks: &mut Vec<Risk>) {
        let policy = &self.policy;
        let assessed: BTreeSet<Name> = risks.iter().map(|risk| risk.service.clone()).collect();
        let mut state = self.busy.inner.state();
        let failures = &mut state.failures;
        let before = failures.assessed.insert(policy.name.clone(), assessed.clone());
        for service in before.unwrap_or_default().difference(&assessed) {
            let explanation = "nothing is measured that tells how likely it is to fail".to_owned();
            risks.push(Risk { service: service.clone(), probability: None, explanation });
        }
        for Measured { service, vitals } in measured {
            let due = end(&vitals) + policy.failure_prediction.horizon;
            failures.wait_for(Pending { service, policy: policy.name.clone(), due, vitals });
        }
    }
}

impl fmt::Display for FailureJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, services, .. } = self;
        let (count, plugin) = (services.len(), &policy.failure_prediction.plugin);
        write!(f, "assess {count} services of policy {} with plugin {plugin}", policy.name)
    }
}

fn metric(
    history: &History,
    key: &SeriesKey,
    now: Timestamp,
    step: Span,
) -> Option<failure::MetricSeries> {
    let mut values = history.series(key, now, step, WINDOW).values;
    for value in &mut values {
        if !value.is_finite() {
            *value = f64::NAN;
        }
    }
    let known = values.iter().any(|value| value.is_finite());
    known.then(|| failure::MetricSeries { metric: key.metric.clone(), values })
}

fn risk(instance: &Measured, answer: Answer<failure::Risk>) -> Risk {
    let service = instance.service.clone();
    match answer {
        Ok(decided) => {
            let explanation = explain(&instance.vitals, &decided.answer);
            Risk { service, probability: Some(decided.answer.probability), explanation }
        }
        Err(error) => Risk { service, probability: None, explanation: cut(error.to_string()) },
    }
}

fn explain(vitals: &Vitals, risk: &failure::Risk) -> String {
    let all = risk.contributions.iter().take(3);
    let metrics: Vec<&str> = all.map(|contribution| contribution.metric.as_str()).collect();
    let because =
        if metrics.is_empty() { String::new() } else { format!(", by {}", metrics.join(", ")) };
    format!("{} fails soon with probability {:.2}{because}", vitals.instance, risk.probability)
}
