use proptest::prelude::*;

use crate::{
    Normal, PROBABILITIES, Random, Reader, Unreadable, Writer, normal, quantiles::NORMAL, student,
};

const TAG: [u8; 5] = *b"TEST\x01";

#[test]
fn normal_quantiles_are_the_tabulated_ones() {
    for (p, z) in
        [(0.5, 0.0), (0.9, 1.281_551_566), (0.975, 1.959_963_985), (0.001, -3.090_232_306)]
    {
        assert!((normal(p) - z).abs() < 1e-8, "{p}");
    }
}

#[test]
fn what_is_tabulated_is_what_would_be_computed() {
    assert_eq!(NORMAL, PROBABILITIES.map(normal));
}

#[test]
fn student_quantiles_are_the_tabulated_ones() {
    for (p, freedom, t) in [(0.975, 10.0, 2.228), (0.9, 5.0, 1.476), (0.95, 30.0, 1.697)] {
        assert!((student(p, freedom) - t).abs() < 0.01, "{p}, {freedom}: {}", student(p, freedom));
    }
}

/// The published test vector of SplitMix64.
#[test]
fn chance_is_the_same_everywhere() {
    let mut random = Random::new(1_234_567);
    let bits = [random.bits(), random.bits(), random.bits()];
    assert_eq!(
        bits,
        [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
    );
}

#[test]
fn rows_taken_in_together_are_those_taken_in_one_by_one() {
    let mut random = Random::new(7);
    let mut cell = |place: usize| if place.is_multiple_of(5) { 0.0 } else { random.normal() };
    let cells: Vec<f64> = (0..23 * 11).map(&mut cell).collect();
    let rows: Vec<&[f64]> = cells.chunks(11).collect();
    let weighted: Vec<(&[f64], f64)> = rows.iter().map(|row| (*row, 0.5)).collect();
    let (mut one_by_one, mut together) = (Normal::new(11, 1), Normal::new(11, 1));
    weighted.iter().for_each(|(row, weight)| one_by_one.add(row, *weight));
    together.add_all(&weighted);
    for problem in [&mut one_by_one, &mut together] {
        rows.iter().for_each(|row| problem.aim(0, row, 0.5, row.iter().sum()));
    }
    let (chosen, penalties) = ([0, 3, 4, 10], [0.1; 11]);
    assert_eq!(together.solve(&chosen, &penalties), one_by_one.solve(&chosen, &penalties));
}

/// Against numpy's solution of the same equations.
#[test]
fn ridge_coefficients_are_those_of_the_equations() {
    let mut problem = Normal::new(4, 1);
    for t in 0..12 {
        let time = f64::from(t);
        let row = [1.0, time, time.sin(), (2.0 * time).cos()];
        let value = 0.5 * time + 2.0 * time.sin() - f64::from(t % 3);
        problem.add(&row, 1.0 + 0.1 * time);
        problem.aim(0, &row, 1.0 + 0.1 * time, value);
    }
    let solve = |chosen: &[usize], expected: &[f64]| {
        let found = problem.solve(chosen, &[0.0, 0.5, 1.0, 2.0]).remove(0);
        let close = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close && found.len() == expected.len(), "{found:?}");
    };
    solve(&[0, 1, 2, 3], &[-0.826_210_24, 0.469_739_74, 1.827_581_66, 0.874_000_24]);
    solve(&[0, 2], &[2.081_569_35, 1.274_615_54]);
}

#[test]
fn a_column_that_says_nothing_new_has_no_weight() {
    let mut problem = Normal::new(2, 1);
    for t in 0..10 {
        let row = [f64::from(t), 2.0 * f64::from(t)];
        problem.add(&row, 1.0);
        problem.aim(0, &row, 1.0, 3.0 * f64::from(t));
    }
    let found = problem.solve(&[0, 1], &[0.0, 0.0]).remove(0);
    assert!((found[0] - 3.0).abs() < 1e-9 && found[1].abs() < 1e-9, "{found:?}");
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        numbers in prop::collection::vec(-1e9..1e9, 0..40),
        text in ".{0,20}",
        whole: u32,
    ) {
        let mut out = Writer::new(TAG);
        out.length(numbers.len());
        out.numbers(&numbers);
        out.profile(&numbers);
        out.text(&text);
        out.whole(whole);
        let bytes = out.finish();
        let mut input = Reader::new(&bytes, TAG).unwrap();
        let count = input.length(40).unwrap();
        prop_assert_eq!(input.numbers(count).unwrap(), numbers.clone());
        let range = numbers.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
        for (a, b) in input.profile(40).unwrap().iter().zip(&numbers) {
            prop_assert!((a - b).abs() <= 2.0 * range / 65_000.0);
        }
        prop_assert_eq!(input.text().unwrap(), text);
        prop_assert_eq!(input.whole().unwrap(), whole);
        prop_assert_eq!(input.finish(), Ok(()));
    }

    #[test]
    fn foreign_bytes_are_never_more_than_unreadable(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let all = [TAG.as_slice(), &bytes].concat();
        let mut input = Reader::new(&all, TAG).unwrap();
        if let Ok(profile) = input.profile(1000) {
            prop_assert!(profile.iter().all(|value| value.is_finite()));
        }
        let _ = (input.numbers(1 << 40), input.text(), input.share());
        prop_assert!(Reader::new(&bytes, *b"NONE\x01").err() == Some(Unreadable));
    }
}
