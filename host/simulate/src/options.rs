use haggle_model::Span;
use serde::{Deserialize, Serialize};

/// What is simulated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How many runs, each with a seed of its own.
    pub seeds: u64,
    /// The first seed; the others follow it.
    pub first_seed: u64,
    /// The most services of a run; a run has at least half of it.
    pub services: usize,
    /// The most providers of a run; one run in eight has none.
    pub providers: usize,
    /// How many reconcile passes a run has.
    pub passes: u64,
    /// The most scaling requests of a run; a run has at least half of it.
    pub requests: usize,
    /// The probability that a message to a party elsewhere, or its answer, gets lost.
    pub loss: f64,
    /// The longest time that a message is under way.
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

/// Why options are refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field} is {value}: it must lie between {least} and {most}")]
pub struct OptionsError {
    field: &'static str,
    value: f64,
    least: f64,
    most: f64,
}

impl Options {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`OptionsError`] naming the first field out of its range.
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
