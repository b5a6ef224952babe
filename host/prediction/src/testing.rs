//! Helpers for the tests of several modules.

mod fake;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use haggle_control::{
    Caller, Change, Control, Effect, EventKind, Forecast as Forecasted, Input, Options, State,
};
use haggle_model::{Name, ScalingPolicy, Service, Span, Timestamp};
use haggle_observe::{History, HistoryLimits, Sample};
use haggle_plugins::{Observer, Who};
use haggle_sandbox::{Digest, LogLevel, Role};
use serde_json::{Value, json};

use crate::{Job, MemoryModels, ModelStore, Policies, Prediction, ReadHistory};

pub(crate) use fake::Fake;

pub(crate) const MINUTE: Span = Span::from_mins(1);
pub(crate) const START: Timestamp = Timestamp::from_millis(1_757_000_000_000 / 60_000 * 60_000);

pub(crate) fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

pub(crate) fn who(plugin: &Name, component: &str) -> Who {
    Who { plugin: plugin.clone(), generation: 1, digest: Digest::of(component.as_bytes()) }
}

/// Records the events for operators.
#[derive(Debug, Default)]
pub(crate) struct Told(pub(crate) Mutex<Vec<(EventKind, String, String)>>);

impl Observer for Told {
    fn event(&self, kind: EventKind, subject: &str, message: String, _: Value) {
        self.0.lock().unwrap().push((kind, subject.to_owned(), message));
    }

    fn call(&self, _: &Who, _: &'static str, _: bool) {}

    fn fallback(&self, _: &Name, _: &'static str, _: usize) {}

    fn log(&self, _: &Who, _: LogLevel, _: &str) {}
}

/// A core without a disk, with its history and predictions.
pub(crate) struct World {
    pub(crate) control: Control,
    pub(crate) prediction: Prediction,
    pub(crate) history: Arc<Mutex<History>>,
    pub(crate) models: Arc<dyn ModelStore>,
    pub(crate) told: Arc<Told>,
    pub(crate) policies: Arc<dyn Policies>,
    pub(crate) now: Timestamp,
}

impl World {
    pub(crate) fn new(policies: Arc<dyn Policies>) -> Self {
        Self::with_models(policies, Arc::new(MemoryModels::default()))
    }

    pub(crate) fn with_models(policies: Arc<dyn Policies>, models: Arc<dyn ModelStore>) -> Self {
        let roles = |builtin: &haggle_builtin::Builtin| {
            let roles = builtin.roles.iter().map(|role| (*role).to_owned()).collect();
            (name(builtin.name), roles)
        };
        let mut built_in: BTreeMap<Name, BTreeSet<String>> =
            haggle_builtin::BUILTIN.iter().map(roles).collect();
        let all = Role::ALL.map(|role| role.to_string());
        built_in.insert(name("other"), all.into());
        let options = Options { built_in, ..Options::default() };
        let history = Arc::new(Mutex::new(History::new(HistoryLimits::default())));
        let told = Arc::<Told>::default();
        let mut world = Self {
            control: Control::new(options, START),
            prediction: Self::prediction(&policies, &history, &models, &told),
            history,
            models,
            told,
            policies,
            now: START,
        };
        world.policy(json!({}));
        world
    }

    fn prediction(
        policies: &Arc<dyn Policies>,
        history: &Arc<Mutex<History>>,
        models: &Arc<dyn ModelStore>,
        told: &Arc<Told>,
    ) -> Prediction {
        let history: Arc<dyn ReadHistory> = Arc::clone(history) as _;
        let (policies, models) = (Arc::clone(policies), Arc::clone(models));
        Prediction::new(policies, history, models, Arc::clone(told) as _)
    }

    /// Drops all state that is not stored.
    pub(crate) fn restart(&mut self) {
        let Self { policies, history, models, told, .. } = self;
        self.prediction = Self::prediction(policies, history, models, told);
    }

    pub(crate) fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut all = Vec::new();
        let mut effects = self.control.step(self.now, input);
        while let Some(commit) = effects.iter().find_map(|effect| match effect {
            Effect::Commit { id, .. } => Some(*id),
            _ => None,
        }) {
            all.append(&mut effects);
            effects = self.control.step(self.now, Input::Committed(commit));
        }
        all.append(&mut effects);
        all
    }

    pub(crate) fn change(&mut self, change: Change) {
        let effects = self.step(Input::Change { caller: Caller(1), change: Box::new(change) });
        let refused =
            effects.iter().find(|effect| matches!(effect, Effect::Answer { answer: Err(_), .. }));
        assert_eq!(refused, None);
    }

    /// Changes the default policy; omitted parts keep their defaults.
    pub(crate) fn policy(&mut self, mut policy: Value) {
        policy["name"] = json!("default");
        self.change(Change::PutPolicy(serde_json::from_value::<ScalingPolicy>(policy).unwrap()));
    }

    pub(crate) fn service(&mut self, service: &str, policy: &str) {
        let service = json!({
            "name": service, "policy": policy,
            "replica": {"capacity": {"requests_per_second": 100}},
        });
        self.change(Change::PutService(serde_json::from_value::<Service>(service).unwrap()));
    }

    pub(crate) fn services(&mut self, count: usize) {
        (0..count).for_each(|number| self.service(&format!("s{number:04}"), "default"));
    }

    pub(crate) fn sample(
        &self,
        service: &str,
        metric: &str,
        instance: Option<&str>,
        ago: Span,
        value: f64,
    ) {
        let sample = Sample {
            service: name(service),
            metric: metric.to_owned(),
            instance: instance.map(str::to_owned),
            time: Some(self.now.before(ago)),
            value,
        };
        self.history.lock().unwrap().push(self.now, &sample).unwrap();
    }

    /// Adds a value per minute for every service, for the last `minutes` minutes.
    pub(crate) fn feed(&self, minutes: u64) {
        let names: Vec<Name> =
            self.snapshot().catalog().services().map(|service| service.name.clone()).collect();
        for ago in (1..=minutes).rev() {
            for name in &names {
                let value = 10.0 + (ago % 7) as f64;
                self.sample(
                    name.as_str(),
                    "requests_per_second",
                    None,
                    Span::from_mins(ago),
                    value,
                );
            }
        }
    }

    pub(crate) fn snapshot(&self) -> Arc<State> {
        self.control.snapshot()
    }

    pub(crate) fn jobs(&self) -> Vec<Job> {
        self.prediction.jobs(&self.snapshot(), self.now)
    }

    /// Runs a pass and returns the inputs to the core.
    pub(crate) fn pass(&mut self) -> Vec<Input> {
        let inputs: Vec<Input> = self.jobs().into_iter().flat_map(Job::run).collect();
        inputs.iter().for_each(|input| drop(self.step(input.clone())));
        inputs
    }

    /// Advances a minute with one measurement of every service.
    pub(crate) fn minute(&mut self) -> Vec<Input> {
        self.now = self.now + MINUTE;
        self.feed(1);
        self.pass()
    }
}

pub(crate) fn forecasts(inputs: &[Input]) -> Vec<&Forecasted> {
    let mut all = Vec::new();
    for input in inputs {
        if let Input::Forecasts(forecasts) = input {
            all.extend(forecasts);
        }
    }
    all
}

/// Number of services that got a forecast, and of those that lost theirs or got none.
pub(crate) fn counts(inputs: &[Input]) -> (usize, usize) {
    let all = forecasts(inputs);
    let forecast = all.iter().filter(|forecast| forecast.outlook.is_ok()).count();
    (forecast, all.len() - forecast)
}
