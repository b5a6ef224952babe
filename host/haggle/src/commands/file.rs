//! How a file of series is read: the options that `forecast`, `evaluate` and `backtest` share.

use clap::Args;
use haggle_observe::{FileOptions, Layout, Readings, Zone};

/// What the reader of the file does not recognise by itself.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct FileArgs {
    /// The name of the time column, or its number, from 1; default: the column that holds times
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
    /// The layout: columns (a series per column), rows (a series per row, without times) or long (the id of a
    /// series, a time and a value per row); default: recognised from the first rows
    #[arg(long, value_name = "LAYOUT")]
    layout: Option<Layout>,
    /// The time zone of times without an offset, such as Europe/Berlin or +02:00 [default: UTC]
    #[arg(long, value_name = "ZONE")]
    zone: Option<Zone>,
    /// The values are counters that only grow: turn them into rates per second
    #[arg(long, conflicts_with = "level")]
    counter: bool,
    /// The values are levels or rates, even if they only grow
    #[arg(long)]
    level: bool,
}

impl FileArgs {
    /// The options for reading the file.
    pub(super) fn options(&self) -> FileOptions {
        let readings = match (self.counter, self.level) {
            (true, _) => Readings::Counter,
            (false, true) => Readings::Level,
            (false, false) => Readings::Checked,
        };
        let Self { time, layout, zone, .. } = self.clone();
        FileOptions { layout, time, zone, readings, ..FileOptions::default() }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use haggle_observe::{Layout, Readings};

    use super::FileArgs;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        file: FileArgs,
    }

    fn parse(args: &[&str]) -> Result<FileArgs, String> {
        let args = std::iter::once(&"test").chain(args);
        Command::try_parse_from(args).map(|it| it.file).map_err(|error| error.to_string())
    }

    #[test]
    fn the_options_say_what_the_flags_say() {
        let options = parse(&[]).unwrap().options();
        assert_eq!(
            (options.time, options.layout, options.readings),
            (None, None, Readings::Checked)
        );
        let all = ["--time", "when", "--layout", "long", "--zone", "Europe/Berlin", "--counter"];
        let options = parse(&all).unwrap().options();
        assert_eq!((options.time.as_deref(), options.layout), (Some("when"), Some(Layout::Long)));
        assert_eq!((options.readings, options.zone.is_some()), (Readings::Counter, true));
        assert_eq!(parse(&["--level"]).unwrap().options().readings, Readings::Level);
        for (wrong, says) in [
            (&["--zone", "CESTX"][..], "is not a time zone"),
            (&["--layout", "wide"], "use columns"),
            (&["--counter", "--level"], "cannot be used with"),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
