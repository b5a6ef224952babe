//! Cores that are broken on purpose, each in one way: the checker must notice every one of them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Arc};

use haggle_control::{
    Answer, Caller, Change, Effect, Input, Options as ControlOptions, Record, Request, Restored,
    State, Write,
};
use haggle_model::{Name, Provider, Span, Timestamp};
use haggle_simulate::{Options, Rule, Sound, Subject, run_with};

/// How a core is broken.
#[derive(Clone, Copy, PartialEq)]
enum Break {
    /// Nothing.
    Nothing,
    /// Effects are released before the commit that they depend on is durable.
    BeforeDurable,
    /// A commit that fails drops every reservation.
    ReservationsDropped,
    /// The deletion of a lease is not written.
    DeletesLost,
    /// The record of a request keeps only its first window.
    WindowsLost,
    /// A restart does not read the requests.
    RequestsNotRead,
    /// A restart does not read the leases.
    LeasesNotRead,
    /// A restart does not read the states of services.
    StatesNotRead,
    /// After a plugin fails, the next reconcile pass is skipped.
    FailureStopsAll,
    /// Each action for a decision orders two replicas more than the core decided.
    BeyondLeases,
    /// Services are scaled in without a stabilization window.
    NoStabilization,
    /// Every third request is not answered.
    NotAnswered,
    /// Every third request is answered twice.
    AnsweredTwice,
    /// A restart brings back requests that were cancelled.
    CancelledComesBack,
    /// A reclaim replaces the previous one.
    ReclaimsReplace,
    /// Putting a provider again cancels its reclaims.
    PutCancelsReclaims,
    /// A failed commit is reported to the core as durable.
    FailureKept,
    /// The core counts twice the units that a provider's document states.
    BeyondCapacity,
    /// A reclaim takes effect only after 30 days.
    ReclaimIgnored,
}

/// A core behind a wrapper that breaks it in one way.
struct Broken {
    how: Break,
    sound: Sound,
    count: u64,
    skip: bool,
    providers: BTreeMap<Name, Provider>,
    /// For each request, the first record in which it is no longer pending.
    first: BTreeMap<String, Arc<Request>>,
}

/// The wrapper's own inputs have callers above this number.
const OWN: u64 = 1 << 40;

impl Broken {
    fn new(how: Break) -> Self {
        Self {
            how,
            sound: Sound::default(),
            count: 0,
            skip: false,
            providers: BTreeMap::new(),
            first: BTreeMap::new(),
        }
    }

    /// Sends an input of the wrapper's own to the core and returns the effects.
    fn by_itself(&mut self, now: Timestamp, input: impl Fn(Caller) -> Input) -> Vec<Effect> {
        self.count += 1;
        self.sound.step(now, input(Caller(OWN + self.count)))
    }

    fn before(&mut self, now: Timestamp, input: &mut Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match (self.how, input) {
            (Break::FailureStopsAll, Input::Consulted(answers)) => {
                self.skip |= answers.iter().any(|(_, answer)| answer.is_err());
            }
            (Break::FailureStopsAll, input @ Input::Reconcile(_)) if self.skip => {
                self.skip = false;
                *input = Input::Observed(Vec::new());
            }
            (Break::NoStabilization, Input::Change { change, .. }) => {
                if let Change::PutPolicy(policy) = change.as_mut() {
                    policy.scaling.stabilization = Span::ZERO;
                }
            }
            (Break::BeyondCapacity, Input::Change { change, .. }) => {
                if let Change::PutProvider(provider) = change.as_mut() {
                    provider.units.iter_mut().for_each(|unit| unit.count *= 2);
                }
            }
            (Break::ReclaimsReplace, Input::Reclaim { provider, request, .. }) => {
                let (provider, unit) = (provider.clone(), request.unit.clone());
                let restock = |caller| Input::Restock {
                    caller,
                    provider: provider.clone(),
                    unit: unit.clone(),
                };
                effects = self.by_itself(now, restock);
            }
            (Break::ReclaimIgnored, Input::Reclaim { provider, request, .. }) => {
                let _ = provider;
                request.at = Some(now + Span::from_mins(60 * 24 * 30));
            }
            (Break::PutCancelsReclaims, Input::Change { change, .. }) => {
                if let Change::PutProvider(provider) = change.as_ref() {
                    let old = self.providers.insert(provider.name.clone(), provider.clone());
                    for unit in old.iter().flat_map(|old| &old.units) {
                        let restock = |caller| Input::Restock {
                            caller,
                            provider: provider.name.clone(),
                            unit: unit.id.clone(),
                        };
                        effects.extend(self.by_itself(now, restock));
                    }
                }
            }
            (Break::FailureKept, input @ Input::CommitFailed(..)) => {
                if let Input::CommitFailed(id, _) = input {
                    *input = Input::Committed(*id);
                }
            }
            _ => {}
        }
        effects
    }

    fn after(&mut self, now: Timestamp, input: &Input, mut effects: Vec<Effect>) -> Vec<Effect> {
        if self.how == Break::ReservationsDropped && matches!(input, Input::CommitFailed(..)) {
            let reserved = self.sound.newest().reservations(None);
            for id in reserved.into_iter().map(|one| one.request) {
                effects
                    .extend(self.by_itself(now, |caller| Input::Cancel { caller, id: id.clone() }));
            }
        }
        if self.how == Break::BeforeDurable {
            let mut early = Vec::new();
            for effect in &effects {
                if let Effect::Commit { id, .. } = effect {
                    early.extend(self.sound.step(now, Input::Committed(*id)));
                }
            }
            effects.extend(early);
        }
        effects
    }

    fn spoil(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        let mut spoilt = Vec::new();
        for effect in effects {
            match effect {
                Effect::Answer { caller, .. } if caller.0 >= OWN => {}
                Effect::Commit { id, writes } => {
                    let writes = writes.into_iter().filter_map(|write| self.write(write)).collect();
                    spoilt.push(Effect::Commit { id, writes });
                }
                Effect::Answer { caller, answer } => {
                    let verdict = matches!(answer.as_deref(), Ok(Answer::Verdict(_)));
                    self.count += u64::from(verdict);
                    let third = verdict && self.count.is_multiple_of(3);
                    if third && self.how == Break::NotAnswered {
                        continue;
                    }
                    if third && self.how == Break::AnsweredTwice {
                        spoilt.push(Effect::Answer { caller, answer: answer.clone() });
                    }
                    spoilt.push(Effect::Answer { caller, answer });
                }
                Effect::Actuate(mut action) => {
                    if self.how == Break::BeyondLeases && action.sequence > 0 {
                        action.replicas += 2;
                    }
                    spoilt.push(Effect::Actuate(action));
                }
                other => spoilt.push(other),
            }
        }
        spoilt
    }

    fn write(&mut self, write: Write) -> Option<Write> {
        match (self.how, write) {
            (Break::DeletesLost, Write::Delete(haggle_control::Key::Lease(_))) => None,
            (Break::WindowsLost, Write::Put(Record::Request(request))) => {
                let mut value = serde_json::to_value(request.as_ref()).unwrap();
                value["parts"].as_array_mut().unwrap().truncate(1);
                let request: Request = serde_json::from_value(value).unwrap();
                Some(Write::Put(Record::Request(Arc::new(request))))
            }
            (Break::CancelledComesBack, Write::Put(Record::Request(request))) => {
                if !request.is_pending() {
                    self.first.entry(request.id.clone()).or_insert_with(|| Arc::clone(&request));
                }
                Some(Write::Put(Record::Request(request)))
            }
            (_, write) => Some(write),
        }
    }
}

impl Subject for Broken {
    fn step(&mut self, now: Timestamp, mut input: Input) -> Vec<Effect> {
        let mut effects = self.before(now, &mut input);
        effects.extend(self.sound.step(now, input.clone()));
        let effects = self.after(now, &input, effects);
        self.spoil(effects)
    }

    fn snapshot(&self) -> Arc<State> {
        self.sound.snapshot()
    }

    fn newest(&self) -> &State {
        self.sound.newest()
    }

    fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        self.sound.next_due(now)
    }

    fn restore(
        &mut self,
        options: ControlOptions,
        mut disk: Restored,
        now: Timestamp,
    ) -> Vec<Effect> {
        let how = self.how;
        disk.records.retain(|record| {
            !matches!(
                (how, record),
                (Break::RequestsNotRead, Record::Request(_))
                    | (Break::LeasesNotRead, Record::Lease(_))
                    | (Break::StatesNotRead, Record::State(..))
            )
        });
        if how == Break::CancelledComesBack {
            for record in &mut disk.records {
                if let Record::Request(request) = record
                    && let Some(first) = self.first.get(&request.id)
                {
                    *request = Arc::clone(first);
                }
            }
        }
        let effects = self.sound.restore(options, disk, now);
        self.spoil(effects)
    }
}

/// Asserts that the checker finds the fault within 48 seeds, by one of these rules.
fn caught(how: Break, rules: &[Rule]) {
    caught_in(how, rules, &Options { seeds: 48, ..Options::default() });
}

fn caught_in(how: Break, rules: &[Rule], options: &Options) {
    let report = run_with(options, || Broken::new(how), &|_| {}).unwrap();
    let by = |violation: &&haggle_simulate::Violation| rules.contains(&violation.rule);
    let found: Vec<_> = report.found.iter().map(|v| (v.seed, v.rule, &v.text)).collect();
    let shown = report.found.iter().find(by);
    assert!(shown.is_some(), "not noticed by any of {rules:?}: {found:?}");
}

#[test]
fn effects_before_they_are_durable_are_caught() {
    caught(Break::BeforeDurable, &[Rule::Durability, Rule::Acknowledged]);
}

#[test]
fn reservations_that_a_failed_commit_drops_are_caught() {
    let options = Options { seeds: 48, store: 0.15, requests: 12, ..Options::default() };
    caught_in(Break::ReservationsDropped, &[Rule::Undone, Rule::Reserved], &options);
}

#[test]
fn leases_that_come_back_are_caught() {
    caught(Break::DeletesLost, &[Rule::Durability]);
}

#[test]
fn windows_that_are_not_written_are_caught() {
    caught(Break::WindowsLost, &[Rule::Restore, Rule::Acknowledged]);
}

#[test]
fn records_that_a_restart_does_not_read_are_caught() {
    caught(Break::RequestsNotRead, &[Rule::Restore]);
    caught(Break::LeasesNotRead, &[Rule::Restore]);
    caught(Break::StatesNotRead, &[Rule::Restore]);
}

#[test]
fn a_failing_plugin_that_stops_others_is_caught() {
    // Only every few seeds run twice for this comparison, and a skipped pass seldom matters.
    let options = Options { seeds: 240, ..Options::default() };
    caught_in(Break::FailureStopsAll, &[Rule::Isolation], &options);
}

#[test]
fn an_order_beyond_the_leases_is_caught() {
    caught(Break::BeyondLeases, &[Rule::Leased]);
}

#[test]
fn flapping_is_caught() {
    caught(Break::NoStabilization, &[Rule::Flapping]);
}

#[test]
fn a_request_without_an_answer_is_caught() {
    caught(Break::NotAnswered, &[Rule::Answer, Rule::Rest]);
}

#[test]
fn a_second_answer_is_caught() {
    caught(Break::AnsweredTwice, &[Rule::Answer]);
}

#[test]
fn a_cancelled_request_that_comes_back_is_caught() {
    caught(Break::CancelledComesBack, &[Rule::Restore, Rule::Ended]);
}

#[test]
fn a_reclaim_that_replaces_another_is_caught() {
    caught(Break::ReclaimsReplace, &[Rule::Reclaims, Rule::Capacity, Rule::Notice]);
}

#[test]
fn a_provider_put_again_that_cancels_reclaims_is_caught() {
    caught(Break::PutCancelsReclaims, &[Rule::Reclaims, Rule::Capacity, Rule::Notice]);
}

#[test]
fn a_failed_commit_that_counts_is_caught() {
    caught(Break::FailureKept, &[Rule::Durability, Rule::Acknowledged]);
}

#[test]
fn an_agreement_beyond_capacity_is_caught() {
    caught(Break::BeyondCapacity, &[Rule::Capacity]);
}

#[test]
fn a_reclaim_that_is_ignored_is_caught() {
    caught(Break::ReclaimIgnored, &[Rule::Capacity, Rule::Notice, Rule::Reclaims]);
}

#[test]
fn what_breaks_nothing_is_not_caught() {
    let options = Options { seeds: 48, ..Options::default() };
    let report = run_with(&options, || Broken::new(Break::Nothing), &|_| {}).unwrap();
    assert_eq!(report.violations, 0, "the seam itself does no harm: {:?}", report.found);
}
