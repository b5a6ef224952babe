//! One run: the core, a disk, plugins, parties, a driver, a network and a clock, driven by one queue.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use haggle_control::{Caller, CommitId, Effect, Input};
use haggle_model::{Decision, Span, Timestamp};
use haggle_negotiate::{Content, Message, Party};

use crate::{
    chance::Chance,
    checker::{Check, Checker, fail},
    disk::{Commit, Disk},
    driver::Driver,
    loads::Loads,
    options::Options,
    participant::Participant,
    plan::Plan,
    report::{Fnv, Rule, Tally},
    script::{Happening, MOST_STALL, Script},
    subject::Subject,
    world::{INTERVAL, Shape, World},
};

mod effects;
mod passes;
mod script_events;
mod store;
mod text;

use text::{brief_effect, brief_input};

/// The result of a run, with any violation at its last step.
pub(crate) struct Ran {
    pub(crate) tally: Tally,
    pub(crate) trace: Vec<String>,
    pub(crate) violation: Option<(Rule, String)>,
    /// The number of entries in its script.
    pub(crate) happenings: usize,
    /// The decisions that became durable.
    pub(crate) decisions: Vec<Decision>,
    /// The time on the host's clock at the end.
    pub(crate) ended: Timestamp,
}

#[derive(Debug)]
enum Event {
    /// The next document of the setup.
    Setup(usize),
    Pass(u64),
    Happen(usize),
    Wake,
    Consulted {
        epoch: u64,
        answers: Vec<(Message, Result<Content, String>)>,
    },
    /// A message arrives at a remote party.
    Arrive(Box<Message>),
    /// A reply arrives at the host, on a connection that a crash closes.
    Reply {
        epoch: u64,
        input: Box<Input>,
    },
    /// A message arrives at the host, on its own connection.
    Said(Box<Message>),
    Write {
        epoch: u64,
    },
    Acknowledge {
        epoch: u64,
        id: CommitId,
    },
    Refuse {
        epoch: u64,
        id: CommitId,
    },
    Up,
}

struct Run<'a, S> {
    options: &'a Options,
    plan: &'a Plan,
    chance: Chance,
    shape: Shape,
    setup: Vec<haggle_control::Change>,
    loads: Vec<(haggle_model::Name, Loads)>,
    script: Script,
    subject: S,
    up: bool,
    /// The number of crashes so far. It identifies the current life of the host.
    epoch: u64,
    queue: BTreeMap<(Timestamp, u64), Event>,
    events: u64,
    /// The simulation time; the host's clock shows another.
    now: Timestamp,
    /// The offset of the host's clock, in milliseconds.
    ahead: i64,
    wake: Option<Timestamp>,
    disk: Disk,
    last_write: Timestamp,
    fails_until: Timestamp,
    stalls_until: Timestamp,
    /// The pending crash: the number of effects before it, and the downtime after it.
    crash: Option<(u32, Span)>,
    parties: BTreeMap<Party, Participant>,
    driver: Driver,
    callers: u64,
    checker: Checker,
    tally: Tally,
    digest: Fnv,
    trace: Option<Vec<String>>,
}

/// The initial time on the host's clock: ten days after the epoch, so that the clock can jump back.
const BEGIN: u64 = 864_000_000;

/// A limit that exceeds the steps of any run.
const MOST_STEPS: u64 = 1_000_000;

/// Every acknowledged commit divisible by this number is restored from disk and compared.
const COMPARED: u64 = 64;

pub(crate) fn run<S: Subject>(
    options: &Options,
    seed: u64,
    plan: &Plan,
    subject: S,
    record: bool,
) -> Ran {
    run_in(options, seed, plan, subject, record, Shape::Whole)
}

/// Runs a world of a certain shape. In a world of two halves, the script contains only scaling requests and
/// cancellations.
pub(crate) fn run_in<S: Subject>(
    options: &Options,
    seed: u64,
    plan: &Plan,
    subject: S,
    record: bool,
    shape: Shape,
) -> Ran {
    let chance = Chance::new(seed);
    let world = World::random(options, chance, shape);
    let mut script = Script::random(options, &world, chance);
    if shape == Shape::Halves {
        let asks = |happening: &Happening| {
            matches!(happening, Happening::Request(_) | Happening::Cancel { .. })
        };
        script.happenings.retain(|(_, happening)| asks(happening));
    }
    let steady = if plan.moves { options.passes * 7 / 10 } else { 0 };
    let loads = world.services.iter().enumerate().map(|(number, service)| {
        (service.name.clone(), Loads::random(number, options.passes, steady, chance))
    });
    let happenings = script.happenings.len();
    let mut run = Run {
        options,
        plan,
        chance,
        shape,
        setup: world.changes(),
        loads: loads.collect(),
        script,
        subject,
        up: false,
        epoch: 0,
        queue: BTreeMap::new(),
        events: 0,
        now: Timestamp::default(),
        ahead: 0,
        wake: None,
        disk: Disk::default(),
        last_write: Timestamp::default(),
        fails_until: Timestamp::default(),
        stalls_until: Timestamp::default(),
        crash: None,
        parties: BTreeMap::new(),
        driver: Driver::default(),
        callers: 0,
        checker: Checker::default(),
        tally: Tally::default(),
        digest: Fnv::default(),
        trace: record.then(Vec::new),
    };
    let default = haggle_model::ScalingPolicy::default();
    run.checker.books.policies.insert(default.name.clone(), default);
    let violation = match catch_unwind(AssertUnwindSafe(|| run.all())) {
        Ok(check) => check.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Some((Rule::Panic, text.unwrap_or("it panics").to_owned()))
        }
    };
    run.tally.digest = run.digest.0;
    let ended = run.clock();
    let Run { tally, trace, disk, .. } = run;
    let (trace, decisions) = (trace.unwrap_or_default(), disk.log);
    Ran { tally, trace, violation, happenings, decisions, ended }
}

impl<S: Subject> Run<'_, S> {
    fn all(&mut self) -> Check {
        self.start()?;
        self.schedule(Span::ZERO, Event::Setup(0));
        for pass in 0..self.options.passes {
            let at = INTERVAL.as_millis() * pass + 1500;
            self.schedule(Span::from_millis(at), Event::Pass(pass));
        }
        for number in 0..self.script.happenings.len() {
            if let Some((at, _)) = self.script.happenings.get(number)
                && self.plan.has(number)
            {
                self.schedule(at.since(self.now), Event::Happen(number));
            }
        }
        while let Some(((at, _), event)) = self.queue.pop_first() {
            self.now = at;
            self.take(event)?;
            self.checker.callers.check(self.now)?;
            self.wake_in_time();
            if self.tally.steps > MOST_STEPS {
                return fail(Rule::Rest, "the run does not come to rest".into());
            }
        }
        self.rest()
    }

    /// Checks that nothing is left open at the end.
    fn rest(&mut self) -> Check {
        let open = self.subject.newest().open_sessions();
        if open > 0 {
            return fail(Rule::Rest, format!("{open} negotiation(s) are open"));
        }
        if !self.checker.callers.is_empty() {
            return fail(Rule::Rest, "somebody waits".into());
        }
        Ok(())
    }

    fn take(&mut self, event: Event) -> Check {
        match event {
            Event::Setup(place) => self.set_up(place),
            Event::Pass(pass) => self.pass(pass),
            Event::Happen(number) => self.happen(number),
            Event::Wake => {
                self.wake = None;
                match self.subject.next_due(self.clock()) {
                    Some(due) if self.up && due <= self.clock() => self.feed(Input::Tick),
                    _ => Ok(()),
                }
            }
            Event::Consulted { epoch, answers } if epoch == self.epoch => {
                self.feed(Input::Consulted(answers))
            }
            Event::Arrive(message) => {
                self.arrive(&message);
                Ok(())
            }
            Event::Reply { epoch, input } if epoch == self.epoch => self.feed(*input),
            Event::Said(message) if self.up => {
                let caller = self.caller(Span::ZERO);
                self.feed(Input::Message { caller, message })
            }
            Event::Write { epoch } if epoch == self.epoch => self.write(),
            Event::Acknowledge { epoch, id } if epoch == self.epoch => self.acknowledge(id),
            Event::Refuse { epoch, id } if epoch == self.epoch => self.refuse(id),
            Event::Up => self.start(),
            _ => Ok(()),
        }
    }

    /// Passes an input to the core, checks the result, and carries out the effects.
    fn feed(&mut self, input: Input) -> Check {
        if !self.up {
            return Ok(());
        }
        self.tally.steps += 1;
        self.note_causes(&input);
        self.say(|| brief_input(&input));
        let (now, settles) = (self.clock(), matches!(input, Input::Committed(_)));
        let fails = matches!(input, Input::CommitFailed(..));
        let asks = matches!(input, Input::Reclaim { .. } | Input::Change { .. });
        self.checker.books.latest = self.checker.books.latest.max(now);
        let effects = self.subject.step(now, input);
        self.digest.add(&self.now.as_millis().to_le_bytes());
        self.digest.add(&(effects.len() as u64).to_le_bytes());
        let newest = self.subject.newest();
        if asks {
            self.checker.books.taken_in(self.callers, newest.now());
        }
        if fails {
            self.checker.undone(&self.disk);
            let snapshot = self.subject.snapshot();
            if let Err(text) = snapshot.same_durable(newest) {
                return fail(Rule::Undone, text);
            }
        }
        let writes = effects.iter().find_map(|effect| match effect {
            Effect::Commit { writes, .. } => Some(writes.as_slice()),
            _ => None,
        });
        self.checker.stepped(newest, writes.unwrap_or_default())?;
        if settles && self.disk.written().is_none() {
            self.checker.settled(&self.subject.snapshot(), &self.disk)?;
        }
        self.carry_out(effects)
    }

    /// The time on the host's clock.
    fn clock(&self) -> Timestamp {
        self.clock_at(self.now)
    }

    fn clock_at(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_millis((BEGIN + at.as_millis()).saturating_add_signed(self.ahead))
    }

    /// Creates a caller that waits this long, plus the maximum delay of the store.
    fn caller(&mut self, patience: Span) -> Caller {
        self.callers += 1;
        let slack = Span::from_millis(MOST_STALL.as_millis() * 2 + 3000);
        self.checker.callers.asks(self.callers, self.now + patience + slack);
        Caller(self.callers)
    }

    fn wake_in_time(&mut self) {
        if !self.up {
            return;
        }
        let Some(due) = self.subject.next_due(self.clock()) else { return };
        let after = Span::from_millis(due.since(self.clock()).as_millis().max(1));
        let at = self.now + after;
        if self.wake.is_none_or(|wake| at < wake || wake < self.now) {
            self.wake = Some(at);
            self.schedule(after, Event::Wake);
        }
    }

    fn schedule(&mut self, after: Span, event: Event) {
        self.events += 1;
        self.queue.insert((self.now + after, self.events), event);
    }

    fn say(&mut self, line: impl FnOnce() -> String) {
        let (now, clock, step) = (self.now, self.clock(), self.tally.steps);
        if let Some(trace) = &mut self.trace {
            let line = line();
            trace.push(format!("{:>8}ms {clock} #{step:<4} {line}", now.as_millis()));
        }
    }

    fn crash(&mut self, down: Span) -> Check {
        self.say(|| format!("host: crashes for {down}"));
        self.tally.crashes += 1;
        self.epoch += 1;
        self.up = false;
        self.wake = None;
        self.lose()?;
        self.schedule(down, Event::Up);
        Ok(())
    }
}
