use std::collections::BTreeMap;

use haggle_model::{Span, Window};
use proptest::prelude::*;

use super::{at, name, open};
use crate::{Batch, Pruned, Sample, SeriesKey, Store, StoreError};

const HOUR: u64 = 3_600_000;

fn series(service: &str, instance: &str) -> SeriesKey {
    SeriesKey {
        service: name(service),
        metric: "requests_per_second".to_owned(),
        instance: instance.to_owned(),
    }
}

fn add(store: &Store, series: &SeriesKey, samples: &[(u64, f64)]) -> Result<(), StoreError> {
    let samples: Vec<_> =
        samples.iter().map(|(t, value)| Sample { at: at(*t), value: *value }).collect();
    let mut batch = Batch::new();
    batch.samples(series, &samples)?;
    store.commit_wait(batch).map(|_| ())
}

fn within(store: &Store, series: &SeriesKey, start: u64, end: u64) -> Vec<(u64, f64)> {
    let samples = store.samples(series, Window { start: at(start), end: at(end) }).unwrap();
    samples.iter().map(|sample| (sample.at.as_millis(), sample.value)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn what_was_added_is_found_within_any_window(
        calls in prop::collection::vec(
            prop::collection::vec((0..5 * HOUR, -1e9..1e9), 0..60), 1..6,
        ),
        start in 0..5 * HOUR,
        length in 0..5 * HOUR,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let (shop, neighbour) = (series("shop", ""), series("shop", "0"));
        add(&store, &neighbour, &[(start, 1.0)]).unwrap();
        let mut expected = BTreeMap::new();
        for call in &calls {
            add(&store, &shop, call).unwrap();
            expected.extend(call.iter().copied());
        }
        let expected: Vec<_> =
            expected.into_iter().filter(|(t, _)| (start..start + length).contains(t)).collect();
        prop_assert_eq!(within(&store, &shop, start, start + length), expected);
    }
}

#[test]
fn old_hours_go_and_the_rest_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let all = [series("a", ""), series("a", "a-1"), series("b", "")];
    for series in &all {
        let samples: Vec<_> = (0..10).map(|i| (i * HOUR / 2, i as f64)).collect();
        add(&store, series, &samples).unwrap();
    }
    let found: Vec<_> = store.series().map(Result::unwrap).collect();
    assert_eq!(found, all);
    let before = at(2 * HOUR) + Span::from_mins(45);
    assert_eq!(store.prune_samples(before), Ok(Pruned { removed: 6, done: true }));
    for series in &all {
        let left = within(&store, series, 0, u64::MAX);
        assert_eq!(left.first(), Some(&(2 * HOUR, 4.0)));
        assert_eq!(left.len(), 6);
    }
    store.prune_samples(at(u64::MAX)).unwrap();
    assert_eq!(store.series().count(), 0);
}

#[test]
fn missing_values_are_kept_and_a_flood_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let shop = series("shop", "");
    add(&store, &shop, &[(1, f64::NAN), (2, f64::INFINITY)]).unwrap();
    assert!(within(&store, &shop, 1, 2)[0].1.is_nan());
    let flood: Vec<_> = (0..40_000).map(|t| (t, 0.0)).collect();
    let error = add(&store, &shop, &flood).unwrap_err();
    assert!(matches!(error, StoreError::HourFull { count: 40_000, most: 36_000, .. }), "{error}");
    assert!(error.to_string().contains("shop requests_per_second"), "{error}");
    assert_eq!(within(&store, &shop, 0, HOUR).len(), 2);
}

#[test]
fn a_round_of_pruning_is_bounded_and_the_next_goes_on() {
    let store = Store::in_memory().unwrap();
    for i in 0..50 {
        let samples: Vec<_> = (0..100).map(|hour| (hour * HOUR, 1.0)).collect();
        add(&store, &series("a", &format!("a-{i}")), &samples).unwrap();
    }
    let (mut removed, mut rounds) = (0, 0);
    loop {
        let pruned = store.prune_samples(at(90 * HOUR)).unwrap();
        assert!(pruned.removed <= 1000);
        removed += pruned.removed;
        rounds += 1;
        if pruned.done {
            break;
        }
    }
    assert_eq!(removed, 50 * 90);
    assert!((5..=6).contains(&rounds), "{rounds}");
    assert_eq!(store.series().count(), 50);
    while !store.prune_samples(at(u64::MAX)).unwrap().done {}
    assert_eq!(store.series().count(), 0, "a series without samples is gone");
}

#[test]
fn a_full_hour_is_refused_before_anything_is_committed() {
    let store = Store::in_memory().unwrap();
    let (shop, other) = (series("shop", ""), series("shop", "b"));
    let samples = |times: std::ops::Range<u64>| -> Vec<Sample> {
        times.map(|t| Sample { at: at(HOUR + t), value: 1.0 }).collect()
    };
    let push = |series: &SeriesKey, samples: &[Sample]| {
        store.admit_samples([(series, samples)])?;
        let mut batch = Batch::new();
        batch.samples(series, samples)?;
        store.commit_wait(batch).map(|_| ())
    };
    push(&shop, &samples(0..20_000)).unwrap();
    push(&shop, &samples(20_000..36_000)).unwrap();
    // Samples that are sent again take no extra room.
    push(&shop, &samples(0..36_000)).unwrap();
    let one_more = samples(36_000..36_001);
    let error =
        store.admit_samples([(&other, &samples(0..5)[..]), (&shop, &one_more[..])]).unwrap_err();
    let expected =
        StoreError::HourFull { series: shop.clone(), hour: at(HOUR), count: 36_001, most: 36_000 };
    assert_eq!(error, expected);
    assert!(error.to_string().contains("at most 36000"), "{error}");
    assert_eq!(store.series().map(Result::unwrap).collect::<Vec<_>>(), std::slice::from_ref(&shop));
    // Another hour and another series have room.
    push(&other, &one_more).unwrap();
    push(&shop, &[Sample { at: at(2 * HOUR), value: 1.0 }]).unwrap();
    let whole = Window { start: at(0), end: at(u64::MAX) };
    assert_eq!(store.samples(&shop, whole).unwrap().len(), 36_001);
}

#[test]
fn what_is_on_its_way_counts_too() {
    let faults = crate::Faults::new();
    let options = crate::StoreOptions::default();
    let store = Store::over(&crate::Memory::new(), &options, &faults).unwrap();
    let shop = series("shop", "");
    let half: Vec<_> = (0..20_000).map(|t| Sample { at: at(t), value: 1.0 }).collect();
    let rest: Vec<_> = (20_000..40_000).map(|t| Sample { at: at(t), value: 1.0 }).collect();
    faults.hold_flushes();
    store.admit_samples([(&shop, &half[..])]).unwrap();
    let mut batch = Batch::new();
    batch.samples(&shop, &half).unwrap();
    let commit = store.commit(batch);
    faults.release_flushes();
    let refused = store.admit_samples([(&shop, &rest[..])]);
    assert!(matches!(refused, Err(StoreError::HourFull { count: 40_000, .. })), "{refused:?}");
    commit.wait().unwrap();
}
