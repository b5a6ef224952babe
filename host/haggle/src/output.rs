//! Results: on standard output, or in a file that is there as a whole or not at all.

use std::{
    fmt,
    fs::{self, File},
    io::{self, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::Context;
use serde::Serialize;

/// Whoever read standard output closed it.
#[derive(Debug)]
pub(crate) struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output was closed")
    }
}

impl std::error::Error for Closed {}

/// Where a result goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Written as `-`.
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
    /// Lets `write` fill it. A file is written beside its place and moved there when it is complete.
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

/// One line on standard output.
pub(crate) fn line(text: impl fmt::Display) -> anyhow::Result<()> {
    stdout(|out| writeln!(out, "{text}"))
}

/// A document on standard output.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    stdout(|out| write_json(out, value))
}

/// A document, indented, with a line break behind it.
pub(crate) fn write_json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// One line on standard error: what a person may want to know, but no script.
pub(crate) fn note(text: impl fmt::Display) {
    // A closed standard error is no reason to stop.
    drop(writeln!(io::stderr(), "{text}"));
}

fn file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    // What is no regular file (a pipe, /dev/null) cannot be replaced, only written to.
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

/// A temporary file is private; a result is as any file that this user writes.
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
