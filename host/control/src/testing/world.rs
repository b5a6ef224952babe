//! A core with a disk, plugins, parties, a driver and callers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use haggle_model::{
    Decision, Lease, LeaseState, Name, Owner, Quantities, Resource, ScalingPolicy, Service, Span,
    Timestamp,
};
use haggle_negotiate::Message;
use serde_json::{Value, json};

use super::{Manner, Script, disk::Disk, name, people::said, plugins::consulted};
use crate::{
    Action, Answer, Caller, Change, CommitId, Consultation, Control, ControlError, Effect, Event,
    Forecast, Generation, Input, Observed, Options, Progress, Put, ReclaimRequest, Reclaimed,
    ReplicaReport, ScalingVerdict, Scope, ServiceState, State, Write,
};

/// The time between two reconcile passes.
pub(crate) const PASS: Span = Span::from_secs(10);

/// The core with a disk, plugins, parties, a driver and callers, which all do at once what they are to do.
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) control: Control,
    pub(crate) options: Options,
    pub(crate) disk: Disk,
    /// How plugins behave that are not fair.
    pub(crate) plugins: BTreeMap<Name, Manner>,
    /// How parties elsewhere behave, by endpoint.
    pub(crate) parties: BTreeMap<String, Script>,
    /// What was sent to parties elsewhere.
    pub(crate) delivered: Vec<Message>,
    /// What plugins were asked, whether they answered or not.
    pub(crate) consultations: Vec<Consultation>,
    pub(crate) answers: BTreeMap<Caller, Result<Answer, ControlError>>,
    pub(crate) events: Vec<Event>,
    pub(crate) actions: Vec<Action>,
    /// Which generation decides, by plugin; the built-in one if none.
    pub(crate) deciding: BTreeMap<Name, Option<u64>>,
    /// Replicas that run.
    pub(crate) driver: BTreeMap<Name, u32>,
    /// Loads that are measured before each pass.
    pub(crate) loads: BTreeMap<Name, f64>,
    /// Commits that are held back.
    held: Option<VecDeque<(CommitId, Vec<Write>)>>,
    fails: bool,
    /// The last commit that was emitted, and the last that failed.
    emitted: CommitId,
    failed: CommitId,
    /// The last commit that was on its way behind one that fails.
    behind: CommitId,
    pub(crate) last_caller: u64,
    /// Owners whose capacity was lowered, and until when they may have promised more.
    lowered: BTreeMap<Owner, Timestamp>,
    next_pass: Timestamp,
    /// Whether it is compared with a restart after each step.
    pub(crate) thorough: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        let policy = ScalingPolicy::default();
        let roles = [
            (policy.forecast.plugin, "forecasting"),
            (policy.failure.plugin, "failure-prediction"),
            (policy.bidding.plugin, "bidding"),
            (policy.tiering.plugin, "tiering"),
            (name("other"), "bidding"),
        ];
        let built_in = roles.into_iter().map(|(name, role)| (name, [role.to_owned()].into()));
        Self::with(Options { interval: PASS, built_in: built_in.collect(), ..Options::default() })
    }

    pub(crate) fn with(options: Options) -> Self {
        let now = Timestamp::from_millis(1_750_000_000_000).floor(Span::from_mins(1));
        Self {
            now,
            control: Control::new(options.clone(), now),
            options,
            disk: Disk::default(),
            plugins: BTreeMap::new(),
            parties: BTreeMap::new(),
            delivered: Vec::new(),
            consultations: Vec::new(),
            answers: BTreeMap::new(),
            events: Vec::new(),
            actions: Vec::new(),
            deciding: BTreeMap::new(),
            driver: BTreeMap::new(),
            loads: BTreeMap::new(),
            held: None,
            fails: false,
            emitted: CommitId::default(),
            failed: CommitId::default(),
            behind: CommitId::default(),
            last_caller: 0,
            lowered: BTreeMap::new(),
            next_pass: now + PASS,
            thorough: true,
        }
    }

    // What happens.

    /// Takes in an input, carries out everything that follows, and checks the result.
    pub(crate) fn step(&mut self, input: Input) {
        let effects = self.control.step(self.now, input);
        self.carry_out(effects);
        self.check();
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut queue = VecDeque::from(effects);
        while let Some(effect) = queue.pop_front() {
            match effect {
                Effect::Commit { id, writes } => {
                    assert!(id > self.emitted, "commits ascend");
                    self.emitted = id;
                    if self.fails && self.held.is_none() {
                        // So will those that are on their way behind it.
                        let later = queue.iter().filter_map(|effect| match effect {
                            Effect::Commit { id, .. } => Some(*id),
                            _ => None,
                        });
                        self.behind = later.max().unwrap_or(id).max(id);
                    }
                    match &mut self.held {
                        Some(held) => held.push_back((id, writes)),
                        None => queue.extend(self.commit(id, writes)),
                    }
                }
                Effect::Consult(consultation) => {
                    self.consultations.push(consultation.clone());
                    let manner = self.plugins.get(&consultation.plugin);
                    let manner = manner.copied().unwrap_or(Manner::Fair);
                    if let Some(answers) = consulted(&consultation, manner) {
                        queue.extend(self.control.step(self.now, Input::Consulted(answers)));
                    }
                }
                Effect::Deliver { endpoint, message } => {
                    self.delivered.push(message.as_ref().clone());
                    let script = self.parties.get(endpoint.expose());
                    let script = script.copied().unwrap_or(Script::Agreeable);
                    let input = match said(script, &message) {
                        Some(Ok(content)) => Input::Replied(message, content),
                        Some(Err(why)) => Input::Unreached(message, why),
                        None => continue,
                    };
                    queue.extend(self.control.step(self.now, input));
                }
                Effect::Answer { caller, answer } => {
                    let answer = answer.map(|answer| *answer);
                    let old = self.answers.insert(caller, answer);
                    assert!(old.is_none(), "{caller:?} is answered twice: {old:?}");
                }
                Effect::Actuate(action) => {
                    let known =
                        self.actions.iter().rev().find(|a| a.service.name == action.service.name);
                    assert!(known.is_none_or(|known| known.sequence <= action.sequence));
                    self.driver.insert(action.service.name.clone(), action.replicas);
                    self.actions.push(action);
                }
                Effect::Forget(service) => {
                    self.driver.remove(&service);
                    self.actions.retain(|action| action.service.name != service);
                }
                Effect::Promote { plugin, current, .. } => {
                    self.deciding.insert(plugin, current.map(|current| current.number));
                }
                Effect::Publish(event) => self.events.push(event),
            }
        }
    }

    fn commit(&mut self, id: CommitId, writes: Vec<Write>) -> Vec<Effect> {
        if id <= self.failed {
            let why = "an earlier commit has failed".to_owned();
            return self.control.step(self.now, Input::CommitFailed(id, why));
        }
        if std::mem::take(&mut self.fails) {
            self.failed = self.emitted.max(self.behind);
            return self.control.step(self.now, Input::CommitFailed(id, "disk full".to_owned()));
        }
        self.disk.write(writes);
        self.control.step(self.now, Input::Committed(id))
    }

    /// The next commit fails, and those on their way behind it.
    pub(crate) fn fail_next_commit(&mut self) {
        self.fails = true;
    }

    /// Commits wait until they are released.
    pub(crate) fn hold_commits(&mut self) {
        self.held.get_or_insert_default();
    }

    pub(crate) fn held_commits(&self) -> usize {
        self.held.as_ref().map_or(0, VecDeque::len)
    }

    /// The first commits that are held become durable, or fail.
    pub(crate) fn release_some(&mut self, count: usize) {
        for _ in 0..count {
            let first = self.held.as_mut().and_then(VecDeque::pop_front);
            let Some((id, writes)) = first else { break };
            let effects = self.commit(id, writes);
            self.carry_out(effects);
        }
        self.check();
    }

    /// All commits that are held become durable, and later ones do so at once.
    pub(crate) fn release(&mut self) {
        while self.held_commits() > 0 {
            self.release_some(1);
        }
        self.held = None;
        self.check();
    }

    /// The process stops and starts again at the present.
    pub(crate) fn restart(&mut self) {
        self.held = self.held.take().map(|_| VecDeque::new());
        self.actions.clear();
        self.fails = false;
        (self.emitted, self.failed, self.behind) = Default::default();
        let (control, effects) = Control::restore(self.options.clone(), self.disk.read(), self.now);
        self.control = control;
        self.carry_out(effects);
        self.check();
    }

    pub(crate) fn restart_at(&mut self, now: Timestamp) {
        self.now = now;
        self.next_pass = now + PASS;
        self.restart();
    }

    /// The clock jumps, and the next thing that happens is a tick.
    pub(crate) fn restart_clock(&mut self, now: Timestamp) {
        self.now = now;
        self.next_pass = now + PASS;
        self.step(Input::Tick);
    }

    /// Lets time pass: ticks when something is due, and a pass every interval.
    pub(crate) fn pass(&mut self, time: Span) {
        let end = self.now + time;
        while self.next_pass <= end {
            self.tick_until(self.next_pass);
            self.reconcile();
            self.next_pass = self.now + PASS;
        }
        self.tick_until(end);
    }

    fn tick_until(&mut self, end: Timestamp) {
        while let Some(due) = self.control.next_due(self.now).filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.step(Input::Tick);
            let next = self.control.next_due(self.now);
            assert!(next.is_none_or(|next| next > due), "a tick leaves nothing that is due");
        }
        self.now = self.now.max(end);
    }

    /// One pass at the present, with what the driver sees and what was measured.
    pub(crate) fn reconcile(&mut self) {
        let see = |(service, replicas): (&Name, &u32)| ReplicaReport {
            service: service.clone(),
            desired: *replicas,
            ready: *replicas,
        };
        let reports = self.driver.iter().map(see).collect();
        self.step(Input::Driver(reports));
        let (at, loads) = (self.now, self.loads.clone());
        let loads = loads.into_iter().map(|(service, load)| Observed { service, at, load });
        self.step(Input::Observed(loads.collect()));
        let failed = self.failed;
        self.step(Input::Reconcile(Scope::All));
        if self.failed == failed {
            self.check_replicas();
        }
    }

    // Who asks.

    pub(crate) fn caller(&mut self) -> Caller {
        self.last_caller += 1;
        Caller(self.last_caller)
    }

    /// The answer to a caller, which must have come.
    pub(crate) fn answer(&self, caller: Caller) -> Result<Answer, ControlError> {
        self.answers.get(&caller).unwrap_or_else(|| panic!("{caller:?} has no answer")).clone()
    }

    pub(crate) fn change(&mut self, change: Change) -> Result<Put, ControlError> {
        let caller = self.begin_change(change);
        match self.answer(caller)? {
            Answer::Put(put) => Ok(put),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn begin_change(&mut self, change: Change) -> Caller {
        let caller = self.caller();
        if let Change::PutProvider(provider) = &change {
            for unit in &provider.units {
                let (provider, id) = (provider.name.clone(), unit.id.clone());
                let owner = Owner::Unit { provider, unit: id };
                self.lowered.insert(owner, self.now + unit.interruption_notice);
            }
        }
        self.step(Input::Change { caller, change: Box::new(change) });
        caller
    }

    pub(crate) fn policy(&mut self, negotiation: Value) {
        self.policy_with(json!({}), negotiation);
    }

    /// A policy that follows the load at once, but for what is said here.
    pub(crate) fn policy_with(&mut self, scaling: Value, negotiation: Value) {
        let mut all =
            json!({"target_utilization": 1.0, "min_confidence": 0.0, "stabilization": "0s"});
        all.as_object_mut().unwrap().extend(scaling.as_object().unwrap().clone());
        let policy = json!({"name": "default", "scaling": all, "negotiation": negotiation});
        self.change(Change::PutPolicy(serde_json::from_value(policy).unwrap())).unwrap();
    }

    /// A provider of machines with four cores each, so many of each kind, with a notice of 30 seconds.
    pub(crate) fn provider(&mut self, name: &str, units: &[(&str, u32)], cost: f64) -> Put {
        let unit = |(id, count): &(&str, u32)| {
            json!({"id": id, "count": count, "has": {"cpu_cores": 4}, "cost_per_hour": cost,
                   "interruption_notice": "30s"})
        };
        let units: Vec<Value> = units.iter().map(unit).collect();
        let provider = json!({"name": name, "units": units});
        self.change(Change::PutProvider(serde_json::from_value(provider).unwrap())).unwrap()
    }

    pub(crate) fn service(&mut self, name: &str, tier: &str) {
        self.service_with(name, json!({ "tier": tier }));
    }

    /// A service whose replicas take a core and carry ten requests per second, but for what is said here.
    pub(crate) fn service_with(&mut self, name: &str, more: Value) {
        let mut service = serde_json::to_value(super::service(name)).unwrap();
        service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let service: Service = serde_json::from_value(service).unwrap();
        self.change(Change::PutService(service)).unwrap();
    }

    /// A request of one asks for so many of the other.
    pub(crate) fn depend(&mut self, from: &str, to: &str, ratio: f64) {
        self.depend_with(from, to, json!({"ratios": {"requests_per_second": ratio}})).unwrap();
    }

    pub(crate) fn depend_with(
        &mut self,
        from: &str,
        to: &str,
        dependency: Value,
    ) -> Result<Put, ControlError> {
        let dependency = serde_json::from_value(dependency).unwrap();
        self.change(Change::PutDependency(name(from), name(to), dependency))
    }

    pub(crate) fn begin(&mut self, request: Value, respond_early: bool) -> Caller {
        let caller = self.caller();
        let request = serde_json::from_value(request).unwrap();
        let (request, arrived) = (Box::new(request), self.now);
        self.step(Input::Request { caller, request, arrived, respond_early });
        caller
    }

    pub(crate) fn try_ask(&mut self, request: Value) -> Result<ScalingVerdict, ControlError> {
        let caller = self.begin(request, false);
        match self.answer(caller)? {
            Answer::Verdict(verdict) => Ok(verdict),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn ask(&mut self, request: Value) -> ScalingVerdict {
        self.try_ask(request).unwrap()
    }

    pub(crate) fn amend(
        &mut self,
        id: &str,
        window: Value,
    ) -> Result<ScalingVerdict, ControlError> {
        let caller = self.caller();
        let window = serde_json::from_value(window).unwrap();
        self.step(Input::Amend { caller, id: id.to_owned(), window: Box::new(window) });
        match self.answer(caller)? {
            Answer::Verdict(verdict) => Ok(verdict),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn cancel(&mut self, id: &str) -> Result<(), ControlError> {
        let caller = self.caller();
        self.step(Input::Cancel { caller, id: id.to_owned() });
        self.answer(caller).map(|answer| assert_eq!(answer, Answer::Done))
    }

    pub(crate) fn reclaim(
        &mut self,
        provider: &str,
        unit: &str,
        count: u32,
        notice: Span,
    ) -> Reclaimed {
        let at = Some(self.now + notice);
        self.try_reclaim(provider, unit, count, at).unwrap()
    }

    pub(crate) fn try_reclaim(
        &mut self,
        provider: &str,
        unit: &str,
        count: u32,
        at: Option<Timestamp>,
    ) -> Result<Reclaimed, ControlError> {
        let (caller, provider, unit) = (self.caller(), name(provider), name(unit));
        self.step(Input::Reclaim { caller, provider, request: ReclaimRequest { unit, count, at } });
        match self.answer(caller)? {
            Answer::Reclaimed(reclaimed) => Ok(reclaimed),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn restock(&mut self, provider: &str, unit: &str) -> Result<(), ControlError> {
        let (caller, provider, unit) = (self.caller(), name(provider), name(unit));
        self.step(Input::Restock { caller, provider, unit });
        self.answer(caller).map(|answer| assert_eq!(answer, Answer::Done))
    }

    pub(crate) fn plugin(&mut self, change: crate::PluginChange) -> Result<Answer, ControlError> {
        let caller = self.caller();
        self.step(Input::Plugin { caller, change });
        self.answer(caller)
    }

    /// A plugin generation as it is uploaded.
    pub(crate) fn generation(&self, plugin: &str, number: u64, digest: &str) -> Generation {
        Generation {
            plugin: name(plugin),
            number,
            digest: digest.to_owned(),
            size: 1,
            loaded_at: self.now,
            roles: vec!["bidding".to_owned()],
            configuration: Value::Null,
            granted: Vec::new(),
            standing: crate::GenerationStanding::Retired,
        }
    }

    /// The load that is measured from now on, and forecast with certainty.
    pub(crate) fn load(&mut self, service: &str, load: f64) {
        self.loads.insert(name(service), load);
        let at = self.now;
        let service = name(service);
        self.step(Input::Observed(vec![Observed { service: service.clone(), at, load }]));
        self.forecast(service.as_str(), load, 1.0);
    }

    pub(crate) fn forecast(&mut self, service: &str, upper: f64, confidence: f64) {
        let steps = 24 * 60;
        let outlook = haggle_plan::Outlook {
            start: self.now.floor(Span::from_mins(1)),
            step: Span::from_mins(1),
            mean: vec![upper; steps],
            intervals: vec![haggle_plan::Interval {
                level: 0.95,
                lower: vec![upper; steps],
                upper: vec![upper; steps],
            }],
            confidence,
        };
        self.step(Input::Forecasts(vec![Forecast {
            service: name(service),
            resource: Resource::RequestsPerSecond,
            at: self.now,
            plugin: name("ensemble"),
            generation: 1,
            accuracy: haggle_plan::Accuracy::default(),
            outlook: Ok(outlook.into()),
        }]));
    }

    // What is there.

    pub(crate) fn state(&self) -> &State {
        self.control.newest()
    }

    pub(crate) fn service_state(&self, service: &str) -> &ServiceState {
        self.state().service(&name(service)).unwrap().1
    }

    /// Replicas that run, as the driver was told.
    pub(crate) fn replicas(&self, service: &str) -> u32 {
        self.driver[&name(service)]
    }

    pub(crate) fn leases(&self, holder: &str) -> Vec<Lease> {
        let of = |lease: &&Lease| lease.holder.as_str() == holder && lease.is_active(self.now);
        self.state().ledger().leases().filter(of).cloned().collect()
    }

    /// The unit, replicas, and seconds until the end of each lease.
    pub(crate) fn places(&self, holder: &str) -> Vec<(String, u32, u64)> {
        let place = |lease: Lease| {
            let Owner::Unit { provider, unit } = lease.owner else { return None };
            let left = lease.window.end.since(self.now).as_millis() / 1000;
            Some((format!("{provider}/{unit}"), lease.replicas, left))
        };
        let mut places: Vec<_> = self.leases(holder).into_iter().filter_map(place).collect();
        places.sort();
        places
    }

    /// How many replicas have a lease at that time.
    pub(crate) fn leased_at(&self, holder: &str, at: Timestamp) -> u32 {
        let here =
            |lease: &Lease| lease.window.contains(at) && lease.state == LeaseState::Confirmed;
        self.leases(holder).iter().filter(|lease| here(lease)).map(|lease| lease.replicas).sum()
    }

    pub(crate) fn decisions(&self, service: &str) -> Vec<&Decision> {
        self.disk.decisions.iter().filter(|d| d.service.as_str() == service).collect()
    }

    pub(crate) fn progress(&self, id: &str) -> Option<Progress> {
        self.state().request(id)
    }

    // What always holds.

    /// Checks what holds after every step.
    pub(crate) fn check(&self) {
        for state in [self.control.newest(), &self.control.snapshot()] {
            self.check_capacity(state);
        }
        if self.thorough && self.control.is_settled() {
            self.check_restart();
        }
    }

    /// Leases lie within capacity by a sum of their own, at every moment.
    fn check_capacity(&self, state: &State) {
        let leases: Vec<&Lease> = state.ledger().leases().collect();
        let owners: BTreeSet<&Owner> = leases.iter().map(|lease| &lease.owner).collect();
        for owner in owners {
            let here: Vec<&&Lease> = leases.iter().filter(|lease| lease.owner == *owner).collect();
            let edges = here.iter().flat_map(|lease| [lease.window.start, lease.window.end]);
            let moments: BTreeSet<Timestamp> = edges.chain([self.now]).collect();
            for at in moments {
                if at < self.now || self.lowered.get(owner).is_some_and(|until| at < *until) {
                    continue;
                }
                let Some(capacity) = self.capacity(state, owner, at) else { continue };
                let sum = here
                    .iter()
                    .fold(Quantities::new(), |sum, lease| sum.plus(&counted(state, lease, at)));
                let fits =
                    capacity.iter().all(|(r, most)| sum.get(r) <= most * (1.0 + 1e-9) + 1e-6);
                assert!(fits, "{owner} at {at}: {sum} of {capacity}");
            }
        }
    }

    /// What an owner has at a time, by what was described and announced.
    fn capacity(&self, state: &State, owner: &Owner, at: Timestamp) -> Option<Quantities> {
        let catalog = state.catalog();
        match owner {
            Owner::Service(service) => {
                let service = catalog.service(service).ok()?;
                let utilization = catalog.policy_of(service).scaling.target_utilization;
                Some(service.carries(service.replicas.max).scaled(utilization))
            }
            Owner::Unit { provider, unit } => {
                let described = catalog.provider(provider).ok()?.unit(unit.as_str())?;
                let notices = state.reclaims(provider).filter(|(of, _)| *of == unit);
                let gone = notices.flat_map(|(_, all)| all).filter(|reclaim| reclaim.at <= at);
                let gone: u32 = gone.map(|reclaim| reclaim.count).sum();
                Some(described.has.scaled(f64::from(described.count - gone)))
            }
        }
    }

    /// A restart now would lose nothing.
    fn check_restart(&self) {
        let (restored, _) = Control::restore(self.options.clone(), self.disk.read(), self.now);
        let snapshot = self.control.snapshot();
        if let Err(why) = snapshot.same_durable(restored.newest()) {
            panic!("a restart would change something: {why}");
        }
    }

    /// Nobody has more replicas than are leased, but for those that it has in any case. Leases that end between
    /// two passes are noticed by the next.
    fn check_replicas(&self) {
        let state = self.state();
        if state.catalog().providers().next().is_none() {
            return;
        }
        for (service, known) in state.services() {
            let name = &service.name;
            if service.replica.uses.is_zero() || state.is_negotiating(name) {
                continue;
            }
            let leased = self.leased_at(name.as_str(), self.now);
            let most = leased.max(service.replicas.min);
            assert!(known.replicas <= most, "{name}: {} replicas, {leased} leased", known.replicas);
        }
    }
}

/// What a lease counts for at a time. A hold counts for what it exceeds what it is to replace by.
fn counted(state: &State, lease: &Lease, at: Timestamp) -> Quantities {
    if !lease.window.contains(at) {
        return Quantities::new();
    }
    if lease.state == LeaseState::Confirmed {
        return lease.amounts.clone();
    }
    let ledger = state.ledger();
    let old = ledger.replacing(&lease.id).iter().filter_map(|id| ledger.lease(id));
    let old = old.filter(|old| old.window.contains(at) && old.state == LeaseState::Confirmed);
    lease.amounts.minus(&old.fold(Quantities::new(), |sum, old| sum.plus(&old.amounts)))
}
