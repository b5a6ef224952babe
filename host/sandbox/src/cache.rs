//! A cache of compiled code on disk, so that each plugin is compiled once.
//!
//! Compiled code is trusted when it is loaded, so the cache loads only what this host compiled itself: the
//! folder is private to the user, no request can name a file in it, and each file name contains the digest of
//! the content, which is checked before loading.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use cap_std::{
    ambient_authority,
    fs::{Dir, DirBuilder, DirBuilderExt},
};
use wasmtime::Engine;

use crate::{digest::Digest, work::WorkFolder};

/// The private folder of compiled code.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: Dir,
    path: PathBuf,
    /// A hash of the version and configuration of the compiler and the metering.
    compatibility: u64,
}

impl Cache {
    /// Opens or creates the folder, and removes what killed hosts have left in it.
    pub(crate) fn open(path: &Path, engine: &Engine) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        // A bare file name has an empty parent, which is not a folder.
        let parent = path.parent().filter(|parent| *parent != Path::new(""));
        let parent = parent.unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent)?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        Dir::open_ambient_dir(parent, ambient_authority())?.create_dir_with(name, &builder)?;
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        WorkFolder::sweep(path)?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        haggle_metering::VERSION.hash(&mut hasher);
        Ok(Self { dir, path: path.to_owned(), compatibility: hasher.finish() })
    }

    /// Returns the file with the code compiled from a component, after verifying its content.
    pub(crate) fn find(&self, component: &Digest) -> Option<PathBuf> {
        let prefix = self.prefix(component);
        for entry in self.dir.entries().ok()?.flatten() {
            let name = entry.file_name();
            let Some(content) = name
                .to_str()
                .and_then(|name| name.strip_prefix(&prefix))
                .and_then(|rest| rest.strip_suffix(".cwasm"))
            else {
                continue;
            };
            let intact =
                self.dir.read(&name).is_ok_and(|bytes| Digest::of(&bytes).to_string() == content);
            if intact {
                return Some(self.path.join(name));
            }
            tracing::warn!(file = ?name, "compiled code is damaged; compiling again");
            // If the removal fails, the warning only repeats.
            drop(self.dir.remove_file(&name));
        }
        None
    }

    /// Stores code compiled from a component and returns its file.
    pub(crate) fn insert(&self, component: &Digest, compiled: &[u8]) -> io::Result<PathBuf> {
        let name = format!("{}{}.cwasm", self.prefix(component), Digest::of(compiled));
        let folder = WorkFolder::new(Some(&self.path))?;
        let temporary = folder.path().join(&name);
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(compiled)?;
        file.sync_all()?;
        let path = self.path.join(name);
        std::fs::rename(temporary, &path)?;
        Ok(path)
    }

    /// Removes code compiled from components that are not in `keep`, or by another compiler.
    pub(crate) fn sweep(&self, keep: &BTreeSet<String>) -> io::Result<()> {
        let kept: Vec<String> = keep.iter().map(|digest| self.prefix_of(digest)).collect();
        for entry in self.dir.entries()? {
            let name = entry?.file_name();
            let text = name.to_str().unwrap_or_default();
            if text.ends_with(".cwasm") && !kept.iter().any(|prefix| text.starts_with(prefix)) {
                self.dir.remove_file(&name)?;
            }
        }
        Ok(())
    }

    /// The folder for the compile worker's files.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn prefix(&self, component: &Digest) -> String {
        self.prefix_of(&component.to_string())
    }

    fn prefix_of(&self, digest: &str) -> String {
        format!("{digest}-{:016x}-", self.compatibility)
    }
}

#[cfg(test)]
mod tests {
    use super::Cache;
    use crate::{digest::Digest, engine::compiling_engine};

    #[test]
    fn finds_what_it_stored_unless_it_was_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let cache =
            Cache::open(&folder.path().join("cache"), &compiling_engine().unwrap()).unwrap();
        let component = Digest::of(b"component");
        assert_eq!(cache.find(&component), None);
        let file = cache.insert(&component, b"compiled").unwrap();
        assert_eq!(cache.find(&component), Some(file.clone()));
        assert_eq!(cache.find(&Digest::of(b"another")), None);
        let other = cache.insert(&Digest::of(b"another"), b"compiled").unwrap();
        cache.sweep(&[component.to_string()].into()).unwrap();
        assert_eq!((file.exists(), other.exists()), (true, false));
        std::fs::write(&file, b"damaged!").unwrap();
        assert_eq!(cache.find(&component), None);
        assert!(!file.exists());
    }
}
