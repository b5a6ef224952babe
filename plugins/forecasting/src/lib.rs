//! The code that the built-in forecasters share.
//!
//! A forecaster of single series implements [`Method`]: it fits a [`Prepared`] history, updates its state with new
//! values, forecasts, and is written as bytes. [`Univariate`] makes a plugin of it: it checks arguments, prepares
//! dirty histories, turns the errors of past forecasts into intervals for every step, tags model bytes, and does
//! not trust those that it reads. Each module names its sources.

mod bytes;
mod calendar;
#[cfg(any(test, feature = "check"))]
pub mod check;
mod confidence;
mod history;
mod method;
mod model;
mod outliers;
mod outlook;
mod prepare;
mod quantiles;
mod random;
mod ridge;
mod scale;
mod season;
mod spread;
mod statistics;
mod track;
mod univariate;

pub use bytes::{Reader, Unreadable, Writer};
pub use calendar::{DAY, HOUR, WEEK, day_of_week, of_day};
pub use confidence::{confidence, movement};
pub use history::{History, Resumption};
pub use method::{Clock, Method, Setting};
pub use model::{MOST_WORSE, Model, follow_noise};
pub use outliers::Outliers;
pub use outlook::{MOST_STEPS, check_task, history_of, intervals};
pub use prepare::Prepared;
pub use quantiles::{PROBABILITIES, Quantiles, normal, student};
pub use random::Random;
pub use ridge::{Normal, dot};
pub use scale::Scale;
pub use season::{autocorrelation, candidates};
pub use spread::{Spread, follow, restlessness};
pub use statistics::{empirical, larger, mean, median, smaller};
pub use track::{Track, origins, track};
pub use univariate::{Univariate, answer, discontinued, no_value, unreadable};

#[cfg(test)]
mod tests;
