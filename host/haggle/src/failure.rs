//! How a command ends that did not succeed.

use std::{io::Write, process::ExitCode};

use haggle_model::concise;

use crate::output::Closed;

/// Says on standard error, in one sentence chain, what went wrong.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if error.is::<Closed>() {
        // Whoever read the output has had enough of it: `haggle ... | head` is no failure.
        return ExitCode::SUCCESS;
    }
    // Nothing is left to be done about a standard error that is closed as well.
    drop(writeln!(std::io::stderr(), "haggle: {}", concise(&sentence(error))));
    ExitCode::FAILURE
}

/// The causes from the outermost to the innermost. Some errors say their cause themselves; it is not
/// said twice.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if said.contains(&text) {
            continue;
        }
        if !said.is_empty() {
            said.push_str(": ");
        }
        said.push_str(&text);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::sentence;
    use anyhow::Context;

    #[test]
    fn a_cause_is_said_once() {
        let inner = std::io::Error::other("the disk is full");
        let error = Err::<(), _>(inner)
            .context("a.csv: the disk is full")
            .context("cannot write the forecast")
            .unwrap_err();
        assert_eq!(sentence(&error), "cannot write the forecast: a.csv: the disk is full");
    }
}
