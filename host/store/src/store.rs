use std::{path::Path, sync::Arc, thread::JoinHandle};

use haggle_model::{Timestamp, Window};

use crate::{
    Artefacts, Batch, CallRecord, Commit, Digest, Entry, JournalSize, Kind, Log, Receipt, Records,
    Sample, SeriesKey, StoreError, StoreOptions,
    directory::{Directory, SCHEMA},
    engine::Engine,
    journal, key,
    kind::{decode_value, encode_key},
    log::RawRecords,
    pages,
    queue::Queue,
    samples,
    sequences::Sequences,
    writer::{Marks, Writer},
};

/// The durable state of one host. Shared by reference; every method may be called from any thread.
///
/// # What is visible when
///
/// - A batch is applied as a whole, in the order of submission, and is visible to reads from then on:
///   some milliseconds before it is durable and acknowledged, never in part. To read one's own write,
///   wait for its [`Commit`].
/// - A single read sees a state between two batches. An iteration does not: batches that are applied while
///   it runs may be seen in part.
/// - Logs and the journal show only what is durable, so a number that somebody has read is never given to
///   another record.
/// - After a failed write nothing more is accepted, and reads may show what would not survive a restart.
pub struct Store {
    engine: Arc<Engine>,
    queue: Arc<Queue>,
    marks: Arc<Marks>,
    sequences: Sequences,
    artefacts: Artefacts,
    writer: Option<JoinHandle<()>>,
}

/// How many deletions go into one batch where there may be many.
const DELETIONS: usize = 1000;

impl Store {
    /// Opens the data directory, and makes it where it is missing.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::NotPrivate`], [`StoreError::NewerSchema`],
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn open(dir: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let directory = Directory::open(dir)?;
        let artefacts = Artefacts::open(&directory.path().join("artefacts"))?;
        let engine = Arc::new(Engine::open(directory, options)?);
        check_schema(&engine)?;
        let queue = Arc::new(Queue::new(options.queue_bytes));
        let marks = Arc::new(Marks::default());
        let (engine_, queue_, marks_) = (engine.clone(), queue.clone(), marks.clone());
        let writer = Writer::new(engine_, queue_, marks_, options)?;
        let writer = std::thread::Builder::new()
            .name("store writer".to_owned())
            .spawn(|| writer.run())
            .map_err(|e| StoreError::io("start the writer of", dir, &e))?;
        let sequences = Sequences::default();
        Ok(Self { engine, queue, marks, sequences, artefacts, writer: Some(writer) })
    }

    /// Hands a batch over to be written. Batches become durable in the order in which they are handed over.
    /// Blocks only while the queue is full ([`StoreOptions::queue_bytes`]).
    pub fn commit(&self, batch: Batch) -> Commit {
        self.queue.commit(batch)
    }

    /// Writes a batch and blocks until it is durable.
    ///
    /// # Errors
    /// As [`Commit::wait`].
    pub fn commit_wait(&self, batch: Batch) -> Result<Receipt, StoreError> {
        self.commit(batch).wait()
    }

    /// Hands over a batch that a crash may take back: it is flushed with whatever comes next, or after
    /// [`StoreOptions::lazy_flush`]. What the batch itself does wrong is only logged.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`] after a failed write.
    pub fn commit_lazy(&self, batch: Batch) -> Result<(), StoreError> {
        self.queue.submit(batch, None)
    }

    /// Blocks until everything that was handed over before is durable.
    ///
    /// # Errors
    /// As [`Commit::wait`].
    pub fn flush(&self) -> Result<(), StoreError> {
        // A failed lazy batch does not fail the barrier, a failed write does.
        self.commit_wait(Batch::new()).map(|_| ())
    }

    /// The record with that key.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`], as for every method that reads.
    pub fn get<K: Kind>(&self, key: &K::Key) -> Result<Option<K::Value>, StoreError> {
        let key = encode_key::<K>(key)?;
        pages::read(&self.engine, &key)?.map(|bytes| decode_value::<K>(&key, &bytes)).transpose()
    }

    /// All records of a kind in the order of their keys, read as they are asked for.
    pub fn scan<K: Kind>(&self) -> impl Iterator<Item = Result<Entry<K>, StoreError>> + use<'_, K> {
        let records = self.engine.under(&key::prefix(K::TAG));
        records.filter_map(|entry| {
            entry.and_then(|(key, record)| self.decode::<K>(&key, record)).transpose()
        })
    }

    /// Up to `limit` records of a log with numbers above `after`, ascending.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn after<L: Log>(&self, after: u64, limit: usize) -> Result<Vec<L::Record>, StoreError> {
        self.records::<L>(after.saturating_add(1))?.take(limit).collect()
    }

    /// The records of a log from number `from` on, read as they are asked for, up to what is durable now.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn records<L: Log>(&self, from: u64) -> Result<Records<'_, L>, StoreError> {
        RawRecords::new(&self.engine, L::TAG, from, self.marks.of(L::TAG)).map(Records::new)
    }

    /// The number of the last durable record of a log, or 0.
    #[must_use]
    pub fn last_number<L: Log>(&self) -> u64 {
        self.marks.of(L::TAG) - 1
    }

    /// The samples of a series within the window, ascending in time.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn samples(&self, series: &SeriesKey, window: Window) -> Result<Vec<Sample>, StoreError> {
        samples::within(&self.engine, &samples::series_prefix(series)?, window)
    }

    /// All series that have samples, in the order of their keys.
    pub fn series(&self) -> impl Iterator<Item = Result<SeriesKey, StoreError>> + use<'_> {
        samples::series(&self.engine)
    }

    /// Deletes samples from before that moment, by whole hours, and returns how many hours of series that
    /// were. Blocks until it is durable.
    ///
    /// # Errors
    /// As [`Store::get`] and [`Commit::wait`].
    pub fn prune_samples(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut pruned = 0;
        let mut batch = Batch::new();
        for series in self.series() {
            let series = samples::series_prefix(&series?)?;
            for chunk in samples::chunks_before(&self.engine, &series, before) {
                batch.delete_raw(chunk?);
                pruned += 1;
                if batch.operations.len() >= DELETIONS {
                    self.commit_wait(std::mem::take(&mut batch))?;
                }
            }
        }
        self.commit_wait(batch)?;
        Ok(pruned)
    }

    /// The journalled calls from number `from` on, read as they are asked for, up to what is durable now.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn calls(
        &self,
        from: u64,
    ) -> Result<impl Iterator<Item = Result<CallRecord, StoreError>> + use<'_>, StoreError> {
        journal::calls(&self.engine, from, self.marks.of(journal::tag()))
    }

    /// The bytes that a journalled call refers to.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        journal::blob(&self.engine, digest)
    }

    /// How much the journal holds.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn journal_size(&self) -> Result<JournalSize, StoreError> {
        journal::size_of(&self.engine)
    }

    /// The next number of the sequence of that name, from 1: ascending, and never given twice, not even
    /// after a crash. Waits for the disk once in a thousand times at most.
    ///
    /// # Errors
    /// As [`Store::get`] and [`Commit::wait`].
    pub fn allocate(&self, sequence: &str) -> Result<u64, StoreError> {
        self.sequences.allocate(&self.engine, &self.queue, sequence)
    }

    /// The uploaded components.
    #[must_use]
    pub const fn artefacts(&self) -> &Artefacts {
        &self.artefacts
    }

    /// What sled takes on disk, in bytes.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn size_on_disk(&self) -> Result<u64, StoreError> {
        self.engine.size_on_disk()
    }

    fn decode<K: Kind>(
        &self,
        key: &[u8],
        record: sled::IVec,
    ) -> Result<Option<Entry<K>>, StoreError> {
        let Some(bytes) = pages::join(&self.engine, key, record)? else { return Ok(None) };
        let value = decode_value::<K>(key, &bytes)?;
        let key = key::decode(K::TAG, key).ok_or_else(|| {
            StoreError::corrupt(format_args!("{} {}", K::NAME, pages::name(key)), "its key")
        })?;
        Ok(Some((key, value)))
    }
}

impl Drop for Store {
    /// Writes and flushes everything that was handed over.
    fn drop(&mut self) {
        if let Ok(batch) = self.sequences.settle()
            && !batch.is_empty()
        {
            // Where this fails, the numbers are skipped.
            let _ = self.commit_wait(batch);
        }
        self.queue.close();
        if let Some(writer) = self.writer.take() {
            // A panic has been answered to whoever waited already.
            let _ = writer.join();
        }
    }
}

/// Where sled itself says which schema it has: a directory whose marker and state disagree was mixed
/// from two.
const SCHEMA_KEY: &[u8] = &[0x01];

fn check_schema(engine: &Engine) -> Result<(), StoreError> {
    let directory = engine.directory();
    let place = directory.path().display();
    match engine.get(SCHEMA_KEY)? {
        Some(found) if *found == SCHEMA.to_be_bytes() => {}
        Some(found) if !directory.is_current() && *found < *SCHEMA.to_be_bytes().as_slice() => {
            set_schema(engine)?;
        }
        Some(_) => return Err(StoreError::corrupt(place, "it is of another schema than it says")),
        None if directory.is_set_up() => {
            return Err(StoreError::corrupt(place, "its state is gone"));
        }
        None => set_schema(engine)?,
    }
    if directory.is_current() { Ok(()) } else { directory.mark() }
}

fn set_schema(engine: &Engine) -> Result<(), StoreError> {
    let mut batch = sled::Batch::default();
    batch.insert(SCHEMA_KEY, &SCHEMA.to_be_bytes());
    engine.apply(batch)?;
    engine.flush()
}
