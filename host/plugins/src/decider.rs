use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use haggle_control::{EventKind, Generation as Record};
use haggle_model::{Name, Timestamp};
use haggle_sandbox::{CallError, Called, Cause, Function, LogLine, Role, types::Fault};
use haggle_store::CallRecord;
use serde_json::json;

use crate::{
    breaker::{Breaker, Ticket, Verdict},
    chain::{self, Placed},
    complaints::{Complaints, LastError, cut},
    error::Unanswered,
    items::PerItem,
    observer::{Clock, Journal, Observer},
    registry::{Loaded, NotLoaded, Registry, Who},
};

/// Has plugins decide: the current generation of the one that is named, then its previous one, then a
/// built-in one of the same role. It holds no lock over a call, and may be used from any number of threads.
pub struct Decider {
    registry: Arc<Registry>,
    observer: Arc<dyn Observer>,
    journal: Option<Arc<dyn Journal>>,
    clock: Arc<dyn Clock>,
    breakers: Mutex<BTreeMap<(Name, u64), Breaker>>,
    complaints: Complaints,
}

/// An answer and who gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided<T> {
    /// The answer.
    pub answer: T,
    /// Who gave it.
    pub by: Who,
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
        let (breakers, complaints) = (Mutex::default(), Complaints::default());
        Self { registry, observer, journal, clock, breakers, complaints }
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
        self.breakers().retain(|(of, number), _| of != plugin || kept.contains(number));
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
        let breakers = self.breakers();
        breakers.get(&(by.plugin.clone(), by.generation))?.pauses(self.clock.elapsed())
    }

    /// Calls a function that has one answer, within `time` in all. `ask` makes the call for whoever is asked:
    /// models go with the component that made them. Each gets its part of the time that is left.
    ///
    /// # Errors
    /// [`Unanswered`] of the first one that was asked, where nobody answers.
    pub fn call<F: Function>(
        &self,
        now: Timestamp,
        plugin: &Name,
        time: Duration,
        ask: impl Fn(&Who) -> F,
    ) -> Result<Decided<F::Answer>, Unanswered> {
        let candidates = self.registry.candidates(plugin, F::ROLE);
        let ends = self.clock.elapsed().saturating_add(time);
        let answer = chain::one(candidates.len(), |place| {
            let Some(loaded) = candidates.get(place) else { return Err(nobody(plugin)) };
            let share = self.share(ends, candidates.len() - place);
            let called = self.ask(now, loaded, ask(&loaded.who), share, |_| false);
            let called = called.inspect_err(|error| {
                self.complain::<F>(now, plugin, loaded, error, 1, 1);
            })?;
            // What is left out of the answer, as a bid may be, is said; the rest stands.
            if let Some(first) = called.broken.first() {
                let fault = Fault::Internal(format!("left out: {first}"));
                let error = item::<F>(loaded, fault);
                self.complain::<F>(now, plugin, loaded, &error, 0, 1);
            }
            Ok(called.answer)
        });
        decided(plugin, &candidates, answer)
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
        let candidates = self.registry.candidates(plugin, F::ROLE);
        let ends = self.clock.elapsed().saturating_add(time);
        let answers = chain::each(candidates.len(), items, |place, some| {
            let Some(loaded) = candidates.get(place) else { return Err(nobody(plugin)) };
            let share = self.share(ends, candidates.len() - place);
            let call = ask(some, &loaded.who);
            let called = match self.ask(now, loaded, call, share, F::has_failed) {
                Ok(called) => F::items(called.answer),
                Err(error) => {
                    self.complain::<F>(now, plugin, loaded, &error, some.len(), some.len());
                    return Err(error);
                }
            };
            let answers: Vec<Result<F::Item, Unanswered>> = called
                .into_iter()
                .map(|answer| answer.map_err(|fault| item::<F>(loaded, fault)))
                .collect();
            self.complain_of_items::<F>(now, plugin, loaded, &answers);
            Ok(answers)
        });
        answers.into_iter().map(|answer| decided(plugin, &candidates, answer)).collect()
    }

    /// Calls one generation and tells everybody how that went.
    fn ask<F: Function>(
        &self,
        now: Timestamp,
        loaded: &Loaded,
        mut function: F,
        time: Duration,
        has_failed: impl FnOnce(&F::Answer) -> bool,
    ) -> Result<Called<F::Answer>, Unanswered> {
        let by = &loaded.who;
        if time.as_millis() == 0 {
            return Err(Unanswered::Late(by.clone()));
        }
        let ticket = self.admit(by)?;
        function.configure(loaded.generation.configuration());
        let result = loaded.generation.call_within(&function, time);
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
        self.journal(now, by, &function, &result);
        Ok(result?)
    }

    fn admit(&self, by: &Who) -> Result<Ticket, Unanswered> {
        let now = self.clock.elapsed();
        let mut breakers = self.breakers();
        let breaker = breakers.entry((by.plugin.clone(), by.generation)).or_default();
        let ticket = breaker.admit(now);
        let left = breaker.pauses(now).unwrap_or_default();
        drop(breakers);
        ticket.ok_or_else(|| {
            let last = self.complaints.last(&by.plugin);
            let last = last.map(|last| format!("; the last error: {}", last.message));
            Unanswered::Paused { by: by.clone(), left, last: last.unwrap_or_default() }
        })
    }

    fn report(&self, by: &Who, ticket: Ticket, verdict: Verdict) {
        let now = self.clock.elapsed();
        // It may be gone by now.
        if let Some(breaker) = self.breakers().get_mut(&(by.plugin.clone(), by.generation)) {
            breaker.report(ticket, verdict, now);
        }
    }

    fn journal<F: Function>(
        &self,
        now: Timestamp,
        by: &Who,
        function: &F,
        result: &Result<Called<F::Answer>, CallError>,
    ) {
        let Some(journal) = &self.journal else { return };
        // What took too long on the wall would not do so again: there is nothing to repeat.
        if result.as_ref().is_err_and(|error| !error.cause.is_deterministic()) {
            return;
        }
        let input = postcard::to_stdvec(function);
        let outcome = match result {
            Ok(called) => postcard::to_stdvec(&called.answer).map(Ok),
            Err(error) => Ok(Err(error.cause.to_string())),
        };
        let (Ok(input), Ok(outcome)) = (input, outcome) else {
            tracing::error!(function = F::NAME, "a call could not be encoded for the journal");
            return;
        };
        journal.record(CallRecord {
            sequence: 0,
            at: now,
            plugin: by.plugin.clone(),
            generation: by.generation,
            digest: haggle_store::Digest::from_bytes(*by.digest.as_bytes()),
            function: F::NAME.to_owned(),
            input,
            blobs: Vec::new(),
            outcome,
            fuel_used: result.as_ref().map_or(0, |called| called.fuel),
        });
    }

    fn complain_of_items<F: PerItem>(
        &self,
        now: Timestamp,
        plugin: &Name,
        loaded: &Loaded,
        answers: &[Result<F::Item, Unanswered>],
    ) {
        let errors = answers.iter().filter_map(|answer| answer.as_ref().err());
        let (lacking, others): (Vec<_>, Vec<_>) = errors
            .filter(|error| !error.is_foreign_model())
            .partition(|error| error.is_lack_of_data());
        if let Some(first) = lacking.first() {
            self.complain::<F>(now, plugin, loaded, first, lacking.len(), answers.len());
        }
        if let Some(first) = others.first() {
            self.complain::<F>(now, plugin, loaded, first, others.len(), answers.len());
        }
    }

    /// Tells that so many items go on to the next candidate. It is only counted where the candidate has too
    /// little data, which is no error, or was not asked at all: why its breaker is open was said before.
    fn complain<F: Function>(
        &self,
        now: Timestamp,
        plugin: &Name,
        loaded: &Loaded,
        error: &Unanswered,
        items: usize,
        of: usize,
    ) {
        if items > 0 {
            self.observer.fallback(plugin, F::NAME, items);
        }
        let is_unasked = matches!(error, Unanswered::Paused { .. } | Unanswered::Late(_));
        if is_unasked || error.is_lack_of_data() {
            return;
        }
        let mut message = error.to_string();
        if of > 1 {
            message = format!("{items} of {of} items: {message}");
        }
        let by = &loaded.who;
        let due = self.complaints.note(by, F::NAME, now, &message, self.clock.elapsed());
        if let Some(unsaid) = due {
            let detail = json!({
                "plugin": by.plugin, "generation": by.generation, "function": F::NAME,
                "items": items, "of": of, "unreported": unsaid,
            });
            self.observer.event(EventKind::Fallback, plugin.as_str(), cut(message), detail);
        }
    }

    /// Of the time until then, what the next of so many candidates gets: a part less than an equal one, because
    /// a guest that stalls may be stopped late.
    fn share(&self, ends: Duration, candidates: usize) -> Duration {
        let left = ends.saturating_sub(self.clock.elapsed());
        let parts = u32::try_from(candidates).unwrap_or(u32::MAX).saturating_add(1);
        if candidates > 1 { left / parts } else { left }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    fn breakers(&self) -> MutexGuard<'_, BTreeMap<(Name, u64), Breaker>> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
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

fn decided<T>(
    plugin: &Name,
    candidates: &[Loaded],
    answer: Option<Placed<T>>,
) -> Result<Decided<T>, Unanswered> {
    let (place, answer) = answer.unwrap_or_else(|| Err(nobody(plugin)))?;
    let by = candidates.get(place).ok_or_else(|| nobody(plugin))?.who.clone();
    Ok(Decided { answer, by })
}

impl fmt::Debug for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decider").field("registry", &self.registry).finish_non_exhaustive()
    }
}
