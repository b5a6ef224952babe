use haggle_model::{Span, Timestamp};
use serde_json::json;

use crate::{
    Clock, ErrorKind, HostError,
    testing::{World, name},
};

fn world() -> World {
    let world = World::new(None);
    world.policy(json!({"alternatives": ["smaller"], "lease": "4m", "renew_before": "1m"}));
    world.provider("rack", &[("m", 30)], 1.0);
    for service in ["web", "app", "db"] {
        world.service(service, "silver");
    }
    for from in ["web", "app"] {
        let edge = serde_json::from_value(json!({"ratios": {"requests_per_second": 1}})).unwrap();
        world.host.put_dependency(&name(from), &name("db"), edge).unwrap();
    }
    world
}

fn reserve(world: &World, service: &str, replicas: u32, start: Timestamp) -> String {
    let request = json!({"service": service, "replicas": replicas, "start": start, "lease": "10m"});
    let verdict = world.ask(request);
    assert_eq!(verdict.to, replicas, "{verdict:?}");
    verdict.negotiation
}

#[test]
fn what_is_given_up_before_it_begins_leaves_nothing() {
    let world = world();
    let start = world.clock.now() + Span::from_mins(10);
    let app = reserve(&world, "app", 5, start);
    let web = reserve(&world, "web", 30, start);
    let replicas = |holder: &str| -> u32 {
        let leases = world.leases(holder).into_iter().filter(|lease| lease.window.start >= start);
        leases.map(|lease| lease.replicas).sum()
    };
    assert_eq!((replicas("web"), replicas("db")), (30, 35));
    world.host.give_up_scaling(&web).unwrap();
    world.host.give_up_scaling(&web).unwrap();
    assert_eq!(replicas("web"), 0);
    assert!(world.leases("web").iter().all(|lease| lease.window.start < start));
    assert!(replicas("db") >= 5, "app counts on it");
    world.pass(Span::from_mins(12));
    assert_eq!((world.replicas("web"), world.replicas("app")), (1, 5));
    world.host.give_up_scaling(&app).unwrap();
    let next = world.clock.now() + Span::from_mins(30);
    let alone = reserve(&world, "web", 30, next);
    world.host.give_up_scaling(&alone).unwrap();
    let later = world.host.leases().into_iter().filter(|lease| lease.window.start >= next);
    assert_eq!(later.count(), 0, "nor does db keep what it took for it");
}

#[test]
fn what_is_given_up_when_it_has_begun_ends_at_once() {
    for known in [false, true] {
        let world = world();
        if known {
            world.samples("web", 25.0);
            world.samples("db", 25.0);
        }
        world.pass(Span::from_mins(1));
        let before = (world.replicas("web"), world.replicas("db"));
        let start = world.clock.now() + Span::from_mins(2);
        let web = reserve(&world, "web", 30, start);
        world.pass(Span::from_mins(3));
        assert_eq!((world.replicas("web"), world.replicas("db")), (30, 30));
        world.host.give_up_scaling(&web).unwrap();
        assert_eq!(world.replicas("web"), before.0);
        world.pass(Span::from_mins(1));
        assert_eq!((world.replicas("web"), world.replicas("db")), before);
        world.pass(Span::from_mins(30));
        assert_eq!((world.replicas("web"), world.replicas("db")), before);
    }
}

#[test]
fn a_series_is_given_up_as_a_whole_or_window_by_window() {
    let world = world();
    let at = |minute| world.clock.now() + Span::from_mins(minute);
    let windows: Vec<_> =
        [10, 20, 30].map(|n| json!({"start": at(n), "lease": "5m", "replicas": n})).into();
    let verdict = world.ask(json!({"service": "web", "windows": windows}));
    let starts = || {
        let mut starts: Vec<_> =
            world.leases("web").iter().map(|l| l.window.start).filter(|s| *s > at(1)).collect();
        starts.sort_unstable();
        starts.dedup();
        starts
    };
    assert_eq!(starts(), [at(10), at(20), at(30)]);
    world.host.give_up_scaling(verdict.windows[1].negotiation.as_ref().unwrap()).unwrap();
    assert_eq!(starts(), [at(10), at(30)]);
    world.host.give_up_scaling(&verdict.negotiation).unwrap();
    assert!(starts().is_empty());
}

#[test]
fn only_what_was_asked_for_can_be_given_up() {
    let world = world();
    world.samples("web", 25.0);
    world.pass(Span::from_mins(1));
    let upkeep = world.host.decisions(0, 1).unwrap().pop().unwrap().negotiation.unwrap();
    let leases = world.host.leases();
    world.host.give_up_scaling(&upkeep).unwrap();
    assert_eq!(world.host.leases(), leases);
    let unknown: HostError = world.host.give_up_scaling("no-such").unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}
