use std::{path::Path, sync::Arc};

use haggle_model::{CalendarEvent, Name, ScalingPolicy, Service, Span, Timestamp};
use haggle_observe::{Sample, SeriesKey};
use haggle_store::{Batch, FittedModel, Models, Store, StoreOptions};

use crate::{Clock, Host, HostOptions, ManualClock, PluginSettings, SampleBatch, testing::options};

const MINUTE: Span = Span::from_mins(1);
const START: Timestamp = Timestamp::from_millis(1_750_000_000_000 / 60_000 * 60_000);
const SERVICES: usize = 6;

fn open(data: &Path, clock: &Arc<ManualClock>) -> Host {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    Host::open(HostOptions { data: Some(data.to_owned()), clock, ..options() }).unwrap()
}

fn name(number: usize) -> Name {
    Name::new(&format!("s{number}")).unwrap()
}

fn describe(host: &Host, forecast: &str) {
    let policy = format!(r#"{{"name": "default", "forecast": {forecast}}}"#);
    host.put_policy(serde_json::from_str::<ScalingPolicy>(&policy).unwrap()).unwrap();
    for number in 0..SERVICES {
        let service = format!(
            r#"{{"name": "s{number}", "replica": {{"serves": {{"requests_per_second": 100}}}}}}"#
        );
        host.put_service(serde_json::from_str::<Service>(&service).unwrap()).unwrap();
    }
}

/// A daily wave in noise, a value a `step`, for the time before `now`.
fn feed(host: &Host, now: Timestamp, step: Span, count: u64) {
    let samples = (1..=count).rev().flat_map(|ago| {
        let time = now.before(Span::from_millis(step.as_millis() * ago));
        (0..SERVICES).map(move |number| {
            let phase = time.as_millis() as f64 / 86_400_000.0 * std::f64::consts::TAU;
            let noise = (time.as_millis() / 1000 * 7919 + number as u64 * 104_729) % 1000;
            let value = 100.0 + 50.0 * (phase + number as f64).sin() + 0.01 * noise as f64;
            let metric = "requests_per_second".to_owned();
            Sample { service: name(number), metric, subject: None, time: Some(time), value }
        })
    });
    host.push_samples(SampleBatch { samples: samples.collect(), failures: Vec::new() }).unwrap();
}

fn means(host: &Host) -> Vec<Vec<f64>> {
    (0..SERVICES).map(|number| host.forecast(&name(number)).unwrap().outlook.mean).collect()
}

/// The models on disk: how many of services, and how many that those share.
fn stored(data: &Path) -> (usize, usize) {
    let store = Store::open(data, &StoreOptions::default()).unwrap();
    let keys: Vec<String> = store.scan::<Models>().map(|entry| entry.unwrap().0.1).collect();
    let count = |kind: &str| keys.iter().filter(|key| key.starts_with(kind)).count();
    (count("service/"), count("shared/"))
}

#[test]
fn what_a_panel_shares_is_kept_once_and_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(START));
    let host = open(folder.path(), &clock);
    describe(&host, r#"{"plugin": "gradient-boosting"}"#);
    feed(&host, START, MINUTE, 300);
    let report = host.turn().unwrap();
    assert_eq!((report.fitted, report.forecast), (SERVICES, SERVICES));
    let before = means(&host);
    drop(host);
    assert_eq!(stored(folder.path()), (SERVICES, 1));

    let host = open(folder.path(), &clock);
    let report = host.turn().unwrap();
    assert_eq!((report.fitted, report.forecast), (0, SERVICES), "nothing is fitted again");
    assert_eq!(means(&host), before);

    // The next fit takes the place of this one.
    let later = START + Span::from_mins(120);
    clock.set(later);
    feed(&host, later, MINUTE, 120);
    assert_eq!(host.turn().unwrap().fitted, SERVICES);
    drop(host);
    assert_eq!(stored(folder.path()), (SERVICES, 1));

    let host = open(folder.path(), &clock);
    (0..SERVICES).for_each(|number| host.delete_service(&name(number)).unwrap());
    drop(host);
    drop(open(folder.path(), &clock));
    assert_eq!(stored(folder.path()), (0, 0));
}

#[test]
fn a_model_that_cannot_be_gone_on_from_is_fitted_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(START));
    let host = open(folder.path(), &clock);
    let seconds = r#"{"plugin": "seasonal-smoothing", "step": "1s", "horizon": "30s", "history": "10m", "refit": "1d"}"#;
    describe(&host, seconds);
    let second = Span::from_secs(1);
    feed(&host, START, second, 600);
    assert_eq!(host.turn().unwrap().fitted, SERVICES);
    // A silence that is longer than the history: the new values do not continue the old ones.
    let later = START + Span::from_mins(60);
    clock.set(later);
    feed(&host, later, second, 300);
    assert_eq!(host.turn().unwrap().unforecast, SERVICES);
    let report = host.turn().unwrap();
    assert_eq!((report.fitted, report.forecast), (SERVICES, SERVICES));
}

/// Loads a plugin that does as it is told once it is in use.
fn load(host: &Arc<Host>, plugin: &str, deed: &str) {
    let bytes = include_bytes!("../../../../../plugins/dist/misbehaving.wasm").to_vec();
    let configuration = serde_json::json!({ "later": deed });
    let settings = PluginSettings { configuration: Some(configuration) };
    let load = host.begin_plugin(&Name::new(plugin).unwrap(), bytes, settings).unwrap();
    load.wait(std::time::Duration::from_secs(300)).unwrap().unwrap();
}

#[test]
fn a_plugin_that_does_not_read_its_own_models_is_not_asked_for_them_again_and_again() {
    // The plugin behaves until then.
    let start = Timestamp::from_millis(1_757_000_000_000 / 60_000 * 60_000);
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(start));
    let host = Arc::new(open(folder.path(), &clock));
    load(&host, "forgetful", "forgetful");
    describe(&host, r#"{"plugin": "forgetful"}"#);
    feed(&host, start, MINUTE, 100);
    let report = host.turn().unwrap();
    assert_eq!((report.fitted, report.forecast), (SERVICES, SERVICES), "{report:?}");
    for minute in 1..=5 {
        let now = start + Span::from_mins(minute);
        clock.set(now);
        feed(&host, now, MINUTE, 1);
        let report = host.turn().unwrap();
        assert_eq!((report.fitted, report.forecast), (0, SERVICES), "{report:?}");
    }
}

#[test]
fn models_of_another_version_are_fitted_again() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(START));
    let host = open(folder.path(), &clock);
    describe(&host, r#"{"plugin": "theta"}"#);
    feed(&host, START, MINUTE, 300);
    assert_eq!(host.turn().unwrap().fitted, SERVICES);
    drop(host);
    // What another version of the plugin has written, under the same digest.
    let store = Store::open(folder.path(), &StoreOptions::default()).unwrap();
    let kept: Vec<_> = store.scan::<Models>().map(Result::unwrap).collect();
    let mut batch = Batch::new();
    for (key, model) in kept {
        let foreign = FittedModel { model: b"HGTH\x09 of another version".to_vec(), ..model };
        batch.put::<Models>(&key, &foreign).unwrap();
    }
    store.commit_wait(batch).unwrap();
    drop(store);
    let host = open(folder.path(), &clock);
    clock.set(START + MINUTE);
    assert_eq!(host.turn().unwrap().unforecast, SERVICES);
    let report = host.turn().unwrap();
    assert_eq!((report.fitted, report.forecast), (SERVICES, SERVICES));
    clock.set(START + Span::from_mins(2));
    let report = host.turn().unwrap();
    assert_eq!((report.fitted, report.forecast), (0, SERVICES));
}

#[test]
fn a_shift_that_the_model_does_not_follow_brings_the_next_fit_forward() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(START));
    let host = open(folder.path(), &clock);
    describe(&host, r#"{"plugin": "seasonal-smoothing", "history": "12h", "refit": "12h"}"#);
    // From an hour on the first service has a load that is higher and as much more restless.
    let push = |from: i64, to: i64| {
        let samples = (from..to).flat_map(|minute| {
            (0..2).map(move |number| {
                let mut bits = (minute + 1000) as u64 * 2 + number as u64;
                for _ in 0..2 {
                    bits = (bits ^ (bits >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                }
                let noise = (bits >> 40) as f64 / f64::from(1 << 24);
                let value = if minute >= 60 && number == 0 { 400.0 } else { 10.0 };
                let time = if minute < 0 {
                    START.before(Span::from_mins(minute.unsigned_abs()))
                } else {
                    START + Span::from_mins(minute.unsigned_abs())
                };
                let metric = "requests_per_second".to_owned();
                let value = 10.0 * value + value * noise;
                Sample { service: name(number), metric, subject: None, time: Some(time), value }
            })
        });
        let samples = samples.collect();
        host.push_samples(SampleBatch { samples, failures: Vec::new() }).unwrap();
    };
    push(-720, 0);
    assert_eq!(host.turn().unwrap().fitted, 2);
    let mut fits = Vec::new();
    for minute in 1..=240 {
        clock.set(START + Span::from_mins(minute));
        push(minute as i64 - 1, minute as i64);
        if host.turn().unwrap().fitted > 0 {
            fits.push(minute);
        }
        if minute == 60 {
            assert!(fits.is_empty(), "{fits:?}");
            let text = host.metrics_text();
            assert!(gauge(&text, "forecast_coverage", 0) > 0.8, "{text}");
            assert!(gauge(&text, "forecast_scaled_error", 0) < 1.5, "{text}");
        }
        if minute == 75 {
            let text = host.metrics_text();
            assert!(gauge(&text, "forecast_coverage", 0) < 0.8, "{text}");
            assert!(gauge(&text, "forecast_coverage", 1) > 0.8, "{text}");
        }
    }
    assert!(fits.first().is_some_and(|first| (61..=100).contains(first)), "{fits:?}");
    assert!(fits.len() <= 5, "{fits:?}");
}

/// What the metrics say of a service.
fn gauge(text: &str, metric: &str, number: usize) -> f64 {
    let line = format!("haggle_{metric}{{service=\"s{number}\"}} ");
    text.lines().find_map(|found| found.strip_prefix(&line)).unwrap().parse().unwrap()
}

#[test]
fn as_much_history_is_kept_as_a_policy_looks_at() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(START));
    let host = open(folder.path(), &clock);
    let half_hours = Span::from_mins(30);
    describe(&host, r#"{"step": "30m", "horizon": "2h", "history": "4d"}"#);
    feed(&host, START, half_hours, 192);
    let seen = |host: &Host| {
        let key = SeriesKey::load(name(0));
        host.history().series(&key, START, half_hours, 192).values.len()
    };
    assert_eq!(seen(&host), 192);
    drop(host);
    assert_eq!(seen(&open(folder.path(), &clock)), 192);
}

/// What a source may send that restarts, stalls, lies and repeats itself.
#[test]
fn dirty_series_are_forecast_all_the_same() {
    let clock = Arc::new(ManualClock::new(START));
    let host = Host::open(HostOptions { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..options() })
        .unwrap();
    describe(&host, "{}");
    let sample = |number: usize, seconds_ago: u64, value: f64| Sample {
        service: name(number),
        metric: "requests_per_second".to_owned(),
        subject: None,
        time: Some(START.before(Span::from_secs(seconds_ago))),
        value,
    };
    let mut samples = Vec::new();
    for minute in 1..=600_u64 {
        let usual = 100.0 + (minute % 60) as f64;
        let ago = 60 * minute;
        // A gap of three hours, and restarts that begin at zero again.
        if !(200..380).contains(&minute) {
            samples.push(sample(0, ago, if minute % 97 < 3 { 0.0 } else { usual }));
        }
        // At irregular times, some steps without any and some with several, late ones last.
        samples.insert(samples.len() / 2, sample(1, ago + minute * 37 % 90, usual));
        // Each twice, the last one counts, and a spike beyond all bounds.
        samples.push(sample(2, ago, -1.0));
        samples.push(sample(2, ago, if minute == 300 { f64::MAX } else { usual }));
        samples.push(sample(3, ago, 5.0));
        samples.push(sample(4, ago, if minute < 100 { 4000.0 } else { usual }));
    }
    samples.extend([1, 2, 3].map(|minute| sample(5, 60 * minute, 7.0)));
    host.push_samples(SampleBatch { samples, failures: Vec::new() }).unwrap();
    let report = host.turn().unwrap();
    assert_eq!((report.fitted, report.forecast), (SERVICES, SERVICES), "{report:?}");
    for number in 0..SERVICES {
        let outlook = host.forecast(&name(number)).unwrap().outlook;
        for interval in &outlook.intervals {
            let bounds = interval.lower.iter().zip(&interval.upper);
            for (mean, (lower, upper)) in outlook.mean.iter().zip(bounds) {
                let ordered = 0.0 <= *lower && lower <= mean && mean <= upper;
                assert!(ordered && upper.is_finite(), "service {number}: {outlook:?}");
            }
        }
        let usual = [0.0..200.0, 50.0..200.0, 50.0..200.0, 4.9..5.1, 2000.0..6000.0, 6.9..7.1];
        let mean = outlook.mean[0];
        assert!(usual[number].contains(&mean), "service {number}: {mean}");
    }
}

#[test]
fn an_event_is_forgotten_once_it_lies_before_all_history() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(START));
    let host = open(folder.path(), &clock);
    describe(&host, r#"{"history": "6h"}"#);
    let event = |name: &str, from: Timestamp| {
        let json = format!(
            r#"{{"name": "{name}", "event": "backup", "times": [{{"start": "{from}", "duration": "1h"}}]}}"#
        );
        host.put_event(serde_json::from_str::<CalendarEvent>(&json).unwrap()).unwrap();
    };
    event("old", START.before(Span::from_mins(120)));
    event("new", START + MINUTE);
    host.turn().unwrap();
    assert_eq!(host.calendar().len(), 2);
    clock.set(START + Span::from_mins(300));
    host.turn().unwrap();
    let left: Vec<String> = host.calendar().iter().map(|event| event.name.to_string()).collect();
    assert_eq!(left, ["new"]);
    drop(host);
    assert_eq!(open(folder.path(), &clock).calendar().len(), 1);
}
