use std::{cmp::Ordering, sync::Arc};

use haggle_model::{Lease, Name, Owner, Quantities, Timestamp};
use imbl::{OrdMap, OrdSet, Vector};
use smol_str::SmolStr;

use crate::{Context, Demand, Input, Ledger, Message, MessageId, Party, Session, World};

mod admission;
mod check;
mod effect;
mod error;
mod options;
mod question;
mod recovery;
mod running;
mod timers;

pub use effect::{Agreed, Effect, Ending, Persist, SessionRecord};
pub use error::{MessageError, OpenError};
pub use options::{EngineOptions, Retry};

use admission::{Admitted, admit, was_asked};
use check::silence;
use running::{Running, Step};
use timers::awake;

/// Runs any number of sessions over one ledger, with parties that may answer at any time. The engine sends
/// each party its questions as separate messages and repeats them with growing pauses until the party
/// answers or its share of the time is used up. Each answer counts once, even if messages are lost, late or
/// repeated.
///
/// The engine performs no I/O. Every call takes an event and returns the [`Effect`]s that the caller must
/// carry out. An agreement takes three steps. First the ledger holds all leases and each party confirms
/// that it holds its part. Then the caller writes everything. Only then does the agreement count, and the
/// engine confirms it to all parties. An agreement that was not written when the process stopped did not
/// happen; see [`Engine::recover`].
///
/// A clone takes constant time and shares all structure with its original. A change to either copies only
/// the session that it concerns, without the parts of that session that stay the same.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    options: EngineOptions,
    sessions: OrdMap<Id, Arc<Running>>,
    timers: OrdSet<(Timestamp, Id)>,
    ended: OrdSet<Id>,
    ended_in_order: Vector<Id>,
}

/// The id of a session; cloning it does not allocate.
type Id = SmolStr;

/// The environment of one call of the engine.
pub struct Setting<'a> {
    /// The services and providers.
    pub world: &'a dyn World,
    /// The ledger of promised capacity.
    pub ledger: &'a mut Ledger,
    /// The current time.
    pub now: Timestamp,
}

impl Setting<'_> {
    fn context(&self) -> Context<'_> {
        Context { world: self.world, ledger: self.ledger, now: self.now }
    }
}

impl Engine {
    /// Creates an engine without sessions.
    #[must_use]
    pub fn new(options: EngineOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Opens a session.
    ///
    /// # Errors
    /// [`OpenError`]; the engine has then asked no party.
    pub fn open(
        &mut self,
        demand: Demand,
        setting: &mut Setting<'_>,
    ) -> Result<Vec<Effect>, OpenError> {
        self.open_in_place_of(&[], demand, setting)
    }

    /// Opens a session whose agreement replaces those of earlier sessions; see [`Session::in_place_of`].
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_in_place_of(
        &mut self,
        sessions: &[String],
        demand: Demand,
        setting: &mut Setting<'_>,
    ) -> Result<Vec<Effect>, OpenError> {
        let id = demand.session.clone();
        if self.sessions.contains_key(id.as_str()) || self.ended.contains(id.as_str()) {
            return Err(OpenError::Taken(id));
        }
        let (session, outputs) = Session::in_place_of(sessions, demand, &setting.context())?;
        let running = Running::new(session, self.options.transcripts);
        self.sessions.insert(Id::from(&id), Arc::new(running));
        Ok(self.with(&id, setting, |running, step| running.begin(outputs, step)))
    }

    /// Processes a message from a party. The same answer may arrive any number of times.
    ///
    /// # Errors
    /// [`MessageError`] for the sender. The message is then only recorded in the transcript.
    pub fn receive(
        &mut self,
        message: Message,
        setting: &mut Setting<'_>,
    ) -> Result<Vec<Effect>, MessageError> {
        let id = message.session.clone();
        let Some(running) = self.running(&id) else {
            return Err(match self.ended.contains(id.as_str()) {
                true => MessageError::Finished(id),
                false => MessageError::UnknownSession(id),
            });
        };
        let (from, about) = (message.from.clone(), message.in_reply_to.unwrap_or(message.message));
        if !running.is_flooded() {
            running.note(&message);
        }
        match admit(running, message) {
            Ok(Admitted::Nothing) => Ok(Vec::new()),
            Ok(Admitted::Cancel(why)) => self.cancel(&id, why, setting),
            Ok(Admitted::Reply(said)) => {
                let (question, reply) = *said;
                Ok(self.with(&id, setting, |running, step| running.heard(&question, reply, step)))
            }
            Err(error) => {
                running.refuse(&error, &from, about, setting.now);
                Err(error)
            }
        }
    }

    /// Records that a party sent an unreadable answer. Such an answer does not count, and the question
    /// stays open. Returns the error for the sender.
    pub fn unreadable(
        &mut self,
        session: &str,
        from: &Party,
        about: MessageId,
        why: String,
        now: Timestamp,
    ) -> MessageError {
        let Some(running) = self.running(session) else {
            return match self.ended.contains(session) {
                true => MessageError::Finished(session.to_owned()),
                false => MessageError::UnknownSession(session.to_owned()),
            };
        };
        let asked = was_asked(running, about, from);
        let error = asked.err().unwrap_or(MessageError::Unreadable { message: about, why });
        running.refuse(&error, from, about, now);
        error
    }

    /// Adds a remark about the answer to a question to the transcript of its session, if the session is
    /// open. Changes nothing else.
    pub fn remark(&mut self, question: &Message, text: String, now: Timestamp) {
        if let Some(running) = self.running(&question.session) {
            running.remark(question, text, now);
        }
    }

    /// Records that one delivery attempt of a message failed. The engine sends the message again.
    pub fn unreached(&mut self, message: &Message, why: String) {
        let running = self.running(&message.session);
        let question = running.and_then(|running| running.questions.get_mut(&message.message));
        if let Some(question) = question {
            Arc::make_mut(question).trouble = Some(why);
        }
    }

    /// Records that a message cannot reach its party, or that the party cannot answer. The engine does not
    /// ask that question again.
    pub fn undeliverable(
        &mut self,
        message: &Message,
        why: String,
        setting: &mut Setting<'_>,
    ) -> Vec<Effect> {
        let Some(running) = self.running(&message.session) else { return Vec::new() };
        let Some(question) = running.close(message.message, None) else { return Vec::new() };
        let reply = silence(question.kind, why);
        self.with(&message.session, setting, |running, step| {
            running.heard(&question, reply, step);
        })
    }

    /// Reports whether an awaited write is durable. An error must mean that the write is not durable and
    /// never will be. A caller that does not know must stop and call [`Engine::recover`].
    pub fn persisted(
        &mut self,
        session: &str,
        result: Result<(), String>,
        setting: &mut Setting<'_>,
    ) -> Vec<Effect> {
        let mut effects =
            self.with(session, setting, |running, step| running.persisted(result, step));
        let waiting = self.sessions.iter().filter(|(_, running)| running.is_waiting());
        for id in waiting.map(|(id, _)| id.clone()).collect::<Vec<Id>>() {
            effects
                .extend(self.with(&id, setting, |running, step| running.tell(Input::Tick, step)));
        }
        // Leases that could not expire during the commit may expire now.
        effects.extend(expire(setting));
        effects
    }

    /// Processes the announcement of the capacity that an owner has left from each of these times on; see
    /// [`Ledger::reclaim`]. Holders of lower tiers lose their leases first. Leases of a commit in progress
    /// are cut once it is durable.
    pub fn reclaim(
        &mut self,
        owner: &Owner,
        notices: &[(Timestamp, Quantities)],
        setting: &mut Setting<'_>,
    ) -> Option<Effect> {
        let Setting { world, ledger, now } = setting;
        let cut = ledger.reclaim(owner, notices, *now, lowest_first(*world));
        (!cut.is_empty()).then_some(Effect::Reclaimed(cut))
    }

    /// Cancels a session that is not confirmed yet.
    ///
    /// # Errors
    /// [`MessageError`] if the session is unknown, finished, or being committed.
    pub fn cancel(
        &mut self,
        session: &str,
        why: String,
        setting: &mut Setting<'_>,
    ) -> Result<Vec<Effect>, MessageError> {
        match self.sessions.get(session) {
            Some(running) if running.committing.is_some() => {
                Err(MessageError::Confirming(session.to_owned()))
            }
            Some(running) if running.session.is_some() => {
                Ok(self.with(session, setting, |running, step| {
                    running.tell(Input::Cancel(why), step);
                }))
            }
            None if !self.ended.contains(session) => {
                Err(MessageError::UnknownSession(session.to_owned()))
            }
            _ => Err(MessageError::Finished(session.to_owned())),
        }
    }

    /// Notifies the parties of an agreement that these leases of it have been released.
    pub fn give_back(
        &mut self,
        session: &str,
        requester: &Name,
        leases: Vec<Lease>,
        setting: &mut Setting<'_>,
    ) -> Vec<Effect> {
        if leases.is_empty() {
            return Vec::new();
        }
        let over = || Running::over(session.to_owned(), requester.clone(), setting.now);
        if !self.sessions.contains_key(session) {
            self.sessions.insert(Id::from(session), Arc::new(over()));
        }
        self.with(session, setting, |running, step| running.give_back_agreed(leases, step))
    }

    /// Processes the passage of time: leases expire, questions are repeated or time out, and sessions end
    /// at their deadline. Call it at [`Engine::next_due`] and whenever a lease may have ended.
    pub fn tick(&mut self, setting: &mut Setting<'_>) -> Vec<Effect> {
        let mut effects: Vec<Effect> = expire(setting).into_iter().collect();
        while let Some((at, id)) = self.timers.get_min().cloned()
            && at <= setting.now
        {
            self.timers.remove_min();
            effects.extend(self.with(&id, setting, |running, step| {
                running.scheduled = None;
                awake(running, step);
            }));
        }
        effects
    }

    /// The next time at which a session needs [`Engine::tick`].
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.timers.get_min().map(|(at, _)| *at)
    }

    /// The number of sessions that are open, or have ended but still wait for acknowledgements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether the engine has no such session.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Whether a session is still negotiating.
    #[must_use]
    pub fn is_open(&self, session: &str) -> bool {
        self.sessions.get(session).is_some_and(|running| running.session.is_some())
    }

    /// Whether the record of a session must stay on disk.
    #[must_use]
    pub fn keeps_record(&self, session: &str) -> bool {
        self.sessions.get(session).is_some_and(|running| running.recorded)
    }

    /// Applies an action to a session and updates its timer.
    fn with(
        &mut self,
        id: &str,
        setting: &mut Setting<'_>,
        act: impl FnOnce(&mut Running, &mut Step<'_, '_>),
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        let Some(running) = self.sessions.get_mut(id) else { return effects };
        let running = Arc::make_mut(running);
        let mut step = Step { setting, retry: self.options.retry, effects: &mut effects };
        act(running, &mut step);
        let over = running.settle(&mut step);
        let due = running.due.filter(|_| !over);
        if running.scheduled != due {
            if let Some(at) = std::mem::replace(&mut running.scheduled, due) {
                self.timers.remove(&(at, Id::from(id)));
            }
            self.timers.extend(due.map(|at| (at, Id::from(id))));
        }
        if over {
            self.sessions.remove(id);
            self.remember(Id::from(id));
        }
        effects
    }

    fn running(&mut self, session: &str) -> Option<&mut Running> {
        self.sessions.get_mut(session).map(Arc::make_mut)
    }

    fn remember(&mut self, id: Id) {
        if self.ended.insert(id.clone()).is_none() {
            self.ended_in_order.push_back(id);
        }
        if self.ended_in_order.len() > self.options.remembered
            && let Some(oldest) = self.ended_in_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }
}

/// Expires the leases that have ended.
fn expire(setting: &mut Setting<'_>) -> Option<Effect> {
    let expired = setting.ledger.expire(setting.now);
    (!expired.is_empty()).then_some(Effect::Expired(expired))
}

/// The order in which leases end if not all can stay: lowest tier first. `Gold` is the least `Tier` value
/// and goes last.
fn lowest_first(world: &dyn World) -> impl Fn(&Lease, &Lease) -> Ordering {
    let tier = |lease: &Lease| world.snapshot(&lease.holder).map(|snapshot| snapshot.tier);
    move |a, b| tier(b).cmp(&tier(a))
}

#[cfg(test)]
mod tests;
