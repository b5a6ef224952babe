//! Seasonal ARIMA with automatic orders.
//!
//! Differences are chosen by tests, orders by a stepwise search, coefficients by a conditional sum of
//! Huber's losses, so that an outlier does not decide. A season of up to 48 steps is part of the model, or
//! its profile is taken off before, like those of longer and further ones. A fit is some hundred to
//! thousand passes over the last 2,048 values; a forecast with a fitted model takes in what is new and no
//! more. Each module says its sources.
//!
//! Limits: the likelihood is not exact, which matters for a few dozen values; profiles stay as the fit
//! found them until the next one; events are not learnt from.

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
