//! Group commit: one thread takes everything that waits, applies it as one batch, flushes once, and
//! then acknowledges all of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Receipt, StoreError, StoreOptions,
    commit::Acknowledge,
    engine::Engine,
    journal, log,
    pages::Pages,
    queue::{Queue, Submission, Work},
    view::{Layer, View},
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
    pages: Pages,
    next: BTreeMap<u8, u64>,
    journal: journal::Limits,
    patience: Duration,
    least_flush: Duration,
    /// Whether something is applied that is not flushed.
    dirty: bool,
}

/// A batch that was carried out, and who waits for it.
type Done = (Option<Acknowledge>, Receipt);

impl Marks {
    /// The first number of the log that is not durable.
    pub(crate) fn of(&self, log: u8) -> u64 {
        let marks = self.0.read().unwrap_or_else(PoisonError::into_inner);
        marks.get(&log).copied().unwrap_or(log::FIRST)
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
        let mut pages = Pages::open(&*engine)?;
        let recounted = journal::recount(&*engine)?;
        if !recounted.is_empty() {
            engine.apply(pages.stage(&*engine, recounted)?)?;
        }
        let next = log::next_numbers(&*engine)?;
        // What a recovery found is durable.
        marks.publish(&next);
        Ok(Self {
            engine,
            queue,
            marks,
            pages,
            next,
            journal: journal::Limits { bytes: options.journal_bytes, calls: options.journal_calls },
            patience: options.lazy_flush.into(),
            least_flush: options.least_flush.into(),
            dirty: false,
        })
    }

    /// Works until the queue is closed and empty, or a write fails.
    pub(crate) fn run(mut self) {
        // However this thread ends, whoever waits is told: closing after a good end changes nothing.
        struct End(Arc<Queue>);
        impl Drop for End {
            fn drop(&mut self) {
                self.0.poison(&StoreError::Closed);
            }
        }
        let _end = End(Arc::clone(&self.queue));
        loop {
            let outcome = match self.queue.take(self.dirty.then_some(self.patience)) {
                Work::Write(submissions) => self.write(submissions),
                Work::Idle => self.flush(),
                Work::End if self.dirty => self.flush(),
                Work::End => return,
            };
            if let Err(error) = outcome {
                tracing::error!(%error, "the store cannot write");
                self.queue.poison(&error);
                return;
            }
        }
    }

    fn write(&mut self, submissions: Vec<Submission>) -> Result<(), StoreError> {
        let (layer, done) = self.carry_out(submissions);
        let result = self.apply(layer).and_then(|()| {
            if done.iter().any(|(acknowledge, _)| acknowledge.is_some()) {
                self.flush()?;
            }
            Ok(())
        });
        for (acknowledge, receipt) in done {
            if let Some(acknowledge) = acknowledge {
                acknowledge.send(result.clone().map(|()| receipt));
            }
        }
        result
    }

    /// Carries batches out one by one. One that fails leaves no trace, and the others alone.
    fn carry_out(&self, submissions: Vec<Submission>) -> (Layer, Vec<Done>) {
        let mut layer = Layer::default();
        let mut done = Vec::with_capacity(submissions.len());
        for Submission { operations, acknowledge } in submissions {
            let mut view = View::new(&*self.engine, &self.next, &layer);
            match view.run(operations) {
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

    fn apply(&mut self, mut layer: Layer) -> Result<(), StoreError> {
        let mut view = View::new(&*self.engine, &self.next, &layer);
        journal::retain(&mut view, self.journal)?;
        let top = view.into_layer();
        layer.absorb(top);
        let mut next = self.next.clone();
        for (tag, records) in layer.appended {
            let next = next.entry(tag).or_insert(log::FIRST);
            *next = log::stage(&mut layer.values, tag, *next, &records);
        }
        if layer.values.is_empty() {
            return Ok(());
        }
        let batch = self.pages.stage(&*self.engine, layer.values)?;
        self.engine.apply(batch)?;
        self.next = next;
        self.dirty = true;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.dirty {
            let started = Instant::now();
            self.engine.flush()?;
            thread::sleep(self.least_flush.saturating_sub(started.elapsed()));
            self.dirty = false;
            self.marks.publish(&self.next);
        }
        Ok(())
    }
}
