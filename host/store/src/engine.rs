//! What the store is built on: an ordered map of bytes to bytes that applies batches as a whole. Everything
//! else in this crate knows this trait only, so that a store in memory runs the same code as one on disk.

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

/// Pairs, ascending by key. An error is the last item.
pub(crate) type Pairs<'a> = Box<dyn Iterator<Item = Result<Pair, StoreError>> + Send + 'a>;

/// Writes; `None` deletes. A later one of the same key wins.
pub(crate) type Writes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// An ordered map of bytes to bytes. Reads may come from any thread, everything else comes from one.
pub(crate) trait Engine: Send + Sync {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The pairs in `[from, to)`, ascending. Not a snapshot: what is written meanwhile may or may not be
    /// seen, but each pair is seen whole.
    fn range(&self, from: Vec<u8>, to: Vec<u8>) -> Pairs<'_>;

    /// The last pair in `[from, to]`.
    fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Pair>, StoreError>;

    /// Applies the writes as a whole: readers see all of them or nothing, and so does a recovery.
    fn apply(&self, writes: Writes) -> Result<(), StoreError>;

    /// Makes durable what was applied.
    fn flush(&self) -> Result<(), StoreError>;

    /// Closes what lies below and opens it again, after a write has failed: then it has what was made durable,
    /// and of what was applied since either a whole number of writes or nothing. Reads wait meanwhile; they
    /// fail from then on where it cannot be opened.
    fn reopen(&self) -> Result<(), StoreError>;

    /// Whether there is room to write with some to spare.
    fn check_room(&self) -> Result<(), StoreError>;

    /// Notes outside of everything else that writes up to that number are durable.
    fn acknowledge(&self, number: u64) -> Result<(), StoreError>;

    /// What was noted last; `None` if nothing ever was.
    fn acknowledged(&self) -> Option<u64>;

    /// The acknowledged writes that opening has found to be missing, where the loss is accepted.
    fn loss(&self) -> Option<Loss> {
        None
    }

    /// The bytes that everything takes.
    fn size(&self) -> Result<u64, StoreError>;

    /// Every pair whose key begins with `prefix`.
    fn under(&self, prefix: &[u8]) -> Pairs<'_> {
        self.range(prefix.to_vec(), key::end_of(prefix))
    }
}
