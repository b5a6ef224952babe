use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use haggle_model::{Name, Span, Timestamp};
use haggle_sandbox::{CallError, Called, Function, Generation, LogLevel, Registry, Role};
use haggle_store::CallRecord;

use crate::{
    events::{EventKind, Events},
    metrics::Metrics,
    persistence::Persistence,
};

/// Has plugins decide: the one that the policy names, then its last good generation, then a built-in one
/// of the same role. Every call is journalled.
pub(crate) struct Decider {
    pub(crate) registry: Registry,
    pub(crate) events: Arc<Events>,
    pub(crate) persistence: Arc<Persistence>,
    pub(crate) metrics: Arc<Metrics>,
    /// What the host brings itself. The first of a role decides when nobody else does.
    built_in: OnceLock<Vec<Arc<Generation>>>,
    strikes: Mutex<BTreeMap<(String, u64), Strikes>>,
}

/// An answer and who gave it.
#[derive(Debug)]
pub(crate) struct Decided<T> {
    pub(crate) answer: T,
    pub(crate) by: Arc<Generation>,
}

/// How often a generation has failed in a row, and until when it is not asked.
#[derive(Clone, Copy, Debug, Default)]
struct Strikes {
    failures: u32,
    until: Timestamp,
}

/// After so many failures in a row a generation loses its turns for a while, so that one that stalls
/// does not stall every turn.
const STRIKES: u32 = 3;
const PENALTY: Span = Span::from_mins(1);

impl Decider {
    pub(crate) fn new(
        events: Arc<Events>,
        persistence: Arc<Persistence>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            registry: Registry::default(),
            events,
            persistence,
            metrics,
            built_in: OnceLock::new(),
            strikes: Mutex::default(),
        }
    }

    /// Makes the built-in generations known, once.
    pub(crate) fn set_built_in(&self, generations: Vec<Arc<Generation>>) {
        let set = self.built_in.set(generations);
        debug_assert!(set.is_ok(), "a host loads its own plugins once");
    }

    /// The built-in generations.
    pub(crate) fn built_in(&self) -> &[Arc<Generation>] {
        self.built_in.get().map_or(&[], Vec::as_slice)
    }

    /// The generation whose models are used: the one that decides when all is well.
    pub(crate) fn current(&self, plugin: &Name, role: Role) -> Option<Arc<Generation>> {
        self.candidates(plugin, role).into_iter().next()
    }

    /// Calls a function of a plugin, or of whoever stands in for it.
    ///
    /// # Errors
    /// The error of the last one that was asked.
    pub(crate) fn call<F: Function>(
        &self,
        now: Timestamp,
        plugin: &Name,
        mut function: F,
    ) -> Result<Decided<F::Answer>, Option<CallError>> {
        let mut last = None;
        for (place, generation) in self.candidates(plugin, F::ROLE).into_iter().enumerate() {
            if place > 0 {
                function.forget_models();
            }
            if self.is_struck_out(&generation, now) {
                continue;
            }
            function.configure(generation.configuration());
            let result = generation.call(&function);
            self.record(now, &generation, &function, &result);
            match result {
                Ok(called) => return Ok(Decided { answer: called.answer, by: generation }),
                Err(error) => {
                    let detail = serde_json::json!({
                        "plugin": error.plugin, "generation": error.generation, "function": error.function,
                    });
                    let message = error.to_string();
                    self.events.emit(now, EventKind::Fallback, plugin.as_str(), message, detail);
                    last = Some(error);
                }
            }
        }
        Err(last)
    }

    /// Who is asked, in this order.
    fn candidates(&self, plugin: &Name, role: Role) -> Vec<Arc<Generation>> {
        let fallback = self.built_in().iter().find(|generation| generation.roles().contains(&role));
        let mut all: Vec<Arc<Generation>> = Vec::with_capacity(3);
        let chain = [
            self.registry.current(plugin.as_str()),
            self.registry.previous(plugin.as_str()),
            fallback.cloned(),
        ];
        for generation in chain.into_iter().flatten() {
            let known = all.iter().any(|other| Arc::ptr_eq(other, &generation));
            if !known && generation.roles().contains(&role) {
                all.push(generation);
            }
        }
        all
    }

    fn is_struck_out(&self, generation: &Generation, now: Timestamp) -> bool {
        let strikes = self.strikes.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (generation.plugin().to_owned(), generation.number());
        strikes.get(&key).is_some_and(|strikes| strikes.failures >= STRIKES && now < strikes.until)
    }

    fn record<F: Function>(
        &self,
        now: Timestamp,
        generation: &Generation,
        function: &F,
        result: &Result<Called<F::Answer>, CallError>,
    ) {
        self.metrics.plugin_call(generation.plugin(), F::NAME, result.is_ok());
        let key = (generation.plugin().to_owned(), generation.number());
        let mut strikes = self.strikes.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(_) => {
                strikes.remove(&key);
            }
            // A policy that declines is not one that fails.
            Err(CallError { cause: haggle_sandbox::Cause::Fault(_), .. }) => {}
            Err(_) => {
                let strikes = strikes.entry(key).or_default();
                strikes.failures += 1;
                strikes.until = now + PENALTY;
            }
        }
        drop(strikes);
        if let Ok(called) = result {
            for line in &called.log {
                let level = match line.level {
                    LogLevel::Debug => "debug",
                    LogLevel::Info => "info",
                    LogLevel::Warn => "warn",
                    LogLevel::Error => "error",
                };
                let detail = serde_json::json!({ "level": level });
                let message = line.message.clone();
                self.events.emit(now, EventKind::Log, generation.plugin(), message, detail);
            }
        }
        if self.persistence.journals() {
            self.journal(now, generation, function, result);
        }
    }

    fn journal<F: Function>(
        &self,
        now: Timestamp,
        generation: &Generation,
        function: &F,
        result: &Result<Called<F::Answer>, CallError>,
    ) {
        // What took too long on the wall would not do so again: there is nothing to repeat.
        if let Err(error) = result
            && !error.cause.is_deterministic()
        {
            return;
        }
        let Ok(plugin) = Name::new(generation.plugin()) else { return };
        let input = postcard::to_stdvec(function);
        let outcome = match result {
            Ok(called) => postcard::to_stdvec(&called.answer).map(Ok),
            Err(error) => Ok(Err(error.cause.to_string())),
        };
        let (Ok(input), Ok(outcome)) = (input, outcome) else {
            tracing::error!(function = F::NAME, "a call could not be encoded for the journal");
            return;
        };
        self.persistence.journal(CallRecord {
            sequence: 0,
            at: now,
            plugin,
            generation: generation.number(),
            digest: haggle_store::Digest::from_bytes(*generation.digest().as_bytes()),
            function: F::NAME.to_owned(),
            input,
            blobs: Vec::new(),
            outcome,
            fuel_used: result.as_ref().map_or(0, |called| called.fuel),
        });
    }
}

impl std::fmt::Debug for Decider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decider").field("registry", &self.registry).finish_non_exhaustive()
    }
}
