use std::sync::Arc;

use haggle_control::{Control, Effect, Input, Options, Restored, State};
use haggle_model::Timestamp;

/// The subject of a simulation. [`Sound`] is the core itself. Tests use broken subjects to check that the
/// checker detects them.
pub trait Subject {
    /// As [`Control::step`].
    fn step(&mut self, now: Timestamp, input: Input) -> Vec<Effect>;
    /// As [`Control::snapshot`].
    fn snapshot(&self) -> Arc<State>;
    /// As [`Control::newest`].
    fn newest(&self) -> &State;
    /// As [`Control::next_due`].
    fn next_due(&self, now: Timestamp) -> Option<Timestamp>;
    /// Restarts from the records on disk, as [`Control::restore`]; everything else is lost.
    fn restore(&mut self, options: Options, disk: Restored, now: Timestamp) -> Vec<Effect>;
}

/// The core itself.
#[derive(Debug)]
pub struct Sound(Control);

impl Default for Sound {
    fn default() -> Self {
        Self(Control::new(Options::default(), Timestamp::default()))
    }
}

impl Subject for Sound {
    fn step(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        self.0.step(now, input)
    }

    fn snapshot(&self) -> Arc<State> {
        self.0.snapshot()
    }

    fn newest(&self) -> &State {
        self.0.newest()
    }

    fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.next_due(now)
    }

    fn restore(&mut self, options: Options, disk: Restored, now: Timestamp) -> Vec<Effect> {
        let (control, effects) = Control::restore(options, disk, now);
        self.0 = control;
        effects
    }
}
