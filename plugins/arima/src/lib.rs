//! Seasonal ARIMA with automatic orders.
//!
//! Tests choose the differences, and a stepwise search chooses the orders. The coefficients minimise a conditional
//! sum of Huber's losses, so that a single outlier has little influence. A season of up to 48 steps is part of the
//! model, or its profile is subtracted before the fit. For longer and further seasons, only profiles are
//! subtracted. A fit takes some hundred to thousand passes over the last 2,048 values. A forecast with a fitted
//! model processes only the new values. Each module names its sources.
//!
//! Limits: the likelihood is not exact, which matters for series of a few dozen values. Profiles do not change
//! between two fits. Calendar events are ignored.

mod css;
mod fit;
mod method;
mod model;
mod orders;
mod recursion;
mod search;
mod unit_root;

pub use method::SeasonalArima;
pub use model::{Model, Profile};
pub use orders::{Coefficients, Lags, Orders};
pub use unit_root::{differences, kpss, seasonal_strength};

/// The plugin.
pub type Arima = haggle_forecasting::Univariate<SeasonalArima>;

#[cfg(feature = "component")]
haggle_sdk::export!(Arima: forecasting);

#[cfg(test)]
mod tests;
