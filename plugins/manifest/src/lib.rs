//! The built-in plugins are committed as compiled components, so that a machine without the
//! WebAssembly target can build and test everything else. This crate says which components there are
//! and ties each to its sources: the manifest beside them keeps a digest of both.

mod components;
mod digest;
mod record;

pub use components::{COMPONENTS, Component, RUSTFLAGS};
pub use digest::{SourceError, hex_sha256, source_digest};
pub use record::{Manifest, Record};

/// What to run when a component is stale or missing.
pub const REBUILD: &str = "cargo run -p haggle-build-plugins";
