//! One step: applies an input to a copy of the state.

use std::collections::{BTreeMap, BTreeSet};

use haggle_model::{Lease, LeaseState, Name, Timestamp};
use haggle_negotiate::{Engine, Message, Party, Setting};
use serde_json::{Value, json};

use crate::{
    Answer, ControlError, Effect, Event, EventKind, Input, Options, State,
    catalog::View,
    effect::Consultation,
    id::Caller,
    record::{Key, Record, Write},
};

/// A step in progress.
pub(crate) struct Step<'a> {
    pub(crate) options: &'a Options,
    pub(crate) now: Timestamp,
    pub(crate) state: State,
    pub(crate) writes: Vec<Write>,
    pub(crate) effects: Vec<Effect>,
    /// Calls for proposals to parties that plugins answer for.
    pub(crate) questions: Vec<Message>,
    /// Services whose stored state must be written.
    dirty: BTreeSet<Name>,
    /// Services that opened a negotiation in this step.
    pub(crate) opened: BTreeSet<Name>,
    /// Services that lost a lease in this step.
    pub(crate) losers: BTreeSet<Name>,
}

/// The result of a step.
pub(crate) struct Done {
    pub(crate) state: State,
    pub(crate) writes: Vec<Write>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) consultations: Vec<Consultation>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(options: &'a Options, state: State, now: Timestamp) -> Self {
        Self {
            options,
            now,
            state,
            writes: Vec::new(),
            effects: Vec::new(),
            questions: Vec::new(),
            dirty: BTreeSet::new(),
            opened: BTreeSet::new(),
            losers: BTreeSet::new(),
        }
    }

    pub(crate) fn apply(&mut self, input: Input) {
        self.follow_clock();
        match input {
            Input::Tick => {
                let effects = self.with_engine(Engine::tick);
                self.carry_out(effects);
                self.open_windows();
            }
            Input::Reconcile(scope) => self.reconcile(&scope),
            Input::Change { caller, change } => {
                let result = self.attempt(|step| step.change(*change));
                self.answer(caller, result.map(Answer::Put));
            }
            Input::Request { caller, request, arrived, respond_early } => {
                let result = self.attempt(|step| step.request(caller, &request, arrived));
                match result {
                    // The verdict of a dry run is not stored, so the caller waits for it.
                    Ok(id) if respond_early && !request.dry_run => {
                        // The request may already be concluded and answered.
                        if self.state.waiting.remove(&id).is_some() {
                            let progress = self.progress_of(&id);
                            self.answer(caller, progress.map(Answer::Accepted));
                        }
                    }
                    Ok(_) => {}
                    Err(error) => self.answer(caller, Err(error)),
                }
            }
            Input::Amend { caller, id, window } => {
                if let Err(error) = self.attempt(|step| step.amend(caller, &id, *window)) {
                    self.answer(caller, Err(error));
                }
            }
            Input::Cancel { caller, id } => {
                let result = self.attempt(|step| step.cancel(&id));
                self.answer(caller, result.map(|()| Answer::Done));
            }
            Input::Reclaim { caller, provider, request } => {
                let result = self.attempt(|step| step.reclaim(&provider, &request));
                self.answer(caller, result.map(Answer::Reclaimed));
            }
            Input::Restock { caller, provider, unit } => {
                let result = self.attempt(|step| step.restock(&provider, &unit));
                self.answer(caller, result.map(|()| Answer::Done));
            }
            Input::Plugin { caller, change } => {
                let result = self.attempt(|step| step.change_plugin(change));
                self.answer(caller, result);
            }
            Input::Message { caller, message } => {
                let (session, from) = (message.session.clone(), message.from.clone());
                // An invalid message has no effect, but it is recorded.
                let result = self.receive(*message);
                if let Err(error) = &result {
                    self.complain(&session, &from, &error.to_string());
                }
                self.answer(caller, result.map(|()| Answer::Done).map_err(ControlError::from));
            }
            Input::Unreadable { caller, session, from, about, why } => {
                let now = self.now;
                let error = self.state.engine.unreadable(&session, &from, about, why, now);
                self.complain(&session, &from, &error.to_string());
                if let Some(caller) = caller {
                    self.answer(caller, Err(error.into()));
                }
            }
            Input::Consulted(answers) => {
                for (question, answer) in answers {
                    self.hear(&question, answer);
                }
            }
            Input::Remarked(remarks) => {
                for (question, remark) in remarks {
                    self.state.engine.remark(&question, remark, self.now);
                }
            }
            Input::Replied(question, content) => self.replied(&question, content),
            Input::Unreached(message, why) => self.state.engine.unreached(&message, why),
            Input::Undeliverable(message, why) => self.undeliverable(&message, why),
            Input::Observed(loads) => self.observe(loads),
            Input::Forecasts(forecasts) => {
                for forecast in forecasts {
                    if let Some(state) = self.state.service_mut(&forecast.service) {
                        state.forecast = Some(forecast.into());
                    }
                }
            }
            Input::Risks(risks) => risks.into_iter().for_each(|risk| self.assess(risk)),
            Input::Tiers(tiers) => tiers.into_iter().for_each(|tier| self.assign(tier)),
            Input::Driver(reports) => self.see(reports),
            // `Control` handles these inputs itself.
            Input::Committed(_) | Input::CommitFailed(..) => {}
        }
        self.serve_losers();
    }

    pub(crate) fn done(mut self) -> Done {
        for name in std::mem::take(&mut self.dirty) {
            if let Some(state) = self.state.services.get(&name) {
                let record = Record::State(name, Box::new(state.stored()));
                self.writes.push(Write::Put(record));
            }
        }
        let consultations = self.consultations();
        let Self { state, writes, effects, .. } = self;
        Done { state, writes: last_of_each(writes), effects, consultations }
    }

    /// Runs an action atomically: undoes its effects if it fails.
    pub(crate) fn attempt<T, E>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let (state, dirty) = (self.state.clone(), self.dirty.clone());
        let losers = self.losers.clone();
        let counts = (self.writes.len(), self.effects.len(), self.questions.len());
        let result = act(self);
        if result.is_err() {
            (self.state, self.dirty, self.losers) = (state, dirty, losers);
            self.writes.truncate(counts.0);
            self.effects.truncate(counts.1);
            self.questions.truncate(counts.2);
        }
        result
    }

    /// Marks the stored state of a service for writing at the end of the step.
    pub(crate) fn keep(&mut self, service: &Name) {
        self.dirty.insert(service.clone());
    }

    /// Deletes the stored state of a service.
    pub(crate) fn drop_kept(&mut self, service: &Name) {
        self.dirty.remove(service);
        self.delete(Key::State(service.clone()));
    }

    pub(crate) fn put(&mut self, record: Record) {
        self.writes.push(Write::Put(record));
    }

    pub(crate) fn delete(&mut self, key: Key) {
        self.writes.push(Write::Delete(key));
    }

    /// Writes leases in their current state. Ended leases are deleted, and holds are not written.
    pub(crate) fn keep_leases(&mut self, leases: &[Lease]) {
        for lease in leases {
            match lease.state {
                LeaseState::Confirmed => self.put(Record::Lease(lease.clone())),
                LeaseState::Released | LeaseState::Expired => {
                    self.delete(Key::Lease(lease.id.clone()));
                }
                LeaseState::Held => {}
            }
        }
    }

    pub(crate) fn answer(&mut self, caller: Caller, answer: Result<Answer, ControlError>) {
        self.effects.push(Effect::Answer { caller, answer: answer.map(Box::new) });
    }

    pub(crate) fn publish(
        &mut self,
        kind: EventKind,
        subject: &str,
        message: String,
        detail: Value,
    ) {
        let (at, subject) = (self.now, subject.to_owned());
        self.effects.push(Effect::Publish(Event { at, kind, subject, message, detail }));
    }

    /// Publishes that a party broke the protocol.
    pub(crate) fn complain(&mut self, session: &str, from: &Party, text: &str) {
        let subject = match from {
            Party::Service(name) | Party::Provider(name) => name.to_string(),
            Party::Session | Party::Ledger => from.to_string(),
        };
        let detail = json!({ "negotiation": session, "from": from });
        self.publish(EventKind::Fault, &subject, text.to_owned(), detail);
    }

    pub(crate) fn with_engine<R>(
        &mut self,
        act: impl FnOnce(&mut Engine, &mut Setting<'_>) -> R,
    ) -> R {
        let State { catalog, services, providers, ledger, engine, .. } = &mut self.state;
        let world = View { catalog, services, providers };
        act(engine, &mut Setting { world: &world, ledger, now: self.now })
    }

    pub(crate) fn expired(&mut self, leases: &[Lease]) {
        self.keep_leases(leases);
        for lease in leases.iter().filter(|lease| lease.state == LeaseState::Expired) {
            let message = format!("the lease of {} of {} has ended", lease.amounts, lease.owner);
            self.publish(
                EventKind::Lease,
                lease.holder.as_str(),
                message,
                json!({"lease": lease.id}),
            );
        }
    }
}

/// Keeps only the last write of each key. Decisions keep their order.
pub(crate) fn last_of_each(writes: Vec<Write>) -> Vec<Write> {
    let key = |write: &Write| match write {
        Write::Put(record) => Some(record.key()),
        Write::Delete(key) => Some(key.clone()),
        Write::Append(_) => None,
    };
    let last: BTreeMap<Key, usize> =
        writes.iter().enumerate().filter_map(|(place, write)| Some((key(write)?, place))).collect();
    let counts = |(place, write): &(usize, Write)| {
        key(write).is_none_or(|key| last.get(&key).is_none_or(|latest| latest == place))
    };
    writes.into_iter().enumerate().filter(counts).map(|(_, write)| write).collect()
}
