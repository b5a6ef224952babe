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
    /// The resource in which its load is measured.
    pub(crate) resource: Resource,
    /// When the forecast was made.
    pub(crate) at: Timestamp,
    /// The plugin that made it.
    pub(crate) plugin: Name,
    /// The generation of that plugin.
    pub(crate) generation: u64,
    /// The accuracy of recent forecasts.
    #[serde(default)]
    pub(crate) accuracy: Accuracy,
    /// The forecast values.
    #[serde(flatten)]
    pub(crate) outlook: Outlook,
    /// Summaries of the forecast until each requested horizon.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) horizons: Vec<Summary>,
}

/// The latest forecasts of all services.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct ForecastsView {
    /// The forecasts, ordered by service.
    pub(crate) items: Vec<ForecastView>,
    /// The totals by resource. A resource is absent if its forecasts have no time range in common.
    pub(crate) totals: Vec<TotalForecast>,
    /// The services without a forecast; the totals do not include them.
    pub(crate) missing: Vec<Name>,
}

/// The forecast of the combined load of several services.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct TotalForecast {
    /// The resource in which their load is measured.
    pub(crate) resource: Resource,
    /// Number of services in the total.
    pub(crate) services: usize,
    /// The sums of the services' means and bounds, in the finest of their steps, over the time range that all
    /// of their forecasts cover.
    #[serde(flatten)]
    pub(crate) outlook: Outlook,
    /// Summaries of the total until each requested horizon.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) horizons: Vec<Summary>,
}

/// The reason why a service has no forecast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoForecast {
    /// The plugin that forecasts the service, according to its policy.
    pub(crate) plugin: Name,
    /// The plugin's error; `None` if the plugin was not called yet.
    pub(crate) why: Option<String>,
}

impl ForecastView {
    /// Returns the forecast of a service.
    ///
    /// # Errors
    /// [`NoForecast`] with the reason, if there is none.
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
    /// Returns the forecasts of all services and their totals. A horizon that lies beyond a forecast is
    /// omitted from that forecast.
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
