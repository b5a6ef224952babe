//! The storage engine: an ordered map of bytes to bytes that applies batches atomically. The rest of the
//! crate uses only this trait, so that a store in memory runs the same code as one on disk.

mod disk;
mod failing;
mod log_file;
mod memory;
mod reserve;
mod watermark;

pub(crate) use disk::Disk;
#[cfg(test)]
pub(crate) use disk::open_patiently;
pub(crate) use failing::Failing;
pub use failing::Faults;
pub use memory::Memory;
pub(crate) use memory::MemoryEngine;

use crate::{Loss, StoreError, key};

/// A key and its value.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// Pairs, ascending by key. If there is an error, it is the last item.
pub(crate) type Pairs<'a> = Box<dyn Iterator<Item = Result<Pair, StoreError>> + Send + 'a>;

/// Writes; `None` deletes. A later write to the same key wins.
pub(crate) type Writes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// An ordered map of bytes to bytes. Any thread may read; a single thread calls all other methods.
pub(crate) trait Engine: Send + Sync {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Returns the pairs in `[from, to)`, ascending. This is not a snapshot: concurrent writes may or may not
    /// be visible, but each pair is consistent.
    fn range(&self, from: Vec<u8>, to: Vec<u8>) -> Pairs<'_>;

    /// Returns the last pair in `[from, to]`.
    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Pair>, StoreError>;

    /// Applies the writes atomically, for readers and for recovery.
    fn apply(&self, writes: Writes) -> Result<(), StoreError>;

    /// Makes all applied writes durable.
    fn flush(&self) -> Result<(), StoreError>;

    /// Closes and reopens the underlying storage after a failed write. It then has everything durable, and a
    /// whole number of the writes applied since, possibly none. Reads wait meanwhile. If the storage cannot
    /// be reopened, reads fail from then on.
    fn reopen(&self) -> Result<(), StoreError>;

    /// Checks that there is enough room to write, with a reserve.
    fn check_room(&self) -> Result<(), StoreError>;

    /// Records, outside of the state, that writes up to that number are durable.
    fn acknowledge(&self, number: u64) -> Result<(), StoreError>;

    /// Returns the number that was last recorded; `None` if there is none.
    fn acknowledged(&self) -> Option<u64>;

    /// Returns the acknowledged writes that were missing at the opening, if the loss was accepted.
    fn loss(&self) -> Option<Loss> {
        None
    }

    /// Returns the total size in bytes.
    fn size(&self) -> Result<u64, StoreError>;

    /// Returns every pair whose key begins with `prefix`.
    fn under(&self, prefix: &[u8]) -> Pairs<'_> {
        self.range(prefix.to_vec(), key::end_of(prefix))
    }
}
