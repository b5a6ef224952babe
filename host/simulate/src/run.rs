//! One run: a host, a disk, parties, a network and a clock, all of them driven by one queue.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use haggle_model::{LeaseId, Owner, Quantities, Span, Timestamp};
use haggle_negotiate::{Content, Effect, Message, Outcome, Party, Persist, SessionRecord};

use crate::{
    chance::Chance,
    checker::{Between, Check, Checker, fail},
    coordinator::{Coordinator, Disk},
    options::Options,
    participant::Participant,
    plan::Plan,
    report::{Fnv, Rule, Tally},
    scene::{Scene, Wish},
};

/// What came of a run, and what was wrong at its last step.
pub(crate) struct Ran {
    pub(crate) tally: Tally,
    pub(crate) trace: Vec<String>,
    pub(crate) violation: Option<(Rule, String)>,
    /// The steps at which a node crashed.
    pub(crate) crashes: BTreeSet<u64>,
}

enum Event {
    Open(usize),
    Cancel(usize),
    Arrive(Message),
    Written { epoch: u64 },
    Acknowledged { epoch: u64, session: String },
    Wake,
    Up,
}

struct Run<'a, C> {
    options: &'a Options,
    plan: &'a Plan,
    chance: Chance,
    scene: Scene,
    wishes: Vec<Wish>,
    capacities: Vec<(Owner, Quantities)>,
    host: C,
    up: bool,
    /// Counts the lives of the host.
    epoch: u64,
    parties: BTreeMap<Party, Participant>,
    queue: BTreeMap<(Timestamp, u64), Event>,
    events: u64,
    now: Timestamp,
    wake: Option<Timestamp>,
    records: BTreeMap<String, SessionRecord>,
    writes: VecDeque<Write>,
    last_write: Timestamp,
    awaited: BTreeSet<String>,
    opened: BTreeSet<String>,
    lost: BTreeSet<String>,
    checker: Checker,
    tally: Tally,
    digest: Fnv,
    trace: Option<Vec<String>>,
    crashes: BTreeSet<u64>,
}

enum Write {
    Persist(Persist),
    Expired(Vec<haggle_model::Lease>),
}

/// More steps than any run needs.
const MOST_STEPS: u64 = 1_000_000;

/// Nothing crashes after that, so that a run comes to rest.
const QUIET_AFTER: Timestamp = Timestamp::from_millis(90_000);

/// When everything is over.
const END: Timestamp = Timestamp::from_millis(86_400_000);

pub(crate) fn run<C: Coordinator>(
    options: &Options,
    seed: u64,
    plan: &Plan,
    host: C,
    record: bool,
) -> Ran {
    let chance = Chance::new(seed);
    let scene = Scene::random(options, chance);
    let capacities = scene.capacities();
    let wishes = scene.wishes(options, chance);
    let services = scene.services().cloned().map(Party::Service);
    let parties = services
        .chain(scene.suppliers().cloned().map(Party::Provider))
        .map(|party| (party, Participant::default()))
        .collect();
    let mut run = Run {
        options,
        plan,
        chance,
        capacities: capacities.clone().into_iter().collect(),
        checker: Checker::new(capacities),
        scene,
        wishes,
        host,
        up: false,
        epoch: 0,
        parties,
        queue: BTreeMap::new(),
        events: 0,
        now: Timestamp::default(),
        wake: None,
        records: BTreeMap::new(),
        writes: VecDeque::new(),
        last_write: Timestamp::default(),
        awaited: BTreeSet::new(),
        opened: BTreeSet::new(),
        lost: BTreeSet::new(),
        tally: Tally::default(),
        digest: Fnv::default(),
        trace: record.then(Vec::new),
        crashes: BTreeSet::new(),
    };
    let violation = run.all().err();
    run.tally.digest = run.digest.0;
    let Run { tally, trace, crashes, .. } = run;
    Ran { tally, trace: trace.unwrap_or_default(), violation, crashes }
}

impl<C: Coordinator> Run<'_, C> {
    fn all(&mut self) -> Check {
        self.schedule(Span::ZERO, Event::Up);
        for (number, wish) in self.wishes.clone().into_iter().enumerate() {
            if self.plan.wants(number) {
                self.schedule(wish.at.since(self.now), Event::Open(number));
                if let Some(cancel) = wish.cancel {
                    self.schedule(cancel.since(self.now), Event::Cancel(number));
                }
            }
        }
        while let Some(((at, _), event)) = self.queue.pop_first() {
            self.now = at;
            self.step(event)?;
            if self.tally.steps > MOST_STEPS {
                return fail(Rule::End, "the run does not come to rest".into());
            }
        }
        self.now = END;
        self.tick()?;
        while let Some(write) = self.writes.pop_front() {
            self.write(write)?;
        }
        self.checker.rest(&self.host, &self.lost)?;
        self.count();
        Ok(())
    }

    fn step(&mut self, event: Event) -> Check {
        self.tally.steps += 1;
        if self.up {
            self.tick()?;
        }
        match event {
            Event::Open(number) => self.open(number)?,
            Event::Cancel(number) => self.cancel(number)?,
            Event::Arrive(message) if message.to == Party::Session => self.arrive(message)?,
            Event::Arrive(message) => self.deliver(&message)?,
            Event::Written { epoch } => {
                if epoch == self.epoch
                    && let Some(write) = self.writes.pop_front()
                {
                    self.write(write)?;
                }
            }
            Event::Acknowledged { epoch, session } => {
                if epoch == self.epoch && self.up {
                    self.say(|| format!("host: {session} is durable"));
                    self.awaited.remove(&session);
                    let effects = self.host.persisted(&session, &self.scene, self.now);
                    self.carry_out(effects)?;
                }
            }
            Event::Wake => self.wake = None,
            Event::Up => self.start()?,
        }
        self.perhaps_crash();
        if !self.up {
            return Ok(());
        }
        if let Some(due) = self.host.next_due()
            && self.wake.is_none_or(|wake| due < wake || wake < self.now)
        {
            self.wake = Some(due);
            self.schedule(due.since(self.now), Event::Wake);
        }
        let written: BTreeSet<LeaseId> = self
            .writes
            .iter()
            .flat_map(|write| match write {
                Write::Persist(persist) => &persist.leases,
                Write::Expired(leases) => leases,
            })
            .map(|lease| lease.id.clone())
            .collect();
        let between = Between { awaited: &self.awaited, written: &written };
        self.checker.step(&self.host, &between, self.now)
    }

    fn start(&mut self) -> Check {
        self.say(|| "host: starts".into());
        self.up = true;
        let disk = Disk {
            capacities: &self.capacities,
            leases: self.checker.disk.values().cloned().collect(),
            records: self.records.values().cloned().collect(),
        };
        let started = self.host.start(disk, &self.scene, self.now);
        self.enqueue(Write::Expired(started.expired));
        self.carry_out(started.effects)
    }

    fn tick(&mut self) -> Check {
        let effects = self.host.tick(&self.scene, self.now);
        self.carry_out(effects)
    }

    fn open(&mut self, number: usize) -> Check {
        if !self.up {
            self.schedule(Span::from_millis(100), Event::Open(number));
            return Ok(());
        }
        let Some(wish) = self.wishes.get(number) else { return Ok(()) };
        let mut demand = wish.demand.clone();
        demand.started_at = self.now;
        self.say(|| {
            let haggle_negotiate::Demand { session, requester, load, window, policy, .. } = &demand;
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
                self.opened.insert(demand.session);
                self.carry_out(effects)
            }
            Err(error) => {
                self.say(|| format!("host: {error}"));
                Ok(())
            }
        }
    }

    fn cancel(&mut self, number: usize) -> Check {
        let Some(wish) = self.wishes.get(number) else { return Ok(()) };
        let requester = Party::Service(wish.demand.requester.clone());
        let message = Message {
            session: wish.demand.session.clone(),
            message: haggle_negotiate::MessageId(0),
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
    fn arrive(&mut self, message: Message) -> Check {
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

    /// At a party.
    fn deliver(&mut self, message: &Message) -> Check {
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

    fn carry_out(&mut self, effects: Vec<Effect>) -> Check {
        for effect in effects {
            match effect {
                Effect::Deliver(message) => self.send(message),
                Effect::Persist(persist) => {
                    if persist.awaited {
                        self.awaited.insert(persist.session.clone());
                    }
                    self.enqueue(Write::Persist(persist));
                }
                Effect::Expired(leases) => self.enqueue(Write::Expired(leases)),
                Effect::Fault { session, fault } => {
                    self.say(|| format!("host: fault in {session}: {}", fault.text));
                }
                Effect::Finished(ending) => {
                    self.say(|| format!("host: {} ends: {}", ending.session, end(&ending.outcome)));
                    self.checker.ended(&ending)?;
                }
            }
        }
        Ok(())
    }

    fn enqueue(&mut self, write: Write) {
        let latency = self.draw("disk").u64(0..10);
        self.last_write = self.last_write.max(self.now + Span::from_millis(latency));
        self.writes.push_back(write);
        let epoch = self.epoch;
        self.schedule(self.last_write.since(self.now), Event::Written { epoch });
    }

    fn write(&mut self, write: Write) -> Check {
        match write {
            Write::Expired(leases) => {
                self.checker.expired(&leases);
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

    fn send(&mut self, message: Message) {
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
            self.schedule(second, Event::Arrive(message.clone()));
        }
        self.schedule(first, Event::Arrive(message));
    }

    fn perhaps_crash(&mut self) {
        let step = self.tally.steps;
        let mut rng = self.chance.rng("crash", step);
        let due = self.now < QUIET_AFTER && rng.f64() < self.options.crash;
        if !due || !self.plan.crashes(step) {
            return;
        }
        let down = Span::from_millis(rng.u64(1..800));
        let node = rng.usize(0..=self.parties.len());
        if node > 0 {
            if let Some((name, party)) = self.parties.iter_mut().nth(node - 1) {
                party.crash(self.now + down);
                let name = name.to_string();
                self.say(|| format!("{name}: crashes"));
                self.tally.crashes += 1;
                self.crashes.insert(step);
            }
        } else if self.up {
            self.say(|| "host: crashes".into());
            self.tally.crashes += 1;
            self.crashes.insert(step);
            self.up = false;
            self.epoch += 1;
            self.writes.clear();
            self.last_write = self.now;
            self.awaited.clear();
            self.wake = None;
            self.checker.crashed();
            for session in &self.opened {
                let known = self.checker.outcome(session).is_some();
                if !known && !self.records.contains_key(session) {
                    self.lost.insert(session.clone());
                }
            }
            self.schedule(down, Event::Up);
        }
    }

    fn count(&mut self) {
        self.tally.vanished = self.lost.len() as u64;
        for session in &self.opened {
            match self.checker.outcome(session) {
                Some(Outcome::Agreed(agreement)) => {
                    let kind = match agreement.reduced {
                        true => &mut self.tally.reduced,
                        false => &mut self.tally.confirmed,
                    };
                    *kind += 1;
                    self.tally.rounds.push(agreement.rounds);
                }
                Some(Outcome::Failed { rounds, .. }) => {
                    self.tally.failed += 1;
                    self.tally.rounds.push(*rounds);
                }
                None => {}
            }
        }
    }

    fn schedule(&mut self, after: Span, event: Event) {
        self.events += 1;
        self.queue.insert((self.now + after, self.events), event);
    }

    /// A generator for what happens now.
    fn draw(&self, purpose: &str) -> fastrand::Rng {
        self.chance.rng(purpose, self.now.as_millis())
    }

    fn say(&mut self, line: impl FnOnce() -> String) {
        let line = line();
        self.digest.add(&self.now.as_millis().to_le_bytes());
        self.digest.add(line.as_bytes());
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>8} #{:<5} {line}", millis(self.now), self.tally.steps));
        }
    }
}

fn millis(at: Timestamp) -> String {
    format!("{}ms", at.as_millis())
}

fn end(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Agreed(agreement) => {
            let leases: Vec<&str> = agreement.leases.iter().map(|id| id.0.as_str()).collect();
            format!("agreed on {:.3} of it with {}", agreement.fraction, leases.join(", "))
        }
        Outcome::Failed { reasons, .. } => {
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            format!("failed: {}", reasons.join("; "))
        }
    }
}

/// A message on one line.
fn brief(message: &Message) -> String {
    let Message { session, message: id, from, content, .. } = message;
    let detail = match content {
        Content::Counter(offer) => format!(" of {}", offer.quantities),
        Content::Accept { leases } | Content::Confirm { leases } => {
            leases.iter().map(|lease| format!(" {}", lease.id)).collect()
        }
        Content::Release { leases } => leases.iter().map(|id| format!(" {id}")).collect(),
        Content::Refuse { reason } => format!(" because {reason}"),
        _ => String::new(),
    };
    format!("{session}/{id} {}{detail} of {from}", content.kind())
}
