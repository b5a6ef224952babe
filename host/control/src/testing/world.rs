//! A core with a disk, plugins, parties, a driver and callers.

use std::collections::{BTreeMap, VecDeque};

use haggle_model::{Name, Owner, ScalingPolicy, Span, Timestamp};
use haggle_negotiate::Message;

use super::{Manner, Script, disk::Disk, name, people::said, plugins::consulted};
use crate::{
    Action, Answer, Caller, CommitId, Consultation, Control, ControlError, Effect, Event, Input,
    Observed, Options, ReplicaReport, Scope, Write,
};

mod asks;
mod holds;

/// The interval between two reconcile passes.
pub(crate) const PASS: Span = Span::from_secs(10);

/// The core with a disk, plugins, parties, a driver and callers, all of which act at once.
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) control: Control,
    pub(crate) options: Options,
    pub(crate) disk: Disk,
    /// The behaviour of the plugins that are not fair.
    pub(crate) plugins: BTreeMap<Name, Manner>,
    /// The behaviour of remote parties, by endpoint.
    pub(crate) parties: BTreeMap<String, Script>,
    /// The messages sent to remote parties.
    pub(crate) delivered: Vec<Message>,
    /// All consultations of plugins, answered or not.
    pub(crate) consultations: Vec<Consultation>,
    pub(crate) answers: BTreeMap<Caller, Result<Answer, ControlError>>,
    pub(crate) events: Vec<Event>,
    pub(crate) actions: Vec<Action>,
    /// The active generation by plugin; `None` means the built-in one.
    pub(crate) deciding: BTreeMap<Name, Option<u64>>,
    /// The running replicas.
    pub(crate) driver: BTreeMap<Name, u32>,
    /// The loads that are measured before each pass.
    pub(crate) loads: BTreeMap<Name, f64>,
    /// Commits that the test holds back.
    held: Option<VecDeque<(CommitId, Vec<Write>)>>,
    fails: bool,
    /// The last emitted commit, and the last failed one.
    emitted: CommitId,
    failed: CommitId,
    /// The last commit that was in progress behind a failing one.
    behind: CommitId,
    pub(crate) last_caller: u64,
    /// Owners whose capacity was lowered, and the time until which they may be overcommitted.
    lowered: BTreeMap<Owner, Timestamp>,
    next_pass: Timestamp,
    /// Whether each step is followed by a comparison with a restart.
    pub(crate) thorough: bool,
}

/// The roles of a plugin that takes part in negotiations.
pub(crate) const NEGOTIATING: [&str; 3] = ["answering", "selling", "ranking"];

impl World {
    pub(crate) fn new() -> Self {
        let policy = ScalingPolicy::default();
        let roles = [
            (policy.forecasting.plugin, vec!["forecasting"]),
            (policy.failure_prediction.plugin, vec!["failure-prediction"]),
            (policy.answering.plugin, NEGOTIATING.to_vec()),
            (policy.tiering.plugin, vec!["tiering"]),
            (name("other"), NEGOTIATING.to_vec()),
        ];
        let built_in = roles
            .into_iter()
            .map(|(name, roles)| (name, roles.into_iter().map(str::to_owned).collect()));
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

    /// Applies an input, carries out all effects, and checks the result.
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
                        // The commits in progress behind it fail too.
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

    /// Makes the next commit fail, with those in progress behind it.
    pub(crate) fn fail_next_commit(&mut self) {
        self.fails = true;
    }

    /// Holds commits back until they are released.
    pub(crate) fn hold_commits(&mut self) {
        self.held.get_or_insert_default();
    }

    pub(crate) fn held_commits(&self) -> usize {
        self.held.as_ref().map_or(0, VecDeque::len)
    }

    /// Completes the first held commits; they become durable or fail.
    pub(crate) fn release_some(&mut self, count: usize) {
        for _ in 0..count {
            let first = self.held.as_mut().and_then(VecDeque::pop_front);
            let Some((id, writes)) = first else { break };
            let effects = self.commit(id, writes);
            self.carry_out(effects);
        }
        self.check();
    }

    /// Completes all held commits and stops holding commits back.
    pub(crate) fn release(&mut self) {
        while self.held_commits() > 0 {
            self.release_some(1);
        }
        self.held = None;
        self.check();
    }

    /// Restarts the process at the current time.
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

    /// Makes the clock jump, and then ticks.
    pub(crate) fn restart_clock(&mut self, now: Timestamp) {
        self.now = now;
        self.next_pass = now + PASS;
        self.step(Input::Tick);
    }

    /// Lets time pass: ticks whenever something is due, and runs a pass every interval.
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

    /// Runs one pass now, after the driver's report and the measured loads.
    pub(crate) fn reconcile(&mut self) {
        let see = |(service, replicas): (&Name, &u32)| ReplicaReport {
            service: service.clone(),
            desired: *replicas,
            ready: *replicas,
        };
        let reports = self.driver.iter().map(see).collect();
        self.step(Input::Driver(reports));
        let (at, loads) = (self.now, self.loads.clone());
        let loads =
            loads.into_iter().map(|(service, load)| Observed { service, at, load, steps: 60 });
        self.step(Input::Observed(loads.collect()));
        let failed = self.failed;
        self.step(Input::Reconcile(Scope::All));
        if self.failed == failed {
            self.check_replicas();
        }
    }
}
