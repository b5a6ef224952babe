use std::collections::BTreeMap;

use haggle_model::{Span, Window};
use proptest::prelude::*;

use super::{at, name, open};
use crate::{Batch, Sample, SeriesKey, Store, StoreError};

const HOUR: u64 = 3_600_000;

fn series(service: &str, subject: &str) -> SeriesKey {
    SeriesKey {
        service: name(service),
        metric: "requests_per_second".to_owned(),
        subject: subject.to_owned(),
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
    assert_eq!(store.prune_samples(before), Ok(6));
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
    assert!(error.to_string().contains("shop"), "{error}");
    assert_eq!(within(&store, &shop, 0, HOUR).len(), 2);
}
