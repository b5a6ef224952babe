//! Carries out the effects of the core.

use haggle_control::{Answer, Effect, Input};
use haggle_model::Span;
use haggle_negotiate::Message;

use super::{Commit, Event, Run, brief_effect};
use crate::{checker::Check, subject::Subject};

impl<S: Subject> Run<'_, S> {
    /// Carries out effects in order. The host may crash after any of them.
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) -> Check {
        for effect in effects {
            if let Some((effects, down)) = &mut self.crash {
                let down = *down;
                match effects.checked_sub(1) {
                    Some(left) => *effects = left,
                    None => {
                        self.crash = None;
                        return self.crash(down);
                    }
                }
            }
            self.say(|| brief_effect(&effect));
            self.carry_out_one(effect)?;
        }
        Ok(())
    }

    fn carry_out_one(&mut self, effect: Effect) -> Check {
        match effect {
            Effect::Commit { id, writes } => {
                let state = self.subject.newest().clone();
                self.count(&writes);
                self.commit(Commit { id, writes, state, is_written: false });
                Ok(())
            }
            Effect::Consult(consultation) => {
                self.call(&consultation);
                Ok(())
            }
            Effect::Deliver { message, .. } => {
                self.deliver(*message);
                Ok(())
            }
            Effect::Answer { caller, answer } => {
                match answer.as_deref() {
                    Ok(Answer::Verdict(_) | Answer::Accepted(_)) => self.tally.acknowledged += 1,
                    Ok(Answer::Reclaimed(_)) => self.tally.reclaims += 1,
                    Ok(_) => {}
                    Err(_) => self.tally.refused += 1,
                }
                self.checker.answered(caller, &answer, &self.disk, self.now)
            }
            Effect::Actuate(action) => {
                self.checker.acted(&action, &self.disk)?;
                self.driver.act(&action, self.chance, self.now);
                Ok(())
            }
            Effect::Forget(service) => {
                self.checker.forgotten(&service);
                self.driver.forget(&service);
                Ok(())
            }
            Effect::Promote { .. } | Effect::Publish(_) => Ok(()),
        }
    }

    fn count(&mut self, writes: &[haggle_control::Write]) {
        use haggle_control::{Record, Write};
        for write in writes {
            match write {
                Write::Append(decision) => {
                    self.tally.decisions += 1;
                    self.digest.add(decision.service.as_str().as_bytes());
                    self.digest.add(&decision.to.to_le_bytes());
                }
                Write::Put(Record::Negotiation(record)) => match record.outcome.as_str() {
                    "approved" => self.tally.approved += 1,
                    "reduced" => self.tally.reduced += 1,
                    _ => self.tally.denied += 1,
                },
                _ => {}
            }
        }
    }

    /// Sends a message to a remote party.
    fn deliver(&mut self, message: Message) {
        self.tally.messages += 1;
        let purpose = format!("deliver {} {}", message.session, message.message);
        let mut rng = self.chance.rng(&purpose, self.now.as_millis());
        let (first, second) = (self.delay(&mut rng), self.delay(&mut rng));
        let epoch = self.epoch;
        if self.plan.loses && rng.f64() < self.options.loss {
            let why = "connection refused".to_owned();
            let input = match rng.u8(0..8) {
                0 => Input::Undeliverable(Box::new(message), why),
                1..5 => Input::Unreached(Box::new(message), why),
                _ => return,
            };
            self.schedule(first, Event::Reply { epoch, input: Box::new(input) });
            return;
        }
        if self.plan.duplicates && rng.f64() < self.options.duplicate {
            self.schedule(second, Event::Arrive(Box::new(message.clone())));
        }
        self.schedule(first, Event::Arrive(Box::new(message)));
    }

    /// Delivers a message to a remote party.
    pub(super) fn arrive(&mut self, message: &Message) {
        let (chance, faults, now) = (self.chance, self.plan.faults, self.now);
        let party = self.parties.entry(message.to.clone()).or_default();
        for reply in party.receive(message, chance, faults, now) {
            self.tally.messages += 1;
            let purpose = format!("reply {} {}", reply.session, reply.message);
            let mut rng = self.chance.rng(&purpose, self.now.as_millis());
            if self.plan.loses && rng.f64() < self.options.loss {
                continue;
            }
            let (epoch, delay) = (self.epoch, self.delay(&mut rng));
            let event = match rng.u8(0..40) {
                0 if faults => {
                    let (caller, why) = (None, "expected value at line 1".to_owned());
                    let (session, from) = (reply.session.clone(), reply.from.clone());
                    let about = message.message;
                    let input = Input::Unreadable { caller, session, from, about, why };
                    Event::Reply { epoch, input: Box::new(input) }
                }
                1..20 => Event::Said(Box::new(reply)),
                _ => {
                    let input = Input::Replied(Box::new(message.clone()), reply.content);
                    Event::Reply { epoch, input: Box::new(input) }
                }
            };
            self.schedule(delay, event);
        }
    }

    fn delay(&self, rng: &mut fastrand::Rng) -> Span {
        let longest = if self.plan.delays { self.options.delay.as_millis() } else { 0 };
        Span::from_millis(rng.u64(0..=longest).min(rng.u64(0..=longest)))
    }
}
