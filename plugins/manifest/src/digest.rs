use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{Component, RUSTFLAGS};

/// The folders that every component is compiled from, besides its own.
const SHARED: &[&str] = &["sdk/rust", "wit"];

/// A source file or folder could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {source}; is {} the root of the repository?", path.display(), root.display())]
pub struct SourceError {
    path: PathBuf,
    root: PathBuf,
    source: io::Error,
}

/// The digest of everything that determines a component: the `src` and `Cargo.toml` of its folder, of the crates
/// that it links and of the SDK, the contract, the compiler's version and flags and `profile.plugin`. It does not
/// depend on the order of a directory or on the platform's line endings. It leaves out the lock file, because every
/// change to that file would require a new build. The build itself checks that the lock file fits.
///
/// # Errors
/// [`SourceError`] where a file cannot be read.
pub fn source_digest(root: &Path, component: &Component) -> Result<String, SourceError> {
    let mut files = Vec::new();
    for folder in [&[component.folder], component.libraries, SHARED].concat() {
        collect(root, &root.join(folder), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    let mut add = |name: &str, text: &[u8]| {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    for (name, path) in files {
        add(&name, &neutral(&read(root, &path)?));
    }
    let toolchain = read(root, &root.join("rust-toolchain.toml"))?;
    add("channel", lines_with(&neutral(&toolchain), "channel").as_bytes());
    let workspace = read(root, &root.join("Cargo.toml"))?;
    add("profile", sections(&neutral(&workspace), "[profile.plugin").as_bytes());
    add("flags", RUSTFLAGS.join(" ").as_bytes());
    Ok(hex(&hash.finalize()))
}

/// The SHA-256 of the bytes, in hexadecimal.
#[must_use]
pub fn hex_sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn read(root: &Path, path: &Path) -> Result<Vec<u8>, SourceError> {
    fs::read(path).map_err(|source| SourceError {
        path: path.to_owned(),
        root: root.to_owned(),
        source,
    })
}

/// Collects `Cargo.toml`, `.rs` and `.wit` files below a folder, with their names from the root, parts
/// joined by `/`. Of a crate only `src` counts, not its tests and documentation.
fn collect(
    root: &Path,
    folder: &Path,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<(), SourceError> {
    let failed = |source| SourceError { path: folder.to_owned(), root: root.to_owned(), source };
    let is_crate = folder.join("Cargo.toml").is_file();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            if !is_crate || path.ends_with("src") {
                collect(root, &path, files)?;
            }
        } else if is_source(&path) {
            let name = path.strip_prefix(root).unwrap_or(&path);
            let parts: Vec<_> = name.iter().map(|part| part.to_string_lossy()).collect();
            files.push((parts.join("/"), path));
        }
    }
    Ok(())
}

fn is_source(path: &Path) -> bool {
    path.ends_with("Cargo.toml")
        || path.extension().is_some_and(|extension| extension == "rs" || extension == "wit")
}

fn neutral(text: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(text).replace("\r\n", "\n").into_bytes()
}

/// The sections of a TOML file whose headers begin like that: their lines without comments.
fn sections(text: &[u8], header: &str) -> String {
    let text = String::from_utf8_lossy(text);
    let mut inside = false;
    let lines = text.lines().map(str::trim).filter(|line| {
        if line.starts_with('[') {
            inside = line.starts_with(header);
        }
        inside && !line.is_empty() && !line.starts_with('#')
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn lines_with(text: &[u8], key: &str) -> String {
    let text = String::from_utf8_lossy(text);
    text.lines().filter(|line| line.trim_start().starts_with(key)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{hex_sha256, sections, source_digest};
    use crate::Component;

    const COMPONENT: Component =
        Component::new("mine", "mine", "plugins/mine").linking(&["plugins/shared"]);

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn repository() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[
                (
                    "Cargo.toml",
                    "[workspace]\n\n[profile.plugin]\n# why\nlto = \"fat\"\n\n[other]\nx = 1\n",
                ),
                ("rust-toolchain.toml", "[toolchain]\nchannel = \"1.95.0\"\n"),
                ("plugins/mine/Cargo.toml", "[package]\n"),
                ("plugins/mine/src/lib.rs", "mod a;\n"),
                ("plugins/mine/src/deep/a.rs", "// a\n"),
                ("plugins/shared/src/lib.rs", "\n"),
                ("plugins/shared/Cargo.toml", "[package]\n"),
                ("sdk/rust/Cargo.toml", "[package]\n"),
                ("sdk/rust/src/lib.rs", "\n"),
                ("wit/types.wit", "package a:b;\n"),
            ],
        );
        root
    }

    #[test]
    fn changes_with_every_source_and_with_nothing_else() {
        let root = repository();
        let digest = || source_digest(root.path(), &COMPONENT).unwrap();
        let first = digest();
        write(
            root.path(),
            &[
                ("plugins/mine/tests/t.rs", "fn t() {}"),
                ("plugins/mine/README.md", "mine"),
                ("plugins/mine/src/lib.rs", "mod a;\r\n"),
                ("plugins/other/src/lib.rs", "other"),
                ("Cargo.toml", "[profile.plugin]\nlto = \"fat\"\n[other]\nx = 2\n"),
            ],
        );
        assert_eq!(digest(), first);
        let mut seen = vec![first];
        for (name, text) in [
            ("plugins/mine/src/deep/a.rs", "// b\n"),
            ("plugins/mine/Cargo.toml", "[package]\nname = \"mine\"\n"),
            ("plugins/shared/src/lib.rs", "mod y;\n"),
            ("sdk/rust/src/lib.rs", "mod x;\n"),
            ("wit/more.wit", "package a:b;\n"),
            ("Cargo.toml", "[profile.plugin]\nlto = \"thin\"\n"),
            ("rust-toolchain.toml", "channel = \"1.96.0\"\n"),
        ] {
            write(root.path(), &[(name, text)]);
            let next = digest();
            assert!(!seen.contains(&next), "{name}");
            seen.push(next);
        }
    }

    #[test]
    fn names_what_it_cannot_read() {
        let root = tempfile::tempdir().unwrap();
        let error = source_digest(root.path(), &COMPONENT).unwrap_err().to_string();
        assert!(error.contains("mine"), "{error}");
    }

    #[test]
    fn takes_sections_without_their_comments() {
        let text = b"[a]\nx = 1\n[b]\n# c\ny = 2\n\nz = 3\n[c]\nu = 4\n[b.d]\nv = 5\n";
        assert_eq!(sections(text, "[b"), "[b]\ny = 2\nz = 3\n[b.d]\nv = 5");
        assert_eq!(sections(b"[a]\n", "[b"), "");
    }

    #[test]
    fn agrees_with_the_published_digest_of_abc() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex_sha256(b"abc"), abc);
    }
}
