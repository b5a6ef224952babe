use haggle_model::{Name, Span, Timestamp};
use proptest::prelude::*;

use super::{History, HistoryLimits, PushError, SeriesKey};
use crate::{Accepted, FailureReport, Sample};

const STEP: Span = Span::from_secs(60);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn sample(service: &str, seconds: u64, value: f64) -> Sample {
    let key = SeriesKey::load(name(service));
    let time = Some(at(seconds));
    Sample { service: key.service, metric: key.metric, instance: None, time, value }
}

fn history() -> History {
    let limits = HistoryLimits {
        keep: Span::from_mins(60),
        points: 100,
        series: 3,
        ahead: Span::from_secs(5),
    };
    History::new(limits)
}

#[test]
fn a_level_is_the_mean_of_one_step_up_to_the_newest_sample() {
    let mut history = history();
    let (key, minute) = (SeriesKey::load(name("web")), Span::from_mins(1));
    assert_eq!(history.level(&key, minute), None);
    for (seconds, value) in [(3300, 900.0), (3530, 700.0), (3540, 10.0), (3560, 20.0), (3595, 60.0)]
    {
        history.push(at(3600), &sample("web", seconds, value)).unwrap();
    }
    let level = history.level(&key, minute).unwrap();
    assert_eq!((level.at, level.value, level.steps), (at(3595), 30.0, 5));
    let level = history.level(&key, Span::from_mins(10)).unwrap();
    assert_eq!(level.steps, 1);
    assert!((level.value - 338.0).abs() < 1e-9);
}

#[test]
fn a_step_is_the_mean_of_what_falls_into_it() {
    let mut history = history();
    let now = at(3600);
    for (seconds, value) in [(3420, 5.0), (3310, 3.0), (3300, 1.0), (3359, 8.0), (3595, 100.0)] {
        history.push(now, &sample("web", seconds, value)).unwrap();
    }
    let key = SeriesKey::load(name("web"));
    let series = history.series(&key, now, STEP, 60);
    assert_eq!(series.start, at(3300));
    assert_eq!(format!("{:?}", series.values), "[4.0, NaN, 5.0, NaN, 100.0]");
    assert_eq!(series.end(), now);
    // The incomplete step is omitted, and so is everything before the requested length.
    let series = history.series(&key, at(3599), STEP, 2);
    assert_eq!((series.start, format!("{:?}", series.values)), (at(3420), "[5.0, NaN]".to_owned()));
    let unknown = history.series(&SeriesKey::load(name("nope")), now, STEP, 60);
    assert_eq!((unknown.start, unknown.values.len()), (now, 0));
    assert_eq!(history.series(&key, now, Span::ZERO, 3).step, Span::from_millis(1));
}

#[test]
fn a_sample_that_comes_twice_counts_once() {
    let mut history = history();
    let batch = [sample("web", 600, 1.0), sample("web", 540, 2.0), sample("web", 600, 3.0)];
    for _ in 0..2 {
        let accepted = history.push_all(at(660), &batch).unwrap();
        assert_eq!(accepted, Accepted { stored: 3, ..Accepted::default() });
    }
    assert_eq!(history.points(), 2);
    assert_eq!(history.latest(&SeriesKey::load(name("web"))), Some((at(600), 3.0)));
}

#[test]
fn a_batch_is_kept_whole_or_not_at_all() {
    let mut history = history();
    let now = at(7200);
    let future = [sample("web", 7207, 1.0), sample("web", 7206, 1.0)];
    let error = history.push_all(now, &future).unwrap_err();
    assert!(matches!(error, PushError::Future { index: 0, .. }), "{error}");
    assert!(error.to_string().contains("7s ahead of the host's clock (1970-01-01T02:00:00Z)"));
    let invalid = [sample("web", 7200, 1.0), sample("web", 7200, f64::NAN)];
    let error = history.push_all(now, &invalid).unwrap_err();
    assert!(error.to_string().starts_with("sample 1: value is NaN"), "{error}");
    let many: Vec<_> = ["a", "b", "a", "c", "d"].map(|s| sample(s, 7200, 1.0)).into();
    let error = history.push_all(now, &many).unwrap_err();
    assert_eq!(error, PushError::TooManySeries { index: 4, limit: 3 });
    assert_eq!(history.keys().count(), 0);
    let late = [
        sample("a", 3599, 1.0),
        sample("a", 7205, 1.0),
        sample("a", 3600, 1.0),
        sample("a", 9000, 1.0),
    ];
    let accepted = history.push_all(now, &late).unwrap();
    assert_eq!((accepted.stored, accepted.stale, accepted.ahead), (2, 1, 1));
    let [stale, ahead] = accepted.left_out.as_slice() else { panic!("{accepted:?}") };
    assert_eq!((stale.item.as_str(), stale.index, ahead.index), ("sample", 0, 3));
    assert!(stale.reason.contains("1h 1s before the host's clock"), "{}", stale.reason);
    assert!(ahead.reason.contains("30m ahead of the host's clock"), "{}", ahead.reason);
}

#[test]
fn forgets_what_is_old_or_gone() {
    let mut history = history();
    let now = at(3600);
    let batch = [sample("a", 10, 1.0), sample("b", 10, 1.0), sample("b", 3000, 1.0)];
    history.push_all(now, &batch).unwrap();
    assert_eq!(history.keys_of(&name("b")).count(), 1);
    history.prune(at(3700));
    assert_eq!(history.keys().collect::<Vec<_>>(), [&SeriesKey::load(name("b"))]);
    assert_eq!(history.points(), 1);
    history.forget(&name("b"));
    assert_eq!(history.keys().count(), 0);
}

#[test]
fn reaches_back_as_far_as_it_is_asked_and_no_less_than_before() {
    let mut history = history();
    history.reach(Span::from_mins(30));
    assert_eq!(history.limits, self::history().limits);
    history.reach(Span::from_mins(150));
    assert_eq!((history.keep(), history.limits.points), (Span::from_mins(150), 250));
    let now = at(9000);
    assert_eq!(history.push(now, &sample("web", 1, 1.0)).unwrap().stored, 1);
    history.reach(Span::from_mins(1_000_000));
    assert_eq!(history.limits.points, HistoryLimits::MOST_POINTS);
}

#[test]
fn takes_the_host_s_time_where_a_sample_has_none() {
    let mut history = history();
    let timeless = Sample { time: None, ..sample("web", 0, 2.0) };
    history.push(at(90), &timeless).unwrap();
    assert_eq!(history.latest(&SeriesKey::load(name("web"))), Some((at(90), 2.0)));
}

proptest! {
    #[test]
    fn a_series_keeps_the_sum_of_what_it_saw(
        points in prop::collection::btree_map(0_u64..3600, 0.0..100.0, 0..60),
        now in 0_u64..3700,
        length in 0_usize..70,
    ) {
        let mut history = history();
        // Newest first: the order must not matter.
        for (seconds, value) in points.iter().rev() {
            history.push(at(3600), &sample("web", *seconds, *value)).unwrap();
        }
        let key = SeriesKey::load(name("web"));
        let series = history.series(&key, at(now), STEP, length);
        prop_assert!(series.values.len() <= length);
        prop_assert_eq!(series.end(), at(now).floor(STEP));
        prop_assert!(series.values.first().is_none_or(|first| first.is_finite()));
        let first = (now / 60).saturating_sub(length as u64);
        for minute in first..now / 60 {
            let inside: Vec<f64> =
                points.range(minute * 60..minute * 60 + 60).map(|(_, value)| *value).collect();
            let offset = minute.checked_sub(series.start.as_millis() / 60_000);
            let value = offset.and_then(|i| series.values.get(i as usize)).copied();
            if inside.is_empty() {
                prop_assert!(value.is_none_or(f64::is_nan));
            } else {
                let mean = inside.iter().sum::<f64>() / inside.len() as f64;
                prop_assert!(value.is_some_and(|value| (value - mean).abs() < 1e-9));
            }
        }
    }
}

#[test]
fn a_check_says_the_same_as_a_push_and_changes_nothing() {
    let mut history = history();
    let now = at(7200);
    let stale = sample("web", 3599, 1.0);
    assert!(!history.takes(now, at(3599)) && history.takes(now, at(3600)));
    assert_eq!(history.check(now, std::slice::from_ref(&stale)), Ok(()));
    let good = sample("web", 7200, 1.0);
    let batch = [sample("web", 7206, 1.0)];
    let refused = history.check(now, &batch).unwrap_err();
    assert!(matches!(refused, PushError::Future { index: 0, .. }));
    assert_eq!(history.push_all(now, &batch), Err(refused));
    assert_eq!(history.points(), 0);
    assert_eq!(history.check(now, std::slice::from_ref(&good)), Ok(()));
    assert_eq!(history.points(), 0);
    let accepted = history.push_all(now, &[good, stale]).unwrap();
    assert_eq!((accepted.stored, accepted.stale, accepted.left_out.len()), (1, 1, 1));
}

#[test]
fn failures_are_held_to_the_rules_of_samples() {
    let history = history();
    let now = at(7200);
    let failure = |instance: Option<&str>, seconds| FailureReport {
        service: name("web"),
        instance: instance.map(str::to_owned),
        time: Some(at(seconds)),
    };
    let long = "x".repeat(253);
    let good = [failure(None, 7205), failure(Some(&long), 0), failure(Some("web-1"), 7200)];
    assert_eq!(history.check_failures(now, &good), Ok(()));
    assert_eq!(good.map(|failure| history.takes(now, failure.time.unwrap())), [true, false, true]);
    let longer = "x".repeat(254);
    for instance in ["", "a\u{1b}[31m", "a\nb", &longer] {
        let measured = Sample { instance: Some(instance.to_owned()), ..sample("web", 7200, 1.0) };
        let refused = history.check(now, &[measured]).unwrap_err().to_string();
        let failed = history.check_failures(now, &[failure(Some(instance), 7200)]).unwrap_err();
        assert_eq!(failed.to_string(), refused.replace("sample 0", "failure 0"));
        assert!(!refused.contains(char::is_control), "{refused:?}");
    }
    let mut mixed = vec![failure(None, 7206), failure(None, 7205), failure(None, 1)];
    assert_eq!(history.check_failures(now, &mixed), Ok(()));
    let accepted = history.accept_failures(now, &mut mixed);
    assert_eq!((accepted.stored, accepted.stale, accepted.ahead, mixed.len()), (1, 1, 1, 1));
    let listed: Vec<_> = accepted.left_out.iter().map(|it| (it.item.as_str(), it.index)).collect();
    assert_eq!(listed, [("failure", 0), ("failure", 2)]);
    let early = history.check_failures(now, &[failure(None, 7206)]).unwrap_err().to_string();
    assert!(early.starts_with("failure 0: time is"), "{early}");
}

#[test]
fn no_more_than_the_first_items_are_listed() {
    let mut history = history();
    let batch: Vec<Sample> = (0..100).map(|_| sample("web", 1, 1.0)).collect();
    let mut accepted = history.push_all(at(7200), &batch).unwrap();
    assert_eq!((accepted.stale, accepted.left_out.len()), (100, Accepted::MOST_LISTED));
    accepted.add(history.push_all(at(7200), &batch).unwrap());
    assert_eq!((accepted.stale, accepted.left_out.len()), (200, Accepted::MOST_LISTED));
}

#[test]
fn a_counter_is_reported_once_as_new() {
    let mut history = history();
    let now = at(3600);
    let value = |i: u64| 1000.0 * (if i < 50 { i } else { i - 50 }) as f64;
    let batch: Vec<Sample> = (0..80).map(|i| sample("web", 15 * i, value(i))).collect();
    let accepted = history.push_all(now, &batch).unwrap();
    let [counter] = accepted.counters.as_slice() else { panic!("{accepted:?}") };
    assert!(
        counter.is_new
            && counter.complaint().contains("service web: requests_per_second only grows")
    );
    let again = history.push(now, &sample("web", 15 * 80, value(80))).unwrap();
    assert_eq!(again.counters.len(), 1);
    assert!(!again.counters[0].is_new);
    let load = history.push(now, &sample("web", 15 * 81, value(70))).unwrap();
    assert!(load.counters.is_empty());
    let vitals: Vec<Sample> =
        batch.into_iter().map(|sample| Sample { metric: "uptime".to_owned(), ..sample }).collect();
    assert!(history.push_all(now, &vitals).unwrap().counters.is_empty());
}
