use std::collections::VecDeque;

use haggle_model::{Objective, Quantities, ScalingLimits, Service, Span, Timestamp};

use crate::Outlook;

/// The total capacity of a group of services.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pool {
    /// The load that all services carry at their maximum replicas, in the units of their load resources.
    pub capacity: f64,
}

/// The loads of a member of the pool, as shares of the pool from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolMember {
    /// The current load.
    pub current: f64,
    /// The highest expected load within the horizon.
    pub forecast_mean: f64,
    /// The upper bound of the load within the horizon.
    pub forecast_upper: f64,
    /// The confidence of the forecast.
    pub confidence: f64,
}

impl Pool {
    /// The pool of these services.
    #[must_use]
    pub fn of<'a>(services: impl IntoIterator<Item = &'a Service>) -> Self {
        let load =
            |service: &Service| service.carries(service.replicas.max).get(service.load_resource());
        Self { capacity: services.into_iter().map(load).sum() }
    }

    /// The loads of a service relative to the pool.
    #[must_use]
    pub fn member(
        &self,
        observed: Option<f64>,
        outlook: Option<&Outlook>,
        limits: &ScalingLimits,
        now: Timestamp,
        horizon: Span,
    ) -> PoolMember {
        let share = |load: f64| {
            if self.capacity > 0.0 { (load / self.capacity).clamp(0.0, 1.0) } else { 0.0 }
        };
        let window = haggle_model::Window::new(now, horizon);
        let current = observed.unwrap_or(0.0);
        let mean = outlook.and_then(|outlook| outlook.mean_peak(window)).unwrap_or(current);
        let upper = outlook.and_then(|outlook| outlook.peak(limits, window)).unwrap_or(current);
        PoolMember {
            current: share(current),
            forecast_mean: share(mean),
            forecast_upper: share(upper.max(mean)),
            confidence: outlook.map_or(0.0, |outlook| outlook.confidence),
        }
    }
}

/// The compliance of a service with its objective. A request is good if the ready replicas could carry it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compliance {
    /// The latest intervals as (time, requests, requests beyond capacity).
    turns: VecDeque<(Timestamp, f64, f64)>,
    requests: f64,
    beyond: f64,
}

impl Compliance {
    /// Records an interval of the length `interval` with the load `load`, during which the service could
    /// carry `ready`.
    pub fn record(
        &mut self,
        now: Timestamp,
        interval: Span,
        load: f64,
        ready: &Quantities,
        service: &Service,
        objective: &Objective,
    ) {
        let seconds = interval.as_secs_f64();
        let requests = load.max(0.0) * seconds;
        let beyond = (load - ready.get(service.load_resource())).max(0.0) * seconds;
        self.turns.push_back((now, requests, beyond));
        self.requests += requests;
        self.beyond += beyond;
        while let Some((at, requests, beyond)) = self.turns.front().copied()
            && now.since(at) > objective.window
        {
            self.turns.pop_front();
            self.requests = (self.requests - requests).max(0.0);
            self.beyond = (self.beyond - beyond).max(0.0);
        }
    }

    /// The share of requests that could be carried, 0 to 1; 1 if there were none.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.requests > 0.0 { (1.0 - self.beyond / self.requests).clamp(0.0, 1.0) } else { 1.0 }
    }

    /// The burn rate of the error budget. At 1, the budget is used up exactly (Google's SRE workbook,
    /// "Alerting on SLOs").
    #[must_use]
    pub fn burn_rate(&self, objective: &Objective) -> f64 {
        (1.0 - self.share()) / (1.0 - objective.target)
    }
}

#[cfg(test)]
mod tests {
    use super::Compliance;
    use haggle_model::{Objective, Quantities, Resource, Service, Span, Timestamp};

    #[test]
    fn the_error_budget_burns_with_what_could_not_be_carried_and_recovers() {
        let json = r#"{"name": "shop", "replica": {"capacity": {"requests_per_second": 1}}}"#;
        let service: Service = serde_json::from_str(json).unwrap();
        let objective = Objective { target: 0.9, window: Span::from_secs(100) };
        let ready = Quantities::of(Resource::RequestsPerSecond, 8.0).unwrap();
        let mut compliance = Compliance::default();
        let step = Span::from_secs(10);
        compliance.record(Timestamp::from_millis(0), step, 10.0, &ready, &service, &objective);
        assert!((compliance.share() - 0.8).abs() < 1e-12);
        assert!((compliance.burn_rate(&objective) - 2.0).abs() < 1e-9);
        let later = Timestamp::from_millis(200_000);
        compliance.record(later, step, 5.0, &ready, &service, &objective);
        assert_eq!(compliance.share(), 1.0);
    }
}
