//! What the tests of several modules need.

use std::{path::Path, sync::Arc};

use haggle_model::{
    Lease, LeaseState, Name, Owner, Provider, ScalingPolicy, Service, Span, Timestamp,
};
use haggle_observe::Sample;
use serde_json::{Value, json};

use crate::{
    Clock, Host, HostOptions, ManualClock, ReclaimRequest, SampleBatch, ScalingRequest,
    ScalingVerdict,
};

/// Options of a host whose built-in policies are compiled once for all tests.
pub(crate) fn options() -> HostOptions {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmp");
    let cache = Some(target.join("policies"));
    let sandbox = haggle_sandbox::Options { cache, ..haggle_sandbox::Options::default() };
    HostOptions { sandbox, ..HostOptions::default() }
}

pub(crate) const TURN: Span = Span::from_secs(10);

/// A host on a clock that tests move.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) host: Host,
}

impl World {
    pub(crate) fn new(data: Option<&Path>) -> Self {
        let now = Timestamp::from_millis(1_750_000_000_000).floor(Span::from_mins(1));
        Self::at(data, now)
    }

    pub(crate) fn at(data: Option<&Path>, now: Timestamp) -> Self {
        let clock = Arc::new(ManualClock::new(now));
        let options = HostOptions {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            data: data.map(Path::to_owned),
            interval: TURN,
            ..options()
        };
        Self { clock, host: Host::open(options).unwrap() }
    }

    pub(crate) fn policy(&self, negotiation: Value) {
        let policy = json!({
            "name": "default",
            "scaling": {"target_utilization": 1.0, "min_confidence": 0.0, "stabilization": "0s"},
            "negotiation": negotiation,
        });
        self.host.put_policy(serde_json::from_value::<ScalingPolicy>(policy).unwrap()).unwrap();
    }

    /// A provider of machines with four cores each, so many of each kind.
    pub(crate) fn provider(&self, name: &str, units: &[(&str, u32)], cost: f64) {
        let unit = |(id, count): &(&str, u32)| {
            json!({"id": id, "count": count, "has": {"cpu_cores": 4}, "cost_per_hour": cost,
                   "interruption_notice": "30s"})
        };
        let units: Vec<Value> = units.iter().map(unit).collect();
        let provider = json!({"name": name, "units": units});
        self.host.put_provider(serde_json::from_value::<Provider>(provider).unwrap()).unwrap();
    }

    /// A service whose replicas take a core and carry ten requests per second.
    pub(crate) fn service(&self, name: &str, tier: &str) {
        let service = json!({
            "name": name, "tier": tier,
            "replica": {"uses": {"cpu_cores": 1}, "serves": {"requests_per_second": 10}},
            "replicas": {"min": 1, "max": 50},
        });
        self.host.put_service(serde_json::from_value::<Service>(service).unwrap()).unwrap();
    }

    pub(crate) fn ask(&self, request: Value) -> ScalingVerdict {
        let request: ScalingRequest = serde_json::from_value(request).unwrap();
        self.host.request_scaling(request).unwrap()
    }

    pub(crate) fn reclaim(&self, provider: &str, unit: &str, count: u32, notice: Span) {
        let (provider, unit) = (name(provider), name(unit));
        let at = Some(self.clock.now() + notice);
        self.host.reclaim(&provider, &ReclaimRequest { unit, count, at }).unwrap();
    }

    pub(crate) fn samples(&self, service: &str, value: f64) {
        let now = self.clock.now();
        let sample = |minute| Sample {
            service: name(service),
            metric: "requests_per_second".to_owned(),
            subject: None,
            time: Some(now.before(Span::from_mins(minute))),
            value,
        };
        let samples = (0..60).map(sample).collect();
        self.host.push_samples(SampleBatch { samples, failures: Vec::new() }).unwrap();
    }

    /// Takes turns for so long, and checks after each that nobody has what is somebody else's.
    pub(crate) fn pass(&self, time: Span) {
        for _ in 0..time.as_millis() / TURN.as_millis() {
            self.clock.advance(TURN);
            self.host.turn().unwrap();
            self.check();
        }
    }

    pub(crate) fn check(&self) {
        let here: u32 =
            self.host.services().iter().map(|s| self.replicas(s.service.name.as_str())).sum();
        let cores = |provider: &Provider| provider.units.iter().map(|u| 4 * u.count).sum::<u32>();
        let there: u32 = self.host.providers().iter().map(cores).sum();
        assert!(here <= there, "{here} replicas on {there} cores");
        let now = self.clock.now();
        for service in self.host.services() {
            let name = service.service.name.as_str();
            let held = |l: &Lease| l.window.contains(now) && l.state == LeaseState::Confirmed;
            let leased: u32 =
                self.leases(name).iter().filter(|l| held(l)).map(|l| l.replicas).sum();
            let replicas = self.replicas(name);
            assert!(replicas <= leased.max(1), "{name}: {replicas} replicas, {leased} leased");
        }
    }

    pub(crate) fn replicas(&self, service: &str) -> u32 {
        self.host.replicas(&name(service)).unwrap().desired
    }

    pub(crate) fn leases(&self, holder: &str) -> Vec<Lease> {
        let of = |lease: &Lease| lease.holder.as_str() == holder;
        self.host.leases().into_iter().filter(of).collect()
    }

    /// The unit, replicas, and seconds until the end of each lease.
    pub(crate) fn places(&self, holder: &str) -> Vec<(String, u32, u64)> {
        let now = self.clock.now();
        let place = |lease: Lease| {
            let Owner::Unit { provider, unit } = lease.owner else { return None };
            let left = lease.window.end.since(now).as_millis() / 1000;
            Some((format!("{provider}/{unit}"), lease.replicas, left))
        };
        let mut places: Vec<_> = self.leases(holder).into_iter().filter_map(place).collect();
        places.sort();
        places
    }
}

pub(crate) fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}
