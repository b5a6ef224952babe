//! Group commit: one thread takes all waiting batches, applies them as one, flushes once, and then
//! acknowledges all of them. After a failed write it reopens the engine, and retries until it can write.

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

/// The next durable number of each log, by tag. Readers see only records below it, so that a number that was
/// read is never assigned to another record.
#[derive(Debug, Default)]
pub(crate) struct Marks(RwLock<BTreeMap<u8, u64>>);

/// The only writer.
pub(crate) struct Writer {
    engine: Arc<dyn Engine>,
    queue: Arc<Queue>,
    marks: Arc<Marks>,
    ends: Ends,
    journal: journal::Limits,
    patience: Duration,
    least_flush: Duration,
    /// Whether applied writes are not yet flushed.
    dirty: bool,
    /// Whether the engine is usable. A failed write makes it unusable until it is reopened.
    is_open: bool,
    undecided: Option<Undecided>,
}

/// A failed write that may nevertheless have reached the disk.
struct Undecided {
    done: Vec<Done>,
    /// The number of the write; `None` if the engine did not try to write it.
    number: Option<u64>,
    cause: StoreError,
}

/// The positions for the next writes, read from the engine when it is opened.
struct Ends {
    pages: Pages,
    /// The next record number of each log.
    next: BTreeMap<u8, u64>,
    /// The number of the last write.
    write: u64,
}

/// An applied batch with its acknowledgement.
type Done = (Option<Acknowledge>, Receipt);

/// The first and the longest pause between two attempts to write again. The pause doubles each time.
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
    /// Returns the first number of the log that is not durable.
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
        // Everything that a recovery found is durable.
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

    /// Runs until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        // However this thread ends, waiting callers get an answer; after a regular end this has no effect.
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
                // If this fails, the end of the process reverts the unflushed writes anyway.
                Work::End if self.dirty => return drop(self.flush()),
                Work::End => return,
            };
            if !works && !self.recover() {
                return;
            }
        }
    }

    /// Writes batches and answers the callers that wait for them. Returns whether that succeeded.
    fn write(&mut self, submissions: Vec<Submission>) -> bool {
        let (layer, done) = self.carry_out(submissions);
        let waited_for = done.iter().any(|(acknowledge, _)| acknowledge.is_some());
        let before = self.ends.write;
        let written = self.apply(layer, done.len() as u64);
        let number = self.ends.write;
        // Whether the engine tried to write.
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

    /// Answers the callers that wait for the failed write, once the engine is open and shows the outcome. An
    /// earlier answer could be wrong.
    fn decide(&mut self, opened: &Result<(), StoreError>) {
        let Some(Undecided { done, number, cause }) = self.undecided.take() else { return };
        match (opened, number) {
            // The write has reached the disk nevertheless.
            (Ok(()), Some(number)) if self.ends.write >= number => answer(done, &Ok(())),
            (Ok(()), _) | (Err(_), None) => answer(done, &Err(refusal(&cause))),
            (Err(lost @ StoreError::Lost(_)), _) => answer(done, &Err(refusal(lost))),
            (Err(_), number) => self.undecided = Some(Undecided { done, number, cause }),
        }
    }

    /// Reopens the engine after a failed write, so that it has exactly what is durable, and refuses further
    /// writes.
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

    /// Reopens the engine and reads its positions.
    fn open_again(&mut self) -> Result<(), StoreError> {
        self.is_open = false;
        self.engine.reopen()?;
        self.ends = Ends::read(&*self.engine)?;
        if self.engine.acknowledged().unwrap_or(0) != self.ends.write {
            // The engine contains a write whose flush failed.
            self.engine.flush()?;
            self.acknowledge();
        }
        self.marks.publish(&self.ends.next);
        self.is_open = true;
        Ok(())
    }

    /// Retries until a write succeeds or the queue is closed. Returns `false` if it is closed.
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
        // A successful write proves that writing works.
        let tried = self.put(BTreeMap::new(), 1).and_then(|()| self.flush());
        if tried.is_err() {
            (self.is_open, self.dirty) = (false, false);
        }
        tried
    }

    /// Applies batches one by one. A failing batch leaves no trace and does not affect the others.
    fn carry_out(&self, submissions: Vec<Submission>) -> (Layer, Vec<Done>) {
        let mut layer = Layer::default();
        let mut done = Vec::with_capacity(submissions.len());
        for Submission { operations, acknowledge } in submissions {
            let mut view = View::new(&*self.engine, &self.ends.next, &layer);
            let failed = acknowledge.as_ref().and_then(Acknowledge::failed_before);
            match failed.map_or_else(|| apply(&mut view, operations), Err) {
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

    /// Applies the writes of `count` batches. If this fails, the result must not be used.
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
        // A write of retention alone also counts.
        self.put(layer.values, count.max(1))?;
        self.ends.next = next;
        Ok(())
    }

    /// Applies values as `count` writes.
    fn put(&mut self, values: Values, count: u64) -> Result<(), StoreError> {
        let mut batch = self.ends.pages.stage(&*self.engine, values)?;
        // Increment first: checking afterwards whether the write is there requires its number.
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

    /// Records up to where writes are durable. A failure here must not fail durable writes: the record is
    /// then behind, so only a loss of the writes in between would go unnoticed.
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

/// The error for callers that want to write while the store refuses writes.
fn refusal(cause: &StoreError) -> StoreError {
    match cause {
        StoreError::Full { .. } | StoreError::Unavailable(_) => cause.clone(),
        other => StoreError::Unavailable(other.to_string()),
    }
}
