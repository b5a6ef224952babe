//! Compiled code on disk, so that a plugin is compiled once.
//!
//! Loading compiled code is running it, so nothing but what this host compiled itself is ever loaded: the
//! folder is private to the user, no request can name a file in it, and each file's name carries the
//! digest of its content, which is checked before it is loaded.

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
    /// Stands for the compiler's version and configuration, and that of the metering.
    compatibility: u64,
}

impl Cache {
    /// Opens the folder, or makes it, and removes what hosts that were killed have left in it.
    pub(crate) fn open(path: &Path, engine: &Engine) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        // A name alone has an empty parent, which is no folder.
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

    /// The file with the code compiled from a component, once its content is proven to be what was
    /// stored.
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
            // Failing to remove it only means being warned again.
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

    /// Removes what was compiled from other components than these, or by another compiler.
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

    /// Where the compile worker's files may lie.
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
