//! Restores the state after a restart from the durable records.

use std::sync::Arc;

use haggle_model::{Dependency, Lease, LeaseState, Name, Owner, Quantities, Timestamp};
use haggle_negotiate::{SessionRecord, service_capacity};
use haggle_plan::Recent;

use crate::{
    Control, Effect, Options, State,
    record::{Generation, GenerationStatus, Record},
    request::{Request, Status},
    service::{ServiceState, StoredService},
    state::PluginState,
    step::Step,
    verdict::WindowVerdict,
};

/// The records that were read from the store.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// The records, in any order; they need not include negotiations.
    pub records: Vec<Record>,
    /// The ids of the negotiations with durable records.
    pub negotiations: Vec<String>,
    /// The sequence of the last decision in the journal.
    pub decisions: u64,
}

impl Control {
    /// Restores the state after a restart. Returns it with the first effects. A record that refers to a
    /// missing object is skipped, and an event reports it.
    #[must_use]
    pub fn restore(options: Options, restored: Restored, now: Timestamp) -> (Self, Vec<Effect>) {
        let mut state = State::new(now);
        state.engine = haggle_negotiate::Engine::new(options.engine);
        let mut step = Step::new(&options, state, now);
        step.restore(restored);
        let done = step.done();
        Self::restarted(options, done)
    }
}

impl Step<'_> {
    fn restore(&mut self, restored: Restored) {
        let Restored { records, negotiations, decisions } = restored;
        self.state.decisions = decisions;
        let (mut dependencies, mut leases, mut sessions) = (Vec::new(), Vec::new(), Vec::new());
        let (mut states, mut requests) = (Vec::<(Name, StoredService)>::new(), Vec::new());
        let mut generations: Vec<Arc<Generation>> = Vec::new();
        for record in records {
            let catalog = &mut self.state.catalog;
            match record {
                Record::Service(service) => {
                    Arc::make_mut(&mut catalog.graph).add_service(&service.name);
                    catalog.services.insert(service.name.clone(), service);
                }
                Record::Provider(provider) => {
                    catalog.providers.insert(provider.name.clone(), provider);
                }
                Record::Policy(policy) => {
                    catalog.policies.insert(policy.name.clone(), policy);
                }
                Record::Event(event) => {
                    catalog.calendar.insert(event.name.clone(), event);
                }
                Record::Reclaim(provider, unit, reclaims) => {
                    self.state.reclaims.insert((provider, unit), reclaims);
                }
                Record::Numbers(reserved) => {
                    self.state.reserved = reserved;
                    self.state.number = reserved;
                }
                Record::Dependency(dependency) => dependencies.push(dependency),
                Record::Lease(lease) => leases.push(lease),
                Record::State(name, stored) => states.push((name, *stored)),
                Record::Request(request) => requests.push(request),
                Record::Session(session) => sessions.push(*session),
                Record::Plugin(generation) => generations.push(generation),
                Record::Negotiation(_) => {}
            }
        }
        for dependency in dependencies {
            let (from, to) = (dependency.from.clone(), dependency.to.clone());
            let dependency = Dependency::from(dependency);
            let graph = Arc::make_mut(&mut self.state.catalog.graph);
            if let Err(error) = graph.put(&from, &to, dependency) {
                self.left_out(&from, &format!("its dependency on {to}: {error}"));
            }
        }
        self.restore_services(states);
        self.restore_ledger(leases);
        let ids = negotiations.iter().map(String::as_str);
        let ids: Vec<u64> = ids.filter_map(number).collect();
        self.state.kept.extend(ids);
        self.restore_plugins(generations);
        self.restore_requests(requests);
        self.restore_sessions(sessions);
        let names: Vec<Name> = self.state.services.keys().cloned().collect();
        names.iter().for_each(|name| self.actuate(name));
    }

    fn left_out(&mut self, subject: &Name, what: &str) {
        let message = format!("left out at the start: {what}");
        let kind = crate::EventKind::Alert;
        self.publish(kind, subject.as_str(), message, serde_json::json!({}));
    }

    fn restore_services(&mut self, stored: Vec<(Name, StoredService)>) {
        let services: Vec<_> = self.state.catalog.services.values().cloned().collect();
        for service in services {
            let state = Arc::new(ServiceState::new(&service, self.now));
            self.state.services.insert(service.name.clone(), state);
            let policy = self.state.catalog.policy_of(&service);
            let capacity = service_capacity(&service, policy.scaling.target_utilization);
            self.state.ledger.set_capacity(&Owner::Service(service.name.clone()), &capacity);
        }
        for (name, stored) in stored {
            let Some(service) = self.state.catalog.services.get(&name) else {
                self.left_out(&name, "the state of a service that is not described");
                continue;
            };
            let state = ServiceState::restored(service, stored, self.now);
            self.state.services.insert(name, Arc::new(state));
        }
    }

    fn restore_ledger(&mut self, leases: Vec<Lease>) {
        let providers: Vec<_> = self.state.catalog.providers.values().cloned().collect();
        for provider in &providers {
            self.show_provider(provider);
            for unit in &provider.units {
                self.set_unit(&provider.name, unit);
            }
        }
        let changed = self.state.ledger.restore(leases, self.now);
        self.keep_leases(&changed);
        // This announces the reclaims again, to the ledger with its restored leases.
        for provider in &providers {
            for unit in &provider.units {
                self.set_unit(&provider.name, unit);
            }
        }
    }

    fn restore_plugins(&mut self, mut generations: Vec<Arc<Generation>>) {
        generations.sort_by_key(|generation| generation.number);
        for generation in generations {
            let state: &mut PluginState =
                self.state.plugins.entry(generation.plugin.clone()).or_default();
            match generation.status {
                GenerationStatus::Active => state.current = Some(generation),
                GenerationStatus::Previous => state.previous = Some(generation),
                GenerationStatus::Retired => state.retired.push(generation),
            }
        }
        let states: Vec<(Name, PluginState)> =
            self.state.plugins.iter().map(|(name, state)| (name.clone(), state.clone())).collect();
        for (plugin, PluginState { current, previous, .. }) in states {
            self.effects.push(Effect::Promote { plugin, current, previous });
        }
    }

    /// Restores requests. A window whose negotiation was open when the process stopped is denied.
    fn restore_requests(&mut self, requests: Vec<Arc<Request>>) {
        for request in requests {
            self.state.kept.insert(request.number);
            if request.over {
                continue;
            }
            let mut kept = request.as_ref().clone();
            let from = kept.from;
            for part in kept.parts.iter_mut().filter(|part| part.status == Status::Open) {
                let why = "the host stopped in the middle of it: ask again".to_owned();
                let session = part.sessions.last().cloned();
                let denied = WindowVerdict::denied(&kept.service, session, from, part.window, why);
                part.status = Status::Done(Box::new(denied));
            }
            let kept = Arc::new(kept);
            if kept != request {
                self.put(Record::Request(Arc::clone(&kept)));
            }
            self.state.requests.insert(kept.id.clone(), kept);
        }
    }

    /// Restores agreements and notifies their parties again.
    fn restore_sessions(&mut self, sessions: Vec<SessionRecord>) {
        self.state.recorded = sessions.iter().map(|record| record.session.clone()).collect();
        let effects = self.with_engine(|engine, setting| engine.recover(sessions, setting));
        self.carry_out(effects);
    }
}

/// The number in the id of a negotiation or request.
pub(crate) fn number(id: &str) -> Option<u64> {
    id.rsplit_once('-')?.1.parse().ok()
}

impl State {
    /// Compares the durable parts of two states. Simulations and tests use it to check that a restart
    /// changes nothing.
    ///
    /// # Errors
    /// A description of the first difference.
    pub fn same_durable(&self, other: &Self) -> Result<(), String> {
        let differ = |what: &str, a: String, b: String| match a == b {
            true => Ok(()),
            false => Err(format!("{what}: {a} against {b}")),
        };
        let now = self.now.max(other.now);
        let leases = |state: &Self| -> Vec<Lease> {
            let confirmed = state.ledger.leases();
            let mut all: Vec<_> = confirmed
                .filter(|lease| lease.state == LeaseState::Confirmed && lease.is_active(now))
                .cloned()
                .collect();
            all.sort_by(|a, b| a.id.cmp(&b.id));
            all
        };
        differ("leases", format!("{:?}", leases(self)), format!("{:?}", leases(other)))?;
        let names = |state: &Self| state.catalog.services.keys().cloned().collect::<Vec<_>>();
        differ("services", format!("{:?}", names(self)), format!("{:?}", names(other)))?;
        for (name, state) in &self.services {
            let there = other.services.get(name);
            let decided = |s: &ServiceState| {
                // These fields follow from measurements and are written only together with another change.
                let (recent, planned) = (Recent::default(), Quantities::new());
                let tier_since = Timestamp::default();
                let stored = StoredService { recent, planned, tier_since, ..s.stored() };
                serde_json::to_string(&stored).unwrap_or_default()
            };
            let there = there.map(|there| decided(there)).unwrap_or_default();
            differ(&format!("service {name}"), decided(state), there)?;
        }
        let describe = |state: &Self| {
            let catalog = &state.catalog;
            format!(
                "{:?}",
                (&catalog.providers, &catalog.policies, &catalog.calendar, catalog.graph())
            )
        };
        differ("documents", describe(self), describe(other))?;
        let reclaims = |state: &Self| format!("{:?}", state.reclaims);
        differ("reclaims", reclaims(self), reclaims(other))?;
        let plugins = |state: &Self| format!("{:?}", state.plugins);
        differ("plugins", plugins(self), plugins(other))?;
        let requests = |state: &Self| {
            let settled = state.requests.values().filter(|request| !request.is_pending());
            format!("{:?}", settled.collect::<Vec<_>>())
        };
        let settled_here = |state: &Self, of: &Self| {
            let pending: Vec<&String> = of
                .requests
                .values()
                .filter(|request| request.is_pending())
                .map(|request| &request.id)
                .collect();
            let all = state.requests.values().filter(|request| !pending.contains(&&request.id));
            format!("{:?}", all.collect::<Vec<_>>())
        };
        differ("requests", requests(self), settled_here(other, self))?;
        differ("decisions", self.decisions.to_string(), other.decisions.to_string())
    }
}
