//! Progress on standard error, only at a terminal.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A progress bar or spinner. It is invisible if standard error is not a terminal or the work takes less than
/// half a second. Dropping it clears it.
pub(crate) struct Progress {
    bar: ProgressBar,
    shown_from: Option<Instant>,
}

/// Work that ends sooner shows no progress.
const PATIENCE: Duration = Duration::from_millis(500);

const TICK: Duration = Duration::from_millis(100);

impl Progress {
    /// Creates a bar of `length` steps.
    pub(crate) fn bar(length: u64, what: impl Into<Cow<'static, str>>) -> Self {
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {percent}% {eta}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self::new(ProgressBar::hidden().with_style(style.progress_chars("=> ")), length, what)
    }

    /// Creates a spinner for work of unknown length.
    pub(crate) fn spinner(what: impl Into<Cow<'static, str>>) -> Self {
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
        let spinner = Self::new(ProgressBar::hidden().with_style(style), 0, what);
        spinner.show();
        spinner.bar.enable_steady_tick(TICK);
        spinner
    }

    /// Advances by one step.
    pub(crate) fn step(&self) {
        self.show_when_due();
        self.bar.inc(1);
    }

    /// Sets the message.
    pub(crate) fn say(&self, what: impl Into<Cow<'static, str>>) {
        self.bar.set_message(what);
    }

    /// Advances by `steps`.
    pub(crate) fn add(&self, steps: u64) {
        self.show_when_due();
        self.bar.inc(steps);
    }

    /// Sets the number of steps done.
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
        // The target stays hidden if standard error is not a terminal.
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
