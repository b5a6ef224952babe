//! Writes results to standard output, or atomically to a file.

use std::{
    fmt,
    fs::{self, File},
    io::{self, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::Context;
use serde::Serialize;

/// The error when the reader has closed standard output.
#[derive(Debug)]
pub(crate) struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output was closed")
    }
}

impl std::error::Error for Closed {}

/// The destination of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Given as `-`.
    Stdout,
    /// A path.
    File(PathBuf),
}

impl FromStr for Target {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "-" { Self::Stdout } else { Self::File(text.into()) })
    }
}

impl Target {
    /// Lets `write` fill the target. A file is written to a temporary file beside it and renamed when
    /// complete.
    pub(crate) fn write(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        match self {
            Self::Stdout => stdout(write),
            Self::File(path) => {
                file(path, write).with_context(|| format!("cannot write {}", path.display()))
            }
        }
    }
}

/// Lets `write` fill standard output.
pub(crate) fn stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let written = write(&mut out).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Closed.into()),
        written => written.context("cannot write to standard output"),
    }
}

/// Prints one line to standard output.
pub(crate) fn line(text: impl fmt::Display) -> anyhow::Result<()> {
    stdout(|out| writeln!(out, "{text}"))
}

/// Prints a JSON document to standard output.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    stdout(|out| write_json(out, value))
}

/// Writes an indented JSON document with a final line break.
pub(crate) fn write_json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// Prints one line to standard error: a note for a person, not for scripts.
pub(crate) fn note(text: impl fmt::Display) {
    // A closed standard error is not an error.
    drop(writeln!(io::stderr(), "{text}"));
}

fn file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    // A target that is not a regular file (a pipe, /dev/null) cannot be replaced, only written to.
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        let mut out = BufWriter::new(File::options().write(true).open(path)?);
        write(&mut out)?;
        return out.flush();
    }
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    let mut out = BufWriter::new(beside.as_file_mut());
    write(&mut out)?;
    out.flush()?;
    drop(out);
    set_usual_permissions(beside.as_file())?;
    beside.persist(path)?;
    Ok(())
}

/// A temporary file is private; this sets the permissions of an ordinary file.
#[cfg(unix)]
fn set_usual_permissions(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn set_usual_permissions(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Target;
    use std::{fs, io};

    #[test]
    fn a_file_is_there_as_a_whole_or_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        let target: Target = path.to_str().unwrap().parse().unwrap();
        target.write(|out| out.write_all(b"first")).unwrap();
        let failed = target.write(|out| {
            out.write_all(b"sec")?;
            Err(io::Error::other("no more"))
        });
        let error = format!("{:#}", failed.unwrap_err());
        assert!(error.contains("out.csv") && error.contains("no more"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
