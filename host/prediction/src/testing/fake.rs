//! Fake plugins for tests.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use haggle_model::{Name, Timestamp};
use haggle_plugins::{Decided, FittedSeries, Unanswered, Who};
use haggle_sandbox::{
    Assess, Assign, Digest, Fit, Forecast, Learn, Role, failure_prediction, forecasting, tiering,
    types::{self, Fault},
};

use super::who;
use crate::{Answer, Policies};

/// One call, as a plugin saw it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) function: &'static str,
    pub(crate) by: &'static str,
    /// For each series or subject: its id, the number of values, and whether it came with a model.
    pub(crate) items: Vec<(String, usize, bool)>,
    pub(crate) shared: Option<usize>,
}

/// The behaviour of the fake plugin.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// Size in bytes of each model, and of the shared model.
    pub(crate) model: usize,
    pub(crate) shared: Option<usize>,
    pub(crate) lookback: Option<u32>,
    /// The series that it fails to fit and forecast; the fallback handles them.
    pub(crate) fails: BTreeSet<String>,
    /// Whether it cannot read models.
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

/// Plugins that forecast the last value, and take the first metric of an instance as its risk.
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

    /// Returns the calls since the last call of this method.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    fn note(&self, seen: Seen) {
        self.seen.lock().unwrap().push(seen);
    }

    fn outlook(task: &forecasting::Task) -> forecasting::Outlook {
        let last = task.series.values.last().copied().unwrap_or(0.0);
        let steps = task.horizon_steps as usize;
        let bounds = forecasting::Bounds { lower: 0.0, upper: 2.0 * last };
        let interval =
            |level: &f64| forecasting::Interval { level: *level, bounds: vec![bounds; steps] };
        let intervals = task.levels.iter().map(interval).collect();
        forecasting::Outlook { mean: vec![last; steps], intervals, confidence: 1.0 }
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
        let item = |(place, series): (usize, &types::Series)| {
            let knows = previous.is_some_and(|fitted| {
                fitted.models[place].as_ref().is_ok_and(|bytes| !bytes.is_empty())
            });
            (series.id.clone(), series.values.len(), knows)
        };
        let seen: Vec<_> = call.panel.series.iter().enumerate().map(item).collect();
        let shared = previous.and_then(|fitted| fitted.shared.as_ref()).map(Vec::len);
        self.note(Seen { function: "fit", by: manner.component, items: seen, shared });
        let shared = manner.shared.map(|bytes| Arc::new(vec![7; bytes]));
        let answer = |series: &types::Series| {
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
            (vitals.instance.clone(), vitals.metrics[0].values.len(), call.model.is_some())
        };
        let items = call.instances.iter().map(item).collect();
        self.note(Seen { function: "assess", by: manner.component, items, shared: None });
        let risk = |vitals: &failure_prediction::Vitals| {
            if manner.fails.contains(&vitals.instance) {
                return fault(&by, Fault::Internal("told to".into()));
            }
            let probability = vitals.metrics[0].values.last().copied().unwrap();
            let answer = failure_prediction::Risk { probability, contributions: Vec::new() };
            Ok(Decided { answer, by: by.clone(), remark: None })
        };
        call.instances.iter().map(risk).collect()
    }

    fn assign(
        &self,
        _: Timestamp,
        plugin: &Name,
        ask: &dyn Fn(&Who) -> Assign,
    ) -> Answer<Vec<tiering::Assignment>> {
        let by = who(plugin, self.manner().component);
        let call = ask(&by);
        let assignment = |service: &tiering::ServiceState| tiering::Assignment {
            tier: service.tier,
            share: 1.0 / call.services.len() as f64,
            reason: "told to".to_owned(),
        };
        Ok(Decided { answer: call.services.iter().map(assignment).collect(), by, remark: None })
    }
}
