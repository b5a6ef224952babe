use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use haggle_model::Timestamp;

use crate::{Digest, SeriesKey};

/// An error of the store.
///
/// It is cloneable, because one failed flush is the answer to all callers that wait for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An option is out of range.
    #[error("{field} is {value}: it must lie between {least} and {most}")]
    Setting {
        /// The option's name in [`crate::StoreOptions`].
        field: &'static str,
        /// The given value.
        value: u64,
        /// The minimum.
        least: u64,
        /// The maximum.
        most: u64,
    },
    /// Another process has the directory open.
    #[error(
        "the data directory {dir} is in use by another process; stop it or use another --data directory",
        dir = .0.display()
    )]
    InUse(PathBuf),
    /// The directory contains other files and other users may read it.
    #[error(
        "{dir} is not empty, was not made by Haggle, and is open to other users: name an empty or new directory, or make it private (chmod 700)",
        dir = .0.display()
    )]
    NotPrivate(PathBuf),
    /// A newer version of Haggle wrote the directory.
    #[error(
        "the data directory {dir} has schema {found}, and this version reads up to {supported}: run the newer version that wrote it, or use another --data directory",
        dir = .dir.display()
    )]
    NewerSchema {
        /// The directory.
        dir: PathBuf,
        /// The schema of the directory.
        found: u32,
        /// The schema of this version.
        supported: u32,
    },
    /// An earlier version of Haggle wrote the directory, and this one does not read its records.
    #[error(
        "the data directory {dir} was written by an earlier version of Haggle (schema {found}, and this version reads {supported}): choose an empty directory with --data, or move this one away",
        dir = .dir.display()
    )]
    OlderSchema {
        /// The directory.
        dir: PathBuf,
        /// The schema of the directory.
        found: u32,
        /// The schema of this version.
        supported: u32,
    },
    /// One record is unreadable; an iteration continues with the next one.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The data on disk is not what was written.
    #[error(
        "the data in {place} is damaged ({detail}): stop Haggle, then restore the data directory from a backup, or move it away to begin with an empty one"
    )]
    Corrupt {
        /// The directory or the record.
        place: String,
        /// The damage that was found.
        detail: String,
    },
    /// A file operation failed.
    #[error("cannot {action} {path}: {detail}", path = .path.display())]
    Io {
        /// The operation.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's message.
        detail: String,
    },
    /// A value exceeds the maximum size of its kind.
    #[error("{what} has {bytes} bytes, and at most {most} are kept: make it smaller")]
    TooLarge {
        /// The record.
        what: String,
        /// Its size, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        most: usize,
    },
    /// A key exceeds the maximum length.
    #[error(
        "the key of a {what} has {bytes} bytes encoded, and at most {most} are possible: shorten its names"
    )]
    KeyTooLong {
        /// The kind of record.
        what: &'static str,
        /// Its length, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        most: usize,
    },
    /// A value cannot be encoded.
    #[error("a {what} cannot be encoded: {detail}")]
    Encode {
        /// The kind of record.
        what: &'static str,
        /// The reason.
        detail: String,
    },
    /// A value could not be read back.
    #[error("a {what} is refused, because it could not be read again: {detail}")]
    Irreversible {
        /// The kind of record.
        what: &'static str,
        /// The reason.
        detail: String,
    },
    /// JSON is nested too deeply.
    #[error("a {what} has {depth} levels of nested JSON, and at most {most} are kept: flatten it")]
    TooDeep {
        /// The kind of record.
        what: &'static str,
        /// The nesting depth.
        depth: usize,
        /// The limit.
        most: usize,
    },
    /// A series would have too many samples in one hour.
    #[error(
        "series {series}: the hour from {hour} would have {count} samples, and at most {most} are kept (ten a second): send them less often, or with times that lie further apart"
    )]
    HourFull {
        /// The series.
        series: SeriesKey,
        /// The beginning of the hour.
        hour: Timestamp,
        /// The resulting number of samples.
        count: usize,
        /// The limit.
        most: usize,
    },
    /// A journalled call refers to a blob that is neither stored nor given.
    #[error("the journal has no blob {0}: pass its bytes together with the call")]
    MissingBlob(Digest),
    /// The disk is full. The operation has not happened; reads still work.
    #[error(
        "cannot {action} {path}: the disk is full; make room (a host that runs goes on by itself then)",
        path = .path.display()
    )]
    Full {
        /// The operation.
        action: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// A write failed, so the store refuses writes for now. Reads still work, and the store retries by
    /// itself.
    #[error(
        "nothing can be written for now ({0}): free space or mend the disk, and writing goes on by itself"
    )]
    Unavailable(String),
    /// The data on disk is older than the acknowledged writes.
    #[error(transparent)]
    Lost(#[from] Loss),
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

/// Acknowledged writes are missing: the log of the state is damaged or incomplete.
///
/// The store then refuses to open, unless [`crate::StoreOptions::accept_loss`] is set. Continuing cannot be
/// undone: the state may mix old and new data, forgotten leases may be promised again, and the engine
/// overwrites what it cannot read. Refusing to start changes nothing: services keep their replicas, and the
/// operator can still restore a backup or salvage the folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the data directory {dir} has lost acknowledged writes: {}; nothing was changed: restore it from a backup, or start with --accept-loss, which keeps a copy of the damaged state and goes on without them",
    self.what(),
    dir = .dir.display()
)]
pub struct Loss {
    /// The data directory.
    pub dir: PathBuf,
    /// The number of the last acknowledged write. Writes are numbered from 1.
    pub acknowledged: u64,
    /// The number of the last write found.
    pub found: u64,
    /// The damage, if known.
    pub damage: Option<String>,
    /// The copy of the damaged state, once the loss was accepted.
    pub kept: Option<PathBuf>,
}

impl Loss {
    /// The number of writes missing at the end. If the log is damaged, others may be missing in the middle.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.acknowledged.saturating_sub(self.found)
    }

    /// Describes what is missing, for a person.
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

/// An unreadable record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {key} cannot be read ({why}): it is left out until it is replaced or deleted")]
pub struct Unreadable {
    /// The kind of record, such as `lease`.
    pub what: &'static str,
    /// Its key, in readable form.
    pub key: String,
    /// The reason.
    pub why: String,
}

/// Skips unreadable records and reports each one to `tell`. Other errors are passed on.
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
    /// Creates the error for a record that cannot be decoded.
    pub(crate) fn unreadable(what: &'static str, key: impl ToString, why: impl ToString) -> Self {
        Unreadable { what, key: key.to_string(), why: why.to_string() }.into()
    }

    /// Whether the same operation may succeed later.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Unavailable(_) | Self::Closed)
    }

    /// Converts an error of the file system.
    pub(crate) fn io(action: &'static str, path: &Path, error: &std::io::Error) -> Self {
        if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
            return Self::Full { action, path: path.to_owned() };
        }
        Self::Io { action, path: path.to_owned(), detail: error.to_string() }
    }

    /// Creates the error for damaged data.
    pub(crate) fn corrupt(place: impl ToString, detail: impl ToString) -> Self {
        Self::Corrupt { place: place.to_string(), detail: detail.to_string() }
    }
}
