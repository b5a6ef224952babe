//! Reports failed commands.

use std::{io::Write, process::ExitCode};

use haggle_model::{concise, escaped};

use crate::output::Closed;

/// Prints the error and its causes to standard error, as one sentence.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if error.is::<Closed>() {
        // The reader closed the output: `haggle ... | head` is not a failure.
        return ExitCode::SUCCESS;
    }
    // If standard error is closed as well, there is nothing left to do.
    drop(writeln!(std::io::stderr(), "haggle: {}", concise(&sentence(error))));
    ExitCode::FAILURE
}

/// Prints a usage error or the requested help, and exits. Escapes arguments with invisible characters, which
/// could for example control the terminal.
pub(crate) fn misused(error: &clap::Error) -> ! {
    let said = error.render().to_string();
    let shown = shown(&said);
    if shown == said {
        error.exit();
    }
    drop(write!(std::io::stderr(), "{shown}"));
    std::process::exit(error.exit_code());
}

/// Escapes invisible characters, except line breaks.
fn shown(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

/// The chain of causes, outermost first. A cause that an outer error already contains is not repeated.
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
    use super::{sentence, shown};
    use anyhow::Context;
    use clap::Parser;

    use crate::cli::Cli;

    #[test]
    fn a_wrong_argument_does_not_drive_the_terminal() {
        let line = ["haggle", "cancel", "a", "--\u{1b}[31m\u{202e}"];
        let said = Cli::try_parse_from(line).unwrap_err().render().to_string();
        assert!(said.contains('\u{202e}'), "{said:?}");
        let shown = shown(&said);
        assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
        assert!(shown.contains("\\u{202e}") && shown.lines().count() > 1, "{shown}");
    }

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
