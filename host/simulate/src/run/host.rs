//! What happens at the host.

use haggle_model::Span;
use haggle_negotiate::{Content, Demand, Effect, Message, MessageId, Party};

use super::{
    Event, Run, Write,
    text::{brief, end, millis},
};
use crate::{
    checker::{Check, fail},
    coordinator::{Coordinator, Disk},
    report::Rule,
};

impl<C: Coordinator> Run<'_, C> {
    pub(super) fn start(&mut self) -> Check {
        self.say(|| "host: starts".into());
        self.up = true;
        let disk = Disk {
            capacities: &self.capacities,
            leases: self.checker.disk.values().cloned().collect(),
            records: self.records.values().cloned().collect(),
            reclaims: self.checker.reclaims.clone(),
        };
        let started = self.host.start(disk, &self.scene, self.now);
        self.enqueue(Write::Expired(started.expired));
        self.carry_out(started.effects)
    }

    pub(super) fn tick(&mut self) -> Check {
        let effects = self.host.tick(&self.scene, self.now);
        self.carry_out(effects)
    }

    pub(super) fn open(&mut self, number: usize) -> Check {
        if !self.up {
            self.schedule(Span::from_millis(100), Event::Open(number));
            return Ok(());
        }
        let Some(wish) = self.wishes.get(number) else { return Ok(()) };
        let mut demand = wish.demand.clone();
        demand.started_at = self.now;
        if let Some(by) = wish.by {
            demand.policy.deadline = by.since(self.now);
        }
        let renews = wish.renews.clone();
        self.say(|| {
            let Demand { session, requester, load, window, policy, .. } = &demand;
            format!(
                "host: opens {session}: {requester} wants {load} from {} to {} in {} rounds, by {}",
                millis(window.start),
                millis(window.end),
                policy.max_rounds,
                millis(demand.started_at + policy.deadline),
            )
        });
        match self.host.open(demand.clone(), &self.scene, self.now) {
            Ok(effects) => {
                self.tally.sessions += 1;
                self.checker.opened(&demand);
                if let Some(old) = renews {
                    self.tally.renewals += 1;
                    self.checker.renewing(&demand, &old, self.now);
                }
                self.opened.insert(demand.session);
                self.carry_out(effects)
            }
            Err(error) => {
                self.say(|| format!("host: {error}"));
                Ok(())
            }
        }
    }

    pub(super) fn cancel(&mut self, number: usize) -> Check {
        let Some(wish) = self.wishes.get(number) else { return Ok(()) };
        let requester = Party::Service(wish.demand.requester.clone());
        let message = Message {
            session: wish.demand.session.clone(),
            message: MessageId(0),
            in_reply_to: None,
            at: self.now,
            from: requester,
            to: Party::Session,
            content: Content::Cancel { reason: "it is not needed any more".into() },
        };
        self.send(message);
        Ok(())
    }

    /// At the host.
    pub(super) fn arrive(&mut self, message: Message) -> Check {
        if !self.up {
            self.say(|| "host: is down".into());
            return Ok(());
        }
        let again = message.clone();
        let cancels = matches!(message.content, Content::Cancel { .. });
        self.say(|| format!("host: hears {}", brief(&message)));
        match self.host.receive(message, &self.scene, self.now) {
            Ok(effects) => self.carry_out(effects)?,
            Err(error) => self.say(|| format!("host: {error}")),
        }
        match self.host.receive(again.clone(), &self.scene, self.now) {
            Ok(effects) if !effects.is_empty() && !cancels => {
                let text = format!("{} counts a second time", brief(&again));
                fail(Rule::Repetition, text)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) -> Check {
        for effect in effects {
            match effect {
                Effect::Deliver(message) => self.send(message),
                Effect::Persist(persist) => {
                    if persist.awaited {
                        let leases = persist.leases.iter().map(|lease| lease.id.clone());
                        self.awaited.insert(persist.session.clone(), leases.collect());
                    }
                    self.enqueue(Write::Persist(persist));
                }
                Effect::Expired(leases) => self.enqueue(Write::Expired(leases)),
                Effect::Reclaimed(leases) => self.lose(leases),
                Effect::Fault { session, fault } => {
                    self.say(|| format!("host: fault in {session}: {}", fault.text));
                }
                Effect::Finished(ending) => {
                    self.say(|| format!("host: {} ends: {}", ending.session, end(&ending.outcome)));
                    self.checker.ended(&ending)?;
                    self.renew_in_time(&ending);
                }
            }
        }
        Ok(())
    }
}
