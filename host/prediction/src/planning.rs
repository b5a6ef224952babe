//! Selects the panels that a pass forecasts, and those that it fits first.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use haggle_control::{Forecast, State as Snapshot};
use haggle_model::{Name, ScalingPolicy, Service, Timestamp};
use haggle_observe::{History, SeriesKey};
use haggle_plan::Accuracy;
use haggle_plugins::Who;
use haggle_sandbox::{Digest, Role, types};

use crate::{
    concerns::Concerns,
    due::{Fitness, is_due, oldest},
    forecasting::{Busy, ForecastJob, Member, length},
    job::Job,
    models::{Model, ModelKey, Reader},
    shared_state::{Entry, SharedState, State},
};

/// Number of series in a panel, which one call fits and forecasts: enough to learn across them and to
/// amortize the instance, few enough to use all cores.
const PANEL: usize = 64;

/// Maximum number of series to fit at once: first panels with a missing model, then those with the oldest
/// models. The others wait for the next passes, so that no single pass stalls.
const MOST_FITS: usize = 4 * PANEL;

/// Number of services to read before the history is unlocked for others.
const READ_AT_ONCE: usize = 256;

/// The services with the same policy and the same events.
struct Group {
    policy: Arc<ScalingPolicy>,
    /// The generation that forecasts, unless it fails.
    who: Option<Who>,
    events: Arc<[types::CalendarEvent]>,
    services: Vec<Arc<Service>>,
}

/// A service without a measured load, and its policy.
type Unmeasured = (Arc<Service>, Arc<ScalingPolicy>);

/// Creates the forecast jobs of a pass. Services without a measured load get no forecast, which is reported
/// once.
pub(crate) fn forecasts(
    inner: &Arc<SharedState>,
    snapshot: &Arc<Snapshot>,
    now: Timestamp,
) -> Vec<Job> {
    forget(inner, snapshot);
    let (groups, unmeasured) = groups(inner, snapshot, now);
    let known = look_up(inner, &groups);
    let mut state = inner.state();
    for Found { service, component, model } in known {
        let State { services, memory, .. } = &mut *state;
        let entry = services.entry(service).or_default();
        if !entry.is_busy {
            entry.looked_up = Some(component);
            // If there is no room, the service is fitted again, and that fit reports it.
            let has_room = memory.replace(entry.model.as_ref(), model.as_ref()).is_ok();
            entry.model = model.filter(|_| has_room);
        }
    }
    let unmeasured = newly_unmeasured(&mut state, unmeasured, now);
    let panels = panels(&mut state, groups);
    let fits = fits(&state, &panels, now);
    let mut jobs = Vec::new();
    if !unmeasured.is_empty() {
        jobs.push(Job::forecast(ForecastJob::said(Arc::clone(inner), unmeasured)));
    }
    for (place, panel) in panels.into_iter().enumerate() {
        let is_fitted = fits.contains(&place);
        jobs.push(Job::forecast(job(inner, &mut state, panel, is_fitted, now)));
    }
    jobs
}

/// Drops the state of deleted services, except those that a job is working on.
fn forget(inner: &SharedState, snapshot: &Snapshot) {
    let mut gone = Vec::new();
    let mut state = inner.state();
    let State { services, memory, .. } = &mut *state;
    services.retain(|name, entry| {
        let stays = entry.is_busy || snapshot.catalog().service(name).is_ok();
        if !stays {
            gone.push(name.clone());
            entry.model.iter().for_each(|model| memory.give_back(model));
        }
        stays
    });
    drop(state);
    if gone.is_empty() {
        return;
    }
    for component in inner.policies.known() {
        gone.iter().for_each(|name| inner.delete(&ModelKey::service(component, name)));
    }
}

fn groups(
    inner: &SharedState,
    snapshot: &Snapshot,
    now: Timestamp,
) -> (Vec<Group>, Vec<Unmeasured>) {
    let catalog = snapshot.catalog();
    let concerns = Concerns::of(catalog);
    let mut groups: BTreeMap<(&Name, Vec<&Name>), Group> = BTreeMap::new();
    let mut unmeasured = Vec::new();
    let services: Vec<&Arc<Service>> = catalog.services().collect();
    for some in services.chunks(READ_AT_ONCE) {
        let with_policy = some.iter().map(|service| catalog.policy_of(service));
        let with_policy: Vec<_> = some.iter().copied().zip(with_policy).collect();
        let mut measured = Vec::new();
        inner.history.read(&mut |history| {
            let has = |(service, policy): &(&Arc<Service>, Arc<ScalingPolicy>)| {
                is_measured(history, service, policy, now)
            };
            measured = with_policy.iter().map(has).collect();
        });
        for ((service, policy), measured) in with_policy.into_iter().zip(measured) {
            if !measured {
                unmeasured.push((Arc::clone(service), policy));
                continue;
            }
            let own = concerns.own(&service.name);
            let names = own.iter().map(|event| &event.name).collect();
            let group = groups.entry((&service.policy, names)).or_insert_with(|| Group {
                who: inner.policies.current(&policy.forecasting.plugin, Role::Forecasting),
                events: concerns.told(own, &policy.forecasting, now).into(),
                policy,
                services: Vec::new(),
            });
            group.services.push(Arc::clone(service));
        }
    }
    (groups.into_values().collect(), unmeasured)
}

/// Whether any complete step within the policy's history has a value.
fn is_measured(
    history: &History,
    service: &Service,
    policy: &ScalingPolicy,
    now: Timestamp,
) -> bool {
    let step = policy.forecasting.step;
    let key = SeriesKey::load_of(service);
    let Some((latest, _)) = history.latest(&key) else { return false };
    let end = now.floor(step);
    if latest < end {
        return latest >= end.before(policy.forecasting.history).floor(step);
    }
    // The newest value lies in the incomplete step; usually the step before also has one.
    let recent = history.series(&key, now, step, 1);
    !recent.values.is_empty() || !history.series(&key, now, step, length(policy)).values.is_empty()
}

/// The stored model of a service.
struct Found {
    service: Name,
    component: Digest,
    model: Option<Model>,
}

/// Looks up models that are not in memory, once for each component.
fn look_up(inner: &SharedState, groups: &[Group]) -> Vec<Found> {
    let mut missing = Vec::new();
    let state = inner.state();
    for group in groups {
        let Some(who) = &group.who else { continue };
        for service in &group.services {
            let entry = state.services.get(&service.name);
            let has = |entry: &Entry| {
                let fits = entry.model.as_ref().is_some_and(|model| model.wanted == who.digest);
                fits || entry.looked_up == Some(who.digest)
            };
            if !entry.is_some_and(has) {
                missing.push((service.name.clone(), who.digest));
            }
        }
    }
    drop(state);
    let mut reader = Reader::new(inner.models.as_ref());
    let found = |(service, component): (Name, Digest)| {
        let model = reader.get(component, &service);
        Found { service, component, model }
    };
    missing.into_iter().map(found).collect()
}

/// Returns the missing forecasts to report for services that have just lost their measurements.
fn newly_unmeasured(
    state: &mut State,
    unmeasured: Vec<Unmeasured>,
    now: Timestamp,
) -> Vec<Forecast> {
    let mut said = Vec::new();
    for (service, policy) in unmeasured {
        let entry = state.services.entry(service.name.clone()).or_default();
        if entry.is_busy || entry.is_unmeasured {
            continue;
        }
        entry.is_unmeasured = true;
        entry.outlook = None;
        let resource = service.load_resource();
        let reach = policy.forecasting.history;
        said.push(Forecast {
            resource,
            at: now,
            plugin: policy.forecasting.plugin.clone(),
            generation: 0,
            accuracy: Accuracy::default(),
            outlook: Err(format!(
                "plugin {} was not asked: no {resource} of service {} was measured in the last {reach}",
                policy.forecasting.plugin, service.name,
            )),
            service: service.name.clone(),
        });
    }
    said
}

/// One panel of a group.
struct Panel {
    policy: Arc<ScalingPolicy>,
    who: Option<Who>,
    events: Arc<[types::CalendarEvent]>,
    services: Vec<Arc<Service>>,
}

/// Splits the groups into panels, without those that a job is working on.
fn panels(state: &mut State, groups: Vec<Group>) -> Vec<Panel> {
    let mut panels = Vec::new();
    for Group { policy, who, events, services } in groups {
        for some in services.chunks(PANEL) {
            let is_busy = |service: &Arc<Service>| {
                state.services.entry(service.name.clone()).or_default().is_busy
            };
            if some.iter().any(is_busy) {
                continue;
            }
            let (policy, who) = (Arc::clone(&policy), who.clone());
            panels.push(Panel {
                policy,
                who,
                events: Arc::clone(&events),
                services: some.to_vec(),
            });
        }
    }
    panels
}

/// Returns the indices of the panels to fit now.
fn fits(state: &State, panels: &[Panel], now: Timestamp) -> BTreeSet<usize> {
    let mut due = Vec::new();
    for (place, panel) in panels.iter().enumerate() {
        let forecast = &panel.policy.forecasting;
        let widest = forecast.levels.last().copied().unwrap_or(0.0);
        let fitness = |service: &'_ Arc<Service>| {
            let (name, entry) = state.services.get_key_value(&service.name)?;
            let has_drifted = entry.accuracy.has_drifted(widest);
            Some(Fitness { service: name, model: model(entry, panel.who.as_ref()), has_drifted })
        };
        let panel: Vec<Fitness<'_>> = panel.services.iter().filter_map(fitness).collect();
        if is_due(&panel, forecast.refit, now) {
            due.push((oldest(&panel), place, panel.len()));
        }
    }
    due.sort();
    let mut room = MOST_FITS.saturating_sub(state.fitting);
    let fits = due.into_iter().map_while(|(_, place, count)| {
        room = room.checked_sub(count)?;
        Some(place)
    });
    fits.collect()
}

/// Returns the model if it belongs to the current generation.
fn model<'a>(entry: &'a Entry, who: Option<&Who>) -> Option<&'a Model> {
    entry.model.as_ref().filter(|model| who.is_some_and(|who| who.digest == model.wanted))
}

fn job(
    inner: &Arc<SharedState>,
    state: &mut State,
    panel: Panel,
    is_fitted: bool,
    now: Timestamp,
) -> ForecastJob {
    let Panel { policy, who, events, services } = panel;
    let member = |service: Arc<Service>| {
        let entry = state.services.entry(service.name.clone()).or_default();
        entry.is_busy = true;
        entry.is_unmeasured = false;
        let model = model(entry, who.as_ref()).cloned();
        let waits = !is_fitted && model.as_ref().is_none_or(Model::is_outdated);
        Member { service, model, waits }
    };
    let members: Vec<Member> = services.into_iter().map(member).collect();
    let fitting = if is_fitted { members.len() } else { 0 };
    state.fitting += fitting;
    let names = members.iter().map(|member| member.service.name.clone()).collect();
    let busy = Busy { inner: Arc::clone(inner), services: names, fitting };
    ForecastJob { busy, now, policy, who, events, members, is_fitted, said: Vec::new() }
}
