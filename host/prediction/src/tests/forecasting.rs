use std::sync::Arc;

use haggle_control::{Change, EventKind};
use haggle_model::{CalendarEvent, Span};
use haggle_sandbox::Digest;
use serde_json::json;

use crate::{
    Job, MemoryModels, ModelError, ModelKey, ModelOf, ModelStore, StoredModel,
    testing::{Fake, START, World, counts, forecasts, name, who},
};

fn world(services: usize) -> (World, Arc<Fake>) {
    let fake = Arc::<Fake>::default();
    let mut world = World::new(Arc::clone(&fake) as _);
    world.services(services);
    world.feed(100);
    (world, fake)
}

fn fits(fake: &Fake) -> Vec<usize> {
    let seen = fake.take();
    seen.iter().filter(|seen| seen.function == "fit").map(|seen| seen.items.len()).collect()
}

#[test]
fn panels_are_fitted_a_few_at_a_time_and_the_others_wait() {
    let (mut world, fake) = world(300);
    assert_eq!(counts(&world.pass()), (256, 44));
    assert_eq!(fits(&fake), [64; 4]);
    let inputs = world.minute();
    assert_eq!(counts(&inputs), (300, 0));
    assert_eq!(fits(&fake), [44]);
    assert_eq!(counts(&world.minute()), (300, 0));
    assert_eq!(fits(&fake), [0; 0]);
    let (_, state) =
        world.snapshot().service(&name("s0299")).map(|(a, b)| (a.clone(), b.clone())).unwrap();
    assert!(state.forecast.unwrap().outlook.is_ok());
}

#[test]
fn the_same_snapshot_history_and_time_make_the_same_calls() {
    let seen = || {
        let (mut world, fake) = world(150);
        world.pass();
        world.minute();
        fake.take()
    };
    let first = seen();
    assert!(first.len() >= 9, "{}", first.len());
    assert_eq!(first, seen());
}

#[test]
fn nobody_works_on_a_service_twice_and_a_slow_panel_delays_no_other() {
    let (world, _) = world(100);
    let of_forecasts = |jobs: Vec<Job>| {
        let is = |job: &Job| job.to_string().contains("forecast");
        jobs.into_iter().filter(is).collect::<Vec<_>>()
    };
    let mut jobs = of_forecasts(world.jobs());
    assert_eq!(jobs.len(), 2);
    assert_eq!(of_forecasts(world.jobs()).len(), 0);
    let slow = jobs.remove(0);
    assert_eq!(counts(&jobs.remove(0).run()), (36, 0));
    assert_eq!(of_forecasts(world.jobs()).len(), 1);
    drop(slow);
    assert_eq!(of_forecasts(world.jobs()).len(), 2, "a job that is dropped frees its services");
}

#[test]
fn running_fits_count_against_those_that_may_begin() {
    let (mut world, fake) = world(300);
    let running: Vec<Job> = world.jobs();
    world.services(400);
    world.feed(100);
    let fitted: Vec<Job> =
        world.jobs().into_iter().filter(|job| job.to_string().starts_with("fit")).collect();
    assert_eq!(fitted.len(), 0, "{fitted:?}");
    drop(running);
    world.pass();
    assert_eq!(fits(&fake).iter().sum::<usize>(), 256);
}

#[test]
fn a_forecast_from_a_model_reads_little_and_one_by_a_stand_in_everything() {
    let (mut world, fake) = world(3);
    fake.manner.lock().unwrap().shared = Some(8);
    world.pass();
    fake.take();
    fake.manner.lock().unwrap().fails.insert("s0001".to_owned());
    let inputs = world.minute();
    assert_eq!(counts(&inputs), (3, 0));
    let seen = fake.take();
    let own = seen.iter().find(|seen| seen.by == "own").unwrap();
    // The new value, and the two earlier values of the plugin's lookback.
    assert!(own.items.iter().all(|(_, values, model)| (*values, *model) == (3, true)), "{own:?}");
    assert_eq!(own.shared, Some(8));
    let other = seen.iter().find(|seen| seen.by == "stand-in").unwrap();
    assert_eq!(other.items, [("s0001".to_owned(), 101, false)]);
    assert_eq!(other.shared, None, "a model is only for the component that made it");
}

#[test]
fn what_a_stand_in_has_fitted_serves_it_until_the_plugin_itself_is_asked_again() {
    let (mut world, fake) = world(2);
    world.policy(json!({"forecasting": {"refit": "64m"}}));
    fake.manner.lock().unwrap().fails.insert("s0001".to_owned());
    assert_eq!(counts(&world.pass()), (2, 0));
    let seen = fake.take();
    let stand_in = seen.iter().find(|seen| seen.by == "stand-in").unwrap();
    assert_eq!(stand_in.items, [("s0001".to_owned(), 2, true)]);
    let keys = world.models.keys().unwrap();
    let stored: Vec<String> = keys.iter().map(|(key, _)| key.of.to_string()).collect();
    assert_eq!(stored, ["service/s0000"]);
    let again = (1..=16).find(|_| {
        world.minute();
        !fits(&fake).is_empty()
    });
    assert!(again.is_some_and(|minutes| minutes >= 12), "{again:?}");
}

#[test]
fn a_missing_forecast_names_plugin_and_cause() {
    let (mut world, fake) = world(1);
    world.service("quiet", "default");
    let inputs = world.pass();
    let text = |inputs: &[_], service: &str| {
        let found = forecasts(inputs).into_iter().find(|f| f.service == name(service)).cloned();
        found.unwrap().outlook.unwrap_err()
    };
    let quiet = text(&inputs, "quiet");
    assert!(quiet.starts_with("plugin ensemble was not asked: no requests_per_second"));
    assert_eq!(counts(&world.minute()), (2, 0), "it is measured by now");
    fake.manner.lock().unwrap().is_forgetful = true;
    let unread = text(&world.minute(), "s0000");
    assert!(unread.contains("plugin ensemble generation 1") && unread.contains("not known"));
    // A service that is no longer measured loses its forecast; that is reported once.
    world.now = START + Span::from_mins(5 * 24 * 60);
    assert_eq!(counts(&world.pass()), (0, 2));
    assert_eq!(counts(&world.pass()), (0, 0));
}

#[test]
fn a_model_that_is_not_read_is_fitted_again_at_once_and_then_not_again_and_again() {
    let (mut world, fake) = world(3);
    world.pass();
    fake.take();
    fake.manner.lock().unwrap().is_forgetful = true;
    assert_eq!(counts(&world.minute()), (0, 3));
    assert_eq!(fits(&fake), [0; 0]);
    assert_eq!(counts(&world.minute()), (3, 0), "the fresh model is not read either");
    assert_eq!(fits(&fake), [3]);
    for _ in 0..5 {
        assert_eq!(counts(&world.minute()), (3, 0));
        assert_eq!(fits(&fake), [0; 0]);
    }
}

/// A store that accepts models up to a maximum size.
struct Small(MemoryModels, usize);

impl ModelStore for Small {
    fn get(&self, key: &ModelKey) -> Result<Option<StoredModel>, ModelError> {
        self.0.get(key)
    }

    fn put(&self, key: &ModelKey, model: StoredModel) -> Result<(), ModelError> {
        let actual = model.bytes.len();
        if actual > self.1 {
            return Err(ModelError::TooLarge { actual, most: self.1 });
        }
        self.0.put(key, model)
    }

    fn delete(&self, key: &ModelKey) -> Result<(), ModelError> {
        self.0.delete(key)
    }

    fn keys(&self) -> Result<Vec<(ModelKey, Option<Digest>)>, ModelError> {
        self.0.keys()
    }
}

#[test]
fn a_model_too_large_to_be_kept_stops_nobody_and_is_fitted_after_a_restart() {
    let fake = Arc::<Fake>::default();
    let models = Arc::new(Small(MemoryModels::default(), 4));
    let mut world = World::with_models(Arc::clone(&fake) as _, models);
    world.services(3);
    world.feed(100);
    fake.manner.lock().unwrap().shared = Some(5);
    assert_eq!(counts(&world.pass()), (3, 0));
    let told = world.told.0.lock().unwrap().clone();
    assert!(
        matches!(&told[..], [(EventKind::Alert, plugin, text)]
        if plugin == "ensemble" && text.contains("3 models")),
        "{told:?}"
    );
    assert_eq!(counts(&world.minute()), (3, 0));
    assert_eq!(fits(&fake), [3], "they are in memory");
    world.restart();
    assert_eq!(counts(&world.minute()), (3, 0));
    assert_eq!(fits(&fake), [3]);
    fake.manner.lock().unwrap().shared = None;
    world.restart();
    world.minute();
    world.restart();
    fake.take();
    assert_eq!(counts(&world.minute()), (3, 0));
    assert_eq!(fits(&fake), [0; 0], "what fits is kept");
}

#[test]
fn what_a_panel_shares_is_kept_once_and_deleted_with_the_last_of_its_models() {
    let (mut world, fake) = world(3);
    fake.manner.lock().unwrap().shared = Some(5);
    world.pass();
    let kept = |world: &World| {
        let keys = world.models.keys().unwrap();
        let shared = keys.iter().filter(|(key, _)| matches!(key.of, ModelOf::Shared(_))).count();
        (keys.len() - shared, shared)
    };
    assert_eq!(kept(&world), (3, 1));
    // The next fit replaces this one.
    fake.manner.lock().unwrap().shared = Some(6);
    for _ in 0..180 {
        world.minute();
    }
    assert_eq!(kept(&world), (3, 1));
    for number in 0..3 {
        world.change(Change::DeleteService(name(&format!("s{number:04}"))));
    }
    world.pass();
    world.prediction.sweep(&world.snapshot());
    assert_eq!(kept(&world), (0, 0));
}

#[test]
fn models_go_with_the_component_that_made_them() {
    let (mut world, fake) = world(2);
    world.pass();
    fake.take();
    fake.manner.lock().unwrap().component = "new";
    world.minute();
    let seen = fake.take();
    assert_eq!(seen[0].function, "fit");
    assert!(seen[0].items.iter().all(|(_, values, model)| (*values, *model) == (101, false)));
    // After a rollback, the old component finds its models.
    fake.manner.lock().unwrap().component = "own";
    world.minute();
    assert_eq!(fits(&fake), [0; 0]);
    let of_new =
        ModelKey { component: who(&name("p"), "new").digest, of: ModelOf::Service(name("s0000")) };
    assert!(world.models.get(&of_new).unwrap().is_some());
    world.prediction.sweep(&world.snapshot());
    assert!(world.models.get(&of_new).unwrap().is_none());
}

#[test]
fn services_with_events_of_their_own_are_a_panel_of_their_own() {
    let (mut world, fake) = world(4);
    let event = json!({
        "name": "sale", "event": "campaign", "services": ["s0001", "s0003"],
        "times": [{"start": START, "duration": "1h"}],
    });
    world.change(Change::PutEvent(serde_json::from_value::<CalendarEvent>(event).unwrap()));
    world.pass();
    let seen = fake.take();
    let fits = seen.iter().filter(|seen| seen.function == "fit");
    let ids: Vec<Vec<&str>> =
        fits.map(|seen| seen.items.iter().map(|(id, ..)| id.as_str()).collect()).collect();
    assert_eq!(ids, [vec!["s0000", "s0002"], vec!["s0001", "s0003"]]);
}

#[test]
fn forecasts_are_compared_with_what_came() {
    let (mut world, _) = world(1);
    world.pass();
    for _ in 0..10 {
        world.minute();
    }
    let inputs = world.minute();
    let accuracy = forecasts(&inputs)[0].accuracy;
    assert_eq!(accuracy.steps, 11);
    assert!(accuracy.error.abs() < 1e-9, "a constant is forecast as it is: {accuracy:?}");
    assert!((accuracy.coverage - 1.0).abs() < 1e-9);
}

/// Models use a bounded amount of memory for any number of services: models without room are reported, and
/// their services are forecast nevertheless.
#[test]
fn models_without_room_are_not_kept_and_that_is_said() {
    let (mut world, _) = world(128);
    // A model has four bytes.
    world.prediction = world.prediction.clone().with_room(4 * 100);
    assert_eq!(counts(&world.pass()), (128, 0));
    let told = world.told.0.lock().unwrap().clone();
    let is_alert = |it: &(EventKind, String, String)| it.0 == EventKind::Alert;
    let alerts: Vec<String> = told.into_iter().filter(is_alert).map(|it| it.2).collect();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert!(alerts[0].contains("28 models of plugin") && alerts[0].contains("at most 400 bytes"));
    assert_eq!(world.models.keys().unwrap().len(), 100);
    assert_eq!(counts(&world.minute()), (128, 0));
}
