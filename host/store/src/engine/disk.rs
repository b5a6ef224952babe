//! The only module that calls sled. It works around these properties:
//!
//! - sled's flush does not reach the device on Linux ([`Durability`]);
//! - sled reports some damage by panicking; this module converts that into errors;
//! - sled's lock outlives the handle until its worker threads have ended;
//! - values that do not fit a page go to files that are neither synced nor ever deleted (see `pages`);
//! - after the first failed write, sled refuses everything that touches the disk until it is reopened, and
//!   reads show the refused writes;
//! - opening sled needs room for a snapshot (see `reserve`);
//! - sled silently drops unreadable parts of its log (see `log_file`).

use std::{
    fs::File,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
    thread,
    time::Duration,
};

use sled::Db;

use super::{
    Engine, Pair, Pairs, Writes, log_file,
    reserve::Reserve,
    watermark::{Mark, Watermark},
};
use crate::{Durability, Loss, StoreError, StoreOptions, commit_number, directory::Directory};

/// sled in a data directory.
pub(crate) struct Disk {
    /// `None` if sled could not be reopened.
    open: RwLock<Option<Open>>,
    config: sled::Config,
    durability: Durability,
    path: PathBuf,
    reserve: Reserve,
    watermark: Mutex<Watermark>,
    loss: Option<Loss>,
    // Dropped last, because it holds the lock.
    directory: Directory,
}

/// An open sled database.
struct Open {
    db: Db,
    /// A second handle of sled's file, for syncing.
    file: Option<File>,
}

/// Maximum number of pairs that an iteration reads at once.
const MOST_AT_ONCE: usize = 128;

impl Disk {
    pub(crate) fn open(directory: Directory, options: &StoreOptions) -> Result<Self, StoreError> {
        let path = directory.state();
        let config = sled::Config::new()
            .path(&path)
            .cache_capacity(options.cache_bytes)
            .mode(sled::Mode::LowSpace)
            // The store flushes itself, but sled's flush thread also reclaims space.
            .flush_every_ms(Some(1000));
        let mut disk = Self {
            open: RwLock::default(),
            config,
            durability: options.durability,
            reserve: Reserve::new(directory.path(), &path),
            watermark: Mutex::new(Watermark::open(directory.path())),
            path,
            loss: None,
            directory,
        };
        if let Some(mut loss) = disk.foretold()? {
            if !options.accept_loss {
                return Err(loss.into());
            }
            loss.kept = Some(disk.directory.keep_damaged()?);
            tracing::error!("{} has lost acknowledged writes: {}", loss.dir.display(), loss.what());
            disk.note(Mark { acknowledged: loss.found, opened_with: loss.found })?;
            disk.loss = Some(loss);
        }
        let open = disk.opened()?;
        disk.open = RwLock::new(Some(open));
        disk.directory.check(&disk)?;
        disk.settle(options.accept_loss)?;
        Ok(disk)
    }

    /// Returns the loss that sled would not notice. Without a loss, records what sled's next snapshot will
    /// include.
    fn foretold(&self) -> Result<Option<Loss>, StoreError> {
        self.directory.remove_unfinished_snapshots()?;
        if !self.path.exists() {
            // A missing state is detected later, with a better message.
            return Ok(None);
        }
        let findings = log_file::inspect(&self.path)
            .map_err(|e| StoreError::io("read", &self.path.join("db"), &e))?;
        let mark = self.watermark().mark();
        let Mark { acknowledged, opened_with } = mark.unwrap_or_default();
        let found = findings.last_write.unwrap_or(opened_with);
        if found >= acknowledged && findings.damage.is_none() {
            if mark.is_some() {
                self.note(Mark { acknowledged, opened_with: found })?;
            }
            return Ok(None);
        }
        let cut = || format!("the log cannot be read from {} on", findings.end);
        let damage = findings.damage.clone().or_else(|| (!findings.end.is_empty()).then(cut));
        Ok(Some(self.lost(acknowledged, found, damage)))
    }

    fn lost(&self, acknowledged: u64, found: u64, damage: Option<String>) -> Loss {
        let dir = self.directory.path().to_owned();
        Loss { dir, acknowledged, found, damage, kept: None }
    }

    /// After sled is open, compares its last write with the acknowledged number.
    fn settle(&mut self, accept_loss: bool) -> Result<(), StoreError> {
        let found = self.write_number()?;
        let acknowledged = self.acknowledged().unwrap_or(0);
        if found < acknowledged && self.loss.is_none() {
            let loss = self.lost(acknowledged, found, None);
            if !accept_loss {
                return Err(loss.into());
            }
            self.loss = Some(loss);
        }
        if let Some(loss) = &mut self.loss {
            loss.found = found;
        }
        self.note(Mark { acknowledged: found, opened_with: found })
    }

    fn note(&self, mark: Mark) -> Result<(), StoreError> {
        match self.watermark().write(mark) {
            // The file needs new room only the first time, and then there is nothing to record yet.
            Err(error) if !error.is_temporary() => Err(error),
            _ => Ok(()),
        }
    }

    fn write_number(&self) -> Result<u64, StoreError> {
        let number = self.get(commit_number::KEY)?;
        Ok(number.and_then(|value| commit_number::decode(&value)).unwrap_or(0))
    }

    fn watermark(&self) -> MutexGuard<'_, Watermark> {
        self.watermark.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens sled. If the disk is full, releases the reserve and retries.
    fn opened(&self) -> Result<Open, StoreError> {
        match self.try_to_open() {
            Err(StoreError::Full { .. }) if self.reserve.release() => {
                let path = self.path.display();
                tracing::warn!(%path, "the disk is full: the store opens in the room that it has reserved");
                self.try_to_open()
            }
            other => other,
        }
    }

    fn try_to_open(&self) -> Result<Open, StoreError> {
        self.directory.remove_unfinished_snapshots()?;
        let db = open_patiently(&self.config, &self.path)?;
        let file = match self.durability {
            Durability::ProcessCrash => None,
            Durability::PowerLoss => {
                let file = self.path.join("db");
                Some(File::open(&file).map_err(|e| StoreError::io("open", &file, &e))?)
            }
        };
        Ok(Open { db, file })
    }

    fn guard<T>(&self, call: impl FnOnce(&Open) -> sled::Result<T>) -> Result<T, StoreError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let closed = || StoreError::Unavailable("its files cannot be opened again".to_owned());
        let open = open.as_ref().ok_or_else(closed)?;
        guard(&self.path, || call(open))
    }

    /// Returns up to `most` pairs between `from` and `to`.
    fn pairs(
        &self,
        from: Bound<Vec<u8>>,
        to: Vec<u8>,
        most: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        self.guard(|open| {
            let pairs = open.db.range((from, Bound::Excluded(to))).take(most);
            pairs.map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec()))).collect()
        })
    }
}

impl Engine for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.guard(|open| open.db.get(key))?.map(|value| value.to_vec()))
    }

    // Reads in pieces, so that an iteration does not prevent sled from being reopened. The first pieces are
    // small, because many callers need only the first pair.
    fn range(&self, from: Vec<u8>, to: Vec<u8>) -> Pairs<'_> {
        let mut next = (from < to).then_some(Bound::Included(from));
        let mut size = 1;
        let mut piece = Vec::new().into_iter();
        Box::new(std::iter::from_fn(move || {
            if let Some(pair) = piece.next() {
                return Some(Ok(pair));
            }
            let pairs = match self.pairs(next.take()?, to.clone(), size) {
                Ok(pairs) => pairs,
                Err(error) => return Some(Err(error)),
            };
            if pairs.len() == size {
                next = pairs.last().map(|(key, _)| Bound::Excluded(key.clone()));
            }
            size = (size * 2).min(MOST_AT_ONCE);
            piece = pairs.into_iter();
            piece.next().map(Ok)
        }))
    }

    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Pair>, StoreError> {
        if from > to {
            return Ok(None);
        }
        let range = from.to_vec()..=to.to_vec();
        let last = self.guard(|open| open.db.range(range).next_back().transpose());
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
        self.guard(|open| open.db.apply_batch(batch))
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.guard(|open| {
            open.db.flush()?;
            Ok(open.file.as_ref().map_or(Ok(()), File::sync_data)?)
        })
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        // This ends sled's threads and releases its lock.
        drop(open.take());
        if let Some(loss) = self.foretold()? {
            return Err(loss.into());
        }
        *open = Some(self.opened()?);
        drop(open);
        let (found, acknowledged) = (self.write_number()?, self.acknowledged().unwrap_or(0));
        if found < acknowledged {
            return Err(self.lost(acknowledged, found, None).into());
        }
        self.note(Mark { acknowledged, opened_with: found })
    }

    fn check_room(&self) -> Result<(), StoreError> {
        self.reserve.hold()
    }

    fn acknowledge(&self, number: u64) -> Result<(), StoreError> {
        let mut watermark = self.watermark();
        let opened_with = watermark.mark().unwrap_or_default().opened_with;
        watermark.write(Mark { acknowledged: number, opened_with })
    }

    fn acknowledged(&self) -> Option<u64> {
        self.watermark().mark().map(|mark| mark.acknowledged)
    }

    fn loss(&self) -> Option<Loss> {
        self.loss.clone()
    }

    fn size(&self) -> Result<u64, StoreError> {
        self.guard(|open| open.db.size_on_disk())
    }
}

pub(crate) fn open_patiently(config: &sled::Config, path: &Path) -> Result<Db, StoreError> {
    const ATTEMPTS: usize = 200;
    // We hold the directory's own lock, so sled's lock is held by a worker thread of a store that this
    // process has just closed.
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

fn guard<T>(path: &Path, call: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
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
