//! Durable state: acknowledged writes survive the end of the process at any moment.
//!
//! Accepted values can be read back: a batch refuses a value whose encoding does not decode. If a record is
//! damaged nevertheless, only that record is omitted ([`readable`]).
//!
//! A store is on sled in a data directory, or in memory; above the small key-value interface in `engine`
//! there is no difference.
//!
//! All records share one ordered keyspace, each kind under its own tag and tenant, so one [`Batch`] can span
//! kinds: the leases, the record and the decision of an agreement become durable together or not at all. One
//! thread writes: it takes all waiting batches, applies them at once, flushes once and acknowledges them all.
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
//! # When a write fails
//!
//! After a failed write the writer reopens the engine, which reverts everything not durable, and answers the
//! waiting callers according to the result. Then it refuses writes ([`StoreError::Full`],
//! [`StoreError::Unavailable`]) until there is enough room to write, with a reserve; reads still work. On
//! disk, a reserved file makes this possible when no other space is free. Batches that build on each other are
//! committed in a [`Chain`]: after one has failed, none of the later ones becomes durable.
//!
//! # When the state is damaged
//!
//! Writes are numbered, and the number of the last acknowledged write is stored outside sled. sled's own
//! recovery treats damage to its log as an interrupted write, drops what follows without an error, and
//! overwrites it. The store therefore checks the log before sled opens it: if acknowledged writes are
//! missing, the store refuses to open ([`Loss`]), or first keeps a copy ([`StoreOptions::accept_loss`]).
//!
//! # Limitations
//!
//! - After a power failure the number stored outside sled may be about a second of writes behind; the loss of
//!   exactly those writes goes unnoticed.
//! - Damage to pages that sled's snapshot covers is detected by their checksums when they are read, not
//!   at the start.
//! - If a device reports that it could not sync, the store treats the content of the page cache as durable
//!   when it reopens the engine.

mod admission;
mod apply;
mod artefacts;
mod batch;
mod bytes;
mod chain;
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
pub use chain::Chain;
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
