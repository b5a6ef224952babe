//! Group commit: one thread takes everything that waits, applies it as one batch, flushes once, and
//! then acknowledges all of it. After a failed write it opens the engine again, and tries until it can write.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Receipt, StoreError, StoreOptions,
    apply::apply,
    commit::Acknowledge,
    commit_number,
    engine::Engine,
    journal, log,
    pages::Pages,
    queue::{Queue, Submission, Work},
    view::{FIRST, Layer, Values, View},
};

/// How far each log (by its tag) is durable: the number of its next record. Readers of logs see nothing
/// from there on, so that a number that somebody has seen is never given to another record.
#[derive(Debug, Default)]
pub(crate) struct Marks(RwLock<BTreeMap<u8, u64>>);

/// The only one who writes.
pub(crate) struct Writer {
    engine: Arc<dyn Engine>,
    queue: Arc<Queue>,
    marks: Arc<Marks>,
    ends: Ends,
    journal: journal::Limits,
    patience: Duration,
    least_flush: Duration,
    /// Whether something is applied that is not flushed.
    dirty: bool,
    /// Whether the engine can be used: not from a failed write on until it is opened again.
    is_open: bool,
    undecided: Option<Undecided>,
}

/// A failed write of which it is not known yet whether it has reached the disk.
struct Undecided {
    done: Vec<Done>,
    /// Its number; none if the engine was not even asked to write it.
    number: Option<u64>,
    cause: StoreError,
}

/// Where what is written goes on; read from the engine when it is opened.
struct Ends {
    pages: Pages,
    /// The next record of each log.
    next: BTreeMap<u8, u64>,
    /// The number of the last write.
    write: u64,
}

/// A batch that was carried out, and who waits for it.
type Done = (Option<Acknowledge>, Receipt);

/// Between two attempts to write again after a failed write: at first, and at most. It doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Ends {
    fn read(engine: &dyn Engine) -> Result<Self, StoreError> {
        let mut pages = Pages::open(engine)?;
        let recounted = journal::recount(engine)?;
        if !recounted.is_empty() {
            engine.apply(pages.stage(engine, recounted)?)?;
        }
        let write = engine.get(commit_number::KEY)?;
        let write = write.and_then(|value| commit_number::decode(&value)).unwrap_or(0);
        Ok(Self { pages, next: log::next_numbers(engine)?, write })
    }
}

impl Marks {
    /// The first number of the log that is not durable.
    pub(crate) fn of(&self, log: u8) -> u64 {
        let marks = self.0.read().unwrap_or_else(PoisonError::into_inner);
        marks.get(&log).copied().unwrap_or(FIRST)
    }

    fn publish(&self, next: &BTreeMap<u8, u64>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clone_from(next);
    }
}

impl Writer {
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        queue: Arc<Queue>,
        marks: Arc<Marks>,
        options: &StoreOptions,
    ) -> Result<Self, StoreError> {
        let ends = Ends::read(&*engine)?;
        // What a recovery found is durable.
        marks.publish(&ends.next);
        if let Err(error) = engine.check_room() {
            queue.refuse(&error);
        }
        Ok(Self {
            engine,
            queue,
            marks,
            ends,
            journal: journal::Limits { bytes: options.journal_bytes, calls: options.journal_calls },
            patience: options.lazy_flush.into(),
            least_flush: options.least_flush.into(),
            dirty: false,
            is_open: true,
            undecided: None,
        })
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        // However this thread ends, whoever waits is told: closing after a good end changes nothing.
        struct End(Arc<Queue>);
        impl Drop for End {
            fn drop(&mut self) {
                self.0.refuse(&StoreError::Closed);
            }
        }
        let _end = End(Arc::clone(&self.queue));
        if let Some(error) = self.queue.refusing() {
            tracing::error!(%error, "the store takes no writes yet");
            if !self.recover() {
                return;
            }
        }
        loop {
            let works = match self.queue.take(self.dirty.then_some(self.patience)) {
                Work::Write(submissions) => self.write(submissions),
                Work::Idle => self.flush().map_err(|cause| drop(self.fall_back(&cause))).is_ok(),
                // The end of the process takes back what is not flushed, as it would have anyway.
                Work::End if self.dirty => return drop(self.flush()),
                Work::End => return,
            };
            if !works && !self.recover() {
                return;
            }
        }
    }

    /// Writes batches and answers whoever waits for them; whether that has worked.
    fn write(&mut self, submissions: Vec<Submission>) -> bool {
        let (layer, done) = self.carry_out(submissions);
        let waited_for = done.iter().any(|(acknowledge, _)| acknowledge.is_some());
        let before = self.ends.write;
        let written = self.apply(layer, done.len() as u64);
        let number = self.ends.write;
        // Whether the engine had to write at all.
        let asked = written.is_ok() || number > before;
        let written = written.and_then(|()| if waited_for { self.flush() } else { Ok(()) });
        let Err(cause) = written else {
            answer(done, &Ok(()));
            return true;
        };
        let opened = self.fall_back(&cause);
        self.undecided = Some(Undecided { done, number: asked.then_some(number), cause });
        self.decide(&opened);
        false
    }

    /// Answers whoever waits for the write that has failed, once the engine is open and shows what became of it.
    /// Until then nobody knows: whoever was told that it has not happened would be wrong if it had.
    fn decide(&mut self, opened: &Result<(), StoreError>) {
        let Some(Undecided { done, number, cause }) = self.undecided.take() else { return };
        match (opened, number) {
            // It has reached the disk all the same.
            (Ok(()), Some(number)) if self.ends.write >= number => answer(done, &Ok(())),
            (Ok(()), _) | (Err(_), None) => answer(done, &Err(refusal(&cause))),
            (Err(lost @ StoreError::Lost(_)), _) => answer(done, &Err(refusal(lost))),
            (Err(_), number) => self.undecided = Some(Undecided { done, number, cause }),
        }
    }

    /// Opens the engine again after a failed write, so that it has what is durable and nothing else, and takes no
    /// writes from now on.
    fn fall_back(&mut self, cause: &StoreError) -> Result<(), StoreError> {
        self.dirty = false;
        self.queue.refuse(&refusal(cause));
        tracing::error!(error = %cause, "the store takes no writes until it can write again");
        let opened = self.open_again();
        if let Err(error) = &opened {
            tracing::error!(%error, "the store cannot be opened again yet");
            self.queue.refuse(&refusal(error));
        }
        opened
    }

    /// Opens the engine again and takes up where it is.
    fn open_again(&mut self) -> Result<(), StoreError> {
        self.is_open = false;
        self.engine.reopen()?;
        self.ends = Ends::read(&*self.engine)?;
        if self.engine.acknowledged().unwrap_or(0) != self.ends.write {
            // It has a write whose flush failed.
            self.engine.flush()?;
            self.acknowledge();
        }
        self.marks.publish(&self.ends.next);
        self.is_open = true;
        Ok(())
    }

    /// Tries until writing works again, or the queue is closed; whether it is not closed.
    fn recover(&mut self) -> bool {
        let mut pause = FIRST_PAUSE;
        while self.queue.pause(pause) {
            pause = (pause * 2).min(LONGEST_PAUSE);
            match self.try_again() {
                Ok(()) => {
                    tracing::info!("the store writes again");
                    self.queue.accept();
                    return true;
                }
                Err(error) => self.queue.refuse(&refusal(&error)),
            }
        }
        false
    }

    fn try_again(&mut self) -> Result<(), StoreError> {
        if !self.is_open {
            let opened = self.open_again();
            self.decide(&opened);
            opened?;
        }
        self.engine.check_room()?;
        // It works once it has worked.
        let tried = self.put(BTreeMap::new(), 1).and_then(|()| self.flush());
        if tried.is_err() {
            (self.is_open, self.dirty) = (false, false);
        }
        tried
    }

    /// Carries batches out one by one. One that fails leaves no trace, and the others alone.
    fn carry_out(&self, submissions: Vec<Submission>) -> (Layer, Vec<Done>) {
        let mut layer = Layer::default();
        let mut done = Vec::with_capacity(submissions.len());
        for Submission { operations, acknowledge } in submissions {
            let mut view = View::new(&*self.engine, &self.ends.next, &layer);
            match apply(&mut view, operations) {
                Ok(receipt) => {
                    let top = view.into_layer();
                    layer.absorb(top);
                    done.push((acknowledge, receipt));
                }
                Err(error) => match acknowledge {
                    Some(acknowledge) => acknowledge.send(Err(error)),
                    None => tracing::warn!(%error, "a lazy write was refused"),
                },
            }
        }
        (layer, done)
    }

    /// Applies what `count` batches have written. Where that fails, nothing of it may be built upon.
    fn apply(&mut self, mut layer: Layer, count: u64) -> Result<(), StoreError> {
        let mut view = View::new(&*self.engine, &self.ends.next, &layer);
        journal::retain(&mut view, self.journal)?;
        let top = view.into_layer();
        layer.absorb(top);
        let mut next = self.ends.next.clone();
        for (tag, records) in layer.appended {
            let next = next.entry(tag).or_insert(FIRST);
            *next = log::stage(&mut layer.values, tag, *next, &records);
        }
        if layer.values.is_empty() {
            return Ok(());
        }
        // What only retention has written counts as well.
        self.put(layer.values, count.max(1))?;
        self.ends.next = next;
        Ok(())
    }

    /// Applies values as that many writes.
    fn put(&mut self, values: Values, count: u64) -> Result<(), StoreError> {
        let mut batch = self.ends.pages.stage(&*self.engine, values)?;
        // Before it is applied: whoever looks afterwards whether it is there has to know its number.
        self.ends.write += count;
        let number = commit_number::encode(self.ends.write);
        batch.push((commit_number::KEY.to_vec(), Some(number)));
        self.engine.apply(batch)?;
        self.dirty = true;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.dirty {
            let started = Instant::now();
            self.engine.flush()?;
            thread::sleep(self.least_flush.saturating_sub(started.elapsed()));
            self.dirty = false;
            self.acknowledge();
            self.marks.publish(&self.ends.next);
        }
        Ok(())
    }

    /// Notes what is durable. It must not fail what is durable already: the note is behind then, which only means
    /// that a loss of what lies between would not be noticed.
    fn acknowledge(&self) {
        if let Err(error) = self.engine.acknowledge(self.ends.write) {
            tracing::warn!(%error, "it is not noted how far writes are durable");
        }
    }
}

fn answer(done: Vec<Done>, outcome: &Result<(), StoreError>) {
    for (acknowledge, receipt) in done {
        if let Some(acknowledge) = acknowledge {
            acknowledge.send(outcome.clone().map(|()| receipt));
        }
    }
}

/// What whoever wants to write is told while that cannot be done.
fn refusal(cause: &StoreError) -> StoreError {
    match cause {
        StoreError::Full { .. } | StoreError::Unavailable(_) => cause.clone(),
        other => StoreError::Unavailable(other.to_string()),
    }
}
