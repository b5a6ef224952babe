//! The policy host: its binary and command line.

mod cli;
mod client;
mod commands;
mod documents;
mod failure;
mod hosting;
mod logging;
mod output;
mod progress;
mod settings;
mod table;
mod yaml;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}
