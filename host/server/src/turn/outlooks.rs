//! Forecasts for whoever asks: of a service, of all, and of what they come to together.

use std::collections::BTreeMap;

use haggle_model::{Name, Resource, Span};
use haggle_plan::{Outlook, Summary, total};

use crate::{
    error::HostError,
    host::Host,
    views::{ForecastView, ForecastsView, PoolForecast},
};

impl Host {
    /// The latest forecast of a service's load.
    ///
    /// # Errors
    /// [`HostError::NotFound`], [`HostError::NoForecast`].
    pub fn forecast(&self, name: &Name) -> Result<ForecastView, HostError> {
        self.catalog().service(name)?;
        let states = self.states();
        let forecast = states.get(name).and_then(|state| state.forecast.clone());
        forecast.ok_or_else(|| HostError::NoForecast(name.to_string()))
    }

    /// The latest forecast of a service's load, summed up until each horizon as well.
    ///
    /// # Errors
    /// As [`Host::forecast`], and [`HostError::Horizon`] for one that lies beyond the forecast.
    pub fn forecast_until(
        &self,
        name: &Name,
        horizons: &[Span],
    ) -> Result<ForecastView, HostError> {
        let mut view = self.forecast(name)?;
        let beyond = |horizon: &Span| HostError::Horizon {
            service: name.to_string(),
            horizon: *horizon,
            reach: view.outlook.horizon(),
        };
        let summary = |h: &Span| view.outlook.summary(*h).ok_or_else(|| beyond(h));
        view.horizons = horizons.iter().map(summary).collect::<Result<_, _>>()?;
        Ok(view)
    }

    /// The latest forecasts of all services, and what they come to together. A horizon that lies beyond a
    /// forecast is left out of that one.
    #[must_use]
    pub fn forecasts(&self, horizons: &[Span]) -> ForecastsView {
        let catalog = self.catalog();
        let (mut items, mut missing) = (Vec::new(), Vec::new());
        let states = self.states();
        for name in catalog.services.keys() {
            match states.get(name).and_then(|state| state.forecast.clone()) {
                Some(view) => {
                    let horizons = summaries(&view.outlook, horizons);
                    items.push(ForecastView { horizons, ..view });
                }
                None => missing.push(name.clone()),
            }
        }
        drop(states);
        let pool = pool(&items, horizons);
        ForecastsView { items, pool, missing }
    }
}

fn summaries(outlook: &Outlook, horizons: &[Span]) -> Vec<Summary> {
    horizons.iter().filter_map(|horizon| outlook.summary(*horizon)).collect()
}

fn pool(views: &[ForecastView], horizons: &[Span]) -> Vec<PoolForecast> {
    let mut parts: BTreeMap<Resource, Vec<&Outlook>> = BTreeMap::new();
    for view in views {
        parts.entry(view.resource).or_default().push(&view.outlook);
    }
    let whole = |(resource, parts): (Resource, Vec<&Outlook>)| {
        let outlook = total(&parts)?;
        let horizons = summaries(&outlook, horizons);
        Some(PoolForecast { resource, services: parts.len(), outlook, horizons })
    };
    parts.into_iter().filter_map(whole).collect()
}
