//! Responses that show services, providers and forecasts.

mod forecasts;
mod providers;
mod services;

pub(crate) use forecasts::{ForecastView, ForecastsView, NoForecast};
pub(crate) use providers::ProviderView;
pub(crate) use services::ServiceView;
