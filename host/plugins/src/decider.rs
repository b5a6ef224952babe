use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use haggle_control::{EventKind, Generation as Record};
use haggle_model::{Name, Timestamp};
use haggle_sandbox::{CallError, Called, Cause, Function, LogLine, Role, types::Fault};
use serde_json::json;

use crate::{
    breaker::{Breaker, Ticket, Verdict},
    complaints::{Complaints, LastError},
    error::Unanswered,
    fallback,
    items::{Movable, PerItem},
    observer::{Clock, Journal, Observer},
    registry::{Loaded, NotLoaded, Registry, Who},
    timed::{self, Overdue},
    timeliness::Timeliness,
};

mod telling;

use telling::{Failure, failures_of_items};

/// Has plugins decide: the current generation of the one that is named, then its previous one, then a
/// built-in one of the same role. It holds no lock over a call, and may be used from any number of threads.
pub struct Decider {
    registry: Arc<Registry>,
    observer: Arc<dyn Observer>,
    journal: Option<Arc<dyn Journal>>,
    clock: Arc<dyn Clock>,
    admissions: Mutex<BTreeMap<(Name, u64), Admission>>,
    complaints: Complaints,
}

/// An answer and who gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided<T> {
    /// The answer.
    pub answer: T,
    /// Who gave it.
    pub by: Who,
    /// Where that is not the generation that decides when all is well: why, and who answered instead.
    pub remark: Option<String>,
}

/// What a call is made on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) now: Timestamp,
    /// The plugin that is to decide.
    pub(crate) plugin: &'a Name,
    /// For all candidates together.
    pub(crate) time: Duration,
    pub(crate) timeliness: Timeliness,
}

/// Whether a generation is asked.
#[derive(Debug, Default)]
struct Admission {
    breaker: Breaker,
    overdue: Overdue,
}

/// A generation that is given less time than this and uses it up has not failed.
const FAIR: Duration = Duration::from_millis(100);

impl Decider {
    /// A decider over these generations. Nothing is journalled where no journal is given.
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

    /// The compiled generations.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Who is told what plugins do.
    #[must_use]
    pub fn observer(&self) -> &Arc<dyn Observer> {
        &self.observer
    }

    /// Has these generations decide from now on; see [`Registry::apply`]. A plugin that is deleted leaves no
    /// error behind, and a generation that is dropped no circuit breaker.
    ///
    /// # Errors
    /// [`NotLoaded`], which is an event as well.
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

    /// The generation whose models are used: the one that decides when all is well.
    #[must_use]
    pub fn current(&self, plugin: &Name, role: Role) -> Option<Who> {
        self.registry.candidates(plugin, role).into_iter().next().map(|loaded| loaded.who)
    }

    /// The last error of a plugin, where it has failed since the host started.
    #[must_use]
    pub fn last_error(&self, plugin: &Name) -> Option<LastError> {
        self.complaints.last(plugin)
    }

    /// How long the circuit breaker holds calls of a generation back, if it does.
    #[must_use]
    pub fn pauses(&self, by: &Who) -> Option<Duration> {
        let admissions = self.admissions();
        let admission = admissions.get(&(by.plugin.clone(), by.generation))?;
        admission.breaker.pauses(self.clock.elapsed())
    }

    /// Calls a function that has one answer, within `time` in all. `ask` makes the call for whoever is asked:
    /// models go with the component that made them. Each gets its part of the time that is left, and an
    /// uploaded generation is waited for no longer, even where it cannot be stopped at once.
    ///
    /// # Errors
    /// [`Unanswered`] of the first one that was asked, where nobody answers.
    pub fn call<F: Movable>(
        &self,
        now: Timestamp,
        plugin: &Name,
        time: Duration,
        ask: impl Fn(&Who) -> F,
    ) -> Result<Decided<F::Answer>, Unanswered> {
        self.call_on(Terms { now, plugin, time, timeliness: Timeliness::InTime }, ask)
    }

    /// Calls a function that answers each of `items` items, within `time` in all. `ask` makes the call for
    /// some of the items and whoever is asked for them. Items without an answer go to the next one; see
    /// [`Unanswered`] for those that do not.
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
            // What is left out of the answer, as a bid may be, is said; the rest stands.
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

    /// Calls one generation and tells everybody how that went.
    fn ask<F: Movable>(
        &self,
        terms: Terms<'_>,
        loaded: &Loaded,
        mut function: F,
        time: Duration,
        has_failed: impl FnOnce(&F::Answer) -> bool,
    ) -> Result<Called<F::Answer>, Unanswered> {
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

    /// Runs a call. What the host brings itself ends in time; any other generation is given a little less than
    /// is waited for, so that one that can be stopped says what it was doing. Without a bound on the time there
    /// is nothing to wait less for.
    fn run<F: Movable>(
        &self,
        loaded: &Loaded,
        function: &Arc<F>,
        time: Duration,
        overdue: &Overdue,
    ) -> Result<Called<F::Answer>, CallError> {
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
        match timed::within(time, overdue, work) {
            Ok(Some(result)) => result,
            Ok(None) => Err(without(Cause::Deadline(time))),
            // There is no room for it, which is not its fault.
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
        // It may be gone by now.
        if let Some(admission) = self.admissions().get_mut(&(by.plugin.clone(), by.generation)) {
            admission.breaker.report(ticket, verdict, now);
        }
    }

    /// Of the time until then, what the next of so many candidates gets: a part less than an equal one, so that
    /// the last, which has all that is left, has time to spare on a busy machine.
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

/// Whether a call without an answer is the generation's fault.
fn failure(error: &CallError, time: Duration) -> Verdict {
    match error.cause {
        // Declining is an answer.
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
