use std::collections::BTreeMap;

use haggle_model::{
    InvalidQuantity, Name, Quantities, Replica, Replicas, Resource, ScalingPolicy, Service,
    ServiceError, Span, Tier, Timestamp,
};
use haggle_observe::{Column, Trace};

/// Services with their recorded loads.
#[derive(Clone, Debug)]
pub struct Workload {
    start: Timestamp,
    step: Span,
    steps: usize,
    loads: Vec<ServiceLoad>,
}

/// One service with its load.
#[derive(Clone, Debug)]
pub(crate) struct ServiceLoad {
    pub(crate) service: Service,
    /// The capacity of one replica, in the unit of the load; above 0.
    pub(crate) capacity: f64,
    /// One value per step; NaN if unknown, never negative.
    pub(crate) values: Vec<f64>,
}

/// The reasons for which a recording is invalid.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadError {
    /// A service has no recorded load.
    #[error("service {service} has no column in the load: add one (the load has {columns})")]
    NoColumn {
        /// The service.
        service: Name,
        /// The available columns, comma-separated.
        columns: String,
    },
    /// A column has no described service.
    #[error(
        "column {0} of the load is no service of the scenario: describe it there, or remove the column"
    )]
    NoService(Name),
    /// A service is described twice.
    #[error("service {0} is described twice: keep one")]
    Duplicate(Name),
    /// A load is negative.
    #[error("the load of {service} at {at} is {value}: a load is not negative")]
    Negative {
        /// The service.
        service: Name,
        /// The time.
        at: Timestamp,
        /// The recorded value.
        value: f64,
    },
    /// A load is out of range.
    #[error("the load of {service}: {source}: record it in a larger unit")]
    Range {
        /// The service.
        service: Name,
        /// The reason.
        source: InvalidQuantity,
    },
    /// A service is invalid.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl Workload {
    /// Combines services with the loads in the columns of the same names.
    ///
    /// # Errors
    /// [`WorkloadError`] if services and columns do not match, or if either is invalid.
    pub fn new(services: &[Service], trace: &Trace) -> Result<Self, WorkloadError> {
        let mut columns: BTreeMap<&Name, &Column> =
            trace.columns.iter().map(|column| (&column.service, column)).collect();
        let mut loads = BTreeMap::new();
        for service in services {
            service.validate()?;
            let name = &service.name;
            if loads.contains_key(name) {
                return Err(WorkloadError::Duplicate(name.clone()));
            }
            let column = columns.remove(name).ok_or_else(|| WorkloadError::NoColumn {
                service: name.clone(),
                columns: listed(trace),
            })?;
            check(trace, column)?;
            let capacity = service.replica.capacity.get(service.load_resource());
            let (service, values) = (service.clone(), column.values.clone());
            loads.insert(name.clone(), ServiceLoad { service, capacity, values });
        }
        if let Some(name) = columns.keys().next() {
            return Err(WorkloadError::NoService((*name).clone()));
        }
        let loads = loads.into_values().collect();
        Ok(Self { start: trace.start, step: trace.step, steps: trace.steps(), loads })
    }

    /// The time of the first value.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// The time one step after the last value.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.boundary(self.steps)
    }

    /// The distance between two values.
    #[must_use]
    pub fn step(&self) -> Span {
        self.step
    }

    /// The services, sorted by name.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.loads.iter().map(|load| &load.service)
    }

    pub(crate) fn loads(&self) -> &[ServiceLoad] {
        &self.loads
    }

    /// The number of whole steps before a time.
    pub(crate) fn steps_before(&self, at: Timestamp) -> usize {
        let whole = at.since(self.start).as_millis() / self.step.as_millis().max(1);
        usize::try_from(whole).unwrap_or(usize::MAX).min(self.steps)
    }

    /// The start of a step.
    pub(crate) fn boundary(&self, step: usize) -> Timestamp {
        self.start + Span::from_millis(self.step.as_millis().saturating_mul(step as u64))
    }
}

impl ServiceLoad {
    /// The number of replicas that carry a load, without the upper bound of the service.
    pub(crate) fn demand(&self, load: f64) -> f64 {
        let least = f64::from(self.service.replicas.min.max(1));
        // The rounding tolerance is that of `Service::replicas_for`.
        (load / self.capacity - 1e-9).ceil().max(least)
    }
}

/// Creates services for a load without descriptions. Each column becomes a service. A replica carries a
/// tenth of the column's 99th percentile and starts in 60 s, and there may be 1 to 1,000 replicas. A column
/// whose 99th percentile is 0 is sized by its maximum; for a column that is always 0, a replica carries 1.
///
/// # Errors
/// [`WorkloadError`] if a load is negative or out of range.
pub fn default_services(trace: &Trace) -> Result<Vec<Service>, WorkloadError> {
    let policy = ScalingPolicy::default().name;
    let service = |column: &Column| {
        check(trace, column)?;
        let name = column.service.clone();
        let capacity = Quantities::of(Resource::RequestsPerSecond, tenth_of_peak(&column.values))
            .map_err(|source| WorkloadError::Range { service: name.clone(), source })?;
        let replica =
            Replica { requests: Quantities::new(), capacity, startup: Span::from_secs(60) };
        Ok(Service {
            name,
            replica,
            replicas: Replicas { min: 1, max: 1000 },
            policy: policy.clone(),
            tier: Tier::default(),
            objective: None,
            weight: 1.0,
            location: None,
            gpu_type: None,
            endpoint: None,
        })
    };
    trace.columns.iter().map(service).collect()
}

fn tenth_of_peak(values: &[f64]) -> f64 {
    let mut known: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    known.sort_unstable_by(f64::total_cmp);
    // The nearest rank: the smallest value that 99% do not exceed.
    let rank = (known.len() * 99).div_ceil(100).saturating_sub(1);
    let peaks = [known.get(rank), known.last()];
    let peak = peaks.into_iter().flatten().copied().find(|peak| *peak > 0.0);
    peak.map_or(1.0, |peak| peak / 10.0)
}

fn check(trace: &Trace, column: &Column) -> Result<(), WorkloadError> {
    match column.values.iter().position(|value| *value < 0.0) {
        None => Ok(()),
        Some(step) => {
            let offset = Span::from_millis(trace.step.as_millis().saturating_mul(step as u64));
            let value = column.values.get(step).copied().unwrap_or(f64::NAN);
            let (service, at) = (column.service.clone(), trace.start + offset);
            Err(WorkloadError::Negative { service, at, value })
        }
    }
}

fn listed(trace: &Trace) -> String {
    let names: Vec<&str> = trace.columns.iter().take(10).map(|c| c.service.as_str()).collect();
    let rest = if trace.columns.len() > names.len() { ", ..." } else { "" };
    format!("{}{rest}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use haggle_observe::{Limits, Trace};

    use super::{Workload, WorkloadError, default_services};

    fn trace(text: &str) -> Trace {
        Trace::read(text.as_bytes(), Limits::default()).unwrap()
    }

    #[test]
    fn ten_replicas_carry_the_peak() {
        let rows: String =
            (0..1000).map(|i| format!("{i},{},0,{}\n", i * 619 % 1000, i / 999)).collect();
        let trace = trace(&format!("time,web,idle,rare\n{rows}"));
        let services = default_services(&trace).unwrap();
        let workload = Workload::new(&services, &trace).unwrap();
        let capacity: Vec<_> =
            workload.loads().iter().map(|l| (l.service.name.as_str(), l.capacity)).collect();
        assert_eq!(capacity, [("idle", 1.0), ("rare", 0.1), ("web", 98.9)]);
        let web = &workload.loads()[2];
        assert_eq!([0.0, 989.0, 999.0].map(|load| web.demand(load)), [1.0, 10.0, 11.0]);
    }

    #[test]
    fn services_and_columns_must_match() {
        let two = trace("time,web,cart\n1,1,1\n2,1,1\n");
        let one = trace("time,web\n1,1\n2,1\n");
        let services = default_services(&two).unwrap();
        let error = Workload::new(&services, &one).unwrap_err();
        assert!(matches!(error, WorkloadError::NoColumn { .. }), "{error}");
        let error = Workload::new(&services[..1], &two).unwrap_err();
        assert!(error.to_string().contains("column cart"), "{error}");
        let twice = [services[0].clone(), services[0].clone()];
        let error = Workload::new(&twice, &one).unwrap_err();
        assert!(matches!(error, WorkloadError::Duplicate(_)), "{error}");
        let error = default_services(&trace("time,web\n1,1\n2,-1\n")).unwrap_err();
        assert!(error.to_string().contains("1970-01-01T00:00:02Z is -1"), "{error}");
        let error = default_services(&trace("time,web\n1,1e300\n2,1\n")).unwrap_err();
        assert!(matches!(error, WorkloadError::Range { .. }), "{error}");
    }
}
