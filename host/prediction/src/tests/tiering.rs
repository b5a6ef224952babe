use std::sync::Arc;

use haggle_control::{Change, Input};
use haggle_model::{ScalingPolicy, Span};
use serde_json::json;

use crate::testing::{Fake, START, World};

fn tiers(world: &mut World) -> Vec<usize> {
    let inputs = world.pass();
    let of = |input: &Input| match input {
        Input::Tiers(tiers) => Some(tiers.len()),
        _ => None,
    };
    inputs.iter().filter_map(of).collect()
}

fn world() -> World {
    let mut world = World::new(Arc::<Fake>::default() as _);
    world.policy(json!({"tiering": {"every": "5m"}}));
    world.services(3);
    world.now = START.floor(Span::from_mins(5)) + Span::from_secs(70);
    world
}

#[test]
fn tiers_are_assigned_once_in_every_period() {
    let mut world = world();
    let mut assigned = Vec::new();
    for second in (70..1300).step_by(13) {
        world.now = START.floor(Span::from_mins(5)) + Span::from_secs(second);
        if !tiers(&mut world).is_empty() {
            assigned.push(second);
        }
    }
    assert_eq!(assigned.len(), 4, "{assigned:?}");
    let in_time =
        |(place, second): (usize, &u64)| (0..13).contains(&(second - 300 * (place as u64 + 1)));
    assert!(assigned.iter().enumerate().all(in_time), "{assigned:?}");
}

#[test]
fn each_plugin_has_a_job_of_its_own_and_is_not_asked_twice_at_once() {
    let mut world = world();
    let other = json!({"name": "fast", "tiering": {"plugin": "other", "every": "1m"}});
    world.change(Change::PutPolicy(serde_json::from_value::<ScalingPolicy>(other).unwrap()));
    world.service("extra", "fast");
    assert_eq!(tiers(&mut world), [0; 0]);
    world.now = START.floor(Span::from_mins(5)) + Span::from_mins(5);
    let running = world.jobs();
    let count = |jobs: &[crate::Job]| {
        jobs.iter().filter(|job| job.to_string().starts_with("assign")).count()
    };
    assert_eq!(count(&running), 2);
    world.now = world.now + Span::from_mins(1);
    assert_eq!(count(&world.jobs()), 0);
    drop(running);
    assert_eq!(tiers(&mut world), [1], "only the fast one is due again");
}
