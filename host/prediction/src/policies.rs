use std::{collections::BTreeSet, time::Duration};

use haggle_model::{Name, Timestamp};
use haggle_plugins::{Decided, Decider, FittedSeries, Unanswered, Who};
use haggle_sandbox::{
    Assess, Assign, Digest, Fit, Forecast, Learn, Role, failure_prediction, forecasting, tiering,
};

/// The answer of a plugin and the generation that gave it, or the reason why there is none.
pub type Answer<T> = Result<Decided<T>, Unanswered>;

/// The prediction calls, implemented by plugins or by test fakes. `ask` builds the call for each candidate
/// and a subset of the items, because models belong to the component that made them.
pub trait Policies: Send + Sync {
    /// Returns the generation whose models apply: the first candidate.
    fn current(&self, plugin: &Name, role: Role) -> Option<Who>;

    /// Returns the components of all current and previous generations, whose models are kept.
    fn known(&self) -> BTreeSet<Digest>;

    /// Fits `items` series.
    fn fit(
        &self,
        now: Timestamp,
        plugin: &Name,
        items: usize,
        ask: &dyn Fn(&[usize], &Who) -> Fit,
    ) -> Vec<Answer<FittedSeries>>;

    /// Forecasts `items` series.
    fn forecast(
        &self,
        now: Timestamp,
        plugin: &Name,
        items: usize,
        ask: &dyn Fn(&[usize], &Who) -> Forecast,
    ) -> Vec<Answer<forecasting::Outlook>>;

    /// Learns from examples; the answer is a model.
    fn learn(&self, now: Timestamp, plugin: &Name, ask: &dyn Fn(&Who) -> Learn) -> Answer<Vec<u8>>;

    /// Assesses `items` instances.
    fn assess(
        &self,
        now: Timestamp,
        plugin: &Name,
        items: usize,
        ask: &dyn Fn(&[usize], &Who) -> Assess,
    ) -> Vec<Answer<failure_prediction::Risk>>;

    /// Assigns tiers.
    fn assign(
        &self,
        now: Timestamp,
        plugin: &Name,
        ask: &dyn Fn(&Who) -> Assign,
    ) -> Answer<Vec<tiering::Assignment>>;
}

/// Predictions have no time limit other than that of every call.
const TIME: Duration = Duration::MAX;

impl Policies for Decider {
    fn current(&self, plugin: &Name, role: Role) -> Option<Who> {
        Self::current(self, plugin, role)
    }

    fn known(&self) -> BTreeSet<Digest> {
        let pairs = self.registry().list().into_values();
        let all = pairs.flat_map(|(current, previous)| [current, previous]).flatten();
        let built_in = self.registry().built_in().iter().cloned();
        all.chain(built_in).map(|loaded| loaded.who.digest).collect()
    }

    fn fit(
        &self,
        now: Timestamp,
        plugin: &Name,
        items: usize,
        ask: &dyn Fn(&[usize], &Who) -> Fit,
    ) -> Vec<Answer<FittedSeries>> {
        self.each(now, plugin, items, TIME, ask)
    }

    fn forecast(
        &self,
        now: Timestamp,
        plugin: &Name,
        items: usize,
        ask: &dyn Fn(&[usize], &Who) -> Forecast,
    ) -> Vec<Answer<forecasting::Outlook>> {
        self.each(now, plugin, items, TIME, ask)
    }

    fn learn(&self, now: Timestamp, plugin: &Name, ask: &dyn Fn(&Who) -> Learn) -> Answer<Vec<u8>> {
        self.call(now, plugin, TIME, ask)
    }

    fn assess(
        &self,
        now: Timestamp,
        plugin: &Name,
        items: usize,
        ask: &dyn Fn(&[usize], &Who) -> Assess,
    ) -> Vec<Answer<failure_prediction::Risk>> {
        self.each(now, plugin, items, TIME, ask)
    }

    fn assign(
        &self,
        now: Timestamp,
        plugin: &Name,
        ask: &dyn Fn(&Who) -> Assign,
    ) -> Answer<Vec<tiering::Assignment>> {
        self.call(now, plugin, TIME, ask)
    }
}
