//! Everything around the host: parties, network and disk.

use std::collections::BTreeSet;

use haggle_model::{LeaseId, Span};
use haggle_negotiate::{Content, Message};

use super::{Event, Run, Write, text::brief};
use crate::{
    checker::{Check, fail},
    coordinator::Coordinator,
    report::Rule,
};

impl<C: Coordinator> Run<'_, C> {
    /// At a party.
    pub(super) fn deliver(&mut self, message: &Message) -> Check {
        let chance = self.chance;
        let now = self.now;
        let Some(party) = self.parties.get_mut(&message.to) else {
            return fail(Rule::Consent, format!("there is no {}", message.to));
        };
        if now < party.down_until {
            return Ok(());
        }
        if let Content::Confirm { leases } = &message.content {
            self.checker.told(message, leases)?;
        }
        let replies = party.receive(message, chance, now);
        self.say(|| format!("{}: hears {}", message.to, brief(message)));
        replies.into_iter().for_each(|reply| self.send(reply));
        Ok(())
    }

    pub(super) fn enqueue(&mut self, write: Write) {
        let latency = self.draw("disk").u64(0..10);
        self.last_write = self.last_write.max(self.now + Span::from_millis(latency));
        self.writes.push_back(write);
        let epoch = self.epoch;
        self.schedule(self.last_write.since(self.now), Event::Written { epoch });
    }

    pub(super) fn write(&mut self, write: Write) -> Check {
        match write {
            Write::Expired(leases) => {
                self.checker.expired(&leases);
                Ok(())
            }
            Write::Cut(leases) => {
                self.checker.cut(&leases);
                Ok(())
            }
            Write::Reclaim(number, reclaim) => {
                self.announced.insert(number);
                self.checker.reclaims.push(reclaim);
                Ok(())
            }
            Write::Persist(persist) => {
                self.say(|| {
                    let what = match &persist.record {
                        None => "settled",
                        Some(record) if record.agreed.is_some() => "agreed",
                        Some(_) => "open",
                    };
                    format!("disk: {} is {what}", persist.session)
                });
                match persist.record.clone() {
                    Some(record) => self.records.insert(persist.session.clone(), record),
                    None => self.records.remove(&persist.session),
                };
                if persist.awaited {
                    let latency = self.draw("acknowledgement").u64(0..10);
                    let (epoch, session) = (self.epoch, persist.session.clone());
                    let event = Event::Acknowledged { epoch, session };
                    self.schedule(Span::from_millis(latency), event);
                }
                let consented: BTreeSet<LeaseId> =
                    self.parties.values().flat_map(|p| p.consented.iter().cloned()).collect();
                self.checker.durable(&persist, &consented, self.now)
            }
        }
    }

    pub(super) fn send(&mut self, message: Message) {
        self.tally.messages += 1;
        let mut rng = self.draw(&format!("{} {}", message.session, message.message));
        if self.plan.loses && rng.f64() < self.options.loss {
            self.say(|| format!("network: loses {}", brief(&message)));
            return;
        }
        let longest = if self.plan.delays { self.options.delay.as_millis() } else { 0 };
        let mut delay = || Span::from_millis(rng.u64(0..=longest).min(rng.u64(0..=longest)));
        let (first, second) = (delay(), delay());
        if self.plan.duplicates && rng.f64() < self.options.duplicate {
            self.schedule(second, Event::Arrive(Box::new(message.clone())));
        }
        self.schedule(first, Event::Arrive(Box::new(message)));
    }
}
