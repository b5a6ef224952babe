use std::{path::Path, sync::Arc};

use haggle_model::{
    Lease, LeaseState, Name, Owner, Provider, ScalingPolicy, ScalingReason, Service, Span,
    Timestamp,
};
use haggle_observe::Sample;
use serde_json::{Value, json};

use crate::{
    Clock, Host, HostOptions, ManualClock, ReclaimRequest, SampleBatch, ScalingRequest,
    ScalingVerdict, Verdict, testing::options,
};

const TURN: Span = Span::from_secs(10);

struct World {
    clock: Arc<ManualClock>,
    host: Host,
}

impl World {
    fn new(data: Option<&Path>) -> Self {
        let now = Timestamp::from_millis(1_750_000_000_000).floor(Span::from_mins(1));
        Self::at(data, now)
    }

    fn at(data: Option<&Path>, now: Timestamp) -> Self {
        let clock = Arc::new(ManualClock::new(now));
        let options = HostOptions {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            data: data.map(Path::to_owned),
            interval: TURN,
            ..options()
        };
        Self { clock, host: Host::open(options).unwrap() }
    }

    fn policy(&self, negotiation: Value) {
        let policy = json!({
            "name": "default",
            "scaling": {"target_utilization": 1.0, "min_confidence": 0.0, "stabilization": "0s"},
            "negotiation": negotiation,
        });
        self.host.put_policy(serde_json::from_value::<ScalingPolicy>(policy).unwrap()).unwrap();
    }

    /// A provider of machines with four cores each, so many of each kind.
    fn provider(&self, name: &str, units: &[(&str, u32)], cost: f64) {
        let unit = |(id, count): &(&str, u32)| {
            json!({"id": id, "count": count, "has": {"cpu_cores": 4}, "cost_per_hour": cost,
                   "interruption_notice": "30s"})
        };
        let units: Vec<Value> = units.iter().map(unit).collect();
        let provider = json!({"name": name, "units": units});
        self.host.put_provider(serde_json::from_value::<Provider>(provider).unwrap()).unwrap();
    }

    /// A service whose replicas take a core and carry ten requests per second.
    fn service(&self, name: &str, tier: &str) {
        let service = json!({
            "name": name, "tier": tier,
            "replica": {"uses": {"cpu_cores": 1}, "serves": {"requests_per_second": 10}},
            "replicas": {"min": 1, "max": 50},
        });
        self.host.put_service(serde_json::from_value::<Service>(service).unwrap()).unwrap();
    }

    fn ask(&self, request: Value) -> ScalingVerdict {
        let request: ScalingRequest = serde_json::from_value(request).unwrap();
        self.host.request_scaling(request).unwrap()
    }

    fn reclaim(&self, provider: &str, unit: &str, count: u32, notice: Span) {
        let (provider, unit) = (name(provider), name(unit));
        let at = Some(self.clock.now() + notice);
        self.host.reclaim(&provider, &ReclaimRequest { unit, count, at }).unwrap();
    }

    fn samples(&self, service: &str, value: f64) {
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
    fn pass(&self, time: Span) {
        for _ in 0..time.as_millis() / TURN.as_millis() {
            self.clock.advance(TURN);
            self.host.turn().unwrap();
            self.check();
        }
    }

    fn check(&self) {
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

    fn replicas(&self, service: &str) -> u32 {
        self.host.replicas(&name(service)).unwrap().desired
    }

    fn leases(&self, holder: &str) -> Vec<Lease> {
        let of = |lease: &Lease| lease.holder.as_str() == holder;
        self.host.leases().into_iter().filter(of).collect()
    }

    /// The unit, replicas, and seconds until the end of each lease.
    fn places(&self, holder: &str) -> Vec<(String, u32, u64)> {
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

fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

#[test]
fn what_is_announced_of_one_unit_stands_when_another_is_due() {
    let world = World::new(None);
    world.policy(json!({"alternatives": ["smaller"], "lease": "10m", "renew_before": "1m"}));
    world.provider("p", &[("a", 2), ("b", 2)], 1.0);
    world.service("web", "silver");
    world.reclaim("p", "a", 1, Span::from_secs(10));
    world.reclaim("p", "b", 2, Span::from_mins(5));
    world.pass(Span::from_secs(30));
    let verdict = world.ask(json!({"service": "web", "replicas": 16}));
    assert_eq!((verdict.verdict, verdict.to), (Verdict::Reduced, 4));
    world.pass(Span::from_mins(6));
    assert_eq!(world.replicas("web"), 4);
    let left = |p: Provider| p.units.iter().map(|u| u.count).collect::<Vec<_>>();
    assert_eq!(world.host.provider(&name("p")).map(left).unwrap(), [1, 0]);
}

#[test]
fn what_was_lost_is_negotiated_for_at_once_and_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(Some(folder.path()));
    world.policy(json!({"alternatives": ["smaller"], "lease": "10m", "renew_before": "1m"}));
    world.provider("spot", &[("m", 2)], 0.1);
    world.provider("firm", &[("m", 2)], 1.0);
    world.service("web", "silver");
    assert_eq!(world.ask(json!({"service": "web", "replicas": 8})).to, 8);
    assert_eq!(world.places("web"), [("spot/m".to_owned(), 8, 600)]);
    // No turn comes between.
    world.reclaim("spot", "m", 2, Span::from_secs(5));
    let firm = world.places("web").into_iter().find(|(place, ..)| place == "firm/m");
    assert_eq!(firm, Some(("firm/m".to_owned(), 8, 600)));

    // A reclaim that cannot be made up for, and a crash before anybody can try again.
    world.reclaim("firm", "m", 2, Span::from_secs(60));
    let now = world.clock.now();
    drop(world);
    let world = World::at(Some(folder.path()), now);
    world.provider("new", &[("m", 2)], 2.0);
    world.pass(TURN);
    let new = world.places("web").into_iter().find(|(place, ..)| place == "new/m");
    assert_eq!(new.map(|(_, replicas, _)| replicas), Some(8));
    world.pass(Span::from_mins(2));
    assert_eq!(world.replicas("web"), 8);
}

#[test]
fn what_was_asked_for_goes_on_where_nothing_else_is_known() {
    let world = World::new(None);
    world.policy(json!({"alternatives": ["smaller"], "lease": "60s", "renew_before": "20s"}));
    world.provider("rack", &[("m", 2)], 1.0);
    world.service("web", "silver");
    assert_eq!(world.ask(json!({"service": "web", "replicas": 5})).to, 5);
    world.pass(Span::from_mins(5));
    assert_eq!(world.replicas("web"), 5);
    // Until a certain time it is wanted until then.
    assert_eq!(world.ask(json!({"service": "web", "replicas": 7, "lease": "3m"})).to, 7);
    world.pass(Span::from_secs(170));
    assert_eq!(world.replicas("web"), 7);
    world.pass(Span::from_secs(20));
    assert_eq!(world.replicas("web"), 1);
    world.pass(Span::from_mins(2));
    assert_eq!(world.places("web").iter().map(|(_, replicas, _)| replicas).sum::<u32>(), 1);
}

#[test]
fn replicas_whose_place_is_taken_back_go_when_there_is_no_other() {
    let world = World::new(None);
    world.policy(json!({"alternatives": ["smaller"], "lease": "10m", "renew_before": "1m"}));
    world.provider("rack", &[("m", 2)], 1.0);
    world.service("web", "silver");
    assert_eq!(world.ask(json!({"service": "web", "replicas": 8})).to, 8);
    world.reclaim("rack", "m", 1, Span::from_secs(60));
    assert_eq!(world.replicas("web"), 8);
    // The rest goes on, and what is lost is held until it ends.
    world.pass(Span::from_secs(50));
    assert_eq!(world.replicas("web"), 8);
    world.pass(Span::from_secs(20));
    assert_eq!(world.replicas("web"), 4);
    let last = world.host.decisions(0, 100).unwrap().pop().unwrap();
    assert_eq!((last.from, last.to), (8, 4));
}

#[test]
fn whoever_lends_keeps_what_it_has_until_the_notice_is_over_and_no_longer() {
    let world = World::new(None);
    let terms = json!({"alternatives": ["borrowed", "smaller"], "notice": "40s", "lease": "10m",
                       "renew_before": "1m"});
    world.policy(terms);
    world.provider("rack", &[("m", 1)], 1.0);
    world.service("low", "bronze");
    world.service("high", "gold");
    assert_eq!(world.ask(json!({"service": "low", "replicas": 4})).to, 4);
    assert_eq!(world.ask(json!({"service": "high", "replicas": 3})).to, 3);
    world.pass(Span::from_secs(30));
    assert_eq!(world.replicas("low"), 4);
    assert!(world.replicas("high") <= 1);
    world.pass(Span::from_secs(30));
    assert_eq!((world.replicas("low"), world.replicas("high")), (1, 3));
    world.pass(Span::from_mins(20));
    assert_eq!((world.replicas("low"), world.replicas("high")), (1, 3));
}

#[test]
fn what_a_service_has_in_any_case_takes_a_place_as_well() {
    let world = World::new(None);
    world.policy(json!({"alternatives": ["smaller"], "lease": "60s", "renew_before": "20s"}));
    world.provider("rack", &[("m", 1)], 1.0);
    for service in ["a", "b", "c", "d"] {
        world.service(service, "silver");
    }
    world.samples("a", 9.0);
    world.pass(TURN);
    for service in ["a", "b", "c", "d"] {
        assert_eq!(world.places(service).len(), 1, "{service}");
    }
    world.pass(Span::from_mins(3));
    let verdict = world.ask(json!({"service": "b", "replicas": 4}));
    assert_eq!((verdict.verdict, verdict.to), (Verdict::Reduced, 1));
}

#[test]
fn what_was_agreed_for_later_is_renewed_like_everything_else() {
    let world = World::new(None);
    let terms = json!({"alternatives": ["later"], "later_within": "5m", "lease": "60s",
                       "renew_before": "20s"});
    world.policy(terms);
    world.provider("rack", &[("m", 1)], 1.0);
    world.service("y", "silver");
    world.service("x", "silver");
    assert_eq!(world.ask(json!({"service": "x", "replicas": 4, "lease": "50s"})).to, 4);
    let verdict = world.ask(json!({"service": "y", "replicas": 3}));
    assert_eq!((verdict.verdict, verdict.to), (Verdict::Approved, 3));
    assert!(verdict.window.start > world.clock.now());
    world.pass(Span::from_mins(6));
    assert_eq!((world.replicas("x"), world.replicas("y")), (1, 3));
}

#[test]
fn what_was_asked_for_is_not_undone_by_a_forecast() {
    let world = World::new(None);
    world.policy(json!({"alternatives": ["smaller"], "lease": "5m", "renew_before": "30s"}));
    world.provider("rack", &[("m", 4)], 1.0);
    world.service("web", "silver");
    world.samples("web", 20.0);
    world.pass(TURN);
    assert_eq!(world.ask(json!({"service": "web", "replicas": 9, "lease": "2m"})).to, 9);
    world.pass(Span::from_secs(110));
    assert_eq!(world.replicas("web"), 9);
    world.samples("web", 20.0);
    world.pass(Span::from_secs(60));
    assert!(world.replicas("web") < 9);
}

#[test]
fn a_provider_that_has_less_than_it_promised_gives_notice() {
    let world = World::new(None);
    world.policy(json!({"alternatives": ["smaller"], "lease": "10m", "renew_before": "1m"}));
    world.provider("rack", &[("m", 4)], 1.0);
    world.provider("dear", &[("m", 4)], 9.0);
    world.service("web", "silver");
    assert_eq!(world.ask(json!({"service": "web", "replicas": 15})).to, 15);
    let mut events = world.host.events();
    world.provider("rack", &[("m", 1)], 1.0);
    world.pass(Span::from_mins(1));
    assert_eq!(world.replicas("web"), 15);
    let on =
        |place: &str| world.places("web").iter().filter(|p| p.0 == place).map(|p| p.1).sum::<u32>();
    assert!(on("rack/m") <= 4 && on("dear/m") >= 11, "{:?}", world.places("web"));
    let told = std::iter::from_fn(|| events.try_recv().ok())
        .find(|e| e.subject == "rack" && e.message.contains("promised"));
    let told = told.unwrap().message;
    assert!(told.starts_with("15 cpu_cores of provider rack, unit m are promised"), "{told}");
}

#[test]
fn an_error_budget_that_burns_is_negotiated_for() {
    let world = World::new(None);
    let terms = json!({"alternatives": ["smaller"], "burn_rate": 2.0});
    world.policy(terms);
    let service = json!({
        "name": "web", "objective": {"target": 0.9, "window": "60s"},
        "replica": {"serves": {"requests_per_second": 10}, "startup": "3s"},
        "replicas": {"min": 1, "max": 30},
    });
    world.host.put_service(serde_json::from_value::<Service>(service).unwrap()).unwrap();
    world.samples("web", 100.0);
    world.clock.advance(TURN);
    world.host.turn().unwrap();
    let decision = world.host.decisions(0, 10).unwrap().pop().unwrap();
    assert_eq!(decision.reason, ScalingReason::Objective, "{decision:?}");
    let record = world.host.negotiation(&decision.negotiation.unwrap()).unwrap();
    assert_eq!(record["demand"]["purpose"], "failure_avoidance");
}
