//! Forecasting jobs: fit a panel if due, then forecast it.

use std::{fmt, sync::Arc};

use haggle_control::{EventKind, Forecast as Forecasted, Input};
use haggle_model::{ForecastingPolicy, Name, ScalingPolicy, Series, Service, Span, Timestamp};
use haggle_observe::{History, SeriesKey};
use haggle_plan::Outlook;
use haggle_plugins::{Unanswered, Who, context, convert, cut};
use haggle_sandbox::{
    Forecast, forecasting, since,
    types::{self, CalendarEvent, Fault},
};
use serde_json::json;

use crate::{
    memory::Full,
    models::Model,
    shared_state::{SharedState, State},
};

/// Fits and forecasts one panel.
pub(crate) struct ForecastJob {
    pub(crate) busy: Busy,
    pub(crate) now: Timestamp,
    pub(crate) policy: Arc<ScalingPolicy>,
    /// The generation that forecasts, unless it fails.
    pub(crate) who: Option<Who>,
    pub(crate) events: Arc<[CalendarEvent]>,
    pub(crate) members: Vec<Member>,
    pub(crate) is_fitted: bool,
    /// Forecasts that are known without a call.
    pub(crate) said: Vec<Forecasted>,
}

/// A service in the panel.
pub(crate) struct Member {
    pub(crate) service: Arc<Service>,
    pub(crate) model: Option<Model>,
    /// Whether it has no model yet and this pass does not fit it.
    pub(crate) waits: bool,
}

/// Blocks other jobs for the same services until it is dropped.
pub(crate) struct Busy {
    pub(crate) inner: Arc<SharedState>,
    pub(crate) services: Vec<Name>,
    /// Number of series being fitted.
    pub(crate) fitting: usize,
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        state.fitting = state.fitting.saturating_sub(self.fitting);
        for name in &self.services {
            if let Some(entry) = state.services.get_mut(name) {
                entry.is_busy = false;
            }
        }
    }
}

/// The loads of a panel.
struct Loads {
    series: Vec<Series>,
    /// Whether each series covers only the part that the service's own model needs.
    is_short: Vec<bool>,
}

/// The outlook of a service and the generation that made it, or the reason why there is none.
type Outcome = Result<(Outlook, Who), NoForecast>;

/// The reason why there is no forecast.
enum NoForecast {
    /// The service waits for its first fit.
    Waits,
    /// There are no measurements.
    NoLoad,
    Unanswered(Unanswered),
}

impl ForecastJob {
    pub(crate) fn plugin(&self) -> &Name {
        &self.policy.forecasting.plugin
    }

    pub(crate) fn services(&self) -> Vec<Name> {
        self.busy.services.clone()
    }

    /// Creates a job that only reports known forecasts.
    pub(crate) fn said(inner: Arc<SharedState>, said: Vec<Forecasted>) -> Self {
        Self {
            busy: Busy { inner, services: Vec::new(), fitting: 0 },
            now: Timestamp::default(),
            policy: Arc::default(),
            who: None,
            events: Arc::new([]),
            members: Vec::new(),
            is_fitted: false,
            said,
        }
    }

    pub(crate) fn run(mut self) -> Vec<Input> {
        if !self.said.is_empty() {
            return vec![Input::Forecasts(self.said)];
        }
        let before: Vec<Option<Model>> =
            self.members.iter().map(|member| member.model.clone()).collect();
        if self.is_fitted {
            self.fit();
        }
        let loads = self.loads();
        let mut outcomes = self.forecast(&loads);
        self.forecast_unread(&mut outcomes);
        let forecasts = self.settle(&loads, outcomes);
        self.keep(&before);
        vec![Input::Forecasts(forecasts)]
    }

    /// Returns the model of a service if the component can continue from it.
    pub(crate) fn model_for(&self, place: usize, who: &Who) -> Option<&Model> {
        let model = self.members.get(place)?.model.as_ref()?;
        model.bytes_for(who.digest).map(|_| model)
    }

    /// Reads the part of the loads that the forecasting generation needs. If a model states its lookback,
    /// that is little more than the new values. Reading whole histories would dominate the cost of a pass
    /// over many services.
    fn loads(&self) -> Loads {
        let (step, now) = (self.policy.forecasting.step, self.now);
        let mut loads = Loads { series: Vec::new(), is_short: Vec::new() };
        self.busy.inner.history.read(&mut |history| {
            for (place, member) in self.members.iter().enumerate() {
                let model = self.who.as_ref().and_then(|who| self.model_for(place, who));
                let needed = model.and_then(|model| model.needs(step, now));
                let recent = needed.map(|needed| {
                    let key = SeriesKey::load_of(&member.service);
                    history.series(&key, now, step, needed.min(length(&self.policy)))
                });
                // If there are no new values, only the whole history shows the age of the last one.
                let recent = recent.filter(|recent| !is_empty(recent));
                loads.is_short.push(recent.is_some());
                let all = || whole(history, &member.service, &self.policy, now);
                loads.series.push(recent.unwrap_or_else(all));
            }
        });
        loads
    }

    fn forecast(&self, loads: &Loads) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = self
            .members
            .iter()
            .map(|member| Err(if member.waits { NoForecast::Waits } else { NoForecast::NoLoad }))
            .collect();
        let can = |place: &usize| {
            // Without a model, a forecast would take as long as the fit that the service waits for.
            let waits = self.members.get(*place).is_none_or(|member| member.waits);
            !waits && !loads.series.get(*place).is_none_or(is_empty)
        };
        let places: Vec<usize> = (0..self.members.len()).filter(can).collect();
        let shared = |place: &usize| {
            let model = self.members.get(*place)?.model.as_ref()?;
            Some((model.component, model.shared.as_ref()?.digest))
        };
        // A call has a single shared model.
        for some in places.chunk_by(|a, b| shared(a) == shared(b)) {
            self.forecast_some(some, loads, &mut outcomes);
        }
        outcomes
    }

    fn forecast_some(&self, places: &[usize], loads: &Loads, outcomes: &mut [Outcome]) {
        let (forecast, now) = (&self.policy.forecasting, self.now);
        let ask = |items: &[usize], who: &Who| {
            let places: Vec<usize> =
                items.iter().filter_map(|item| places.get(*item)).copied().collect();
            let tasks = self.tasks(&places, loads, who);
            let model = places.first().and_then(|place| self.model_for(*place, who));
            let shared = model.and_then(|model| model.shared.as_ref());
            Forecast {
                context: context(now, now.as_millis()),
                shared: shared.map(|shared| shared.bytes.as_ref().clone()),
                tasks,
                events: self.events.to_vec(),
            }
        };
        let policies = &self.busy.inner.policies;
        let answers = policies.forecast(now, &forecast.plugin, places.len(), &ask);
        for (place, answer) in places.iter().zip(answers) {
            let (Some(outcome), Some(series)) =
                (outcomes.get_mut(*place), loads.series.get(*place))
            else {
                continue;
            };
            *outcome = answer
                .map(|decided| (convert::outlook(series, decided.answer), decided.by))
                .map_err(NoForecast::Unanswered);
        }
    }

    /// Builds the tasks for a candidate. A candidate without a model of its own gets whole histories.
    fn tasks(&self, places: &[usize], loads: &Loads, who: &Who) -> Vec<forecasting::Task> {
        let (forecast, now) = (&self.policy.forecasting, self.now);
        let is_primary = self.who.as_ref().is_some_and(|primary| primary.digest == who.digest);
        let too_short =
            |place: &usize| !is_primary && loads.is_short.get(*place).is_some_and(|short| *short);
        let mut wholes: Vec<Option<Series>> = Vec::new();
        if places.iter().any(too_short) {
            self.busy.inner.history.read(&mut |history| {
                let read = |place: &usize| {
                    let member = self.members.get(*place).filter(|_| too_short(place))?;
                    Some(whole(history, &member.service, &self.policy, now))
                };
                wholes = places.iter().map(read).collect();
            });
        }
        let task = |(item, place): (usize, &usize)| {
            let member = self.members.get(*place)?;
            let series = wholes.get(item).and_then(Option::as_ref);
            let series = task_series(&member.service, series.or(loads.series.get(*place))?);
            let model = self.model_for(*place, who);
            let until = model.map_or(0, |model| model.fitted_at.floor(forecast.step).as_millis());
            Some(forecasting::Task {
                series: since(series, until, model.and_then(|model| model.lookback)),
                model: model.and_then(|model| model.bytes.as_deref().cloned()),
                horizon_steps: steps(forecast.horizon, forecast.step),
                seasons_steps: seasons_steps(forecast),
                levels: forecast.levels.clone(),
            })
        };
        places.iter().enumerate().filter_map(task).collect()
    }

    /// If a plugin cannot read the model that it has just fitted, another fit would not help: the series are
    /// forecast without a model until their panel is due again.
    fn forecast_unread(&mut self, outcomes: &mut [Outcome]) {
        let mut unread = Vec::new();
        for (place, (member, outcome)) in self.members.iter_mut().zip(&*outcomes).enumerate() {
            if is_unread(outcome)
                && let Some(model) = member.model.as_mut().filter(|m| m.fitted_at == self.now)
            {
                model.forget();
                unread.push(place);
            }
        }
        if !unread.is_empty() {
            // The short histories were for the models.
            self.forecast_some(&unread, &self.loads(), outcomes);
        }
    }

    /// Updates the state, and returns the forecasts for the core.
    fn settle(&mut self, loads: &Loads, outcomes: Vec<Outcome>) -> Vec<Forecasted> {
        let (forecast, now) = (&self.policy.forecasting, self.now);
        let mut state = self.busy.inner.state();
        let State { services, memory, .. } = &mut *state;
        let mut forecasts = Vec::with_capacity(outcomes.len());
        let mut refused = Vec::new();
        for ((member, series), outcome) in self.members.iter_mut().zip(&loads.series).zip(outcomes)
        {
            let Some(entry) = services.get_mut(&member.service.name) else { continue };
            if let (Some(before), Some(value)) = (&entry.outlook, series.values.last()) {
                let step = series.end().before(series.step);
                entry.accuracy.compare(before, step, *value);
            }
            let model = member.model.as_ref();
            if model.is_some_and(|model| model.fitted_at == now && model.bytes.is_some()) {
                entry.accuracy.refitted();
            }
            if is_unread(&outcome)
                && let Some(model) = &mut member.model
            {
                model.outdate();
            }
            if let Err(full) = memory.replace(entry.model.as_ref(), member.model.as_ref())
                && let Some(model) = &mut member.model
            {
                model.forget();
                refused.push((member.service.name.clone(), full));
            }
            entry.model.clone_from(&member.model);
            let asked = self.who.as_ref();
            let (by, outlook) = match outcome {
                Ok((outlook, by)) => (Some(by), Ok(Arc::new(outlook))),
                Err(why) => (asked.cloned(), Err(why.text(&forecast.plugin))),
            };
            entry.outlook = outlook.as_ref().ok().map(Arc::clone);
            forecasts.push(Forecasted {
                service: member.service.name.clone(),
                resource: member.service.load_resource(),
                at: now,
                generation: by.as_ref().map_or(0, |by| by.generation),
                plugin: by.map_or_else(|| forecast.plugin.clone(), |by| by.plugin),
                accuracy: entry.accuracy,
                outlook,
            });
        }
        drop(state);
        self.tell_refused(&refused);
        forecasts
    }

    /// Reports the services whose models did not fit into memory.
    fn tell_refused(&self, refused: &[(Name, Full)]) {
        let Some((first, full)) = refused.first() else { return };
        let (plugin, count) = (self.plugin(), refused.len());
        let services: Vec<&Name> = refused.iter().map(|(name, _)| name).collect();
        let message = format!(
            "{count} models of plugin {plugin} are not kept, from that of service {first} on, which are forecast \
             without: {full}. Use a plugin with smaller models, or fewer services in one host"
        );
        let detail = json!({ "services": services });
        self.busy.inner.observer.event(EventKind::Alert, plugin.as_str(), message, detail);
    }
}

impl NoForecast {
    /// The reason for the core, naming the plugin.
    fn text(self, plugin: &Name) -> String {
        match self {
            Self::Waits => {
                format!(
                    "plugin {plugin} was not asked: the first fit of the service has yet to come"
                )
            }
            Self::NoLoad => format!("plugin {plugin} was not asked: no load was measured"),
            Self::Unanswered(error) => cut(error.to_string()),
        }
    }
}

impl fmt::Display for ForecastJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (policy, plugin) = (&self.policy.name, &self.policy.forecasting.plugin);
        let first = self.members.first().map(|member| &member.service.name);
        let count = self.members.len() + self.said.len();
        let does = if self.is_fitted { "fit and forecast" } else { "forecast" };
        write!(f, "{does} {count} services of policy {policy} with plugin {plugin}")?;
        first.map_or(Ok(()), |first| write!(f, ", from {first} on"))
    }
}

fn is_unread(outcome: &Outcome) -> bool {
    let Err(NoForecast::Unanswered(error)) = outcome else { return false };
    matches!(error.fault(), Some(Fault::IncompatibleModel(_)))
}

pub(crate) const fn is_empty(series: &Series) -> bool {
    series.values.is_empty()
}

/// Returns the load of the policy's whole history.
pub(crate) fn whole(
    history: &History,
    service: &Service,
    policy: &ScalingPolicy,
    now: Timestamp,
) -> Series {
    history.series(&SeriesKey::load_of(service), now, policy.forecasting.step, length(policy))
}

/// Returns the length of the policy's history, in steps.
pub(crate) fn length(policy: &ScalingPolicy) -> usize {
    let reach = policy.forecasting.history.steps(policy.forecasting.step);
    usize::try_from(reach).unwrap_or(usize::MAX)
}

pub(crate) fn task_series(service: &Service, series: &Series) -> types::Series {
    convert::series(service.name.as_str(), series)
}

/// Returns the lengths of the known seasons, in steps.
pub(crate) fn seasons_steps(policy: &ForecastingPolicy) -> Vec<u32> {
    policy.seasons.iter().map(|season| steps(*season, policy.step)).collect()
}

pub(crate) fn steps(length: Span, step: Span) -> u32 {
    u32::try_from(length.steps(step)).unwrap_or(u32::MAX)
}
