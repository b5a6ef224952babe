//! Tests with the built-in plugins.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use haggle_builtin::BUILTIN;
use haggle_model::Span;
use haggle_plugins::{Component, Decider, Loaded, MonotonicClock, Registry, Uploads};
use haggle_sandbox::{Load, Options, Sandbox};
use serde_json::json;

use crate::testing::{Told, World, counts, forecasts, name};

const MISBEHAVING: &[u8] = include_bytes!("../../../../plugins/dist/misbehaving.wasm");

fn sandbox() -> Arc<Sandbox> {
    static SANDBOX: OnceLock<Arc<Sandbox>> = OnceLock::new();
    let open = || {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmp");
        let cache = Some(target.join("policies"));
        Arc::new(Sandbox::new(Options { cache, ..Options::default() }).unwrap())
    };
    Arc::clone(SANDBOX.get_or_init(open))
}

/// A decider over some built-in plugins, compiled once for all tests.
fn decider(plugins: &[&str]) -> (Arc<Decider>, Uploads) {
    let load = |plugin: &&str| {
        let builtin = BUILTIN.iter().find(|builtin| builtin.name == *plugin).unwrap();
        let load =
            Load { plugin, generation: 1, bytes: builtin.bytes, configuration: "{}", grants: &[] };
        Loaded::new(name(plugin), Arc::new(sandbox().load(load).unwrap()))
    };
    let registry = Arc::new(Registry::new(plugins.iter().map(load).collect()));
    let clock = Arc::new(MonotonicClock::default());
    let told = Arc::<Told>::default();
    let decider = Arc::new(Decider::new(Arc::clone(&registry), told, None, clock));
    (decider, Uploads::new(sandbox(), registry))
}

fn wave(world: &World, services: usize, minutes: u64) {
    for ago in (1..=minutes).rev() {
        let time = world.now.before(Span::from_mins(ago)).as_millis();
        let phase = time as f64 / 86_400_000.0 * std::f64::consts::TAU;
        for number in 0..services {
            let noise = (time / 1000 * 7919 + number as u64 * 104_729) % 1000;
            let value = 100.0 + 50.0 * (phase + number as f64).sin() + 0.01 * noise as f64;
            let service = format!("s{number:04}");
            world.sample(&service, "requests_per_second", None, Span::from_mins(ago), value);
        }
    }
}

#[test]
fn what_a_panel_has_learnt_outlives_the_process() {
    let (decider, _) = decider(&["gradient-boosting"]);
    let mut world = World::new(decider);
    world.policy(json!({"forecasting": {"plugin": "gradient-boosting"}}));
    world.services(6);
    wave(&world, 6, 300);
    let first = world.pass();
    assert_eq!(counts(&first), (6, 0));
    let fits = |world: &World| {
        world.jobs().iter().filter(|job| job.to_string().starts_with("fit")).count()
    };
    world.restart();
    assert_eq!(fits(&world), 0, "nothing is fitted again");
    let again = world.pass();
    let means = |inputs: &[_]| -> Vec<Vec<f64>> {
        forecasts(inputs).iter().map(|f| f.outlook.as_ref().unwrap().mean.clone()).collect()
    };
    assert_eq!(means(&first), means(&again));
}

#[test]
fn a_plugin_that_traps_has_its_services_forecast_by_a_built_in_one() {
    let (decider, uploads) = decider(&["seasonal-smoothing"]);
    let configuration = json!({ "later": "trap" });
    let component = Component { bytes: MISBEHAVING, configuration, grants: &[] };
    let mut world = World::new(Arc::clone(&decider) as _);
    let (_, record) = uploads.load(&name("other"), None, component, world.now).unwrap();
    decider.promote(&name("other"), Some(&record), None).unwrap();
    world.policy(json!({"forecasting": {"plugin": "other"}}));
    world.services(3);
    wave(&world, 3, 200);
    let inputs = world.pass();
    assert_eq!(counts(&inputs), (3, 0));
    let by = forecasts(&inputs);
    assert!(by.iter().all(|forecast| forecast.plugin == name("seasonal-smoothing")), "{by:?}");
    let last = decider.last_error(&name("other")).unwrap();
    assert!(last.message.contains("told to"), "{last:?}");
}

/// Input from a source that restarts, stalls, reports wrong values and repeats itself.
#[test]
fn dirty_series_are_forecast_all_the_same() {
    let (decider, _) = decider(&["seasonal-smoothing"]);
    let mut world = World::new(decider);
    world.policy(json!({"forecasting": {"plugin": "seasonal-smoothing"}}));
    world.services(6);
    let sample = |number: usize, seconds_ago: u64, value: f64| {
        let (service, ago) = (format!("s{number:04}"), Span::from_secs(seconds_ago));
        world.sample(&service, "requests_per_second", None, ago, value);
    };
    for minute in 1..=600_u64 {
        let usual = 100.0 + (minute % 60) as f64;
        let ago = 60 * minute;
        // A gap of three hours, and restarts from zero.
        if !(200..380).contains(&minute) {
            sample(0, ago, if minute % 97 < 3 { 0.0 } else { usual });
        }
        // Irregular times: some steps have no sample, some have several.
        sample(1, ago + minute * 37 % 90, usual);
        // Each sample twice, of which the last counts, and a spike of the maximum value.
        sample(2, ago, 1.0);
        sample(2, ago, if minute == 300 { 1e15 } else { usual });
        sample(3, ago, 5.0);
        sample(4, ago, if minute < 100 { 4000.0 } else { usual });
    }
    [1, 2, 3].iter().for_each(|minute| sample(5, 60 * minute, 7.0));
    let inputs = world.pass();
    assert_eq!(counts(&inputs), (6, 0));
    let usual = [0.0..200.0, 50.0..200.0, 50.0..200.0, 4.9..5.1, 2000.0..6000.0, 6.9..7.1];
    for (forecast, usual) in forecasts(&inputs).iter().zip(usual) {
        let outlook = forecast.outlook.as_ref().unwrap();
        for interval in &outlook.intervals {
            let bounds = interval.lower.iter().zip(&interval.upper);
            for (mean, (lower, upper)) in outlook.mean.iter().zip(bounds) {
                let ordered = 0.0 <= *lower && lower <= mean && mean <= upper;
                assert!(ordered && upper.is_finite(), "{}: {outlook:?}", forecast.service);
            }
        }
        assert!(usual.contains(&outlook.mean[0]), "{}: {}", forecast.service, outlook.mean[0]);
    }
}
