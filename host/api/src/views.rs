//! What is shown of services, providers and forecasts.

mod forecasts;
mod providers;
mod services;

pub use forecasts::{ForecastView, ForecastsView, NoForecast, PoolForecast};
pub use providers::{ProviderStatus, ProviderView, UnitStatus};
pub use services::{ServiceStatus, ServiceView};
