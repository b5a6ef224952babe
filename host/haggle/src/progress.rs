//! Progress on standard error, for a person at a terminal only.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar or a spinner. Nothing is seen of it where standard error is no terminal, or where the work is
/// over within half a second; it is gone when it is dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
    shown_from: Option<Instant>,
}

/// Work that is over sooner needs no progress.
const PATIENCE: Duration = Duration::from_millis(500);

const TICK: Duration = Duration::from_millis(100);

impl Progress {
    /// A bar of `length` steps.
    pub(crate) fn bar(length: u64, what: impl Into<Cow<'static, str>>) -> Self {
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {percent}% {eta}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self::new(ProgressBar::hidden().with_style(style.progress_chars("=> ")), length, what)
    }

    /// Work of unknown length.
    pub(crate) fn spinner(what: impl Into<Cow<'static, str>>) -> Self {
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
        let spinner = Self::new(ProgressBar::hidden().with_style(style), 0, what);
        spinner.show();
        spinner.bar.enable_steady_tick(TICK);
        spinner
    }

    /// One more step is done.
    pub(crate) fn step(&self) {
        self.show_when_due();
        self.bar.inc(1);
    }

    /// What is being done now.
    pub(crate) fn say(&self, what: impl Into<Cow<'static, str>>) {
        self.bar.set_message(what);
    }

    /// So many more steps are done.
    pub(crate) fn add(&self, steps: u64) {
        self.show_when_due();
        self.bar.inc(steps);
    }

    /// So many steps are done.
    pub(crate) fn set(&self, steps: u64) {
        self.show_when_due();
        self.bar.set_position(steps);
    }

    fn new(bar: ProgressBar, length: u64, what: impl Into<Cow<'static, str>>) -> Self {
        bar.set_length(length);
        bar.set_message(what);
        Self { bar, shown_from: Instant::now().checked_add(PATIENCE) }
    }

    fn show_when_due(&self) {
        if self.bar.is_hidden() && self.shown_from.is_some_and(|due| Instant::now() >= due) {
            self.show();
        }
    }

    fn show(&self) {
        // The target itself stays hidden where standard error is no terminal.
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
