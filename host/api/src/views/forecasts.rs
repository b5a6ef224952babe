use std::{collections::BTreeMap, sync::Arc};

use haggle_control::{Forecast, ServiceState, State};
use haggle_model::{Name, Resource, Service, Span, Timestamp};
use haggle_plan::{Accuracy, Outlook, Summary, total};
use serde::Serialize;
use utoipa::ToSchema;

/// The latest forecast of a service's load.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ForecastView {
    /// The service.
    pub(crate) service: Name,
    /// The resource that its load is counted in.
    pub(crate) resource: Resource,
    /// When it was made.
    pub(crate) at: Timestamp,
    /// By which plugin.
    pub(crate) plugin: Name,
    /// By which generation of it.
    pub(crate) generation: u64,
    /// How good the forecasts were lately.
    #[serde(default)]
    pub(crate) accuracy: Accuracy,
    /// What is forecast.
    #[serde(flatten)]
    pub(crate) outlook: Outlook,
    /// The same until each horizon that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) horizons: Vec<Summary>,
}

/// The latest forecasts of all services.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct ForecastsView {
    /// By service.
    pub(crate) items: Vec<ForecastView>,
    /// What they come to together, by resource. There is none of a resource whose forecasts have no time in
    /// common.
    pub(crate) totals: Vec<TotalForecast>,
    /// The services that have no forecast, and are missing in the totals.
    pub(crate) missing: Vec<Name>,
}

/// The forecast of what services together are asked for.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct TotalForecast {
    /// The resource that their load is counted in.
    pub(crate) resource: Resource,
    /// How many services that are.
    pub(crate) services: usize,
    /// What is forecast of them: the sums of their means and bounds, in the finest of their steps, over the
    /// time that all of their forecasts cover.
    #[serde(flatten)]
    pub(crate) outlook: Outlook,
    /// The same until each horizon that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) horizons: Vec<Summary>,
}

/// Why a service has no forecast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoForecast {
    /// What forecasts it, or would.
    pub(crate) plugin: Name,
    /// What it said; nothing where it was not asked yet.
    pub(crate) why: Option<String>,
}

impl ForecastView {
    /// The forecast of a service.
    ///
    /// # Errors
    /// [`NoForecast`] saying why there is none.
    pub(crate) fn of(
        state: &State,
        service: &Service,
        of: &ServiceState,
    ) -> Result<Self, NoForecast> {
        let Some(forecast) = &of.forecast else {
            let plugin = state.catalog().policy_of(service).forecasting.plugin.clone();
            return Err(NoForecast { plugin, why: None });
        };
        match &forecast.outlook {
            Ok(outlook) => Ok(Self::new(forecast, outlook)),
            Err(why) => Err(NoForecast { plugin: forecast.plugin.clone(), why: Some(why.clone()) }),
        }
    }

    fn new(forecast: &Forecast, outlook: &Arc<Outlook>) -> Self {
        Self {
            service: forecast.service.clone(),
            resource: forecast.resource,
            at: forecast.at,
            plugin: forecast.plugin.clone(),
            generation: forecast.generation,
            accuracy: forecast.accuracy,
            outlook: outlook.as_ref().clone(),
            horizons: Vec::new(),
        }
    }
}

impl ForecastsView {
    /// The forecasts of all services, and what they come to together. A horizon that lies beyond a forecast is
    /// left out of that one.
    pub(crate) fn of(state: &State, horizons: &[Span]) -> Self {
        let (mut items, mut missing) = (Vec::new(), Vec::new());
        for (service, of) in state.services() {
            match ForecastView::of(state, service, of) {
                Ok(view) => {
                    let horizons = summaries(&view.outlook, horizons);
                    items.push(ForecastView { horizons, ..view });
                }
                Err(_) => missing.push(service.name.clone()),
            }
        }
        let totals = totals(&items, horizons);
        Self { items, totals, missing }
    }
}

fn summaries(outlook: &Outlook, horizons: &[Span]) -> Vec<Summary> {
    horizons.iter().filter_map(|horizon| outlook.summary(*horizon)).collect()
}

fn totals(views: &[ForecastView], horizons: &[Span]) -> Vec<TotalForecast> {
    let mut parts: BTreeMap<Resource, Vec<&Outlook>> = BTreeMap::new();
    for view in views {
        parts.entry(view.resource).or_default().push(&view.outlook);
    }
    let whole = |(resource, parts): (Resource, Vec<&Outlook>)| {
        let outlook = total(&parts)?;
        let horizons = summaries(&outlook, horizons);
        Some(TotalForecast { resource, services: parts.len(), outlook, horizons })
    };
    parts.into_iter().filter_map(whole).collect()
}
