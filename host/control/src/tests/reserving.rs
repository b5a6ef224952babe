//! The core renegotiates reservations whose capacity is reclaimed.

use haggle_model::{Lease, Span, Timestamp};
use serde_json::{Value, json};

use crate::testing::World;

/// A provider, and a service with a dependency.
fn world(alternatives: Value) -> World {
    let mut world = World::new();
    world.policy(json!({"alternatives": alternatives, "lease": "4m", "renew_before": "1m"}));
    world.provider("rack", &[("m", 10)], 1.0);
    for service in ["web", "db"] {
        world.service(service, "silver");
    }
    world.depend("web", "db", 1.0);
    world
}

/// Reserves twenty replicas. They need as many of the dependency, which together is the full capacity.
fn reserve(world: &mut World, start: Timestamp) -> String {
    let request = json!({"service": "web", "replicas": 20, "start": start, "duration": "10m"});
    let verdict = world.ask(request);
    assert_eq!((verdict.to, verdict.reasons.len()), (20, 0), "{verdict:?}");
    verdict.negotiation
}

fn later(world: &World, holder: &str, start: Timestamp) -> Vec<Lease> {
    let mut leases = world.leases(holder);
    leases.retain(|l| l.window.start <= start && start < l.window.end && l.replicas > 0);
    leases
}

/// The number of replicas with a lease when the reservation begins.
fn reserved(world: &World, holder: &str, start: Timestamp) -> u32 {
    later(world, holder, start).iter().map(|lease| lease.replicas).sum()
}

fn both(world: &World, start: Timestamp) -> (u32, u32) {
    (reserved(world, "web", start), reserved(world, "db", start))
}

#[test]
fn what_is_reserved_and_taken_back_is_had_elsewhere_at_once() {
    for at_once in [true, false] {
        let mut world = world(json!([]));
        let start = world.now + Span::from_mins(30);
        let request = reserve(&mut world, start);
        world.provider("hall", &[("m", 10)], 2.0);
        // Both services are on the machines that are reclaimed.
        world.reclaim("rack", "m", 8, Span::from_mins(1));
        if !at_once {
            world.pass(Span::from_mins(15));
        }
        assert_eq!(both(&world, start), (20, 20));
        assert_eq!(world.replicas("web"), 1, "it is not for now");
        let again = json!({"service": "web", "replicas": 3, "start": start, "duration": "1m"});
        let again = world.try_ask(again).unwrap_err();
        assert!(again.to_string().contains(&request), "it is still that request: {again}");
        if at_once {
            world.cancel(&request).unwrap();
            assert_eq!(both(&world, start), (0, 0));
            continue;
        }
        world.pass(start.since(world.now) + Span::from_mins(1));
        assert_eq!((world.replicas("web"), world.replicas("db")), (20, 20));
        world.pass(Span::from_mins(12));
        assert_eq!(world.replicas("web"), 1);
        let soon = world.now + Span::from_mins(4);
        assert!(world.leases("web").iter().all(|lease| lease.window.end <= soon));
    }
}

#[test]
fn where_nothing_else_is_to_be_had_it_is_tried_again() {
    let mut world = world(json!([]));
    let start = world.now + Span::from_mins(60);
    reserve(&mut world, start);
    world.reclaim("rack", "m", 3, Span::from_mins(1));
    let (web, db) = both(&world, start);
    assert_eq!(web + db, 20, "one of the two leases ends, the other one is kept");
    // Each negotiation uses the next number.
    let begun = |world: &mut World| -> u64 {
        let verdict = world.ask(json!({"service": "db", "replicas": 1, "dry_run": true}));
        verdict.negotiation.rsplit('-').next().unwrap().parse().unwrap()
    };
    world.pass(Span::from_mins(1));
    let before = begun(&mut world);
    world.pass(Span::from_mins(2));
    assert_eq!(begun(&mut world) - before, 1, "not in every pass");
    world.provider("hall", &[("m", 5)], 2.0);
    world.pass(Span::from_mins(5));
    assert_eq!(both(&world, start), (20, 20));
}

#[test]
fn whoever_lost_what_is_reserved_remembers_it_after_a_restart() {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "lease": "4m", "renew_before": "1m"}));
    world.provider("rack", &[("m", 5)], 1.0);
    world.service("web", "silver");
    let start = world.now + Span::from_mins(60);
    let request = json!({"service": "web", "replicas": 20, "start": start, "duration": "10m"});
    let request = world.ask(request).negotiation;
    world.reclaim("rack", "m", 2, Span::from_mins(1));
    assert_eq!(reserved(&world, "web", start), 12);
    world.restart();
    world.pass(Span::from_mins(1));
    assert_eq!(reserved(&world, "web", start), 12);
    world.provider("hall", &[("m", 5)], 2.0);
    world.pass(Span::from_mins(5));
    assert_eq!(reserved(&world, "web", start), 20, "it is still wanted");
    world.cancel(&request).unwrap();
    assert_eq!(reserved(&world, "web", start), 0);
}

#[test]
fn a_reservation_is_leased_again_as_soon_as_its_capacity_is_back() {
    let mut world = world(json!([]));
    let start = world.now + Span::from_mins(60);
    reserve(&mut world, start);
    world.reclaim("rack", "m", 10, Span::from_mins(50));
    assert_eq!(both(&world, start), (0, 0));
    world.restock("rack", "m").unwrap();
    world.reconcile();
    assert_eq!(both(&world, start), (20, 20));
}
