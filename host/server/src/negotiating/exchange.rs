//! Negotiations with parties that answer when they like: what the engine wants done is done here. Parties
//! without an endpoint are answered for at once; the others get their messages through a [`Courier`].
//!
//! [`Courier`]: crate::negotiating::courier::Courier

use std::{
    collections::{BTreeMap, VecDeque},
    sync::mpsc::SyncSender,
};

use haggle_model::{Endpoint, Name, ScalingReason, Timestamp};
use haggle_negotiate::{
    Content, Demand, Effect, Ending, Engine, Ledger, Message, MessageError, MessageId, Negotiated,
    OpenError, Party, Persist, SessionRecord, Setting, answer_all,
};
use haggle_store::{Batch, Kind};
use serde::{Deserialize, Serialize};

use crate::{
    documents::catalog::Catalog,
    error::HostError,
    host::{Host, lock},
    negotiating::{
        Session,
        applying::Asked,
        counterparties::{InProcess, WorldView},
        courier::{Delivered, Reply},
    },
    persistence::{committing::Pending, keep_leases},
    views::ScalingVerdict,
};

/// What a session is for that waits for its parties.
pub(crate) struct Waiting {
    pub(crate) number: u64,
    pub(crate) demand: Demand,
    pub(crate) asked: Asked,
    /// Where the answer of a scaling request goes.
    pub(crate) answer: Option<SyncSender<ScalingVerdict>>,
    /// It has ended, and what follows from that is being written.
    pub(crate) ended: bool,
}

/// Sessions that wait, by their ids.
pub(crate) type AllWaiting = BTreeMap<String, Waiting>;

/// What came of a session, and who waits to hear it.
type Settled = (ScalingVerdict, Option<SyncSender<ScalingVerdict>>);

/// Sessions that were open when the process stopped, by their ids.
pub(crate) enum Sessions {}

impl Kind for Sessions {
    const TAG: u8 = 0x42;
    const NAME: &'static str = "open session";
    type Key = String;
    type Value = StoredSession;
}

/// An open session, and what it is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoredSession {
    record: SessionRecord,
    number: u64,
    demand: Demand,
    asked: Asked,
}

impl Host {
    /// Opens a session and asks its parties; what has ended already is returned.
    pub(crate) fn open_session(&self, waiting: Waiting) -> Result<Vec<Ending>, HostError> {
        let demand = waiting.demand.clone();
        self.enlist(waiting);
        self.open_enlisted(demand)
    }

    /// Makes it known that a session is about to be opened.
    pub(crate) fn enlist(&self, waiting: Waiting) {
        lock(&self.waiting).insert(waiting.demand.session.clone(), waiting);
    }

    /// Opens a session that is known.
    pub(crate) fn open_enlisted(&self, demand: Demand) -> Result<Vec<Ending>, HostError> {
        let id = demand.session.clone();
        match self.with_engine(|engine, setting| engine.open(demand, setting)) {
            Ok(effects) => self.carry_out_effects(effects),
            Err(error) => {
                lock(&self.waiting).remove(&id);
                Err(match error {
                    OpenError::Demand(error) => error.into(),
                    other => HostError::Task(other.to_string()),
                })
            }
        }
    }

    /// Takes in a message of a party.
    ///
    /// # Errors
    /// [`HostError::Message`] saying why it changes nothing.
    pub fn receive_message(&self, message: Message) -> Result<(), HostError> {
        let (session, from) = (message.session.clone(), message.from.clone());
        let effects = self
            .with_engine(|engine, setting| engine.receive(message, setting))
            .inspect_err(|error| self.complain(&session, &from, &error.to_string()))?;
        let endings = self.carry_out_effects(effects)?;
        self.conclude(endings)
    }

    /// Takes in that a party has answered what cannot be read; the error says so.
    pub fn receive_unreadable(
        &self,
        session: &str,
        from: &Party,
        about: MessageId,
        why: String,
    ) -> HostError {
        let now = self.clock.now();
        let error = lock(&self.engine).unreadable(session, from, about, why, now);
        self.complain(session, from, &error.to_string());
        HostError::Message(error)
    }

    /// What became of a message that the courier took.
    pub(crate) fn delivered(&self, delivered: Delivered) {
        let Delivered { message, reply } = delivered;
        let (session, party) = (&message.session, &message.to);
        let effects = match reply {
            Reply::Said(content) => {
                let reply = message.reply(*content, self.clock.now());
                match self.with_engine(|engine, setting| engine.receive(reply, setting)) {
                    Ok(effects) => effects,
                    // It was asked twice, and has answered twice.
                    Err(
                        MessageError::Finished(_)
                        | MessageError::UnknownSession(_)
                        | MessageError::Late(_),
                    ) => return,
                    Err(error) => return self.complain(session, party, &error.to_string()),
                }
            }
            Reply::Nothing => return,
            Reply::Unreadable(why) => {
                drop(self.receive_unreadable(session, party, message.message, why));
                return;
            }
            Reply::Unreached(why) => {
                tracing::debug!(session, %party, why, "a message was not delivered");
                return lock(&self.engine).unreached(&message, why);
            }
            Reply::Never(why) => {
                self.with_engine(|engine, setting| engine.undeliverable(&message, why, setting))
            }
        };
        self.conclude_effects(effects);
    }

    /// Lets time pass for the open sessions.
    pub(crate) fn tick_sessions(&self) {
        let effects =
            self.with_engine(
                |engine, setting| {
                    if engine.is_empty() { Vec::new() } else { engine.tick(setting) }
                },
            );
        self.conclude_effects(effects);
    }

    /// When the open sessions want to be looked at again.
    pub(crate) fn sessions_due(&self) -> Option<Timestamp> {
        lock(&self.engine).next_due()
    }

    /// Ends the sessions that were open when an earlier run stopped: what was agreed is carried out and
    /// told to everybody once more, all else has failed.
    pub(crate) fn resume_sessions(&self) -> Result<(), HostError> {
        let Some(store) = self.persistence.store() else { return Ok(()) };
        let mut records = Vec::new();
        for entry in store.scan::<Sessions>() {
            let (id, StoredSession { record, number, demand, asked }) = entry?;
            lock(&self.waiting)
                .insert(id, Waiting { number, demand, asked, answer: None, ended: false });
            records.push(record);
        }
        let effects = self.with_engine(|engine, setting| engine.recover(records, setting));
        let endings = self.carry_out_effects(effects)?;
        self.conclude(endings)
    }

    pub(crate) fn with_engine<R>(&self, act: impl FnOnce(&mut Engine, &mut Setting<'_>) -> R) -> R {
        let catalog = self.catalog();
        let mut engine = lock(&self.engine);
        let states = self.states();
        let mut ledger = self.ledger();
        let world = WorldView { catalog: &catalog, states: &states };
        act(&mut engine, &mut Setting { world: &world, ledger: &mut ledger, now: self.clock.now() })
    }

    /// Does what the engine wants, and what it wants then; sessions that have ended are returned.
    pub(crate) fn carry_out_effects(&self, effects: Vec<Effect>) -> Result<Vec<Ending>, HostError> {
        let catalog = self.catalog();
        let mut endings = Vec::new();
        let mut queue = VecDeque::from(effects);
        while let Some(effect) = queue.pop_front() {
            match effect {
                Effect::Deliver(message) => queue.extend(self.deliver(&catalog, message)),
                Effect::Persist(persist) => queue.extend(self.persist(persist)?),
                Effect::Expired(leases) => {
                    let mut batch = Batch::new();
                    keep_leases(&mut batch, &leases)?;
                    self.persistence.commit_lazy(batch)?;
                }
                Effect::Reclaimed(leases) => {
                    let mut batch = Batch::new();
                    keep_leases(&mut batch, &leases)?;
                    self.persistence.commit_lazy(batch)?;
                    self.note_lost(&leases);
                }
                Effect::Fault { session, fault } => {
                    self.complain(&session, &fault.participant, &fault.text);
                }
                Effect::Finished(ending) => endings.push(ending),
            }
        }
        Ok(endings)
    }

    fn deliver(&self, catalog: &Catalog, message: Message) -> Vec<Effect> {
        if let Some(endpoint) = endpoint(catalog, &message.to) {
            let Err(why) = self.outbox.send(endpoint, message.clone()) else { return Vec::new() };
            return self
                .with_engine(|engine, setting| engine.undeliverable(&message, why, setting));
        }
        let now = self.clock.now();
        let mut here = InProcess {
            decider: &self.decider,
            catalog,
            now,
            seed: message.message.0,
            writes_to: None,
        };
        let answers = answer_all(std::slice::from_ref(&message), &mut here, now);
        let Some(answer) = answers.into_iter().next().flatten() else { return Vec::new() };
        let refused = |reason| message.reply(Content::Refuse { reason }, now);
        let reply = answer.unwrap_or_else(refused);
        self.with_engine(|engine, setting| {
            let heard = engine.receive(reply, setting);
            // It would say the same again. Where it was only too late, nothing waits for it.
            heard.unwrap_or_else(|error| engine.undeliverable(&message, error.to_string(), setting))
        })
    }

    fn persist(&self, persist: Persist) -> Result<Vec<Effect>, HostError> {
        let Persist { session, record, leases, awaited } = persist;
        let mut batch = Batch::new();
        match record {
            Some(record) => {
                let waiting = lock(&self.waiting);
                if let Some(Waiting { number, demand, asked, .. }) = waiting.get(&session) {
                    let (number, demand, asked) = (*number, demand.clone(), asked.clone());
                    batch.put::<Sessions>(
                        &session,
                        &StoredSession { record, number, demand, asked },
                    )?;
                }
            }
            // As long as nothing else on disk tells how it ended, its record does: a crash must find one.
            None if lock(&self.waiting).contains_key(&session) => {}
            None => {
                batch.delete::<Sessions>(&session)?;
            }
        }
        keep_leases(&mut batch, &leases)?;
        if !awaited {
            self.persistence.commit_lazy(batch)?;
            return Ok(Vec::new());
        }
        // A store that fails once takes nothing more until it is opened again, and then nothing of this
        // is there: the agreement does not count.
        let result = self.persistence.commit(batch).map(drop).map_err(|error| error.to_string());
        Ok(self.with_engine(|engine, setting| engine.persisted(&session, result, setting)))
    }

    fn conclude_effects(&self, effects: Vec<Effect>) {
        let outcome = self.carry_out_effects(effects).and_then(|endings| self.conclude(endings));
        if let Err(error) = outcome {
            tracing::error!("a negotiation could not be concluded: {error}");
        }
    }

    /// How these have ended is on disk: what was kept to end them after a crash may go, as far as not
    /// somebody has yet to be told.
    pub(crate) fn forget_sessions(&self, ended: &[String]) -> Result<(), HostError> {
        let mut all = lock(&self.waiting);
        ended.iter().for_each(|session| drop(all.remove(session)));
        drop(all);
        let engine = lock(&self.engine);
        let mut batch = Batch::new();
        for session in ended.iter().filter(|session| !engine.keeps_record(session)) {
            batch.delete::<Sessions>(session)?;
        }
        drop(engine);
        Ok(self.persistence.commit_lazy(batch)?)
    }

    /// Carries out what was agreed. The turn must not be held.
    pub(crate) fn conclude(&self, endings: Vec<Ending>) -> Result<(), HostError> {
        if endings.is_empty() {
            return Ok(());
        }
        let turning = lock(&self.turning);
        let mut pending = Pending::default();
        let mut answers = Vec::new();
        for ending in endings {
            answers.extend(self.settle_ending(ending, &mut pending)?);
        }
        let submitted = self.submit(pending)?;
        drop(turning);
        self.carry_out(submitted)?;
        for (verdict, answer) in answers {
            self.serve_losers(&verdict);
            // Whoever asked may have gone away.
            answer.into_iter().for_each(|answer| drop(answer.send(verdict.clone())));
        }
        Ok(())
    }

    /// Turns the end of a session into what follows from it; nothing where it was concluded before.
    pub(crate) fn settle_ending(
        &self,
        ending: Ending,
        pending: &mut Pending,
    ) -> Result<Option<Settled>, HostError> {
        let Ending { session, outcome, changes, transcript } = ending;
        let mut all = lock(&self.waiting);
        let waiting = all.get_mut(&session).filter(|waiting| !waiting.ended);
        let Some(Waiting { number, demand, asked, answer, ended }) = waiting else {
            return Ok(None);
        };
        *ended = true;
        let (number, demand, asked, answer) =
            (*number, demand.clone(), asked.clone(), answer.take());
        drop(all);
        if !demand.dry_run && !lock(&self.engine).keeps_record(&session) {
            pending.batch.delete::<Sessions>(&session)?;
        }
        // It is looked up there until its record can be.
        pending.ended.push(session);
        let negotiated = Negotiated { outcome, changes, transcript };
        let session = Session::new(demand, number, negotiated, true);
        let verdict = session.verdict(asked.from);
        if session.demand.dry_run {
            return Ok(Some((verdict, answer)));
        }
        let asked = match asked.reason {
            ScalingReason::Request => Asked { wanted: verdict.to, ..asked },
            _ => asked,
        };
        let mut states = self.states();
        self.settle(&session, &verdict, asked, self.clock.now(), &mut states, pending)?;
        Ok(Some((verdict, answer)))
    }
}

/// Whether a session of the service may have to wait: for parties elsewhere, or for an agreement that is on its
/// way to disk.
pub(crate) fn has_to_wait(catalog: &Catalog, ledger: &Ledger, service: &Name) -> bool {
    catalog.asks_others(service) || ledger.is_committing()
}

/// Where the party is reached; none where it is answered for here.
fn endpoint(catalog: &Catalog, party: &Party) -> Option<Endpoint> {
    match party {
        Party::Service(name) => catalog.services.get(name)?.endpoint.clone(),
        Party::Provider(name) => catalog.providers.get(name)?.endpoint.clone(),
        Party::Session | Party::Ledger => None,
    }
}
