//! Reads files of a bounded size, so that a wrong path such as `/dev/zero` cannot take all memory.

use std::{fs::File, io::Read, path::Path};

use anyhow::{Context, bail};

/// The maximum size of a file, in bytes. It is several times as much as a host accepts.
const MOST_BYTES: u64 = 256 << 20;

/// Reads a file.
///
/// # Errors
/// The path, and why the file cannot be read.
pub(crate) fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    read(path, MOST_BYTES)
}

/// Reads a file of UTF-8 text.
///
/// # Errors
/// The path, and why the file cannot be read.
pub(crate) fn text(path: &Path) -> anyhow::Result<String> {
    String::from_utf8(bytes(path)?)
        .with_context(|| format!("{} cannot be read: it is not UTF-8 text", path.display()))
}

fn read(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let unreadable = || format!("{} cannot be read", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(unreadable)?;
    file.take(most + 1).read_to_end(&mut bytes).with_context(unreadable)?;
    if bytes.len() as u64 > most {
        bail!("{} cannot be read: it has more than {most} bytes", path.display());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::read;

    #[test]
    fn an_endless_file_is_refused() {
        let error = read(Path::new("/dev/zero"), 1000).unwrap_err().to_string();
        assert_eq!(error, "/dev/zero cannot be read: it has more than 1000 bytes");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [7; 1000]).unwrap();
        assert_eq!(read(file.path(), 1000).unwrap(), [7; 1000]);
    }
}
