use haggle_model::Span;

use crate::StoreError;

/// The options of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// The failures that an acknowledged write survives.
    pub durability: Durability,
    /// Size of sled's page cache in bytes on disk; a page takes several times as much memory.
    pub cache_bytes: u64,
    /// Maximum number of bytes waiting to be written before `commit` blocks.
    pub queue_bytes: usize,
    /// Maximum time before a lazy commit is flushed.
    pub lazy_flush: Span,
    /// Minimum duration of a flush, to simulate a slower device. Zero by default.
    pub least_flush: Span,
    /// Maximum size of journalled calls and their blobs in bytes, before compression; the oldest are removed
    /// first.
    pub journal_bytes: u64,
    /// Maximum number of journalled calls; the oldest are removed first.
    pub journal_calls: u64,
    /// Whether to open a store with missing acknowledged writes ([`crate::Loss`]), keeping a copy of the
    /// state. Otherwise the store refuses to open.
    pub accept_loss: bool,
}

/// The failures that an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A process crash at any moment, and a power failure: the file is synced with the device.
    #[default]
    PowerLoss,
    /// A process crash at any moment. On Linux, sled's own flush is `sync_file_range`, which writes the data,
    /// but neither the file's metadata nor the cache of the device.
    ProcessCrash,
}

/// Minimum size of the page cache, in bytes: sled divides it among its shards, and an empty shard caches
/// nothing.
const LEAST_CACHE: u64 = 1 << 20;
/// Maximum of any size option: 1 PiB, so that small additions never overflow.
const MOST_BYTES: u64 = 1 << 50;
/// Maximum of any time option.
const LONGEST: Span = Span::from_mins(60);

impl StoreOptions {
    /// Checks that every option is in range.
    ///
    /// # Errors
    /// [`StoreError::Setting`] for the first one that is not, with its range.
    pub fn check(&self) -> Result<(), StoreError> {
        let longest = LONGEST.as_millis();
        for (field, value, least, most) in [
            ("cache_bytes", self.cache_bytes, LEAST_CACHE, MOST_BYTES),
            ("queue_bytes", self.queue_bytes as u64, 1, MOST_BYTES),
            ("lazy_flush", self.lazy_flush.as_millis(), 1, longest),
            ("least_flush", self.least_flush.as_millis(), 0, longest),
            ("journal_bytes", self.journal_bytes, 0, MOST_BYTES),
            ("journal_calls", self.journal_calls, 0, MOST_BYTES),
        ] {
            if !(least..=most).contains(&value) {
                return Err(StoreError::Setting { field, value, least, most });
            }
        }
        Ok(())
    }
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            cache_bytes: 64 << 20,
            queue_bytes: 64 << 20,
            lazy_flush: Span::from_millis(500),
            least_flush: Span::from_millis(0),
            journal_bytes: 256 << 20,
            journal_calls: 100_000,
            accept_loss: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use haggle_model::Span;

    use super::StoreOptions;
    use crate::{Faults, Memory, Store, StoreError};

    #[test]
    fn what_is_of_no_use_is_named_with_its_bounds() {
        type Change = fn(&mut StoreOptions);
        let wrong: [(&str, Change); 8] = [
            ("cache_bytes", |o| o.cache_bytes = 0),
            ("cache_bytes", |o| o.cache_bytes = u64::MAX),
            ("queue_bytes", |o| o.queue_bytes = 0),
            ("queue_bytes", |o| o.queue_bytes = usize::MAX),
            ("lazy_flush", |o| o.lazy_flush = Span::default()),
            ("least_flush", |o| o.least_flush = Span::from_mins(61)),
            ("journal_bytes", |o| o.journal_bytes = u64::MAX),
            ("journal_calls", |o| o.journal_calls = u64::MAX),
        ];
        for (name, change) in wrong {
            let mut options = StoreOptions::default();
            change(&mut options);
            let dir = tempfile::tempdir().unwrap();
            let opened = Store::open(dir.path(), &options).err();
            assert!(
                matches!(&opened, Some(StoreError::Setting { field, .. }) if *field == name),
                "{opened:?}"
            );
            assert_eq!(Store::over(&Memory::new(), &options, &Faults::new()).err(), opened);
        }
    }

    #[test]
    fn the_extremes_work() {
        let most = super::MOST_BYTES;
        let small = StoreOptions {
            cache_bytes: super::LEAST_CACHE,
            queue_bytes: 1,
            lazy_flush: Span::from_millis(1),
            journal_bytes: 0,
            journal_calls: 0,
            ..StoreOptions::default()
        };
        let large = StoreOptions {
            cache_bytes: most,
            queue_bytes: most as usize,
            lazy_flush: super::LONGEST,
            journal_bytes: most,
            journal_calls: most,
            ..StoreOptions::default()
        };
        for options in [small, large] {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path(), &options).unwrap();
            for number in 1..50 {
                assert_eq!(store.allocate("n"), Ok(number));
            }
            store.flush().unwrap();
        }
    }
}
