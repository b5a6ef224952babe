//! The first stages of a turn: fit where it is due, then forecast every service.

mod due;

use std::{collections::BTreeMap, sync::Arc};

use haggle_model::{Name, ScalingPolicy, Series, Service, Span, Timestamp};
use haggle_observe::{History, SeriesKey};
use haggle_plan::{Accuracy, Outlook};
use haggle_sandbox::{
    Digest, Fit, Forecast, Generation, Role, forecasting, since,
    types::{self, Fault},
};
use rayon::prelude::*;

use self::due::{fitted_at, is_due};
use crate::{
    convert,
    documents::{calendar::Concerns, catalog::Catalog},
    error::HostError,
    host::Host,
    negotiating::counterparties::context,
    persistence::models::{Model, Shared, StoredModels},
    views::ForecastView,
};

/// How many series are a panel, which is fitted and forecast in one call: enough to learn across them and to
/// make the instance worth it, few enough to spread over cores.
const BATCH: usize = 64;

/// The most series that are fitted in one turn: of each policy the panels with a missing model first, then
/// those with the oldest. The others wait for the next turns, so that a fit of everything at once stalls
/// nobody.
const MOST_FITS: usize = 4 * BATCH;

/// One service on its way through the stages.
struct Job {
    service: Arc<Service>,
    series: Series,
    model: Option<Model>,
    /// Its model no longer fits.
    drifted: bool,
    /// It has no model yet, and its turn to be fitted has not come.
    waits: bool,
}

impl Job {
    /// The load as far back as its policy looks.
    fn whole(&self, history: &History, policy: &ScalingPolicy, now: Timestamp) -> Series {
        let step = policy.forecast.step;
        history.series(&SeriesKey::load_of(&self.service), now, step, length(policy))
    }

    /// What a forecast needs of the load: with a model that says how far back it looks, little more than what
    /// is new. To read whole histories would be most of what a turn over many services does.
    fn window(&self, history: &History, policy: &ScalingPolicy, now: Timestamp) -> Series {
        let step = policy.forecast.step;
        let needed = self.model.as_ref().and_then(|model| model.needs(step, now));
        let recent = needed.map(|needed| {
            let key = SeriesKey::load_of(&self.service);
            history.series(&key, now, step, needed.min(length(policy)))
        });
        // Nothing came since: how long ago the last value was, the whole history tells.
        let recent = recent.filter(|recent| !recent.values.is_empty());
        recent.unwrap_or_else(|| self.whole(history, policy, now))
    }

    /// What its model shares with those of its panel.
    fn shared(&self) -> Option<&Shared> {
        self.model.as_ref()?.shared.as_ref()
    }
}

/// The services that one policy forecasts together: the same events concern them.
struct Group {
    policy: Arc<ScalingPolicy>,
    generation: Arc<Generation>,
    events: Vec<types::Event>,
    jobs: Vec<Job>,
}

/// What came of the stages, for the report.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) fitted: usize,
    pub(crate) forecast: usize,
    pub(crate) unforecast: usize,
}

impl Host {
    /// Fits and forecasts every service that has a history, and keeps what came of it.
    pub(crate) fn forecast_all(
        &self,
        catalog: &Catalog,
        now: Timestamp,
    ) -> Result<Tally, HostError> {
        self.sweep_calendar(now)?;
        let mut tally = Tally::default();
        let mut room = MOST_FITS;
        for mut group in self.groups(catalog, now)? {
            tally.fitted += self.fit(&mut group, &mut room, now)?;
            let mut outlooks = self.forecast_group(&group, now);
            self.forecast_unread(&mut group, &mut outlooks, now);
            let mut states = self.states();
            for (job, outlook) in group.jobs.into_iter().zip(outlooks) {
                let Some(state) = states.get_mut(&job.service.name) else { continue };
                state.model = job.model;
                if let (Some(before), Some(value)) = (&state.forecast, job.series.values.last()) {
                    let step = job.series.end().before(job.series.step);
                    state.accuracy.compare(&before.outlook, step, *value);
                }
                if state.model.as_ref().is_some_and(|model| model.fitted_at == now) {
                    state.accuracy.refitted();
                }
                match outlook {
                    Ok((outlook, by)) => {
                        tally.forecast += 1;
                        let view = view(&job.service, &group.policy, outlook, &by, now);
                        state.forecast = Some(ForecastView { accuracy: state.accuracy, ..view });
                    }
                    Err(fault) => {
                        tally.unforecast += 1;
                        tracing::debug!(service = %job.service.name, %fault, "no forecast");
                        state.forecast = None;
                        if let (Fault::IncompatibleModel(_), Some(model)) =
                            (fault, &mut state.model)
                        {
                            model.outdate();
                        }
                    }
                }
            }
        }
        Ok(tally)
    }

    fn groups(&self, catalog: &Catalog, now: Timestamp) -> Result<Vec<Group>, HostError> {
        let mut groups: BTreeMap<(&Name, Vec<&Name>), Group> = BTreeMap::new();
        let concerns = Concerns::of(catalog);
        let mut stored = StoredModels::of(self);
        let states = self.states();
        let history = self.history();
        for service in catalog.services.values() {
            if history.latest(&SeriesKey::load_of(service)).is_none() {
                continue;
            }
            let policy = catalog.policy_of(service);
            let forecast = &policy.forecast;
            let own = concerns.own(&service.name);
            let names = own.iter().map(|event| &event.name).collect();
            let group = match groups.entry((&service.policy, names)) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    let current = self.decider.current(&forecast.plugin, Role::Forecasting);
                    let Some(generation) = current else { continue };
                    entry.insert(Group {
                        policy: Arc::clone(&policy),
                        generation,
                        events: concerns.told(own, forecast, now),
                        jobs: Vec::new(),
                    })
                }
            };
            let digest = group.generation.digest();
            let kept = states.get(&service.name).and_then(|state| state.model.clone());
            let model = match kept.filter(|model| model.digest == digest) {
                Some(model) => Some(model),
                None => stored.get(&digest, &service.name)?,
            };
            let widest = forecast.levels.last().copied().unwrap_or(0.0);
            let drifted =
                states.get(&service.name).is_some_and(|state| state.accuracy.has_drifted(widest));
            let service = Arc::clone(service);
            let series = Series { start: now, step: forecast.step, values: Vec::new() };
            group.jobs.push(Job { service, series, model, drifted, waits: false });
        }
        let history: &History = &history;
        for Group { policy, jobs, .. } in groups.values_mut() {
            jobs.par_iter_mut().for_each(|job| job.series = job.window(history, policy, now));
            jobs.retain(|job| !job.series.values.is_empty());
        }
        Ok(groups.into_values().collect())
    }

    /// Fits the panels in which a model is missing or old; returns how many services that were. A panel is
    /// fitted as a whole, so that all of it shares what was learnt across its series. There is room for so
    /// many series.
    fn fit(&self, group: &mut Group, room: &mut usize, now: Timestamp) -> Result<usize, HostError> {
        let Group { policy, generation, events, jobs } = group;
        let digest = generation.digest();
        let refit = policy.forecast.refit;
        let mut due: Vec<&mut [Job]> =
            jobs.chunks_mut(BATCH).filter(|panel| is_due(panel, refit, now)).collect();
        due.sort_by_key(|panel| panel.iter().map(fitted_at).min());
        let fits = |panel: &&&mut [Job]| {
            let left = room.checked_sub(panel.len());
            *room = left.unwrap_or(*room);
            left.is_some()
        };
        let in_time = due.iter().take_while(fits).count();
        let late = due.iter_mut().skip(in_time).flat_map(|panel| panel.iter_mut());
        late.for_each(|job| job.waits = job.model.as_ref().is_none_or(Model::is_outdated));
        due.truncate(in_time);
        let fitted: Vec<usize> = due
            .par_iter_mut()
            .map(|panel| self.fit_panel(policy, digest, events, panel, now))
            .collect();
        let fitted_now = due.iter().flat_map(|panel| panel.iter()).filter_map(|job| {
            let model = job.model.as_ref().filter(|model| model.fitted_at == now)?;
            Some((&job.service.name, model))
        });
        self.keep_models(&fitted_now.collect::<Vec<_>>())?;
        Ok(fitted.into_iter().sum())
    }

    fn fit_panel(
        &self,
        policy: &ScalingPolicy,
        digest: Digest,
        events: &[types::Event],
        chunk: &mut [Job],
        now: Timestamp,
    ) -> usize {
        let forecast = &policy.forecast;
        let step = forecast.step;
        let history = self.history();
        chunk.iter_mut().for_each(|job| job.series = job.whole(&history, policy, now));
        drop(history);
        let panel = forecasting::Panel {
            series: chunk.iter().map(task_series).collect(),
            horizon: steps(forecast.horizon, step),
            seasons: forecast.seasons.iter().map(|season| steps(*season, step)).collect(),
            events: events.to_vec(),
        };
        let known = chunk.iter().any(|job| job.model.is_some());
        let previous = known.then(|| forecasting::Fitted {
            shared: chunk.iter().find_map(Job::shared).map(Shared::to_vec),
            per_series: chunk
                .iter()
                .map(|job| {
                    Ok(job.model.as_ref().and_then(|model| model.bytes.clone()).unwrap_or_default())
                })
                .collect(),
            lookback: chunk.iter().find_map(|job| job.model.as_ref()?.lookback),
        });
        let call = Fit { context: context(now, now.as_millis()), panel, previous };
        let decided = match self.decider.call(now, &forecast.plugin, call) {
            Ok(decided) => decided,
            Err(error) => {
                tracing::debug!(?error, "nothing was fitted");
                return 0;
            }
        };
        // Models of a stand-in are of no use to the plugin itself.
        if decided.by.digest() != digest {
            return 0;
        }
        let lookback = decided.answer.lookback;
        let shared = decided.answer.shared.map(Shared::new);
        let mut fitted = 0;
        for (job, bytes) in chunk.iter_mut().zip(decided.answer.per_series) {
            let bytes = bytes.inspect_err(
                |fault| tracing::debug!(service = %job.service.name, %fault, "not fitted"),
            );
            let bytes = bytes.ok();
            fitted += usize::from(bytes.is_some());
            let shared = shared.clone();
            job.model = Some(Model { digest, fitted_at: now, bytes, shared, lookback });
        }
        fitted
    }

    fn forecast_group(&self, group: &Group, now: Timestamp) -> Vec<Forecasted> {
        group
            .jobs
            .chunk_by(|a, b| a.waits == b.waits && a.shared() == b.shared())
            .flat_map(|jobs| jobs.chunks(BATCH))
            .collect::<Vec<_>>()
            .into_par_iter()
            .flat_map_iter(|chunk| match chunk.first() {
                // Without a model, a forecast would take as long as the fit that it waits for.
                Some(Job { waits: true, .. }) => {
                    let waits = || Err(Fault::InsufficientData("not fitted yet".to_owned()));
                    chunk.iter().map(|_| waits()).collect()
                }
                _ => self.forecast_chunk(group, chunk, now),
            })
            .collect()
    }

    /// Where a plugin does not read the model that it has just fitted, another fit would not help: the series
    /// is forecast without one, until its panel is due again.
    fn forecast_unread(&self, group: &mut Group, outlooks: &mut [Forecasted], now: Timestamp) {
        for (place, outlook) in outlooks.iter_mut().enumerate() {
            let Err(Fault::IncompatibleModel(why)) = outlook else { continue };
            let Some(job) = group.jobs.get_mut(place) else { continue };
            let Some(model) = job.model.as_mut().filter(|model| model.fitted_at == now) else {
                continue;
            };
            tracing::debug!(service = %job.service.name, %why, "a fresh model is not read");
            model.forget();
            let alone = group.jobs.get(place..=place).unwrap_or_default();
            if let Some(again) = self.forecast_chunk(group, alone, now).pop() {
                *outlook = again;
            }
        }
    }

    fn forecast_chunk(&self, group: &Group, chunk: &[Job], now: Timestamp) -> Vec<Forecasted> {
        let forecast = &group.policy.forecast;
        let horizon = steps(forecast.horizon, forecast.step);
        let task = |job: &Job| {
            let fitted = job.model.as_ref().filter(|model| model.bytes.is_some());
            let until = fitted.map_or(0, |model| model.fitted_at.floor(forecast.step).as_millis());
            forecasting::Task {
                series: since(task_series(job), until, fitted.and_then(|model| model.lookback)),
                model: fitted.and_then(|model| model.bytes.clone()),
                horizon,
                levels: forecast.levels.clone(),
            }
        };
        let tasks = chunk.iter().map(task);
        let shared = chunk.first().and_then(Job::shared).map(Shared::to_vec);
        let call = Forecast {
            context: context(now, now.as_millis()),
            shared,
            tasks: tasks.collect(),
            events: group.events.clone(),
        };
        match self.decider.call(now, &forecast.plugin, call) {
            Ok(decided) => chunk
                .iter()
                .zip(decided.answer)
                .map(|(job, outlook)| {
                    let outlook = convert::outlook(&job.series, outlook?);
                    Ok((outlook, Arc::clone(&decided.by)))
                })
                .collect(),
            Err(error) => {
                let text = error.map_or_else(|| "no plugin".to_owned(), |error| error.to_string());
                chunk.iter().map(|_| Err(Fault::Internal(text.clone()))).collect()
            }
        }
    }
}

type Forecasted = Result<(Outlook, Arc<Generation>), Fault>;

/// How many values the policy looks back.
fn length(policy: &ScalingPolicy) -> usize {
    let reach = policy.forecast.history.steps(policy.forecast.step);
    usize::try_from(reach).unwrap_or(usize::MAX)
}

fn task_series(job: &Job) -> forecasting::Series {
    convert::series(job.service.name.as_str(), &job.series)
}

fn steps(length: Span, step: Span) -> u32 {
    u32::try_from(length.steps(step)).unwrap_or(u32::MAX)
}

fn view(
    service: &Service,
    policy: &ScalingPolicy,
    outlook: Outlook,
    by: &Generation,
    now: Timestamp,
) -> ForecastView {
    ForecastView {
        service: service.name.clone(),
        resource: service.load_resource(),
        at: now,
        plugin: Name::new(by.plugin()).unwrap_or_else(|_| policy.forecast.plugin.clone()),
        generation: by.number(),
        accuracy: Accuracy::default(),
        outlook,
        horizons: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
