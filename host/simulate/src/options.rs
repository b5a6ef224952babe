use haggle_model::Span;
use serde::{Deserialize, Serialize};

/// The options of a simulation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The number of runs, each with its own seed.
    pub seeds: u64,
    /// The first seed; the others follow it.
    pub first_seed: u64,
    /// The maximum number of services in a run; the minimum is half of it.
    pub services: usize,
    /// The maximum number of providers in a run; one run in eight has none.
    pub providers: usize,
    /// The number of reconcile passes in a run.
    pub passes: u64,
    /// The maximum number of scaling requests in a run; the minimum is half of it.
    pub requests: usize,
    /// The probability that a message to a remote party, or its answer, is lost.
    pub loss: f64,
    /// The maximum delay of a message.
    pub delay: Span,
    /// The probability that a message arrives twice.
    pub duplicate: f64,
    /// The probability, at each pass, that the host crashes.
    pub crash: f64,
    /// The probability, at each pass, that the store fails for a while.
    pub store: f64,
    /// The probability, at each pass, that the clock jumps.
    pub jump: f64,
}

/// The error for an option out of range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field} is {value}: it must lie between {least} and {most}")]
pub struct OptionsError {
    field: &'static str,
    value: f64,
    least: f64,
    most: f64,
}

impl Options {
    /// Validates the ranges.
    ///
    /// # Errors
    /// [`OptionsError`] naming the first field that is out of range.
    pub fn validate(&self) -> Result<(), OptionsError> {
        let fields = [
            ("seeds", self.seeds as f64, 1.0, 1e9),
            ("services", self.services as f64, 1.0, 1000.0),
            ("providers", self.providers as f64, 0.0, 1000.0),
            ("passes", self.passes as f64, 10.0, 100_000.0),
            ("requests", self.requests as f64, 0.0, 10_000.0),
            ("loss", self.loss, 0.0, 1.0),
            ("delay", self.delay.as_secs_f64(), 0.0, 60.0),
            ("duplicate", self.duplicate, 0.0, 1.0),
            ("crash", self.crash, 0.0, 1.0),
            ("store", self.store, 0.0, 1.0),
            ("jump", self.jump, 0.0, 1.0),
        ];
        for (field, value, least, most) in fields {
            if !(least..=most).contains(&value) {
                return Err(OptionsError { field, value, least, most });
            }
        }
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seeds: 1000,
            first_seed: 0,
            services: 5,
            providers: 2,
            passes: 50,
            requests: 8,
            loss: 0.1,
            delay: Span::from_millis(200),
            duplicate: 0.1,
            crash: 0.03,
            store: 0.02,
            jump: 0.01,
        }
    }
}
