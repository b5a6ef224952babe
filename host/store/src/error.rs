use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use haggle_model::Timestamp;

use crate::{Digest, SeriesKey};

/// Why the store could not do what it was asked to.
///
/// It can be cloned, because one failed flush is the answer to everybody who waited for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An option of the store has no use.
    #[error("{field} is {value}: it must lie between {least} and {most}")]
    Setting {
        /// Its name in [`crate::StoreOptions`].
        field: &'static str,
        /// What it is.
        value: u64,
        /// The least that it may be.
        least: u64,
        /// The most.
        most: u64,
    },
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
    /// The disk is full. What was asked for has not happened; reads go on.
    #[error(
        "cannot {action} {path}: the disk is full; make room (a host that runs goes on by itself then)",
        path = .path.display()
    )]
    Full {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// Nothing is written for now, because a write failed. Reads go on, and the store tries again by itself.
    #[error(
        "nothing can be written for now ({0}): free space or mend the disk, and writing goes on by itself"
    )]
    Unavailable(String),
    /// What is on disk is older than what was acknowledged.
    #[error(transparent)]
    Lost(#[from] Loss),
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

/// Acknowledged writes that are no longer there: the state's log is damaged, or a part of it is gone.
///
/// A store does not open then, unless [`crate::StoreOptions::accept_loss`] says so. To go on is the one step
/// that cannot be taken back: what is found may be a mixture of old and new, leases that are forgotten are
/// promised to somebody else, and the engine overwrites what it cannot read. Not to start changes nothing:
/// services keep the replicas that they have, and an operator can still restore a backup or salvage the folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the data directory {dir} has lost acknowledged writes: {}; nothing was changed: restore it from a backup, or start with --accept-loss, which keeps a copy of the damaged state and goes on without them",
    self.what(),
    dir = .dir.display()
)]
pub struct Loss {
    /// The data directory.
    pub dir: PathBuf,
    /// The number of the last write that was acknowledged. Writes are numbered from 1.
    pub acknowledged: u64,
    /// The number of the last write that is found.
    pub found: u64,
    /// What is damaged, where that is known.
    pub damage: Option<String>,
    /// Where the damaged state is kept, once the loss was accepted.
    pub kept: Option<PathBuf>,
}

impl Loss {
    /// How many writes are missing at the end; others may be missing in the middle where something is damaged.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.acknowledged.saturating_sub(self.found)
    }

    /// What is missing, for a person.
    #[must_use]
    pub fn what(&self) -> String {
        let Self { acknowledged, found, .. } = self;
        let missing = match self.missing() {
            0 => "some in the middle".to_owned(),
            missing => {
                format!("the last {missing} ({acknowledged} were acknowledged, {found} are found)")
            }
        };
        match &self.damage {
            Some(damage) => format!("{missing}; {damage}"),
            None => missing,
        }
    }
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

    /// Whether the same may succeed later, without anything being changed in what is asked.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Unavailable(_) | Self::Closed)
    }

    /// From an error of the file system.
    pub(crate) fn io(action: &'static str, path: &Path, error: &std::io::Error) -> Self {
        if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
            return Self::Full { action, path: path.to_owned() };
        }
        Self::Io { action, path: path.to_owned(), detail: error.to_string() }
    }

    /// From what cannot be read back.
    pub(crate) fn corrupt(place: impl ToString, detail: impl ToString) -> Self {
        Self::Corrupt { place: place.to_string(), detail: detail.to_string() }
    }
}
