//! Carries out the effects of the negotiation engine, and passes the messages of parties to it.

use std::collections::VecDeque;

use haggle_negotiate::{Content, Effect as Wanted, Ending, Message, MessageError, Persist};

use crate::{
    Effect,
    consult::{check_finite, local_reply, party},
    record::{Key, Record},
    step::Step,
};

impl Step<'_> {
    /// Carries out the effects of the engine, and those that follow from them.
    pub(crate) fn carry_out(&mut self, effects: Vec<Wanted>) {
        let mut queue = VecDeque::from(effects);
        let mut endings: Vec<Ending> = Vec::new();
        while let Some(effect) = queue.pop_front() {
            match effect {
                Wanted::Deliver(message) => queue.extend(self.deliver(message)),
                Wanted::Persist(persist) => queue.extend(self.persist(persist)),
                Wanted::Expired(leases) => self.expired(&leases),
                Wanted::Reclaimed(leases) => {
                    self.keep_leases(&leases);
                    self.note_lost(&leases);
                }
                Wanted::Fault { session, fault } => {
                    self.complain(&session, &fault.participant, &fault.text);
                }
                Wanted::Finished(ending) => endings.push(ending),
            }
        }
        endings.into_iter().for_each(|ending| self.finish(ending));
    }

    /// Delivers a message. A party in this process acknowledges at once, and its plugin answers its
    /// questions.
    fn deliver(&mut self, message: Message) -> Vec<Wanted> {
        if let Some(endpoint) = self.state.endpoint(&message.to).cloned() {
            let message = Box::new(message);
            self.effects.push(Effect::Deliver { endpoint, message });
            return Vec::new();
        }
        if let Some(content) = local_reply(&message) {
            let reply = message.reply(content, self.now);
            let heard = self.with_engine(|engine, setting| engine.receive(reply, setting));
            return heard.unwrap_or_default();
        }
        if matches!(message.content, Content::CallForProposals(_)) {
            self.questions.push(message);
        }
        Vec::new()
    }

    /// Persists a session. The changes of an agreement are written with the other writes of this step, so
    /// they count in the copy at once. The session record is kept only while a remote party must still be
    /// notified.
    fn persist(&mut self, persist: Persist) -> Vec<Wanted> {
        let Persist { session, record, leases, awaited } = persist;
        self.keep_leases(&leases);
        match record {
            Some(record) => {
                let elsewhere = record.agreed.as_ref().is_some_and(|agreed| {
                    let mut owners = agreed.leases.iter().map(|lease| &lease.owner);
                    owners.any(|owner| self.state.endpoint(&party(owner)).is_some())
                });
                if elsewhere {
                    self.state.recorded.insert(session.clone());
                    self.put(Record::Session(Box::new(record)));
                }
            }
            None => {
                if self.state.recorded.remove(&session).is_some() {
                    self.delete(Key::Session(session.clone()));
                }
            }
        }
        match awaited {
            true => self.with_engine(|engine, setting| engine.persisted(&session, Ok(()), setting)),
            false => Vec::new(),
        }
    }

    pub(crate) fn receive(&mut self, message: Message) -> Result<(), MessageError> {
        let effects = self.with_engine(|engine, setting| engine.receive(message, setting))?;
        self.carry_out(effects);
        Ok(())
    }

    /// Handles the answer of a plugin for a party.
    pub(crate) fn hear(&mut self, question: &Message, answer: Result<Content, String>) {
        let answer = answer.and_then(|content| match check_finite(&content) {
            Ok(()) => Ok(content),
            Err(why) => {
                self.complain(&question.session, &question.to, &why);
                Err(why)
            }
        });
        let heard = match answer {
            Ok(content) => {
                let reply = question.reply(content, self.now);
                self.with_engine(|engine, setting| engine.receive(reply, setting))
            }
            Err(why) => return self.undeliverable(question, why),
        };
        match heard {
            Ok(effects) => self.carry_out(effects),
            Err(
                MessageError::Finished(_)
                | MessageError::UnknownSession(_)
                | MessageError::UnknownQuestion(_)
                | MessageError::Contradiction(_)
                | MessageError::Late(_),
            ) => {}
            // The plugin would repeat this answer.
            Err(error) => {
                self.complain(&question.session, &question.to, &error.to_string());
                self.undeliverable(question, error.to_string());
            }
        }
    }

    pub(crate) fn replied(&mut self, question: &Message, content: Content) {
        if let Err(why) = check_finite(&content) {
            return self.complain(&question.session, &question.to, &why);
        }
        let reply = question.reply(content, self.now);
        match self.with_engine(|engine, setting| engine.receive(reply, setting)) {
            Ok(effects) => self.carry_out(effects),
            // The party received the question twice and has answered twice.
            Err(
                MessageError::Finished(_) | MessageError::UnknownSession(_) | MessageError::Late(_),
            ) => {}
            Err(error) => self.complain(&question.session, &question.to, &error.to_string()),
        }
    }

    pub(crate) fn undeliverable(&mut self, message: &Message, why: String) {
        let effects =
            self.with_engine(|engine, setting| engine.undeliverable(message, why, setting));
        self.carry_out(effects);
    }
}
