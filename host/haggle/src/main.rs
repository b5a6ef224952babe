//! The policy host: its binary and command line.

mod cli;
mod client;
mod commands;
mod documents;
mod failure;
mod hosting;
mod input;
mod logging;
mod output;
mod progress;
mod settings;
mod table;
mod yaml;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => failure::misused(&error),
    };
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}
