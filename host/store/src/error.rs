use std::path::{Path, PathBuf};

use haggle_model::Timestamp;

use crate::{Digest, SeriesKey};

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
    /// It was written by an earlier version, whose records this one does not read.
    #[error(
        "the data directory {dir} was written by an earlier version of Haggle (schema {found}, and this version reads {supported}): choose an empty directory with --data, or move this one away",
        dir = .dir.display()
    )]
    OlderSchema {
        /// The directory.
        dir: PathBuf,
        /// What it has.
        found: u32,
        /// What this version has.
        supported: u32,
    },
    /// One record cannot be read; the others can. An iteration goes on behind it.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
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
    /// A value would not be read again.
    #[error("a {what} is refused, because it could not be read again: {detail}")]
    Irreversible {
        /// The kind.
        what: &'static str,
        /// Why.
        detail: String,
    },
    /// JSON is nested too deep.
    #[error("a {what} has {depth} levels of nested JSON, and at most {most} are kept: flatten it")]
    TooDeep {
        /// The kind.
        what: &'static str,
        /// Its levels.
        depth: usize,
        /// The limit.
        most: usize,
    },
    /// A series would have too many samples within one hour.
    #[error(
        "series {series}: the hour from {hour} would have {count} samples, and at most {most} are kept (ten a second): send them less often, or with times that lie further apart"
    )]
    HourFull {
        /// The series.
        series: SeriesKey,
        /// When the hour begins.
        hour: Timestamp,
        /// How many it would have.
        count: usize,
        /// The limit.
        most: usize,
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

/// A record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {key} cannot be read ({why}): it is left out until it is replaced or deleted")]
pub struct Unreadable {
    /// What it is, e.g. `lease`.
    pub what: &'static str,
    /// Its key, for a person to read.
    pub key: String,
    /// What is wrong with it.
    pub why: String,
}

/// Leaves out records that cannot be read, and tells about each. Other errors are passed on.
pub fn readable<T>(
    items: impl Iterator<Item = Result<T, StoreError>>,
    mut tell: impl FnMut(Unreadable),
) -> impl Iterator<Item = Result<T, StoreError>> {
    items.filter_map(move |item| match item {
        Err(StoreError::Unreadable(unreadable)) => {
            tell(unreadable);
            None
        }
        other => Some(other),
    })
}

impl StoreError {
    /// From one record that cannot be decoded.
    pub(crate) fn unreadable(what: &'static str, key: impl ToString, why: impl ToString) -> Self {
        Unreadable { what, key: key.to_string(), why: why.to_string() }.into()
    }

    /// From an error of the file system.
    pub(crate) fn io(action: &'static str, path: &Path, error: &std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), detail: error.to_string() }
    }

    /// From what cannot be read back.
    pub(crate) fn corrupt(place: impl ToString, detail: impl ToString) -> Self {
        Self::Corrupt { place: place.to_string(), detail: detail.to_string() }
    }
}
