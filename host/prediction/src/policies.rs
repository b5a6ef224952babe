use std::{collections::BTreeSet, time::Duration};

use haggle_model::{Name, Timestamp};
use haggle_plugins::{Decided, Decider, FittedSeries, Unanswered, Who};
use haggle_sandbox::{
    Assess, Assign, Digest, Fit, Forecast, Learn, Role, failure_prediction, forecasting, tiering,
};

/// What a plugin answers, and which one; or why none does.
pub type Answer<T> = Result<Decided<T>, Unanswered>;

/// Who predicts: plugins, or whoever plays them in a test. Each call is made for whoever is asked, because
/// models go with the component that made them, and for some of the items.
pub trait Policies: Send + Sync {
    /// The generation whose models are used: the one that decides when all is well.
    fn current(&self, plugin: &Name, role: Role) -> Option<Who>;

    /// The components of all generations that decide or did before: their models are kept.
    fn known(&self) -> BTreeSet<Digest>;

    /// Fits so many series.
    fn fit(
        &self,
        now: Timestamp,
        plugin: &Name,
        items: usize,
        ask: &dyn Fn(&[usize], &Who) -> Fit,
    ) -> Vec<Answer<FittedSeries>>;

    /// Forecasts so many series.
    fn forecast(
        &self,
        now: Timestamp,
        plugin: &Name,
        items: usize,
        ask: &dyn Fn(&[usize], &Who) -> Forecast,
    ) -> Vec<Answer<forecasting::Outlook>>;

    /// Learns from examples; the answer is a model.
    fn learn(&self, now: Timestamp, plugin: &Name, ask: &dyn Fn(&Who) -> Learn) -> Answer<Vec<u8>>;

    /// Assesses so many instances.
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

/// Predictions are bounded by the limits of every call alone.
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
