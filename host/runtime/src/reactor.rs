//! Runs the core: feeds it inputs one at a time and carries out its effects. In a live host this is a thread
//! of its own, and whatever takes time runs beside it and comes back as an input. In a host that is stepped,
//! everything is done at once and in order, so that the same steps give the same decisions.

mod work;

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use haggle_control::{Caller, CommitId, Control, Effect, Input, Version};
use haggle_store::{Commit, StoreError};
use tokio::sync::oneshot;

use crate::{
    callers::{Answered, Callers},
    persist,
    shared::Shared,
};

/// What comes to the core.
// Each is taken out and fed at once: a box would cost more than the room it saves.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Mail {
    /// Somebody asks and waits for the answer.
    Ask(Box<dyn FnOnce(Caller) -> Input + Send>, oneshot::Sender<Answered>),
    /// Something has happened.
    Happened(Input),
    /// A commit is not durable, and never will be.
    CommitFailed(CommitId, StoreError),
    /// From now on nobody waits for a verdict that takes a negotiation.
    Release,
    /// The host closes.
    Close,
}

/// The core with everything that it has to do.
pub(crate) struct Reactor {
    control: Control,
    shared: Arc<Shared>,
    callers: Callers,
    /// Whoever waits for a verdict is told to ask for it after the restart.
    releasing: bool,
    version: Version,
    beside: Beside,
    /// Why the commit failed whose effects are being carried out.
    failure: Option<StoreError>,
}

/// Where work runs that takes time.
enum Beside {
    /// At once, before the next input.
    Inline(VecDeque<Mail>),
    /// On other threads; what comes of it arrives as mail.
    Live { mail: Sender<Mail>, commits: Sender<(CommitId, Commit)> },
}

/// The longest time without a look at the clock.
const BEAT: Duration = Duration::from_millis(500);

impl Reactor {
    /// A core that is stepped. `effects` are what it wants done first.
    pub(crate) fn inline(control: Control, shared: Arc<Shared>, effects: Vec<Effect>) -> Self {
        Self::start(control, shared, Beside::Inline(VecDeque::new()), effects)
    }

    /// A core that lives on a thread of its own.
    pub(crate) fn live(
        control: Control,
        shared: Arc<Shared>,
        mail: Sender<Mail>,
        effects: Vec<Effect>,
    ) -> std::io::Result<Self> {
        let (commits, waiting) = std::sync::mpsc::channel();
        let told = mail.clone();
        std::thread::Builder::new()
            .name("commits".to_owned())
            .spawn(move || await_commits(&waiting, &told))?;
        Ok(Self::start(control, shared, Beside::Live { mail, commits }, effects))
    }

    fn start(control: Control, shared: Arc<Shared>, beside: Beside, effects: Vec<Effect>) -> Self {
        let version = control.version();
        let mut reactor = Self {
            control,
            shared,
            callers: Callers::default(),
            releasing: false,
            version,
            beside,
            failure: None,
        };
        reactor.shared.snapshot.store(reactor.control.snapshot());
        reactor.carry_out(effects);
        reactor.settle();
        reactor
    }

    /// Takes mail in until the host closes.
    pub(crate) fn run(mut self, mail: &Receiver<Mail>) {
        loop {
            let now = self.shared.clock.now();
            let due = self.control.next_due(now);
            let pause = due.map_or(BEAT, |due| Duration::from(due.since(now)).min(BEAT));
            let present = Instant::now();
            let late = self.shared.lanes.pass_late(present);
            let pause = late.map_or(pause, |at| at.saturating_duration_since(present).min(pause));
            match mail.recv_timeout(pause) {
                Ok(Mail::Close) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(mail) => self.take(mail),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.tick();
        }
        // Whoever waits is told so.
        self.callers = Callers::default();
    }

    /// Takes one thing in, and everything that follows from it where this host is stepped.
    pub(crate) fn take(&mut self, mail: Mail) {
        self.take_in(mail);
        self.settle();
    }

    fn take_in(&mut self, mail: Mail) {
        match mail {
            Mail::Ask(input, reply) => {
                let caller = self.callers.add(reply);
                self.feed(input(caller));
            }
            Mail::Happened(input) => self.feed(input),
            Mail::CommitFailed(id, cause) => {
                let input = Input::CommitFailed(id, cause.to_string());
                self.failure = Some(cause);
                self.feed(input);
                self.failure = None;
            }
            Mail::Release => {
                self.releasing = true;
                self.release();
            }
            // Whoever waits for it may have gone.
            Mail::Close => {}
        }
    }

    /// Lets time pass for what is due.
    pub(crate) fn tick(&mut self) {
        if self.is_due() {
            self.feed(Input::Tick);
            self.settle();
        }
    }

    fn is_due(&self) -> bool {
        let now = self.shared.clock.now();
        self.control.next_due(now).is_some_and(|due| due <= now)
    }

    fn feed(&mut self, input: Input) {
        let effects = self.control.step(self.shared.clock.now(), input);
        if self.control.version() != self.version {
            self.version = self.control.version();
            self.shared.snapshot.store(self.control.snapshot());
        }
        self.carry_out(effects);
        if self.releasing {
            self.release();
        }
    }

    fn release(&mut self) {
        self.callers.release(&self.control.snapshot());
    }

    /// Takes in what this host has brought about itself, where it is stepped.
    fn settle(&mut self) {
        while let Beside::Inline(queue) = &mut self.beside {
            match queue.pop_front() {
                Some(mail) => self.take_in(mail),
                // While the store fails, this waits for a later tick.
                None if self.control.can_open_window() && self.is_due() => self.feed(Input::Tick),
                None => return,
            }
        }
    }

    /// Something has happened that this thread has brought about.
    fn note(&mut self, input: Input) {
        self.post(Mail::Happened(input));
    }

    fn post(&mut self, mail: Mail) {
        match &mut self.beside {
            Beside::Inline(queue) => queue.push_back(mail),
            // The receiver is this reactor.
            Beside::Live { mail: own, .. } => drop(own.send(mail)),
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Commit { id, writes } => {
                    for write in &writes {
                        self.shared.metrics.write(write);
                    }
                    self.commit(id, persist::batch(writes));
                }
                Effect::Consult(consultation) => self.consult(consultation),
                Effect::Deliver { endpoint, message } => self.deliver(endpoint, *message),
                Effect::Answer { caller, answer } => {
                    self.callers.answer(caller, answer, self.failure.as_ref());
                }
                Effect::Actuate(action) => self.actuate(action),
                Effect::Forget(service) => {
                    self.shared.forget(&service);
                    let shared = Arc::clone(&self.shared);
                    self.beside_driver(async move { shared.driver.forget(service).await });
                }
                Effect::Promote { plugin, current, previous } => {
                    self.shared.promote(&plugin, current.as_deref(), previous.as_deref());
                }
                Effect::Publish(event) => self.shared.events.emit(event),
            }
        }
    }

    fn commit(
        &mut self,
        id: CommitId,
        batch: Result<haggle_store::Batch, haggle_store::StoreError>,
    ) {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => return self.post(Mail::CommitFailed(id, error)),
        };
        let commit = self.shared.store.commit(batch);
        match &mut self.beside {
            Beside::Inline(_) => {
                let mail = outcome(id, commit);
                self.post(mail);
            }
            Beside::Live { commits, .. } => drop(commits.send((id, commit))),
        }
    }
}

/// Waits for commits in their order and tells what became of each.
fn await_commits(waiting: &Receiver<(CommitId, Commit)>, mail: &Sender<Mail>) {
    while let Ok((id, commit)) = waiting.recv() {
        if mail.send(outcome(id, commit)).is_err() {
            return;
        }
    }
}

fn outcome(id: CommitId, commit: Commit) -> Mail {
    match commit.wait() {
        Ok(_) => Mail::Happened(Input::Committed(id)),
        Err(error) => Mail::CommitFailed(id, error),
    }
}
