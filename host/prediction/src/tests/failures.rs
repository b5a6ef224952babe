use std::sync::Arc;

use haggle_control::{Input, Risk};
use haggle_model::Span;
use serde_json::json;

use crate::testing::{Fake, MINUTE, World, name};

fn risks(inputs: Vec<Input>) -> Vec<Risk> {
    let of = |input| match input {
        Input::Risks(risks) => risks,
        _ => Vec::new(),
    };
    inputs.into_iter().flat_map(of).collect()
}

/// Services whose instances have their first metric as risk.
fn world(members: usize) -> (World, Arc<Fake>) {
    let fake = Arc::<Fake>::default();
    let mut world = World::new(Arc::clone(&fake) as _);
    world.policy(json!({"failure_prediction": {"horizon": "5m"}}));
    world.service("web", "default");
    measure(&world, members);
    (world, fake)
}

fn measure(world: &World, members: usize) {
    for number in 0..members {
        let value = number as f64 / members as f64;
        world.sample("web", "cpu_cores", Some(&format!("c{number:04}")), MINUTE, value);
    }
}

#[test]
fn subjects_come_in_panels_and_the_likeliest_to_fail_counts() {
    let (mut world, fake) = world(300);
    let found = risks(world.pass());
    let panels: Vec<usize> = fake.take().iter().map(|seen| seen.items.len()).collect();
    assert_eq!(panels, [256, 44]);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].service.clone(), found[0].probability),
        (name("web"), Some(299.0 / 300.0))
    );
    assert!(found[0].explanation.starts_with("c0299 fails soon with probability 1.00"));
}

#[test]
fn one_subject_that_is_not_assessed_costs_the_others_nothing() {
    let (mut world, fake) = world(3);
    fake.manner.lock().unwrap().fails.insert("c0002".to_owned());
    assert_eq!(risks(world.pass())[0].probability, Some(1.0 / 3.0));
    fake.manner.lock().unwrap().fails.extend(["c0000".to_owned(), "c0001".to_owned()]);
    let found = risks(world.pass());
    assert_eq!(found[0].probability, None);
    assert!(found[0].explanation.contains("told to"), "{found:?}");
}

#[test]
fn a_service_that_is_no_longer_measured_has_no_risk_and_that_is_said_once() {
    let (mut world, _) = world(1);
    assert_eq!(risks(world.pass())[0].probability, Some(0.0));
    world.now = world.now + Span::from_mins(60);
    let found = risks(world.pass());
    assert_eq!((found.len(), found[0].probability), (1, None));
    assert_eq!(risks(world.pass()), []);
}

#[test]
fn what_became_of_assessments_is_learnt_and_outlives_the_process() {
    let (mut world, fake) = world(32);
    world.pass();
    // Within the horizon, after it, of another service, and twice.
    world.prediction.report_failure(&name("web"), Some("c0001".into()), world.now + MINUTE);
    world.prediction.report_failure(&name("web"), Some("c0001".into()), world.now + MINUTE);
    let late = world.now + Span::from_mins(6);
    world.prediction.report_failure(&name("web"), Some("c0002".into()), late);
    world.prediction.report_failure(&name("cart"), Some("c0003".into()), world.now + MINUTE);
    world.now = world.now + Span::from_mins(4);
    measure(&world, 32);
    world.pass();
    assert_eq!(*fake.lessons.lock().unwrap(), [], "the outcome is not known yet");
    world.now = world.now + MINUTE;
    measure(&world, 32);
    fake.take();
    world.pass();
    assert_eq!(*fake.lessons.lock().unwrap(), [(32, 1)]);
    let has_model = |fake: &Fake| fake.take()[0].items[0].2;
    assert!(has_model(&fake));
    world.restart();
    world.pass();
    assert!(has_model(&fake));
}

#[test]
fn a_slow_plugin_is_not_asked_twice_at_once() {
    let (world, _) = world(1);
    let of_failures = || {
        let jobs = world.jobs().into_iter();
        jobs.filter(|job| job.to_string().starts_with("assess")).collect::<Vec<_>>()
    };
    let running = of_failures();
    assert_eq!(running.len(), 1);
    assert_eq!(of_failures().len(), 0);
    drop(running);
    assert_eq!(of_failures().len(), 1);
}
