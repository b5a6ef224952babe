//! The command line.

use clap::{Parser, Subcommand};

use crate::{commands, logging::Logging};

/// A policy host: it forecasts demand, predicts failures and negotiates before anything scales. Plugins,
/// which are WebAssembly components, make the decisions.
#[derive(Debug, Parser)]
#[command(name = "haggle", version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    logging: Logging,
}

const EXAMPLES: &str = "\
Examples:
  haggle demo                                    see it all at work
  haggle serve --data ./haggle-data              run a host
  haggle apply -f shop.yaml                      tell it what there is
  haggle plugin load mine plugin.wasm            have it decide by a plugin of yours
  haggle scale web --replicas 9                  ask whether all that it needs is to be had
  haggle forecast --input load.csv --horizon 24 --output forecast.csv

`haggle COMMAND --help` has examples of each.";

#[derive(Debug, Subcommand)]
enum Command {
    Demo(commands::demo::Demo),
    Serve(commands::serve::Serve),
    Apply(commands::apply::Apply),
    #[command(subcommand)]
    Plugin(commands::plugin::Plugin),
    Scale(commands::scale::Scale),
    Cancel(commands::scale::Cancel),
    Forecast(commands::forecast::Forecast),
    Evaluate(commands::evaluate::Evaluate),
    Backtest(commands::backtest::Backtest),
    Replay(commands::replay::Replay),
    Simulate(commands::simulate::Simulate),
    CompileWorker(commands::compile_worker::CompileWorker),
}

impl Cli {
    /// Runs the selected command.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        self.logging.start(match &self.command {
            Command::Serve(_) => "info",
            // The demo itself prints the important events.
            Command::Demo(_) => "error",
            _ => "warn",
        })?;
        match self.command {
            Command::Demo(demo) => demo.run(),
            Command::Serve(serve) => serve.run(),
            Command::Apply(apply) => apply.run(),
            Command::Plugin(plugin) => plugin.run(),
            Command::Scale(scale) => scale.run(),
            Command::Cancel(cancel) => cancel.run(),
            Command::Forecast(forecast) => forecast.run(),
            Command::Evaluate(evaluate) => evaluate.run(),
            Command::Backtest(backtest) => backtest.run(),
            Command::Replay(replay) => replay.run(),
            Command::Simulate(simulate) => simulate.run(),
            Command::CompileWorker(worker) => worker.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_that_is_shown_has_examples() {
        let cli = Cli::command();
        let shown = cli.get_subcommands().filter(|command| !command.is_hide_set());
        for command in shown {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("haggle {}", command.get_name())), "{command}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error() {
        for wrong in [
            &["forecast", "--input", "a", "--output", "b"][..],
            &["forecast", "--input", "a", "--output", "b", "--horizon", "0"],
            &[
                "forecast",
                "--input",
                "a",
                "--output",
                "b",
                "--horizon",
                "1",
                "--plugin",
                "x",
                "--component",
                "y",
            ],
            &["apply"],
            &["plugin"],
            &["scale", "web"],
            &["scale", "web", "--replicas", "-1"],
            &["scale", "web", "--replicas", "3", "--load", "requests_per_second=1"],
            &["scale", "web", "--load", "400"],
            &["scale", "web", "--replicas", "3", "--start", "tomorrow"],
            &["cancel"],
            &["plugin", "load", "No Name", "a.wasm"],
            &["backtest", "--load", "a", "--hpa-target", "0"],
            &["serve", "--listen", "nowhere"],
            &["demo", "--for", "soon"],
            &["evaluate", "--input", "a", "--horizon", "3", "--origins", "0"],
            &["simulate", "--seeds", "many"],
            &["simulate", "--trace", "1", "--json"],
        ] {
            let line = std::iter::once(&"haggle").chain(wrong);
            let error = Cli::try_parse_from(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
        }
    }
}
