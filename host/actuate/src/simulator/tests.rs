use haggle_model::{Name, Quantities, Replica, Replicas, Resource, Service, Span, Timestamp};
use proptest::prelude::*;

use crate::{ActuateError, Actuator, DryRun, ReplicaStatus, ScaleOrder, Simulator};

fn name() -> Name {
    Name::new("web").unwrap()
}

fn service(startup: u64) -> Service {
    Service {
        name: name(),
        replica: Replica {
            requests: Quantities::new(),
            capacity: Quantities::of(Resource::RequestsPerSecond, 100.0).unwrap(),
            startup: Span::from_secs(startup),
        },
        replicas: Replicas::default(),
        policy: name(),
        tier: haggle_model::Tier::Silver,
        objective: None,
        weight: 1.0,
        location: None,
        gpu_type: None,
        endpoint: None,
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn to(replicas: u32, sequence: u64) -> ScaleOrder {
    ScaleOrder { service: name(), from: 0, to: replicas, sequence }
}

fn simulator(startup: u64, replicas: u32) -> Simulator {
    let mut simulator = Simulator::new();
    simulator.track(at(0), &service(startup), replicas).unwrap();
    simulator
}

/// Returns (starting, ready) at a time.
fn seen(simulator: &mut Simulator, seconds: u64) -> (u32, u32) {
    let ReplicaStatus { starting, ready, .. } = simulator.status(at(seconds), &name()).unwrap();
    (starting, ready)
}

#[test]
fn a_replica_serves_once_it_has_started() {
    let mut simulator = simulator(60, 1);
    simulator.scale(at(10), &to(3, 1)).unwrap();
    assert_eq!(simulator.next_event(), Some(at(70)));
    assert_eq!(seen(&mut simulator, 69), (2, 1));
    assert_eq!(seen(&mut simulator, 70), (0, 3));
    simulator.track(at(80), &service(0), 9).unwrap();
    simulator.scale(at(80), &to(4, 2)).unwrap();
    assert_eq!(seen(&mut simulator, 80), (0, 4));
}

#[test]
fn those_started_last_go_first_and_ready_ones_last() {
    let mut simulator = simulator(60, 2);
    simulator.scale(at(0), &to(4, 1)).unwrap();
    simulator.scale(at(30), &to(6, 2)).unwrap();
    simulator.scale(at(31), &to(3, 3)).unwrap();
    assert_eq!(seen(&mut simulator, 59), (1, 2));
    assert_eq!(seen(&mut simulator, 60), (0, 3));
    simulator.scale(at(61), &to(0, 4)).unwrap();
    assert_eq!(seen(&mut simulator, 61), (0, 0));
}

#[test]
fn a_replica_that_fails_is_replaced() {
    let mut simulator = simulator(60, 2);
    simulator.fail_at(at(5), &name()).unwrap();
    simulator.fail_at(at(100), &name()).unwrap();
    assert_eq!(simulator.next_event(), Some(at(5)));
    assert_eq!(seen(&mut simulator, 5), (1, 1));
    // The replacement of the first replica is ready when the second one fails.
    assert_eq!(seen(&mut simulator, 100), (1, 1));
    assert_eq!(seen(&mut simulator, 160), (0, 2));
    // Nothing is ready: the startup begins again.
    simulator.scale(at(161), &to(0, 1)).unwrap();
    simulator.scale(at(161), &to(1, 2)).unwrap();
    simulator.fail_at(at(200), &name()).unwrap();
    assert_eq!(seen(&mut simulator, 221), (1, 0));
    assert_eq!(seen(&mut simulator, 260), (0, 1));
}

#[test]
fn an_order_counts_once_and_old_ones_not_at_all() {
    let mut dry_run = DryRun::new();
    dry_run.track(at(0), &service(60), 1).unwrap();
    let both: [Box<dyn Actuator>; 2] = [Box::new(simulator(60, 1)), Box::new(dry_run)];
    for mut actuator in both {
        actuator.scale(at(1), &to(3, 7)).unwrap();
        actuator.scale(at(2), &to(3, 7)).unwrap();
        let error = actuator.scale(at(3), &to(4, 7)).unwrap_err();
        assert!(matches!(error, ActuateError::Contradiction { before: 3, now: 4, .. }));
        let error = actuator.scale(at(3), &to(1, 6)).unwrap_err();
        assert!(matches!(error, ActuateError::Superseded { latest: 7, .. }));
        let error = actuator.scale(at(3), &to(u32::MAX, 8)).unwrap_err();
        assert!(matches!(error, ActuateError::TooMany { .. }));
        assert_eq!(actuator.status(at(3), &name()).unwrap().desired, 3);
        // A service that is tracked again keeps its replicas.
        actuator.track(at(4), &service(60), 9).unwrap();
        assert_eq!(actuator.status(at(4), &name()).unwrap().desired, 3);
        actuator.forget(&name());
        assert_eq!(actuator.scale(at(5), &to(1, 9)), Err(ActuateError::Unknown(name())));
        assert_eq!(actuator.status(at(5), &name()), None);
    }
}

#[test]
fn a_dry_run_is_done_at_once() {
    let mut dry_run = DryRun::new();
    dry_run.track(at(0), &service(60), 1).unwrap();
    dry_run.scale(at(1), &to(3, 1)).unwrap();
    let done = ReplicaStatus { desired: 3, starting: 0, ready: 3 };
    assert_eq!(dry_run.status(at(1), &name()), Some(done));
}

#[test]
fn a_clock_that_is_set_back_is_followed() {
    let mut simulator = simulator(60, 1);
    simulator.scale(at(100), &to(2, 1)).unwrap();
    assert_eq!(seen(&mut simulator, 40), (1, 1), "it starts as long as it would have");
    assert_eq!(seen(&mut simulator, 100), (0, 2));
}

/// The events of a simulation.
#[derive(Clone, Debug)]
enum Event {
    Scale(u32),
    Fail,
    Look,
}

fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let event =
        prop_oneof![(0_u32..20).prop_map(Event::Scale), Just(Event::Fail), Just(Event::Look),];
    prop::collection::vec((0_u64..50, event), 0..60)
}

proptest! {
    /// Compares the fleet with a plain list of the times at which each replica is ready.
    #[test]
    fn agrees_with_a_list_of_replicas(
        startup in prop_oneof![Just(0_u64), 1_u64..100],
        first in 0_u32..5,
        events in events(),
    ) {
        let mut simulator = simulator(startup, first);
        let mut replicas: Vec<u64> = vec![0; first as usize];
        let (mut now, mut sequence) = (0, 0);
        for (pause, event) in events {
            now += pause;
            match event {
                Event::Scale(count) => {
                    sequence += 1;
                    simulator.scale(at(now), &to(count, sequence)).unwrap();
                    replicas.resize(count as usize, now + startup);
                }
                Event::Fail => {
                    simulator.fail_at(at(now), &name()).unwrap();
                    let ready = replicas.iter().rposition(|ready| *ready <= now);
                    if let Some(victim) = ready.or(replicas.len().checked_sub(1)) {
                        replicas.remove(victim);
                        replicas.push(now + startup);
                    }
                }
                Event::Look => {}
            }
            replicas.sort_unstable();
            let status = simulator.status(at(now), &name()).unwrap();
            let ready = replicas.iter().filter(|ready| **ready <= now).count() as u32;
            prop_assert_eq!(status.desired, replicas.len() as u32);
            prop_assert_eq!(status.desired, status.starting + status.ready);
            prop_assert_eq!(status.ready, ready);
            prop_assert!(simulator.next_event().is_none_or(|next| next > at(now)));
        }
    }
}
