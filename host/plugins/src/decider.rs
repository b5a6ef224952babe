use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use haggle_control::{EventKind, Generation as Record};
use haggle_model::{Name, Timestamp};
use haggle_sandbox::{CallError, CallOutcome, Cause, Function, LogLine, Role, types::Fault};
use serde_json::json;

use crate::{
    bounded_wait::{self, Overdue},
    breaker::{Breaker, Ticket, Verdict},
    complaints::{Complaints, LastError},
    error::Unanswered,
    fallback,
    observer::{Clock, Journal, Observer},
    per_item::{Movable, PerItem},
    registry::{Loaded, NotLoaded, Registry, Who},
    timeliness::Timeliness,
};

mod telling;

use telling::{Failure, failures_of_items};

/// Calls plugins: the current generation of the named plugin, then its previous one, then a built-in one of
/// the same role. Thread-safe; it holds no lock during a call.
pub struct Decider {
    registry: Arc<Registry>,
    observer: Arc<dyn Observer>,
    journal: Option<Arc<dyn Journal>>,
    clock: Arc<dyn Clock>,
    admissions: Mutex<BTreeMap<(Name, u64), Admission>>,
    complaints: Complaints,
}

/// An answer and the generation that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided<T> {
    /// The answer.
    pub answer: T,
    /// The generation that gave it.
    pub by: Who,
    /// If that is not the first candidate: why, and which one answered instead.
    pub remark: Option<String>,
}

/// The terms of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) now: Timestamp,
    /// The plugin that should decide.
    pub(crate) plugin: &'a Name,
    /// The time for all candidates together.
    pub(crate) time: Duration,
    pub(crate) timeliness: Timeliness,
}

/// The state that decides whether a generation is called.
#[derive(Debug, Default)]
struct Admission {
    breaker: Breaker,
    overdue: Overdue,
}

/// A generation with less time than this that uses it up has not failed.
const FAIR: Duration = Duration::from_millis(100);

impl Decider {
    /// Creates a decider over these generations. Without a journal, calls are not recorded.
    #[must_use]
    pub fn new(
        registry: Arc<Registry>,
        observer: Arc<dyn Observer>,
        journal: Option<Arc<dyn Journal>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (admissions, complaints) = (Mutex::default(), Complaints::default());
        Self { registry, observer, journal, clock, admissions, complaints }
    }

    /// Returns the compiled generations.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns the observer of plugin activity.
    #[must_use]
    pub fn observer(&self) -> &Arc<dyn Observer> {
        &self.observer
    }

    /// Makes these generations active; see [`Registry::apply`]. Deleting a plugin clears its error, and
    /// dropping a generation clears its circuit breaker.
    ///
    /// # Errors
    /// [`NotLoaded`], which is also reported as an event.
    pub fn promote(
        &self,
        plugin: &Name,
        current: Option<&Record>,
        previous: Option<&Record>,
    ) -> Result<(), NotLoaded> {
        let applied = self.registry.apply(plugin, current, previous);
        if current.is_none() && previous.is_none() {
            self.complaints.forget(plugin);
        }
        let (now, before) = (self.registry.current(plugin), self.registry.previous(plugin));
        let kept: Vec<u64> =
            now.iter().chain(&before).map(|loaded| loaded.who.generation).collect();
        self.admissions().retain(|(of, number), _| of != plugin || kept.contains(number));
        if let Err(error) = &applied {
            let detail = json!({ "plugin": error.plugin, "generation": error.number });
            self.observer.event(EventKind::Alert, plugin.as_str(), error.to_string(), detail);
        }
        applied
    }

    /// Returns the generation whose models apply: the first candidate.
    #[must_use]
    pub fn current(&self, plugin: &Name, role: Role) -> Option<Who> {
        self.registry.candidates(plugin, role).into_iter().next().map(|loaded| loaded.who)
    }

    /// Returns the last error of a plugin since the host started.
    #[must_use]
    pub fn last_error(&self, plugin: &Name) -> Option<LastError> {
        self.complaints.last(plugin)
    }

    /// Returns how long the circuit breaker holds back calls of a generation, if it does.
    #[must_use]
    pub fn pauses(&self, by: &Who) -> Option<Duration> {
        let admissions = self.admissions();
        let admission = admissions.get(&(by.plugin.clone(), by.generation))?;
        admission.breaker.pauses(self.clock.elapsed())
    }

    /// Calls a function that has one answer, within `time` in all. `ask` builds the call for each candidate,
    /// because models belong to the component that made them. Each candidate gets its share of the remaining
    /// time. The decider waits no longer for an uploaded generation, even if that cannot be stopped at once.
    ///
    /// # Errors
    /// [`Unanswered`] of the first candidate that was called, if none answers.
    pub fn call<F: Movable>(
        &self,
        now: Timestamp,
        plugin: &Name,
        time: Duration,
        ask: impl Fn(&Who) -> F,
    ) -> Result<Decided<F::Answer>, Unanswered> {
        self.call_on(Terms { now, plugin, time, timeliness: Timeliness::InTime }, ask)
    }

    /// Calls a function that answers each of `items` items, within `time` in all. `ask` builds the call for a
    /// candidate and a subset of the items. Items without an answer go to the next candidate; see
    /// [`Unanswered`] for the exceptions.
    pub fn each<F: PerItem>(
        &self,
        now: Timestamp,
        plugin: &Name,
        items: usize,
        time: Duration,
        ask: impl Fn(&[usize], &Who) -> F,
    ) -> Vec<Result<Decided<F::Item>, Unanswered>> {
        self.each_on(Terms { now, plugin, time, timeliness: Timeliness::InTime }, items, ask)
    }

    pub(crate) fn call_on<F: Movable>(
        &self,
        terms: Terms<'_>,
        ask: impl Fn(&Who) -> F,
    ) -> Result<Decided<F::Answer>, Unanswered> {
        let candidates = self.registry.candidates(terms.plugin, F::ROLE);
        let ends = self.clock.elapsed().saturating_add(terms.time);
        let mut failures = Vec::new();
        let answer = fallback::one(candidates.len(), |place| {
            let Some(loaded) = candidates.get(place) else { return Err(nobody(terms.plugin)) };
            let share = self.share(ends, candidates.len() - place);
            let called = self.ask(terms, loaded, ask(&loaded.who), share, |_| false);
            let called = called.inspect_err(|error| {
                let error = error.clone();
                failures.push(Failure { place, error, items: vec![0], of: 1 });
            })?;
            // Report the first omitted part of the answer, such as a bid; the rest is valid.
            if let Some(first) = called.broken.first() {
                let fault = Fault::Internal(format!("left out: {first}"));
                let error = item::<F>(loaded, fault);
                failures.push(Failure { place, error, items: Vec::new(), of: 1 });
            }
            Ok(called.answer)
        });
        let answers = [answer];
        self.complain::<F, _>(terms, &candidates, &failures, &answers);
        let [answer] = answers;
        self.decided(terms.plugin, &candidates, answer)
    }

    pub(crate) fn each_on<F: PerItem>(
        &self,
        terms: Terms<'_>,
        items: usize,
        ask: impl Fn(&[usize], &Who) -> F,
    ) -> Vec<Result<Decided<F::Item>, Unanswered>> {
        let candidates = self.registry.candidates(terms.plugin, F::ROLE);
        let ends = self.clock.elapsed().saturating_add(terms.time);
        let mut failures = Vec::new();
        let answers = fallback::each(candidates.len(), items, |place, some| {
            let Some(loaded) = candidates.get(place) else { return Err(nobody(terms.plugin)) };
            let share = self.share(ends, candidates.len() - place);
            let call = ask(some, &loaded.who);
            let called = match self.ask(terms, loaded, call, share, F::has_failed) {
                Ok(called) => F::items(called.answer),
                Err(error) => {
                    let (items, of) = (some.to_vec(), some.len());
                    failures.push(Failure { place, error: error.clone(), items, of });
                    return Err(error);
                }
            };
            let answers: Vec<Result<F::Item, Unanswered>> = called
                .into_iter()
                .map(|answer| answer.map_err(|fault| item::<F>(loaded, fault)))
                .collect();
            failures.extend(failures_of_items(place, some, &answers));
            Ok(answers)
        });
        self.complain::<F, _>(terms, &candidates, &failures, &answers);
        answers.into_iter().map(|it| self.decided(terms.plugin, &candidates, it)).collect()
    }

    /// Calls one generation and reports the outcome.
    fn ask<F: Movable>(
        &self,
        terms: Terms<'_>,
        loaded: &Loaded,
        mut function: F,
        time: Duration,
        has_failed: impl FnOnce(&F::Answer) -> bool,
    ) -> Result<CallOutcome<F::Answer>, Unanswered> {
        let by = &loaded.who;
        if terms.timeliness == Timeliness::Late && !self.registry.is_built_in(loaded) {
            return Err(Unanswered::Crowded(by.clone()));
        }
        if time.as_millis() == 0 {
            return Err(Unanswered::Late(by.clone()));
        }
        let (ticket, overdue) = self.admit(by)?;
        function.configure(loaded.generation.configuration());
        let function = Arc::new(function);
        let result = self.run(loaded, &function, time, &overdue);
        let verdict = match &result {
            Ok(called) if has_failed(&called.answer) => Verdict::Failed,
            Ok(_) => Verdict::Answered,
            Err(error) => failure(error, time),
        };
        self.report(by, ticket, verdict);
        self.observer.call(by, F::NAME, result.is_ok());
        let log: &[LogLine] = match &result {
            Ok(called) => &called.log,
            Err(error) => &error.diagnostics.log,
        };
        log.iter().for_each(|line| self.observer.log(by, line.level, &line.message));
        self.journal(terms.now, by, function.as_ref(), &result);
        Ok(result?)
    }

    /// Runs a call. A built-in generation ends in time. Any other one gets a little less time than the
    /// decider waits, so that a generation that can be stopped reports what it was doing. If the time is
    /// unbounded, the full time applies.
    fn run<F: Movable>(
        &self,
        loaded: &Loaded,
        function: &Arc<F>,
        time: Duration,
        overdue: &Overdue,
    ) -> Result<CallOutcome<F::Answer>, CallError> {
        let generation = Arc::clone(&loaded.generation);
        if time == Duration::MAX || self.registry.is_built_in(loaded) {
            return generation.call_within(function.as_ref(), time);
        }
        let asked = Arc::clone(function);
        let work = move || generation.call_within(asked.as_ref(), time - time / 8);
        let without = |cause| CallError {
            plugin: loaded.who.plugin.to_string(),
            generation: loaded.who.generation,
            function: F::NAME,
            cause,
            diagnostics: Box::default(),
        };
        match bounded_wait::within(time, overdue, work) {
            Ok(Some(result)) => result,
            Ok(None) => Err(without(Cause::Deadline(time))),
            // There was no room for the call, which is not the generation's fault.
            Err(_) => Err(without(Cause::Busy(Duration::ZERO))),
        }
    }

    fn admit(&self, by: &Who) -> Result<(Ticket, Overdue), Unanswered> {
        let now = self.clock.elapsed();
        let mut admissions = self.admissions();
        let admission = admissions.entry((by.plugin.clone(), by.generation)).or_default();
        let overdue = admission.overdue.clone();
        if overdue.any() {
            return Err(Unanswered::Overdue(by.clone()));
        }
        let ticket = admission.breaker.admit(now);
        let left = admission.breaker.pauses(now).unwrap_or_default();
        drop(admissions);
        ticket.map(|ticket| (ticket, overdue)).ok_or_else(|| {
            let last = self.complaints.last(&by.plugin);
            let last = last.map(|last| format!("; the last error: {}", last.message));
            Unanswered::Paused { by: by.clone(), left, last: last.unwrap_or_default() }
        })
    }

    fn report(&self, by: &Who, ticket: Ticket, verdict: Verdict) {
        let now = self.clock.elapsed();
        // The entry may have been removed meanwhile.
        if let Some(admission) = self.admissions().get_mut(&(by.plugin.clone(), by.generation)) {
            admission.breaker.report(ticket, verdict, now);
        }
    }

    /// The share of the time until `ends` for the next of `candidates` candidates. It is less than an equal
    /// share, so that the last candidate, which gets all remaining time, has a reserve on a busy machine.
    fn share(&self, ends: Duration, candidates: usize) -> Duration {
        let left = ends.saturating_sub(self.clock.elapsed());
        let parts = u32::try_from(candidates).unwrap_or(u32::MAX).saturating_add(1);
        if candidates > 1 { left / parts } else { left }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    fn admissions(&self) -> MutexGuard<'_, BTreeMap<(Name, u64), Admission>> {
        self.admissions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a call without an answer counts as a failure of the generation.
fn failure(error: &CallError, time: Duration) -> Verdict {
    match error.cause {
        // A fault means that the plugin declined, which is an answer.
        Cause::Fault(_) => Verdict::Answered,
        Cause::Busy(_) => Verdict::Unknown,
        Cause::Deadline(_) if time < FAIR => Verdict::Unknown,
        _ => Verdict::Failed,
    }
}

fn nobody(plugin: &Name) -> Unanswered {
    Unanswered::Nobody(plugin.clone())
}

fn item<F: Function>(loaded: &Loaded, fault: Fault) -> Unanswered {
    Unanswered::Item { by: loaded.who.clone(), function: F::NAME, fault }
}

impl fmt::Debug for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decider").field("registry", &self.registry).finish_non_exhaustive()
    }
}
