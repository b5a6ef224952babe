//! A cancellation removes everything that no other promise depends on.

use haggle_model::{Span, Timestamp};
use serde_json::json;

use crate::{ErrorKind, testing::World};

fn world() -> World {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "lease": "4m", "renew_before": "1m"}));
    world.provider("rack", &[("m", 30)], 1.0);
    for service in ["web", "app", "db"] {
        world.service(service, "silver");
    }
    for from in ["web", "app"] {
        world.depend(from, "db", 1.0);
    }
    world
}

fn reserve(world: &mut World, service: &str, replicas: u32, start: Timestamp) -> String {
    let request =
        json!({"service": service, "replicas": replicas, "start": start, "duration": "10m"});
    let verdict = world.ask(request);
    assert_eq!(verdict.to, replicas, "{verdict:?}");
    verdict.negotiation
}

#[test]
fn what_is_cancelled_before_it_begins_leaves_nothing() {
    let mut world = world();
    let start = world.now + Span::from_mins(10);
    let app = reserve(&mut world, "app", 5, start);
    let web = reserve(&mut world, "web", 30, start);
    let replicas = |world: &World, holder: &str| -> u32 {
        let leases = world.leases(holder).into_iter().filter(|lease| lease.window.start >= start);
        leases.map(|lease| lease.replicas).sum()
    };
    assert_eq!((replicas(&world, "web"), replicas(&world, "db")), (30, 35));
    world.cancel(&web).unwrap();
    world.cancel(&web).unwrap();
    assert_eq!(replicas(&world, "web"), 0);
    assert!(world.leases("web").iter().all(|lease| lease.window.start < start));
    assert!(replicas(&world, "db") >= 5, "app counts on it");
    world.pass(Span::from_mins(12));
    assert_eq!((world.replicas("web"), world.replicas("app")), (1, 5));
    world.cancel(&app).unwrap();
    let next = world.now + Span::from_mins(30);
    let alone = reserve(&mut world, "web", 30, next);
    world.cancel(&alone).unwrap();
    let later = world.state().leases(world.now).filter(|lease| lease.window.start >= next);
    assert_eq!(later.count(), 0, "nor does db keep what it took for it");
}

#[test]
fn what_is_cancelled_when_it_has_begun_ends_at_once() {
    for known in [false, true] {
        let mut world = world();
        if known {
            world.load("web", 25.0);
            world.load("db", 25.0);
        }
        world.pass(Span::from_mins(1));
        let before = (world.replicas("web"), world.replicas("db"));
        let start = world.now + Span::from_mins(2);
        let web = reserve(&mut world, "web", 30, start);
        world.pass(Span::from_mins(3));
        assert_eq!((world.replicas("web"), world.replicas("db")), (30, 30));
        world.cancel(&web).unwrap();
        assert_eq!(world.replicas("web"), before.0);
        world.pass(Span::from_mins(1));
        assert_eq!((world.replicas("web"), world.replicas("db")), before);
        world.pass(Span::from_mins(30));
        assert_eq!((world.replicas("web"), world.replicas("db")), before);
    }
}

#[test]
fn a_series_is_cancelled_as_a_whole_or_window_by_window() {
    let mut world = world();
    let begun = world.now;
    let at = |minute| begun + Span::from_mins(minute);
    let windows: Vec<_> =
        [10, 20, 30].map(|n| json!({"start": at(n), "duration": "5m", "replicas": n})).into();
    let verdict = world.ask(json!({"service": "web", "windows": windows}));
    let starts = |world: &World| {
        let mut starts: Vec<_> =
            world.leases("web").iter().map(|l| l.window.start).filter(|s| *s > at(1)).collect();
        starts.sort_unstable();
        starts.dedup();
        starts
    };
    assert_eq!(starts(&world), [at(10), at(20), at(30)]);
    world.cancel(verdict.windows[1].negotiation.as_ref().unwrap()).unwrap();
    assert_eq!(starts(&world), [at(10), at(30)]);
    world.restart();
    assert_eq!(starts(&world), [at(10), at(30)]);
    world.cancel(&verdict.negotiation).unwrap();
    assert!(starts(&world).is_empty());
}

#[test]
fn only_what_was_asked_for_can_be_cancelled() {
    let mut world = world();
    world.load("web", 25.0);
    world.pass(Span::from_mins(1));
    let upkeep = world.decisions("web").last().unwrap().negotiation.clone().unwrap();
    let leases: Vec<_> = world.state().leases(world.now).cloned().collect();
    world.cancel(&upkeep).unwrap();
    assert!(world.state().leases(world.now).eq(&leases));
    assert_eq!(world.cancel("no-such").unwrap_err().kind(), ErrorKind::NotFound);
}
