//! The data directory: private, locked, and marked as Haggle's.
//!
//! ```text
//! lock         held by whoever has the store open
//! format       the schema's number; its presence says that `state` must not be empty
//! state/       sled
//! acknowledged how far writes were acknowledged
//! reserve      room to recover in where the disk is full
//! artefacts/   uploaded components
//! damaged-N/   a copy of a damaged state, once its loss was accepted
//! ```

use std::{
    fs::{self, File, TryLockError},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use crate::{StoreError, engine::Engine};

/// The schema that this version writes and reads.
const SCHEMA: u32 = 3;

/// The key under which the state stores its schema number: a mismatch with the marker file means that the
/// directory mixes two data directories.
const SCHEMA_KEY: &[u8] = &[0x01];

/// A locked data directory. Dropping it releases the lock.
pub(crate) struct Directory {
    path: PathBuf,
    /// Whether a store was completely set up in it before.
    is_set_up: bool,
    _lock: File,
}

impl Directory {
    /// Creates the directory if it is missing, makes it private and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(path).map_err(|e| StoreError::io("create", path, &e))?;
        make_private(path)?;
        let lock_path = path.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|e| StoreError::io("open", &lock_path, &e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(path.to_owned())),
            Err(TryLockError::Error(e)) => return Err(StoreError::io("lock", &lock_path, &e)),
        }
        let found = read_schema(path)?;
        match found {
            Some(found) if found > SCHEMA => {
                let dir = path.to_owned();
                return Err(StoreError::NewerSchema { dir, found, supported: SCHEMA });
            }
            Some(found) if found < SCHEMA => {
                let dir = path.to_owned();
                return Err(StoreError::OlderSchema { dir, found, supported: SCHEMA });
            }
            _ => {}
        }
        Ok(Self { path: path.to_owned(), is_set_up: found.is_some(), _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    /// Removes unfinished snapshots. sled writes a snapshot while it opens, under a temporary name that it
    /// later does not distinguish from a finished one: if the process ends or the disk is full at that
    /// moment, the next opening fails as corrupt. An unfinished snapshot is useless, because sled computes it
    /// again from the previous one and the log.
    pub(crate) fn remove_unfinished_snapshots(&self) -> Result<(), StoreError> {
        let state = self.state();
        let entries = match fs::read_dir(&state) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(StoreError::io("read", &state, &e)),
        };
        for entry in entries {
            let path = entry.map_err(|e| StoreError::io("read", &state, &e))?.path();
            if path.extension().is_some_and(|extension| extension == "generating") {
                fs::remove_file(&path).map_err(|e| StoreError::io("remove", &path, &e))?;
            }
        }
        Ok(())
    }

    /// Copies the damaged state for later salvage, and returns the path of the copy.
    pub(crate) fn keep_damaged(&self) -> Result<PathBuf, StoreError> {
        let taken = |path: &PathBuf| path.exists();
        let free = (1_u32..).map(|n| self.path.join(format!("damaged-{n}"))).find(|p| !taken(p));
        let target = free.ok_or(StoreError::Closed)?;
        let copied = copy_folder(&self.state(), &target);
        if copied.is_err() {
            // A partial copy would only waste space.
            let _ = fs::remove_dir_all(&target);
        }
        copied.map_err(|e| StoreError::io("copy the damaged state to", &target, &e))?;
        Ok(target)
    }

    /// Checks that the state has the schema of the directory, and marks a new directory.
    pub(crate) fn check(&self, engine: &dyn Engine) -> Result<(), StoreError> {
        let place = self.path.display();
        match (engine.get(SCHEMA_KEY)?, self.is_set_up) {
            (Some(found), _) if *found == SCHEMA.to_be_bytes() => {}
            (Some(_), _) => {
                return Err(StoreError::corrupt(place, "it is of another schema than it says"));
            }
            (None, true) => return Err(StoreError::corrupt(place, "its state is gone")),
            (None, false) => {
                engine.apply(vec![(SCHEMA_KEY.to_vec(), Some(SCHEMA.to_be_bytes().to_vec()))])?;
                engine.flush()?;
            }
        }
        if self.is_set_up { Ok(()) } else { self.mark() }
    }

    /// Marks the store as completely set up with this version's schema.
    fn mark(&self) -> Result<(), StoreError> {
        let (draft, marker) = (self.path.join("format.new"), self.path.join("format"));
        let write = || {
            let mut file = File::create(&draft)?;
            writeln!(file, "{SCHEMA}")?;
            file.sync_all()?;
            fs::rename(&draft, &marker)?;
            File::open(self.state())?.sync_all()?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|e| StoreError::io("write", &marker, &e))
    }
}

fn read_schema(path: &Path) -> Result<Option<u32>, StoreError> {
    let marker = path.join("format");
    match fs::read_to_string(&marker) {
        Ok(text) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|_| StoreError::corrupt(marker.display(), "no number")),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) if e.kind() == ErrorKind::InvalidData => {
            Err(StoreError::corrupt(marker.display(), "no text"))
        }
        Err(e) => Err(StoreError::io("read", &marker, &e)),
    }
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            File::open(&target)?.sync_all()?;
        }
    }
    File::open(to)?.sync_all()
}

/// Restricts the directory to its owner, but only if it is empty or Haggle's own: `--data /tmp` must not
/// close `/tmp`.
#[cfg(unix)]
fn make_private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;

    let look = |e: std::io::Error| StoreError::io("read", path, &e);
    let mode = fs::metadata(path).map_err(look)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let ours = path.join("format").exists() || path.join("lock").exists();
    if !ours && fs::read_dir(path).map_err(look)?.next().is_some() {
        return Err(StoreError::NotPrivate(path.to_owned()));
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .map_err(|e| StoreError::io("make private", path, &e))
}

#[cfg(not(unix))]
fn make_private(_: &Path) -> Result<(), StoreError> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::Directory;
    use crate::StoreError;

    #[test]
    fn a_new_directory_is_private() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data");
        let _directory = Directory::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn somebody_elses_directory_stays_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(root.path().join("thesis.txt"), "precious").unwrap();
        assert!(matches!(Directory::open(root.path()), Err(StoreError::NotPrivate(_))));
        assert_eq!(fs::metadata(root.path()).unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn an_unfinished_snapshot_goes() {
        let root = tempfile::tempdir().unwrap();
        drop(Directory::open(root.path()).unwrap());
        let state = root.path().join("state");
        fs::create_dir(&state).unwrap();
        fs::write(state.join("snap.00AB.generating"), "half").unwrap();
        fs::write(state.join("snap.00AA"), "whole").unwrap();
        let directory = Directory::open(root.path()).unwrap();
        directory.remove_unfinished_snapshots().unwrap();
        assert!(!state.join("snap.00AB.generating").exists());
        assert!(state.join("snap.00AA").exists());
    }
}
