//! What the tests of several modules need.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use haggle_control::{
    Caller, Change, Control, Effect, EventKind, Forecast as Forecasted, Input, Options, State,
};
use haggle_model::{Name, ScalingPolicy, Service, Span, Timestamp};
use haggle_observe::{History, HistoryLimits, Sample};
use haggle_plugins::{Decided, FittedSeries, Observer, Unanswered, Who};
use haggle_sandbox::{
    Assess, Assign, Digest, Fit, Forecast, Learn, LogLevel, Role, failure_prediction, forecasting,
    tiering, types::Fault,
};
use serde_json::{Value, json};

use crate::{Answer, Job, MemoryModels, ModelStore, Policies, Prediction, ReadHistory};

pub(crate) const MINUTE: Span = Span::from_mins(1);
pub(crate) const START: Timestamp = Timestamp::from_millis(1_757_000_000_000 / 60_000 * 60_000);

pub(crate) fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

pub(crate) fn who(plugin: &Name, component: &str) -> Who {
    Who { plugin: plugin.clone(), generation: 1, digest: Digest::of(component.as_bytes()) }
}

/// One call as a plugin saw it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) function: &'static str,
    pub(crate) by: &'static str,
    /// Of each series or subject: its id, how many values came, and whether a model did.
    pub(crate) items: Vec<(String, usize, bool)>,
    pub(crate) shared: Option<usize>,
}

/// How the plugin behaves that is named.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// Bytes of each model, and of what the models share.
    pub(crate) model: usize,
    pub(crate) shared: Option<usize>,
    pub(crate) lookback: Option<u32>,
    /// It does not fit or forecast these; somebody else does.
    pub(crate) fails: BTreeSet<String>,
    /// It does not read models.
    pub(crate) is_forgetful: bool,
    pub(crate) component: &'static str,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            model: 4,
            shared: None,
            lookback: Some(2),
            fails: BTreeSet::new(),
            is_forgetful: false,
            component: "own",
        }
    }
}

/// Plugins that forecast the last value, and find every subject as likely to fail as its first metric says.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) manner: Mutex<Manner>,
    pub(crate) seen: Mutex<Vec<Seen>>,
    pub(crate) lessons: Mutex<Vec<(usize, usize)>>,
}

impl Fake {
    fn manner(&self) -> Manner {
        self.manner.lock().unwrap().clone()
    }

    /// What was seen since the last time.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    fn note(&self, seen: Seen) {
        self.seen.lock().unwrap().push(seen);
    }

    fn outlook(task: &forecasting::Task) -> forecasting::Outlook {
        let last = task.series.values.last().copied().unwrap_or(0.0);
        let steps = |value: f64| vec![value; task.horizon as usize];
        let interval = |level: &f64| forecasting::Interval {
            level: *level,
            lower: steps(0.0),
            upper: steps(2.0 * last),
        };
        let intervals = task.levels.iter().map(interval).collect();
        forecasting::Outlook { mean: steps(last), intervals, confidence: 1.0 }
    }
}

fn fault<T>(by: &Who, fault: Fault) -> Answer<T> {
    Err(Unanswered::Item { by: by.clone(), function: "it", fault })
}

impl Policies for Fake {
    fn current(&self, plugin: &Name, _: Role) -> Option<Who> {
        Some(who(plugin, self.manner().component))
    }

    fn known(&self) -> BTreeSet<Digest> {
        [self.manner().component, "stand-in"].map(|text| Digest::of(text.as_bytes())).into()
    }

    fn fit(
        &self,
        _: Timestamp,
        plugin: &Name,
        items: usize,
        ask: &dyn Fn(&[usize], &Who) -> Fit,
    ) -> Vec<Answer<FittedSeries>> {
        let manner = self.manner();
        let own = who(plugin, manner.component);
        let all: Vec<usize> = (0..items).collect();
        let call = ask(&all, &own);
        let previous = call.previous.as_ref();
        let item = |(place, series): (usize, &forecasting::Series)| {
            let knows = previous.is_some_and(|fitted| {
                fitted.per_series[place].as_ref().is_ok_and(|bytes| !bytes.is_empty())
            });
            (series.id.clone(), series.values.len(), knows)
        };
        let seen: Vec<_> = call.panel.series.iter().enumerate().map(item).collect();
        let shared = previous.and_then(|fitted| fitted.shared.as_ref()).map(Vec::len);
        self.note(Seen { function: "fit", by: manner.component, items: seen, shared });
        let shared = manner.shared.map(|bytes| Arc::new(vec![7; bytes]));
        let answer = |series: &forecasting::Series| {
            let (by, model) = match manner.fails.contains(&series.id) {
                true => (who(plugin, "stand-in"), vec![9; 3]),
                false => (own.clone(), vec![1; manner.model]),
            };
            let shared = shared.clone().filter(|_| by == own);
            let answer = FittedSeries { model, shared, lookback: manner.lookback };
            Ok(Decided { answer, by, remark: None })
        };
        call.panel.series.iter().map(answer).collect()
    }

    fn forecast(
        &self,
        _: Timestamp,
        plugin: &Name,
        items: usize,
        ask: &dyn Fn(&[usize], &Who) -> Forecast,
    ) -> Vec<Answer<forecasting::Outlook>> {
        let manner = self.manner();
        let (own, other) = (who(plugin, manner.component), who(plugin, "stand-in"));
        let all: Vec<usize> = (0..items).collect();
        let seen = |call: &Forecast, by| {
            let tasks = call.tasks.iter();
            let item = |task: &forecasting::Task| {
                (task.series.id.clone(), task.series.values.len(), task.model.is_some())
            };
            let shared = call.shared.as_ref().map(Vec::len);
            self.note(Seen { function: "forecast", by, items: tasks.map(item).collect(), shared });
        };
        let call = ask(&all, &own);
        seen(&call, manner.component);
        let mut answers: Vec<Answer<forecasting::Outlook>> = Vec::new();
        for task in &call.tasks {
            let answer = Fake::outlook(task);
            answers.push(if manner.is_forgetful && task.model.is_some() {
                fault(&own, Fault::IncompatibleModel("it is not known".into()))
            } else if manner.fails.contains(&task.series.id) {
                fault(&own, Fault::Internal("told to".into()))
            } else {
                Ok(Decided { answer, by: own.clone(), remark: None })
            });
        }
        let failed = |place: &usize| manner.fails.contains(&call.tasks[*place].series.id);
        let failed: Vec<usize> = all.iter().copied().filter(failed).collect();
        if !failed.is_empty() {
            let call = ask(&failed, &other);
            seen(&call, "stand-in");
            for (place, task) in failed.into_iter().zip(&call.tasks) {
                answers[place] =
                    Ok(Decided { answer: Fake::outlook(task), by: other.clone(), remark: None });
            }
        }
        answers
    }

    fn learn(&self, _: Timestamp, plugin: &Name, ask: &dyn Fn(&Who) -> Learn) -> Answer<Vec<u8>> {
        let by = who(plugin, self.manner().component);
        let call = ask(&by);
        let failed = call.examples.iter().filter(|example| example.failed).count();
        self.lessons.lock().unwrap().push((call.examples.len(), failed));
        Ok(Decided { answer: vec![5; 5], by, remark: None })
    }

    fn assess(
        &self,
        _: Timestamp,
        plugin: &Name,
        items: usize,
        ask: &dyn Fn(&[usize], &Who) -> Assess,
    ) -> Vec<Answer<failure_prediction::Risk>> {
        let manner = self.manner();
        let by = who(plugin, manner.component);
        let call = ask(&(0..items).collect::<Vec<_>>(), &by);
        let item = |vitals: &failure_prediction::Vitals| {
            (vitals.subject.clone(), vitals.metrics[0].values.len(), call.model.is_some())
        };
        let items = call.subjects.iter().map(item).collect();
        self.note(Seen { function: "assess", by: manner.component, items, shared: None });
        let risk = |vitals: &failure_prediction::Vitals| {
            if manner.fails.contains(&vitals.subject) {
                return fault(&by, Fault::Internal("told to".into()));
            }
            let probability = vitals.metrics[0].values.last().copied().unwrap();
            let answer = failure_prediction::Risk { probability, drivers: Vec::new() };
            Ok(Decided { answer, by: by.clone(), remark: None })
        };
        call.subjects.iter().map(risk).collect()
    }

    fn assign(
        &self,
        _: Timestamp,
        plugin: &Name,
        ask: &dyn Fn(&Who) -> Assign,
    ) -> Answer<Vec<tiering::Assignment>> {
        let by = who(plugin, self.manner().component);
        let call = ask(&by);
        let assignment = |api: &tiering::ApiState| tiering::Assignment {
            tier: api.current_tier,
            share: 1.0 / call.apis.len() as f64,
            reason: "told to".to_owned(),
        };
        Ok(Decided { answer: call.apis.iter().map(assignment).collect(), by, remark: None })
    }
}

/// Keeps what operators are told.
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

    /// Forgets what is not stored.
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

    /// The default policy; parts that are not given are as they are by default.
    pub(crate) fn policy(&mut self, mut policy: Value) {
        policy["name"] = json!("default");
        self.change(Change::PutPolicy(serde_json::from_value::<ScalingPolicy>(policy).unwrap()));
    }

    pub(crate) fn service(&mut self, service: &str, policy: &str) {
        let service = json!({
            "name": service, "policy": policy,
            "replica": {"serves": {"requests_per_second": 100}},
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
        subject: Option<&str>,
        ago: Span,
        value: f64,
    ) {
        let sample = Sample {
            service: name(service),
            metric: metric.to_owned(),
            subject: subject.map(str::to_owned),
            time: Some(self.now.before(ago)),
            value,
        };
        self.history.lock().unwrap().push(self.now, &sample).unwrap();
    }

    /// A value a minute of every service, for so many minutes before now.
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

    /// A pass: returns what the core was told.
    pub(crate) fn pass(&mut self) -> Vec<Input> {
        let inputs: Vec<Input> = self.jobs().into_iter().flat_map(Job::run).collect();
        inputs.iter().for_each(|input| drop(self.step(input.clone())));
        inputs
    }

    /// A minute passes, in which every service is measured once.
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

/// How many services have a forecast now, and how many lost theirs or got none.
pub(crate) fn counts(inputs: &[Input]) -> (usize, usize) {
    let all = forecasts(inputs);
    let forecast = all.iter().filter(|forecast| forecast.outlook.is_ok()).count();
    (forecast, all.len() - forecast)
}
