//! A file that reserves disk space. When the disk is full the file is deleted, so that sled can be reopened
//! (it then writes a snapshot); writes resume once there is room for the file again.

use std::{
    fs::{self, File},
    io::{ErrorKind, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::StoreError;

/// Space in bytes that opening sled needs beside its snapshot, with a reserve: sled clears up to one segment
/// (512 KiB), and the host writes a little at its start.
const LEAST: u64 = 4 << 20;

/// Size of the writes of zeros, in bytes.
const PIECE: usize = 64 << 10;

pub(crate) struct Reserve {
    path: PathBuf,
    /// sled's folder, whose snapshots indicate the size of the next one.
    state: PathBuf,
}

impl Reserve {
    pub(crate) fn new(data: &Path, state: &Path) -> Self {
        Self { path: data.join("reserve"), state: state.to_owned() }
    }

    /// Grows the file to its target size. If there is no room, deletes it.
    pub(crate) fn hold(&self) -> Result<(), StoreError> {
        let want = LEAST + 2 * self.snapshot_bytes();
        let written = self.fill(want);
        if written.is_err() {
            self.release();
        }
        written.map_err(|e| StoreError::io("reserve room in", &self.path, &e))
    }

    /// Deletes the file. Returns whether that freed any space.
    pub(crate) fn release(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }

    fn fill(&self, want: u64) -> std::io::Result<()> {
        let held = match fs::metadata(&self.path) {
            Ok(held) => held.len(),
            Err(e) if e.kind() == ErrorKind::NotFound => 0,
            Err(e) => return Err(e),
        };
        if held >= want {
            return Ok(());
        }
        let mut file = File::options().create(true).truncate(false).write(true).open(&self.path)?;
        let mut at = file.seek(SeekFrom::End(0))?;
        let zeros = vec![0; PIECE];
        while at < want {
            file.write_all(&zeros)?;
            at += PIECE as u64;
        }
        // Some file systems report a full disk only at the sync.
        file.sync_all()
    }

    fn snapshot_bytes(&self) -> u64 {
        let Ok(entries) = fs::read_dir(&self.state) else { return 0 };
        let snapshots =
            entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with("snap."));
        snapshots.filter_map(|e| e.metadata().ok()).map(|m| m.len()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::{LEAST, Reserve};
    use std::fs;

    #[test]
    fn it_is_held_grown_with_the_snapshot_and_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(dir.path(), dir.path());
        let held = || fs::metadata(dir.path().join("reserve")).map_or(0, |file| file.len());
        assert!(!reserve.release());
        reserve.hold().unwrap();
        assert!((LEAST..LEAST + (1 << 20)).contains(&held()));
        fs::write(dir.path().join("snap.01"), vec![0; 2 << 20]).unwrap();
        reserve.hold().unwrap();
        assert!(held() >= LEAST + (4 << 20));
        assert!(reserve.release());
        assert_eq!(held(), 0);
    }
}
