use haggle_model::{Name, Resource, Service};

use crate::{DEFAULT_METRIC, Sample};

/// Identifies a series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey {
    /// The service.
    pub service: Name,
    /// The metric.
    pub metric: String,
    /// The replica, container or machine; `None` for the whole service.
    pub instance: Option<String>,
}

impl SeriesKey {
    /// Returns the key of a whole service's requests per second.
    #[must_use]
    pub fn load(service: Name) -> Self {
        Self { service, metric: DEFAULT_METRIC.to_owned(), instance: None }
    }

    /// Returns the key of a whole service's load: the metric is the resource that the load is measured in.
    #[must_use]
    pub fn load_of(service: &Service) -> Self {
        let metric = service.load_resource().as_str().to_owned();
        Self { service: service.name.clone(), metric, instance: None }
    }

    /// Whether it may be the load of a whole service.
    pub(crate) fn is_load(&self) -> bool {
        self.instance.is_none() && Resource::named(&self.metric).is_some()
    }

    /// Returns the series of a sample.
    #[must_use]
    pub fn of(sample: &Sample) -> Self {
        Self {
            service: sample.service.clone(),
            metric: sample.metric.clone(),
            instance: sample.instance.clone(),
        }
    }
}
