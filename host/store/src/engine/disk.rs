//! The only module that calls sled, so that its traps are dealt with in one place:
//!
//! - its flush stops short of the device on Linux ([`Durability`]);
//! - it reports some damage by panicking, which becomes an error here;
//! - its lock outlives the handle until its worker threads have ended;
//! - values that do not fit a page go to files that are neither synced nor ever deleted (see `pages`).

use std::{
    fs::File,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    thread,
    time::Duration,
};

use sled::Db;

use super::{Engine, Pair, Pairs, Writes};
use crate::{Durability, StoreError, StoreOptions, directory::Directory};

/// sled in a data directory.
pub(crate) struct Disk {
    // In the order in which they have to be dropped.
    db: Db,
    /// A second handle of sled's file, for syncing it.
    file: Option<File>,
    path: PathBuf,
    directory: Directory,
}

impl Disk {
    pub(crate) fn open(directory: Directory, options: &StoreOptions) -> Result<Self, StoreError> {
        let path = directory.state();
        let config = sled::Config::new()
            .path(&path)
            .cache_capacity(options.cache_bytes)
            .mode(sled::Mode::LowSpace)
            // The flushing is ours, but this thread also reclaims space.
            .flush_every_ms(Some(1000));
        let db = open_patiently(&config, &path)?;
        let file = match options.durability {
            Durability::ProcessCrash => None,
            Durability::PowerLoss => {
                let file = path.join("db");
                Some(File::open(&file).map_err(|e| StoreError::io("open", &file, &e))?)
            }
        };
        let disk = Self { db, file, path, directory };
        disk.directory.check(&disk)?;
        Ok(disk)
    }

    fn guard<T>(&self, call: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
        guard(&self.path, call)
    }
}

impl Engine for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.guard(|| self.db.get(key))?.map(|value| value.to_vec()))
    }

    fn range(&self, from: Vec<u8>, to: Vec<u8>) -> Pairs<'_> {
        let mut records =
            (from < to).then(|| self.db.range((Bound::Included(from), Bound::Excluded(to))));
        Box::new(std::iter::from_fn(move || {
            let next = self.guard(|| records.as_mut().and_then(Iterator::next).transpose());
            match next {
                Ok(pair) => pair.map(|(key, value)| Ok((key.to_vec(), value.to_vec()))),
                Err(error) => {
                    records = None;
                    Some(Err(error))
                }
            }
        }))
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Pair>, StoreError> {
        if from > to {
            return Ok(None);
        }
        let last =
            self.guard(|| self.db.range(from.to_vec()..=to.to_vec()).next_back().transpose());
        Ok(last?.map(|(key, value)| (key.to_vec(), value.to_vec())))
    }

    fn apply(&self, writes: Writes) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.guard(|| self.db.apply_batch(batch))
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.guard(|| self.db.flush())?;
        match &self.file {
            Some(file) => {
                file.sync_data().map_err(|e| StoreError::io("sync", &self.path.join("db"), &e))
            }
            None => Ok(()),
        }
    }

    fn size(&self) -> Result<u64, StoreError> {
        self.guard(|| self.db.size_on_disk())
    }
}

pub(crate) fn open_patiently(
    config: &sled::Config,
    path: &std::path::Path,
) -> Result<Db, StoreError> {
    const ATTEMPTS: usize = 200;
    // We hold the directory's own lock, so whoever still holds sled's is a worker thread of a store that
    // this process has just closed.
    for _ in 1..ATTEMPTS {
        match guard(path, || config.open()) {
            Err(StoreError::Io { detail, .. }) if detail.contains("could not acquire lock") => {
                thread::sleep(Duration::from_millis(25));
            }
            other => return other,
        }
    }
    guard(path, || config.open())
}

fn guard<T>(
    path: &std::path::Path,
    call: impl FnOnce() -> sled::Result<T>,
) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(e))) => Err(StoreError::io("access", path, &e)),
        Ok(Err(error)) => Err(StoreError::corrupt(path.display(), error)),
        Err(panic) => {
            let said = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("it cannot be read");
            Err(StoreError::corrupt(path.display(), said))
        }
    }
}
