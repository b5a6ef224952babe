use std::path::{Path, PathBuf};

use crate::Digest;

/// Why the store could not do what it was asked to.
///
/// It can be cloned, because one failed flush is the answer to everybody who waited for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the directory open.
    #[error(
        "the data directory {dir} is in use by another process; stop it or use another --data directory",
        dir = .0.display()
    )]
    InUse(PathBuf),
    /// The directory holds something else already and others may read it.
    #[error(
        "{dir} is not empty, was not made by Haggle, and is open to other users: name an empty or new directory, or make it private (chmod 700)",
        dir = .0.display()
    )]
    NotPrivate(PathBuf),
    /// It was written by a newer Haggle.
    #[error(
        "the data directory {dir} has schema {found}, and this version reads up to {supported}: run the newer version that wrote it, or use another --data directory",
        dir = .dir.display()
    )]
    NewerSchema {
        /// The directory.
        dir: PathBuf,
        /// What it has.
        found: u32,
        /// What this version has.
        supported: u32,
    },
    /// What is on disk is not what was written.
    #[error(
        "the data in {place} is damaged ({detail}): stop Haggle, then restore the data directory from a backup, or move it away to begin with an empty one"
    )]
    Corrupt {
        /// The directory or the record.
        place: String,
        /// What was found.
        detail: String,
    },
    /// The file system refused.
    #[error("cannot {action} {path}: {detail}", path = .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// A value is larger than its kind may be.
    #[error("{what} has {bytes} bytes, and at most {most} are kept: make it smaller")]
    TooLarge {
        /// The record.
        what: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        most: usize,
    },
    /// A key is larger than a key may be.
    #[error(
        "the key of a {what} has {bytes} bytes encoded, and at most {most} are possible: shorten its names"
    )]
    KeyTooLong {
        /// The kind.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        most: usize,
    },
    /// A value has no encoded form.
    #[error("a {what} cannot be encoded: {detail}")]
    Encode {
        /// The kind.
        what: &'static str,
        /// Why.
        detail: String,
    },
    /// A journalled call names a blob that the store has not and was not given.
    #[error("the journal has no blob {0}: pass its bytes together with the call")]
    MissingBlob(Digest),
    /// An earlier write failed, so nothing is accepted any more.
    #[error(
        "nothing can be written since an earlier write failed ({0}): free space or mend the disk, then restart"
    )]
    Poisoned(String),
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// From an error of the file system.
    pub(crate) fn io(action: &'static str, path: &Path, error: &std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), detail: error.to_string() }
    }

    /// From what cannot be read back.
    pub(crate) fn corrupt(place: impl ToString, detail: impl ToString) -> Self {
        Self::Corrupt { place: place.to_string(), detail: detail.to_string() }
    }
}
