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

/// Runs any number of sessions over one ledger, with parties that answer when they like: each gets its
/// questions as messages of its own, again and again with growing pauses until it answers or its share of
/// the time is over; answers count once, whatever is lost, late or repeated.
///
/// It does nothing itself: every call takes what has happened and returns what is to be done, as
/// [`Effect`]s. An agreement goes through three steps: the ledger holds everything and each party says
/// that it holds its part; everything is written; only then it counts and is confirmed to all. What was
/// not written when the process stops never happened: see [`Engine::recover`].
///
/// A clone shares everything with its original, and takes constant time; a change to either copies only
/// the session that it is about, but for the parts of it that stay as they are.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    options: EngineOptions,
    sessions: OrdMap<Id, Arc<Running>>,
    timers: OrdSet<(Timestamp, Id)>,
    ended: OrdSet<Id>,
    ended_in_order: Vector<Id>,
}

/// The id of a session, which costs no allocation to clone.
type Id = SmolStr;

/// What the engine works on at one call.
pub struct Setting<'a> {
    /// The services and providers.
    pub world: &'a dyn World,
    /// The capacity that is promised.
    pub ledger: &'a mut Ledger,
    /// The present.
    pub now: Timestamp,
}

impl Setting<'_> {
    fn context(&self) -> Context<'_> {
        Context { world: self.world, ledger: self.ledger, now: self.now }
    }
}

impl Engine {
    /// An engine without sessions.
    #[must_use]
    pub fn new(options: EngineOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Opens a session.
    ///
    /// # Errors
    /// [`OpenError`]; nobody was asked then.
    pub fn open(
        &mut self,
        demand: Demand,
        setting: &mut Setting<'_>,
    ) -> Result<Vec<Effect>, OpenError> {
        self.open_in_place_of(&[], demand, setting)
    }

    /// Opens a session whose agreement takes the place of those of earlier sessions:
    /// [`Session::in_place_of`].
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

    /// Takes in a message of a party. The same answer may come any number of times.
    ///
    /// # Errors
    /// [`MessageError`] for its sender; nothing has changed then, but that the transcript has it.
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

    /// Takes in that a party has answered what cannot be read: that is no answer, and the question is as open
    /// as before. Returns what to tell its sender.
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

    /// Keeps a remark about the answer to a question on the record of its session, as long as that is open.
    /// Nothing else changes.
    pub fn remark(&mut self, question: &Message, text: String, now: Timestamp) {
        if let Some(running) = self.running(&question.session) {
            running.remark(question, text, now);
        }
    }

    /// Takes in that a message has not arrived this time; it is sent again.
    pub fn unreached(&mut self, message: &Message, why: String) {
        let running = self.running(&message.session);
        let question = running.and_then(|running| running.questions.get_mut(&message.message));
        if let Some(question) = question {
            Arc::make_mut(question).trouble = Some(why);
        }
    }

    /// Says that a message cannot reach its party, or that the party cannot answer: it is not asked
    /// again.
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

    /// Says whether what was awaited is durable. An error must mean that it is not and never will be:
    /// whoever does not know has to stop and [`Engine::recover`].
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
        // What could not run out while it was on its way.
        effects.extend(expire(setting));
        effects
    }

    /// An owner announces what it has left from each of these times on: [`Ledger::reclaim`], where holders of
    /// lower tiers lose their leases first. What is on its way to disk meanwhile ends once it is there.
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

    /// Ends a session that is not confirmed yet.
    ///
    /// # Errors
    /// [`MessageError`] where it is unknown, over, or on its way to disk.
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

    /// Tells the parties of an agreement that these leases of it, which have been released, are not needed any
    /// more.
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

    /// Lets time pass: leases that are over expire, questions are repeated or given up, and sessions end
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

    /// When the engine has to look at a session again.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.timers.get_min().map(|(at, _)| *at)
    }

    /// How many sessions are open, or have ended without everybody knowing it yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Whether a session is negotiating.
    #[must_use]
    pub fn is_open(&self, session: &str) -> bool {
        self.sessions.get(session).is_some_and(|running| running.session.is_some())
    }

    /// Whether a session's record is needed on disk.
    #[must_use]
    pub fn keeps_record(&self, session: &str) -> bool {
        self.sessions.get(session).is_some_and(|running| running.recorded)
    }

    /// Lets a session do something, and looks when it is due again.
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

/// What is over now.
fn expire(setting: &mut Setting<'_>) -> Option<Effect> {
    let expired = setting.ledger.expire(setting.now);
    (!expired.is_empty()).then_some(Effect::Expired(expired))
}

/// Whose lease ends first where not all can stay. Gold is the least of tiers, and goes last.
fn lowest_first(world: &dyn World) -> impl Fn(&Lease, &Lease) -> Ordering {
    let tier = |lease: &Lease| world.snapshot(&lease.holder).map(|snapshot| snapshot.tier);
    move |a, b| tier(b).cmp(&tier(a))
}

#[cfg(test)]
mod tests;
