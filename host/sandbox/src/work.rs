//! Folders through which a host and its compile worker exchange files.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use tempfile::TempDir;

/// The prefix of the folders' names.
const PREFIX: &str = "compiling-";
/// Locked while a folder is created or old ones are removed, so that no new folder is removed before it is
/// locked.
const GATE: &str = "compiling.lock";

/// A folder that is deleted when dropped. A killed host leaves it behind; its lock ends with the host, so the
/// next host knows that the folder is unused.
#[derive(Debug)]
pub(crate) struct WorkFolder {
    folder: TempDir,
    _lock: File,
}

impl WorkFolder {
    /// Creates a folder in `parent`, or among the system's temporary files.
    pub(crate) fn new(parent: Option<&Path>) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        let Some(parent) = parent else {
            let folder = builder.tempdir()?;
            let _lock = File::open(folder.path())?;
            return Ok(Self { folder, _lock });
        };
        let gate = gate(parent)?;
        gate.lock_shared()?;
        let folder = builder.tempdir_in(parent)?;
        let lock = File::open(folder.path())?;
        lock.lock()?;
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Removes the folders that killed hosts have left.
    pub(crate) fn sweep(parent: &Path) -> io::Result<()> {
        let gate = gate(parent)?;
        gate.lock()?;
        for entry in fs::read_dir(parent)?.flatten() {
            let is_one = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
            let path = entry.path();
            if !is_one || !path.is_dir() || File::open(&path)?.try_lock().is_err() {
                continue;
            }
            tracing::info!(folder = %path.display(), "removing what an interrupted compilation left");
            fs::remove_dir_all(&path)?;
        }
        Ok(())
    }
}

fn gate(parent: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(parent.join(GATE))
}

#[cfg(test)]
mod tests {
    use super::{PREFIX, WorkFolder};
    use std::fs;

    #[test]
    fn only_what_nobody_uses_is_swept() {
        let parent = tempfile::tempdir().unwrap();
        let used = WorkFolder::new(Some(parent.path())).unwrap();
        let left = parent.path().join(format!("{PREFIX}left"));
        let other = parent.path().join("other");
        for folder in [&left, &other] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("file"), "content").unwrap();
        }
        WorkFolder::sweep(parent.path()).unwrap();
        assert!(used.path().is_dir() && other.is_dir() && !left.exists());
        let path = used.path().to_owned();
        drop(used);
        assert!(!path.exists());
    }
}
