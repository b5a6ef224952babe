//! A complete host as a competitor: its observations become samples, and the simulation carries out its
//! orders.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use haggle_actuate::{ActuateError, Actuator, Immediate, ReplicaStatus, ScaleOrder};
use haggle_backtest::{Competitor, CompetitorError, Negotiations, Observation};
use haggle_control::{Change, Principal};
use haggle_model::{Dependency, Name, Service, Span, Timestamp};
use haggle_observe::Sample;
use haggle_runtime::{Host, HostError, HostOptions, ManualClock, SampleBatch, block_on};

use super::scenario::Scenario;

/// A host on the recording's clock, with an in-memory store.
pub(super) struct Haggle<'a> {
    scenario: &'a Scenario,
    interval: Span,
    clock: Arc<ManualClock>,
    simulation: Simulation,
    /// Opened at the first observation, which gives the number of replicas.
    host: Option<Arc<Host>>,
    negotiations: Negotiations,
}

/// The host's side of the simulation: the replicas as last reported to the host, and its orders since.
#[derive(Clone, Debug, Default)]
struct Simulation(Arc<Mutex<Ordered>>);

#[derive(Debug, Default)]
struct Ordered {
    replicas: BTreeMap<Name, ReplicaStatus>,
    orders: Vec<ScaleOrder>,
}

impl<'a> Haggle<'a> {
    pub(super) fn new(scenario: &'a Scenario, interval: Span) -> Self {
        Self {
            scenario,
            interval,
            clock: Arc::new(ManualClock::new(scenario.workload.start())),
            simulation: Simulation::default(),
            host: None,
            negotiations: Negotiations::default(),
        }
    }

    fn open(&self) -> Result<Arc<Host>, HostError> {
        let Scenario { workload, policies, providers, dependencies, events } = self.scenario;
        let clock: Arc<ManualClock> = Arc::clone(&self.clock);
        let host = Host::open(HostOptions {
            clock,
            driver: Arc::new(Immediate::new(self.simulation.clone())),
            interval: self.interval,
            journal: false,
            id: Some("backtest".to_owned()),
            ..HostOptions::default()
        })?;
        let put = |change: Change| block_on(host.change(Principal::Anonymous, change)).map(drop);
        for policy in policies {
            put(Change::PutPolicy(policy.clone()))?;
        }
        for provider in providers {
            put(Change::PutProvider(provider.clone()))?;
        }
        for service in workload.services() {
            put(Change::PutService(service.clone()))?;
        }
        for document in dependencies {
            let (from, to) = (document.from.clone(), document.to.clone());
            put(Change::PutDependency(from, to, Dependency::from(document.clone())))?;
        }
        for event in events {
            put(Change::PutEvent(event.clone()))?;
        }
        Ok(host)
    }
}

impl Competitor for Haggle<'_> {
    fn name(&self) -> &str {
        "haggle"
    }

    fn interval(&self) -> Span {
        self.interval
    }

    fn step(
        &mut self,
        now: Timestamp,
        services: &[Observation<'_>],
    ) -> Result<Vec<ScaleOrder>, CompetitorError> {
        self.clock.set(now);
        self.simulation.observe(services);
        let host = match self.host.take() {
            Some(host) => host,
            None => self.open()?,
        };
        let host = self.host.insert(host);
        let samples = services.iter().filter_map(|seen| sample(seen, now, self.interval)).collect();
        block_on(host.push_samples(SampleBatch { samples, failures: Vec::new() }))?;
        let counts = host.pass()?.counts;
        self.negotiations.approved += counts.approved;
        self.negotiations.reduced += counts.reduced;
        self.negotiations.denied += counts.denied;
        Ok(self.simulation.take_orders())
    }

    fn negotiations(&self) -> Option<Negotiations> {
        Some(self.negotiations)
    }
}

/// The load since the last pass, as a monitoring system would report it.
fn sample(seen: &Observation<'_>, now: Timestamp, interval: Span) -> Option<Sample> {
    let value = seen.load_over(interval);
    value.is_finite().then(|| Sample {
        service: seen.service().name.clone(),
        metric: seen.service().load_resource().as_str().to_owned(),
        instance: None,
        // The sample's time lies within the measured interval, so that it counts for the right step.
        time: Some(now.before(interval)),
        value,
    })
}

impl Simulation {
    fn lock(&self) -> MutexGuard<'_, Ordered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn observe(&self, services: &[Observation<'_>]) {
        let mut ordered = self.lock();
        for seen in services {
            ordered.replicas.insert(seen.service().name.clone(), seen.status());
        }
    }

    fn take_orders(&self) -> Vec<ScaleOrder> {
        std::mem::take(&mut self.lock().orders)
    }
}

impl Actuator for Simulation {
    /// Does nothing: every service of the recording is simulated from its start.
    fn track(&mut self, _: Timestamp, _: &Service, _: u32) -> Result<(), ActuateError> {
        Ok(())
    }

    fn forget(&mut self, service: &Name) {
        self.lock().replicas.remove(service);
    }

    fn scale(&mut self, _: Timestamp, order: &ScaleOrder) -> Result<(), ActuateError> {
        let mut ordered = self.lock();
        let unknown = || ActuateError::Unknown(order.service.clone());
        let status = ordered.replicas.get_mut(&order.service).ok_or_else(unknown)?;
        let ready = status.ready.min(order.to);
        *status = ReplicaStatus { desired: order.to, starting: order.to - ready, ready };
        ordered.orders.push(order.clone());
        Ok(())
    }

    fn status(&mut self, _: Timestamp, service: &Name) -> Option<ReplicaStatus> {
        self.lock().replicas.get(service).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Actuator, Haggle, Scenario, Simulation};
    use haggle_actuate::ScaleOrder;
    use haggle_backtest::run;
    use haggle_model::{Name, Span, Timestamp};
    use haggle_observe::{Limits, Trace};

    #[test]
    fn what_is_not_simulated_cannot_be_scaled() {
        let service = Name::new("web").unwrap();
        let order = ScaleOrder { service, from: 1, to: 2, sequence: 1 };
        let mut simulation = Simulation::default();
        assert!(simulation.scale(Timestamp::from_millis(0), &order).is_err());
        assert!(simulation.take_orders().is_empty());
    }

    #[test]
    fn a_host_scales_with_a_load_that_grows() {
        let mut load = "time,web\n".to_owned();
        for minute in 0..120 {
            let value = if minute < 60 { 100 } else { 400 };
            load.push_str(&format!("{},{value}\n", 1_600_000_020 + minute * 60));
        }
        let trace = Trace::read(load.as_bytes(), Limits::default()).unwrap();
        let scenario = Scenario::of_columns(&trace).unwrap();
        let mut haggle = Haggle::new(&scenario, Span::from_secs(30));
        let report = run(&scenario.workload, &mut haggle, &mut |_| {}).unwrap();
        assert!(report.total.scaling_actions > 0);
        // Ten of 40 replicas carry the peak, so the service is not over capacity for the whole second hour.
        assert!(report.total.over_capacity_time_share < 0.2, "{report:?}");
        assert!(report.negotiations.unwrap().approved > 0);
    }
}
