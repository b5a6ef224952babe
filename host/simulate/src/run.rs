//! One run: a host, a disk, parties, a network and a clock, all of them driven by one queue.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use haggle_model::{Lease, LeaseId, Owner, Quantities, Span, Timestamp};
use haggle_negotiate::{Message, Outcome, Party, Persist, SessionRecord};

use crate::{
    chance::Chance,
    checker::{Between, Check, Checker, fail},
    coordinator::{Coordinator, Reclaim},
    options::Options,
    participant::Participant,
    plan::Plan,
    report::{Fnv, Rule, Tally},
    scene::{Notice, Scene, Wish},
};

mod changes;
mod edges;
mod host;
mod text;

use text::millis;

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
    Arrive(Box<Message>),
    Reclaim(usize),
    TakeBack(Reclaim),
    Renew(usize),
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
    notices: Vec<Notice>,
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
    awaited: BTreeMap<String, BTreeSet<LeaseId>>,
    opened: BTreeSet<String>,
    /// Notices that are on disk, by number.
    announced: BTreeSet<usize>,
    /// Notices that the host has heard in its present life.
    heard: BTreeSet<usize>,
    /// Sessions whose agreement will be or was renewed.
    renewed: BTreeSet<String>,
    lost: BTreeSet<String>,
    checker: Checker,
    tally: Tally,
    digest: Fnv,
    trace: Option<Vec<String>>,
    crashes: BTreeSet<u64>,
}

enum Write {
    Persist(Persist),
    Expired(Vec<Lease>),
    Cut(Vec<Lease>),
    Reclaim(usize, Reclaim),
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
    let notices = scene.notices(chance);
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
        notices,
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
        awaited: BTreeMap::new(),
        opened: BTreeSet::new(),
        announced: BTreeSet::new(),
        heard: BTreeSet::new(),
        renewed: BTreeSet::new(),
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
        for (number, notice) in self.notices.clone().into_iter().enumerate() {
            if self.plan.reclaims {
                self.schedule(notice.at.since(self.now), Event::Reclaim(number));
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
            Event::Reclaim(number) => self.reclaim(number)?,
            Event::TakeBack(reclaim) => self.take_back(&reclaim),
            Event::Renew(number) => self.renew(number),
            Event::Arrive(message) if message.to == Party::Session => self.arrive(*message)?,
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
                Write::Persist(persist) => persist.leases.as_slice(),
                Write::Expired(leases) | Write::Cut(leases) => leases.as_slice(),
                Write::Reclaim(..) => &[],
            })
            .map(|lease| lease.id.clone())
            .collect();
        let between = Between { awaited: &self.awaited, written: &written };
        self.checker.step(&self.host, &between, self.now)
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
            self.heard.clear();
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
