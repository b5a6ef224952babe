use std::{
    collections::BTreeSet,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use cap_std::{
    ambient_authority,
    fs::{Dir, OpenOptions},
};

use crate::{Digest, Memory, StoreError};

/// Uploaded components, stored as files named by their digest. A file appears under its name only once it is
/// complete and durable. No name can refer outside the folder.
pub struct Artefacts(Place);

enum Place {
    Folder(Folder),
    Memory(Memory),
}

struct Folder {
    dir: Dir,
    /// Used only in messages.
    path: PathBuf,
    drafts: AtomicU64,
}

const EXTENSION: &str = ".wasm";
const DRAFT: &str = ".draft";

impl Artefacts {
    /// Opens or creates the folder, and removes unfinished uploads. The caller must hold the lock of the data
    /// directory.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let open = || {
            Dir::create_ambient_dir_all(path, ambient_authority())?;
            Dir::open_ambient_dir(path, ambient_authority())
        };
        let dir = open().map_err(|e| StoreError::io("open", path, &e))?;
        let folder = Folder { dir, path: path.to_owned(), drafts: AtomicU64::new(0) };
        for name in folder.names()?.iter().filter(|name| name.ends_with(DRAFT)) {
            folder.remove(name)?;
        }
        Ok(Self(Place::Folder(folder)))
    }

    pub(crate) const fn in_memory(memory: Memory) -> Self {
        Self(Place::Memory(memory))
    }

    /// Stores the bytes; returns once they are durable.
    ///
    /// # Errors
    /// [`StoreError::Io`]; nothing is stored then.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        match &self.0 {
            Place::Folder(folder) => folder.put(bytes),
            Place::Memory(memory) => {
                let digest = Digest::of(bytes);
                memory.artefacts().insert(digest, bytes.to_vec());
                Ok(digest)
            }
        }
    }

    /// Returns the bytes with that digest; `None` if there are none.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the file's content has changed, [`StoreError::Io`] when it cannot be
    /// read.
    pub fn get(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        match &self.0 {
            Place::Folder(folder) => folder.get(digest),
            Place::Memory(memory) => Ok(memory.artefacts().get(digest).cloned()),
        }
    }

    /// Returns the digests of all stored components, ascending.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn list(&self) -> Result<BTreeSet<Digest>, StoreError> {
        match &self.0 {
            Place::Folder(folder) => folder.list(),
            Place::Memory(memory) => Ok(memory.artefacts().keys().copied().collect()),
        }
    }

    /// Removes everything but `referenced`, and returns the digests removed. No component that will be
    /// referenced later may be stored during the call.
    ///
    /// # Errors
    /// [`StoreError::Io`]; some components may have been removed.
    pub fn sweep(&self, referenced: &BTreeSet<Digest>) -> Result<Vec<Digest>, StoreError> {
        let unreferenced: Vec<Digest> = self.list()?.difference(referenced).copied().collect();
        for digest in &unreferenced {
            match &self.0 {
                Place::Folder(folder) => folder.remove(&file_name(digest))?,
                Place::Memory(memory) => drop(memory.artefacts().remove(digest)),
            }
        }
        Ok(unreferenced)
    }
}

impl Folder {
    fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        let name = file_name(&digest);
        // Write the file even if it exists, because it might be damaged.
        let draft = format!("{}{DRAFT}", self.drafts.fetch_add(1, Ordering::Relaxed));
        let written = self.write(&draft, bytes).and_then(|()| {
            self.dir.rename(&draft, &self.dir, &name)?;
            // The name is durable only once the folder is synced. (`Dir` itself may be a handle without
            // access.)
            self.dir.open(".")?.sync_all()
        });
        if let Err(error) = written {
            // Report the first error; the next start removes a leftover draft.
            let _ = self.dir.remove_file(&draft);
            return Err(self.failed("write", &name, &error));
        }
        Ok(digest)
    }

    fn get(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let name = file_name(digest);
        let bytes = match self.dir.read(&name) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.failed("read", &name, &e)),
        };
        let found = Digest::of(&bytes);
        if found == *digest {
            Ok(Some(bytes))
        } else {
            let place = self.path.join(name);
            Err(StoreError::corrupt(place.display(), format_args!("its bytes have digest {found}")))
        }
    }

    fn list(&self) -> Result<BTreeSet<Digest>, StoreError> {
        let names = self.names()?;
        Ok(names.iter().filter_map(|n| n.strip_suffix(EXTENSION)?.parse().ok()).collect())
    }

    fn write(&self, draft: &str, bytes: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file =
            self.dir.open_with(draft, options.write(true).create(true).truncate(true))?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        let failed = |e: io::Error| StoreError::io("list", &self.path, &e);
        let entries = self.dir.entries().map_err(failed)?;
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<_>>()
            .map_err(failed)
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.dir.remove_file(name).map_err(|e| self.failed("remove", name, &e))
    }

    fn failed(&self, action: &'static str, name: &str, error: &io::Error) -> StoreError {
        StoreError::io(action, &self.path.join(name), error)
    }
}

fn file_name(digest: &Digest) -> String {
    format!("{digest}{EXTENSION}")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::Artefacts;
    use crate::{Digest, StoreError};

    #[test]
    fn keeps_checks_and_sweeps() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("artefacts");
        let artefacts = Artefacts::open(&path).unwrap();
        let a = artefacts.put(b"\0asm a").unwrap();
        let b = artefacts.put(b"\0asm b").unwrap();
        assert_eq!(artefacts.put(b"\0asm a"), Ok(a));
        assert_eq!(artefacts.list().unwrap(), BTreeSet::from([a, b]));
        assert_eq!(artefacts.get(&Digest::of(b"never put")), Ok(None));
        assert_eq!(artefacts.sweep(&BTreeSet::from([b])), Ok(vec![a]));
        assert_eq!(artefacts.get(&a), Ok(None));
        assert_eq!(artefacts.get(&b), Ok(Some(b"\0asm b".to_vec())));
    }

    #[test]
    fn a_damaged_file_is_an_error_and_a_new_upload_mends_it() {
        let root = tempfile::tempdir().unwrap();
        let artefacts = Artefacts::open(root.path()).unwrap();
        let digest = artefacts.put(b"good").unwrap();
        fs::write(root.path().join(format!("{digest}.wasm")), b"evil").unwrap();
        assert!(matches!(artefacts.get(&digest), Err(StoreError::Corrupt { .. })));
        artefacts.put(b"good").unwrap();
        assert_eq!(artefacts.get(&digest), Ok(Some(b"good".to_vec())));
    }

    #[test]
    fn what_an_upload_left_unfinished_goes() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("0.draft"), b"hal").unwrap();
        let artefacts = Artefacts::open(root.path()).unwrap();
        assert!(!root.path().join("0.draft").exists());
        assert_eq!(artefacts.list(), Ok(BTreeSet::new()));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_does_not_lead_out() {
        let root = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"secret");
        let path = root.path().join("artefacts");
        let artefacts = Artefacts::open(&path).unwrap();
        fs::write(root.path().join("secret"), b"secret").unwrap();
        let link = path.join(format!("{digest}.wasm"));
        std::os::unix::fs::symlink("../secret", link).unwrap();
        assert!(artefacts.get(&digest).is_err());
    }
}
