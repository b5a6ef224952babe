//! Runs the core: feeds it one input at a time and carries out its effects. In a live host it has its own
//! thread; slow work runs on other threads and comes back as an input. In a stepped host all work is
//! synchronous and in order, so that the same steps give the same decisions.

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
use haggle_store::{Batch, Chain, Commit, StoreError};
use tokio::sync::oneshot;

use crate::{
    callers::{Answered, Callers},
    persist,
    shared::Shared,
};

/// A message to the core.
// Each message is consumed at once, so boxing would cost more than the space it saves.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Mail {
    /// A request whose caller waits for the answer.
    Ask(Box<dyn FnOnce(Caller) -> Input + Send>, oneshot::Sender<Answered>),
    /// An event.
    Happened(Input),
    /// A commit that failed permanently.
    CommitFailed(CommitId, StoreError),
    /// Stop waiting for verdicts that need a negotiation.
    Release,
    /// The host is closing.
    Close,
}

/// The core and the state that carries out its effects.
pub(crate) struct Reactor {
    control: Control,
    shared: Arc<Shared>,
    callers: Callers,
    /// Whether callers that wait for a verdict are told to ask again after the restart.
    releasing: bool,
    version: Version,
    beside: Beside,
    /// The error of the failed commit whose effects are being carried out.
    failure: Option<StoreError>,
    /// The chain of the current commits, and the first of them. The core undoes all steps after a failed
    /// commit, so none of their commits may become durable.
    chain: Option<(CommitId, Chain)>,
}

/// Where slow work runs.
enum Beside {
    /// Synchronously, before the next input.
    Inline(VecDeque<Mail>),
    /// On other threads; the result arrives as mail.
    Live { mail: Sender<Mail>, commits: Sender<(CommitId, Commit)> },
}

/// Maximum time between two checks of the clock.
const BEAT: Duration = Duration::from_millis(500);

impl Reactor {
    /// Creates a stepped reactor. `effects` are carried out first.
    pub(crate) fn inline(control: Control, shared: Arc<Shared>, effects: Vec<Effect>) -> Self {
        Self::start(control, shared, Beside::Inline(VecDeque::new()), effects)
    }

    /// Creates a live reactor, which runs on its own thread.
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
            chain: None,
        };
        reactor.shared.snapshot.store(reactor.control.snapshot());
        reactor.carry_out(effects);
        reactor.settle();
        reactor
    }

    /// Processes mail until the host closes.
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
        // Dropping the callers answers all that still wait.
        self.callers = Callers::default();
    }

    /// Processes one message and, in a stepped host, everything that follows from it.
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
                self.chain.take_if(|(first, _)| *first <= id);
                let input = Input::CommitFailed(id, cause.to_string());
                self.failure = Some(cause);
                self.feed(input);
                self.failure = None;
            }
            Mail::Release => {
                self.releasing = true;
                self.release();
            }
            // The waiting caller may have disconnected.
            Mail::Close => {}
        }
    }

    /// Feeds a tick if something is due.
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

    /// Processes the mail that a stepped host has sent to itself.
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

    /// Posts an event that this thread has caused.
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
        let mut actions = Vec::new();
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
                Effect::Actuate(action) => actions.push(action),
                Effect::Forget(service) => {
                    self.actuate(std::mem::take(&mut actions));
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
        self.actuate(actions);
    }

    fn commit(&mut self, id: CommitId, batch: Result<Batch, StoreError>) {
        let (_, chain) = self.chain.get_or_insert_with(|| (id, Chain::new()));
        // Even a batch that cannot be encoded is submitted, so that its failure is reported after the outcome
        // of the earlier ones.
        let batch = batch.unwrap_or_else(|error| {
            chain.fail(error);
            Batch::new()
        });
        let commit = self.shared.store.commit_in(chain, batch);
        match &mut self.beside {
            Beside::Inline(_) => {
                let mail = outcome(id, commit);
                self.post(mail);
            }
            Beside::Live { commits, .. } => drop(commits.send((id, commit))),
        }
    }
}

/// Waits for commits in order and reports each outcome.
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
