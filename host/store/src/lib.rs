//! Durable state: what is acknowledged survives the end of the process at any moment.
//!
//! What is accepted can be read again: a batch refuses a value whose encoding does not decode. Should a record
//! be damaged nevertheless, it alone is left out ([`readable`]).
//!
//! A store lies in a data directory, on sled, or in memory; which of both makes no difference above the small
//! key-value interface in `engine`.
//!
//! Everything lies in one ordered keyspace, each kind under its own tag and tenant, so that one
//! [`Batch`] spans kinds: the leases, the record and the decision of an agreement become durable
//! together or not at all. One thread writes: it takes all batches that wait, applies them at once,
//! flushes once and acknowledges them all.
//!
//! ```
//! use haggle_store::{Batch, Negotiations, Store, StoreOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let store = Store::open(dir.path(), &StoreOptions::default())?;
//! let mut batch = Batch::new();
//! batch.put::<Negotiations>(&"n-1".to_owned(), &serde_json::json!({"state": "confirmed"}))?;
//! store.commit(batch).wait()?; // or `.await`
//! assert!(store.get::<Negotiations>(&"n-1".to_owned())?.is_some());
//! # Ok(()) }
//! ```
//!
//! # When writing fails
//!
//! After a failed write the writer opens the engine again, which takes back what was not durable, and answers
//! whoever waited by what is there. Then it refuses writes ([`StoreError::Full`], [`StoreError::Unavailable`]) until
//! there is room to write with some to spare; reads go on. On disk, a reserved file makes that possible where
//! nothing else is free.
//!
//! # When the state is damaged
//!
//! Writes are numbered, and the number of the last that was acknowledged is kept outside sled. sled's own recovery
//! takes damage to its log for a write that a crash cut short, drops what lies behind it without an error, and
//! overwrites it. So its log is checked before it is opened: where acknowledged writes are missing, the store
//! does not open ([`Loss`]), or keeps a copy first ([`StoreOptions::accept_loss`]).
//!
//! # Limitations
//!
//! - After a loss of power the number that is kept outside may be behind by about a second of writes; the loss of
//!   just those goes unnoticed.
//! - Damage to pages that sled's snapshot covers is found by their checksums when they are read, not at the start.
//! - Where a device reports that it could not sync, what the page cache still has is taken for durable when the
//!   engine is opened again.

mod admission;
mod apply;
mod artefacts;
mod batch;
mod bytes;
mod commit;
mod commit_number;
mod depth;
mod digest;
mod directory;
mod engine;
mod error;
mod journal;
mod key;
mod kind;
mod log;
mod options;
mod pages;
mod queue;
mod records;
mod samples;
mod sequences;
mod series;
mod store;
mod view;
mod writer;

#[cfg(test)]
mod tests;

pub use artefacts::Artefacts;
pub use batch::Batch;
pub use commit::{Commit, Receipt};
pub use depth::{MOST_JSON_DEPTH, json_depth};
pub use digest::{Digest, InvalidDigest};
pub use engine::{Faults, Memory};
pub use error::{Loss, StoreError, Unreadable, readable};
pub use journal::{Blob, CallRecord, JournalSize};
pub use key::Key;
pub use kind::{Encoding, Entry, Kind};
pub use log::{Log, Numbered, Records};
pub use options::{Durability, StoreOptions};
pub use records::{
    Calendar, Decisions, Dependencies, FittedModel, GenerationStatus, GrantedDirectory, Leases,
    Models, Negotiations, Outcome, Outcomes, PluginGeneration, Plugins, Policies, Providers,
    Services,
};
pub use series::{Sample, SeriesKey};
pub use store::{Pruned, Store};
