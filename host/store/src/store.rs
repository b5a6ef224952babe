use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use haggle_model::{Timestamp, Window};

use crate::{
    Artefacts, Batch, CallRecord, Chain, Commit, Digest, Entry, Faults, JournalSize, Kind, Log,
    Loss, Memory, Receipt, Records, Sample, SeriesKey, StoreError, StoreOptions,
    admission::Admission,
    directory::Directory,
    engine::{Disk, Engine, Failing, MemoryEngine},
    journal, key,
    kind::{decode_value, encode_key},
    log::{self, RawRecords},
    pages,
    queue::Queue,
    samples,
    sequences::Sequences,
    writer::{Marks, Writer},
};

/// The durable state of one host. All methods are thread-safe.
///
/// # Visibility
///
/// - Batches are applied atomically, in the order of submission. Reads see a batch from then on, some
///   milliseconds before it is durable and acknowledged. To read one's own write, wait for its [`Commit`].
/// - A single read sees a state between two batches. An iteration may see a part of a batch that is applied
///   while it runs.
/// - Logs and the journal show only durable records, so a number that a caller has read is never assigned to
///   another record.
/// - After a failed write the store reverts to what is durable. Until it can write again, it refuses writes
///   ([`Store::trouble`]); reads still work.
pub struct Store {
    engine: Arc<dyn Engine>,
    queue: Arc<Queue>,
    marks: Arc<Marks>,
    sequences: Sequences,
    admission: Admission,
    /// Where the pruning of samples continues.
    pruning: Mutex<Option<Vec<u8>>>,
    artefacts: Artefacts,
    loss: Option<Loss>,
    writer: Option<JoinHandle<()>>,
}

/// The result of one pruning step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Number of deleted engine records: hours of series, or blocks of a log.
    pub removed: u64,
    /// Whether nothing is left to prune; otherwise the next step continues.
    pub done: bool,
}

/// Maximum number of records that a pruning step visits or deletes.
const ROUND: usize = 1000;

impl Store {
    /// Opens the data directory, or creates it. If the disk is full, an existing store opens for reading, and
    /// accepts writes once there is room.
    ///
    /// # Errors
    /// [`StoreError::Setting`], [`StoreError::InUse`], [`StoreError::NotPrivate`], [`StoreError::NewerSchema`],
    /// [`StoreError::OlderSchema`], [`StoreError::Lost`], [`StoreError::Corrupt`], [`StoreError::Full`] or
    /// [`StoreError::Io`].
    pub fn open(dir: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let (engine, artefacts) = on_disk(dir, options)?;
        Self::start(Arc::new(engine), artefacts, options)
    }

    /// Like [`Store::open`], with injected faults, for tests and simulation.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_failing(
        dir: &Path,
        options: &StoreOptions,
        faults: &Faults,
    ) -> Result<Self, StoreError> {
        let (engine, artefacts) = on_disk(dir, options)?;
        Self::start(Arc::new(Failing::new(engine, faults.clone())), artefacts, options)
    }

    /// Creates an empty store in memory, for a host without a data directory.
    ///
    /// # Errors
    /// [`StoreError::Io`] when no thread can be started.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::over(&Memory::new(), &StoreOptions::default(), &Faults::new())
    }

    /// Opens a store over existing memory, with injected faults: it contains what earlier stores have
    /// flushed.
    ///
    /// # Errors
    /// [`StoreError::Setting`], and [`StoreError::InUse`] while another store uses the memory.
    pub fn over(
        memory: &Memory,
        options: &StoreOptions,
        faults: &Faults,
    ) -> Result<Self, StoreError> {
        options.check()?;
        let engine = Failing::new(MemoryEngine::open(memory)?, faults.clone());
        Self::start(Arc::new(engine), Artefacts::in_memory(memory.clone()), options)
    }

    fn start(
        engine: Arc<dyn Engine>,
        artefacts: Artefacts,
        options: &StoreOptions,
    ) -> Result<Self, StoreError> {
        let loss = engine.loss();
        let queue = Arc::new(Queue::new(options.queue_bytes));
        let marks = Arc::new(Marks::default());
        let writer = Writer::new(engine.clone(), queue.clone(), marks.clone(), options)?;
        let writer = std::thread::Builder::new()
            .name("store writer".to_owned())
            .spawn(|| writer.run())
            .map_err(|e| StoreError::io("start the writer of", Path::new("the store"), &e))?;
        Ok(Self {
            engine,
            queue,
            marks,
            sequences: Sequences::default(),
            admission: Admission::default(),
            pruning: Mutex::default(),
            artefacts,
            loss,
            writer: Some(writer),
        })
    }

    /// Queues a batch for writing. Batches become durable in the order in which they are queued. Blocks only
    /// while the queue is full ([`StoreOptions::queue_bytes`]).
    pub fn commit(&self, batch: Batch) -> Commit {
        self.queue.commit(batch, None)
    }

    /// Like [`Store::commit`], as the next batch of a chain: it fails if an earlier batch of the chain failed.
    pub fn commit_in(&self, chain: &Chain, batch: Batch) -> Commit {
        self.queue.commit(batch, Some(chain.clone()))
    }

    /// Writes a batch and blocks until it is durable.
    ///
    /// # Errors
    /// As [`Commit::wait`].
    pub fn commit_wait(&self, batch: Batch) -> Result<Receipt, StoreError> {
        self.commit(batch).wait()
    }

    /// Queues a batch that a crash may undo: it is flushed with the next batch, or after
    /// [`StoreOptions::lazy_flush`]. Errors of the batch itself are only logged.
    ///
    /// # Errors
    /// [`StoreError::Full`] or [`StoreError::Unavailable`] while nothing can be written.
    pub fn commit_lazy(&self, batch: Batch) -> Result<(), StoreError> {
        self.queue.submit(batch)
    }

    /// Blocks until everything queued before is durable.
    ///
    /// # Errors
    /// As [`Commit::wait`].
    pub fn flush(&self) -> Result<(), StoreError> {
        // A failed lazy batch does not fail the barrier; a failed write does.
        self.commit_wait(Batch::new()).map(|_| ())
    }

    /// Returns the record with that key.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`], as for every method that reads.
    pub fn get<K: Kind>(&self, key: &K::Key) -> Result<Option<K::Value>, StoreError> {
        let key = encode_key::<K>(key)?;
        pages::read(&*self.engine, &key)?.map(|bytes| decode_value::<K>(&key, &bytes)).transpose()
    }

    /// Returns all records of a kind in key order, read lazily. An unreadable record is a
    /// [`StoreError::Unreadable`], and the iteration continues ([`crate::readable`] skips it); any other
    /// error is the last item. The same applies to every iteration.
    pub fn scan<K: Kind>(&self) -> impl Iterator<Item = Result<Entry<K>, StoreError>> + use<'_, K> {
        let records = self.engine.under(&key::prefix(K::TAG));
        records.filter_map(|entry| {
            entry.and_then(|(key, record)| self.decode::<K>(&key, record)).transpose()
        })
    }

    /// Returns the keys of all records of a kind, ascending, without decoding the values.
    pub fn keys<K: Kind>(&self) -> impl Iterator<Item = Result<K::Key, StoreError>> + use<'_, K> {
        let records = self.engine.under(&key::prefix(K::TAG));
        records.map(|entry| entry.and_then(|(key, _)| decode_key::<K>(&key)))
    }

    /// Returns up to `limit` records of a log with numbers above `after`, ascending.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn after<L: Log>(&self, after: u64, limit: usize) -> Result<Vec<L::Record>, StoreError> {
        self.records::<L>(after.saturating_add(1))?.take(limit).collect()
    }

    /// Returns the records of a log from number `from` on that are durable now, read lazily.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn records<L: Log>(&self, from: u64) -> Result<Records<'_, L>, StoreError> {
        RawRecords::new(&*self.engine, L::TAG, from, self.marks.of(L::TAG)).map(Records::new)
    }

    /// Returns the number of the last durable record of a log, or 0.
    #[must_use]
    pub fn last_number<L: Log>(&self) -> u64 {
        self.marks.of(L::TAG) - 1
    }

    /// Returns the samples of a series within the window, ascending in time.
    ///
    /// # Errors
    /// As [`Store::get`]. [`Store::sample_chunks`] continues after an unreadable hour.
    pub fn samples(&self, series: &SeriesKey, window: Window) -> Result<Vec<Sample>, StoreError> {
        let mut samples = Vec::new();
        for chunk in self.sample_chunks(series, window)? {
            samples.extend(chunk?);
        }
        Ok(samples)
    }

    /// Like [`Store::samples`], hour by hour.
    ///
    /// # Errors
    /// [`StoreError::KeyTooLong`].
    pub fn sample_chunks(
        &self,
        series: &SeriesKey,
        window: Window,
    ) -> Result<impl Iterator<Item = Result<Vec<Sample>, StoreError>> + use<'_>, StoreError> {
        Ok(samples::within(&*self.engine, samples::series_prefix(series)?, window))
    }

    /// Returns all series with samples, in key order.
    pub fn series(&self) -> impl Iterator<Item = Result<SeriesKey, StoreError>> + use<'_> {
        samples::series(&*self.engine)
    }

    /// Checks whether samples may be committed: each hour of a series holds 36,000. Call it before any other
    /// component accepts them, under the same lock as the commit. Admitted samples count from then on.
    ///
    /// It reads each hour once, and waits for the disk only if an hour is nearly full.
    ///
    /// # Errors
    /// [`StoreError::HourFull`] and [`StoreError::KeyTooLong`], with the series; otherwise as [`Store::get`].
    pub fn admit_samples<'s>(
        &self,
        batch: impl IntoIterator<Item = (&'s SeriesKey, &'s [Sample])>,
    ) -> Result<(), StoreError> {
        self.admission.admit(&*self.engine, &self.queue, batch)
    }

    /// Deletes samples from before that time, by whole hours, and series without samples. Visits a thousand
    /// hours and series; the next call continues there. Blocks until the deletion is durable.
    ///
    /// # Errors
    /// As [`Store::get`] and [`Commit::wait`].
    pub fn prune_samples(&self, before: Timestamp) -> Result<Pruned, StoreError> {
        let mut pruning = self.pruning.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = samples::stale(&*self.engine, pruning.clone(), before, ROUND)?;
        let done = stale.next.is_none();
        let removed = self.delete(stale.chunks)?;
        *pruning = stale.next;
        Ok(Pruned { removed, done })
    }

    /// Deletes the oldest records of a log: all but about the last `most`, and those from before `since` (the
    /// epoch disables the age limit). Records are packed, so a few more may remain. Deletes at most a
    /// thousand blocks. Blocks until the deletion is durable.
    ///
    /// # Errors
    /// As [`Store::get`] and [`Commit::wait`].
    pub fn prune_log<L: Log>(&self, most: u64, since: Timestamp) -> Result<Pruned, StoreError> {
        let keep = self.marks.of(L::TAG).saturating_sub(most);
        let (stale, done) = log::stale::<L>(&*self.engine, keep, since, ROUND)?;
        Ok(Pruned { removed: self.delete(stale)?, done })
    }

    fn delete(&self, keys: Vec<Vec<u8>>) -> Result<u64, StoreError> {
        if keys.is_empty() {
            return Ok(0);
        }
        let removed = keys.len() as u64;
        let mut batch = Batch::new();
        keys.into_iter().for_each(|key| batch.delete_raw(key));
        self.commit_wait(batch).map(|_| removed)
    }

    /// Returns the journalled calls from number `from` on that are durable now, read lazily.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn calls(
        &self,
        from: u64,
    ) -> Result<impl Iterator<Item = Result<CallRecord, StoreError>> + use<'_>, StoreError> {
        journal::calls(&*self.engine, from, self.marks.of(journal::tag()))
    }

    /// Returns the bytes of a blob that a journalled call refers to.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        journal::blob(&*self.engine, digest)
    }

    /// Returns the size of the journal.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn journal_size(&self) -> Result<JournalSize, StoreError> {
        journal::size_of(&*self.engine)
    }

    /// Returns the next number of a sequence, from 1. Numbers ascend and are never reused, even after a
    /// crash. At most one call in a thousand waits for the disk.
    ///
    /// # Errors
    /// As [`Store::get`] and [`Commit::wait`].
    pub fn allocate(&self, sequence: &str) -> Result<u64, StoreError> {
        self.sequences.allocate(&*self.engine, &self.queue, sequence)
    }

    /// Returns the reason why writes are refused at present, if they are. The store retries by itself.
    #[must_use]
    pub fn trouble(&self) -> Option<StoreError> {
        self.queue.refusing()
    }

    /// Returns the acknowledged writes that were missing at the opening, if their loss was accepted.
    #[must_use]
    pub const fn loss(&self) -> Option<&Loss> {
        self.loss.as_ref()
    }

    /// Returns the uploaded components.
    #[must_use]
    pub const fn artefacts(&self) -> &Artefacts {
        &self.artefacts
    }

    /// Returns the size of the state in bytes, on disk or in memory.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn size_on_disk(&self) -> Result<u64, StoreError> {
        self.engine.size()
    }

    fn decode<K: Kind>(&self, key: &[u8], record: Vec<u8>) -> Result<Option<Entry<K>>, StoreError> {
        let Some(bytes) = pages::join(&*self.engine, key, record)? else { return Ok(None) };
        let value = decode_value::<K>(key, &bytes)?;
        Ok(Some((decode_key::<K>(key)?, value)))
    }
}

fn on_disk(dir: &Path, options: &StoreOptions) -> Result<(Disk, Artefacts), StoreError> {
    options.check()?;
    let directory = Directory::open(dir)?;
    let artefacts = Artefacts::open(&directory.path().join("artefacts"))?;
    Ok((Disk::open(directory, options)?, artefacts))
}

fn decode_key<K: Kind>(key: &[u8]) -> Result<K::Key, StoreError> {
    key::decode(K::TAG, key)
        .ok_or_else(|| StoreError::unreadable(K::NAME, pages::name(key), "its key"))
}

impl Drop for Store {
    /// Writes and flushes all queued batches.
    fn drop(&mut self) {
        if let Ok(batch) = self.sequences.settle()
            && !batch.is_empty()
        {
            // If this fails, the numbers are skipped.
            let _ = self.commit_wait(batch);
        }
        self.queue.close();
        if let Some(writer) = self.writer.take() {
            // A panic has already been reported to the waiting callers.
            let _ = writer.join();
        }
    }
}
