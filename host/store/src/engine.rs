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

use sled::{Batch, Db, IVec};

use crate::{Durability, StoreError, StoreOptions, directory::Directory, key};

/// An ordered map of bytes to bytes.
pub(crate) struct Engine {
    // In the order in which they have to be dropped.
    db: Db,
    /// A second handle of sled's file, for syncing it.
    file: Option<File>,
    path: PathBuf,
    #[cfg(test)]
    pub(crate) broken: std::sync::atomic::AtomicBool,
    directory: Directory,
}

impl Engine {
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
        Ok(Self {
            db,
            file,
            path,
            #[cfg(test)]
            broken: std::sync::atomic::AtomicBool::new(false),
            directory,
        })
    }

    pub(crate) const fn directory(&self) -> &Directory {
        &self.directory
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        self.guard(|| self.db.get(key))
    }

    /// The records in `[from, to)`, ascending. Not a snapshot: what is written meanwhile may or may not be
    /// seen, but each record is seen whole.
    pub(crate) fn range(
        &self,
        from: Vec<u8>,
        to: Vec<u8>,
    ) -> impl Iterator<Item = Result<(IVec, IVec), StoreError>> + use<'_> {
        let mut records =
            (from < to).then(|| self.db.range((Bound::Included(from), Bound::Excluded(to))));
        std::iter::from_fn(move || {
            let records = records.as_mut()?;
            self.guard(|| records.next().transpose()).transpose()
        })
    }

    /// Everything whose key begins with `prefix`.
    pub(crate) fn under(
        &self,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<(IVec, IVec), StoreError>> + use<'_> {
        self.range(prefix.to_vec(), key::end_of(prefix))
    }

    /// The last record in `[from, to]`.
    pub(crate) fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<(IVec, IVec)>, StoreError> {
        if from > to {
            return Ok(None);
        }
        self.guard(|| self.db.range(from.to_vec()..=to.to_vec()).next_back().transpose())
    }

    /// Applies the batch as a whole: readers see all of it or nothing, and so does a recovery.
    pub(crate) fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        self.guard(|| self.db.apply_batch(batch))
    }

    /// Makes durable what was applied.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        #[cfg(test)]
        if self.broken.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(StoreError::io("flush", &self.path, &std::io::Error::other("no space")));
        }
        self.guard(|| self.db.flush())?;
        match &self.file {
            Some(file) => {
                file.sync_data().map_err(|e| StoreError::io("sync", &self.path.join("db"), &e))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn size_on_disk(&self) -> Result<u64, StoreError> {
        self.guard(|| self.db.size_on_disk())
    }

    fn guard<T>(&self, call: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
        guard(&self.path, call)
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
