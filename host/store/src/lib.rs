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
//! # Limitations
//!
//! sled finds damage by checksums a page. Damage to the end of its log looks like a write that a crash
//! cut short, and what lies behind it is dropped without an error.

mod admission;
mod artefacts;
mod batch;
mod bytes;
mod commit;
mod depth;
mod digest;
mod directory;
mod engine;
mod error;
mod journal;
mod key;
mod kind;
mod kinds;
mod log;
mod options;
mod pages;
mod queue;
mod samples;
mod sequences;
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
pub use error::{StoreError, Unreadable, readable};
pub use journal::{Blob, CallRecord, JournalSize};
pub use key::Key;
pub use kind::{Encoding, Entry, Kind};
pub use kinds::{
    Calendar, Decisions, Dependencies, FittedModel, GrantedDirectory, Leases, Models, Negotiations,
    Outcome, Outcomes, PluginGeneration, Plugins, Policies, Providers, Services, Standing,
};
pub use log::{Log, Numbered, Records};
pub use options::{Durability, StoreOptions};
pub use samples::{Sample, SeriesKey};
pub use store::{Pruned, Store};
