//! Faults that the simulation found in the core, each as a minimal test.
#![allow(clippy::unwrap_used)]

use haggle_control::{
    Caller, Change, Control, Effect, Input, Observed, Options, ReclaimRequest, Record, Restored,
    Scope,
};
use haggle_model::{
    Lease, LeaseId, LeaseState, Name, Owner, Provider, Quantities, Resource, Service, Tier,
    Timestamp, Window,
};
use serde_json::json;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

/// A service whose replicas take one CPU core each; it always has at least one replica.
fn service() -> Service {
    let service = json!({
        "name": "web",
        "replica": {"requests": {"cpu_cores": 1}, "capacity": {"requests_per_second": 10}},
        "replicas": {"min": 1, "max": 9},
    });
    serde_json::from_value(service).unwrap()
}

/// Four machines with one CPU core each.
fn provider() -> Provider {
    let unit = json!({"id": "m", "count": 4, "resources": {"cpu_cores": 1}, "cost_per_hour": 1});
    serde_json::from_value(json!({"name": "alder", "units": [unit]})).unwrap()
}

/// Runs a step and reports its commits as durable at once.
fn step(control: &mut Control, now: Timestamp, input: Input) {
    for effect in control.step(now, input) {
        if let Effect::Commit { id, .. } = effect {
            control.step(now, Input::Committed(id));
        }
    }
}

fn put(control: &mut Control, change: Change) {
    step(control, at(1), Input::Change { caller: Caller(1), change: Box::new(change) });
}

fn core() -> Control {
    let selling = [(provider().selling, ["selling".to_owned()].into())];
    Control::new(Options { built_in: selling.into(), ..Options::default() }, at(1))
}

fn reclaim(control: &mut Control, now: Timestamp, when: Timestamp) {
    let request = ReclaimRequest { unit: name("m"), count: 1, at: Some(when) };
    step(control, now, Input::Reclaim { caller: Caller(1), provider: name("alder"), request });
}

fn free(control: &Control, from: u64, to: u64) -> f64 {
    let owner = Owner::Unit { provider: name("alder"), unit: name("m") };
    let window = Window { start: at(from), end: at(to) };
    control.newest().ledger().free(&owner, window, &[]).get(Resource::CpuCores)
}

#[test]
fn a_first_commit_that_fails_loses_nothing() {
    let over = Lease {
        id: LeaseId("n1-1".into()),
        negotiation: "n1".into(),
        holder: name("web"),
        owner: Owner::Service(name("web")),
        amounts: Quantities::of(Resource::RequestsPerSecond, 1.0).unwrap(),
        replicas: 0,
        price_per_hour: 0.0,
        window: Window { start: at(1), end: at(2) },
        state: LeaseState::Confirmed,
        held_until: at(2),
    };
    let records = vec![Record::Service(service().into()), Record::Lease(over)];
    let restored = Restored { records, ..Restored::default() };
    let (mut control, effects) = Control::restore(Options::default(), restored, at(10));
    let first = |effects: &[Effect]| {
        effects.iter().find_map(|effect| match effect {
            Effect::Commit { id, writes } => Some((*id, writes.clone())),
            _ => None,
        })
    };
    let (id, writes) = first(&effects).unwrap();
    control.step(at(11), Input::CommitFailed(id, "the disk is full".into()));
    assert_eq!(control.newest().services().count(), 1);
    // The next step repeats the writes that failed.
    let (_, again) = first(&control.step(at(12), Input::Tick)).unwrap();
    assert_eq!(again, writes);
}

#[test]
fn a_service_has_the_tier_of_its_new_description() {
    let mut control = core();
    put(&mut control, Change::PutService(service()));
    put(&mut control, Change::PutService(Service { tier: Tier::Gold, ..service() }));
    assert_eq!(control.newest().service(&name("web")).unwrap().1.tier, Tier::Gold);
}

#[test]
fn a_service_without_leases_and_load_has_what_it_has_in_any_case() {
    let mut control = core();
    put(&mut control, Change::PutService(service()));
    put(&mut control, Change::PutProvider(Provider { units: Vec::new(), ..provider() }));
    let load = Observed { service: name("web"), at: at(2), load: 0.0, steps: 60 };
    step(&mut control, at(2), Input::Observed(vec![load]));
    step(&mut control, at(2), Input::Reconcile(Scope::All));
    assert_eq!(control.newest().service(&name("web")).unwrap().1.replicas, 1);
}

#[test]
fn what_was_taken_back_stays_so_when_more_is_announced() {
    let mut control = core();
    put(&mut control, Change::PutProvider(provider()));
    reclaim(&mut control, at(2), at(10));
    reclaim(&mut control, at(11), at(100));
    assert_eq!((free(&control, 11, 50), free(&control, 11, 200)), (3.0, 2.0));
}

#[test]
fn what_is_taken_back_at_once_is_gone_whatever_else_is_announced() {
    let mut control = core();
    put(&mut control, Change::PutProvider(provider()));
    reclaim(&mut control, at(2), at(100));
    reclaim(&mut control, at(3), at(3));
    assert_eq!((free(&control, 3, 50), free(&control, 3, 200)), (3.0, 2.0));
}
