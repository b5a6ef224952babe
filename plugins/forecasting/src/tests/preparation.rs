use crate::{
    DAY, HOUR, History, Outliers, Prepared, Random, Reader, Resumption, Scale, Writer, candidates,
    check,
};

fn prepared(values: &[f64], season: usize) -> Prepared {
    Prepared::of(History { values, start: 1000, step: 10 }, season).unwrap()
}

/// The clean values, transformed back from the scale.
fn clean(series: &Prepared) -> Vec<f64> {
    series.clean.iter().map(|value| series.scale.undo(*value)).collect()
}

fn assert_close(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9 * (1.0 + b.abs())), "{a:?}, {b:?}");
}

#[test]
fn short_gaps_are_filled_in_a_line_and_ends_stay() {
    let nan = f64::NAN;
    let series = prepared(&[nan, 1.0, nan, nan, 4.0, 5.0, nan, nan, nan], 0);
    assert_close(&clean(&series), &[1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0, 5.0]);
    assert_eq!((series.start, series.present), (1010, 3));
    assert!(series.values[1].is_nan());
}

#[test]
fn long_gaps_are_filled_from_the_season_before_even_within_the_gap() {
    let nan = f64::NAN;
    let series = prepared(&[1.0, 7.0, 1.0, 7.0, nan, nan, nan, nan, nan, nan, 1.0, 7.0], 2);
    assert_close(&clean(&series), &[1.0, 7.0, 1.0, 7.0, 1.0, 7.0, 1.0, 7.0, 1.0, 7.0, 1.0, 7.0]);
}

#[test]
fn a_lonely_outlier_is_drawn_in_and_one_that_comes_back_is_not() {
    let mut values = check::load(240, 1);
    values[100] = 1e5;
    let series = prepared(&values, 24);
    assert!(clean(&series)[100] < 500.0, "{}", clean(&series)[100]);
    assert_eq!(series.values[100], series.scale.apply(1e5));
    let backup: Vec<f64> = check::load(240, 1)
        .iter()
        .enumerate()
        .map(|(t, v)| if t % 24 == 3 { 1e5 } else { *v })
        .collect();
    assert_close(&clean(&prepared(&backup, 24)), &backup);
}

#[test]
fn without_a_season_given_the_one_that_shows_fills_and_tells_outliers() {
    let hourly =
        |values: &[f64]| Prepared::of(History { values, start: 0, step: HOUR }, 0).unwrap();
    let whole = check::load(480, 1);
    let mut gap = whole.clone();
    gap[300..330].fill(f64::NAN);
    let filled = clean(&hourly(&gap));
    let worst = filled.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 25.0, "{worst}");
    let backup: Vec<f64> =
        whole.iter().enumerate().map(|(t, v)| if t % 24 == 3 { 1e5 } else { *v }).collect();
    assert_close(&clean(&hourly(&backup)), &backup);
    // Without a season, a straight line fills the gap.
    let mut random = Random::new(5);
    let mut level = 0.0;
    let mut wandering = || {
        level += random.normal();
        level
    };
    let mut wanders: Vec<f64> = (0..480).map(|_| wandering()).collect();
    wanders[300..330].fill(f64::NAN);
    let (left, right) = (wanders[299], wanders[330]);
    let filled = clean(&hourly(&wanders));
    let line: Vec<f64> = (1..=30).map(|i| left + (right - left) * f64::from(i) / 31.0).collect();
    assert_close(&filled[300..330], &line);
}

#[test]
fn of_several_innovations_out_of_reach_the_first_is_an_outlier() {
    let mut outliers = Outliers::default();
    let far = [false, true, true, true, false, true, false];
    let cut: Vec<bool> = far.iter().map(|far| outliers.cuts(*far)).collect();
    assert_eq!(cut, [false, true, false, false, false, true, false]);
}

#[test]
fn a_number_too_large_for_32_bits_can_be_read_all_the_same() {
    let mut out = Writer::new(*b"TEST\x01");
    out.short(1e300);
    out.short(-1e300);
    let bytes = out.finish();
    let mut read = Reader::new(&bytes, *b"TEST\x01").unwrap();
    assert!(read.short().unwrap() > 1e38 && read.short().unwrap() < -1e38);
}

#[test]
fn a_scale_undoes_itself_whatever_the_magnitude() {
    for unit in [1e-300, 1e-9, 1.0, 1e12, 1e300] {
        let values: Vec<f64> = check::load(50, 3).iter().map(|value| value * unit).collect();
        let scale = Scale::of(&values).unwrap();
        let back: Vec<f64> = values.iter().map(|value| scale.undo(scale.apply(*value))).collect();
        assert!(values.iter().zip(&back).all(|(a, b)| (a / b - 1.0).abs() < 1e-9));
    }
    assert!(Scale::of(&[f64::NAN]).is_none());
    assert!(Scale::of(&[0.0]).unwrap().apply(f64::INFINITY).is_nan());
}

#[test]
fn seasons_are_those_given_or_detected() {
    let values = check::load(24 * 21, 4);
    assert_eq!(candidates(&values, &[24], HOUR), [24, 168]);
    // A step of which no day is a multiple: the values alone show the season.
    assert!(candidates(&values, &[], 7_000_000).contains(&24));
    assert!(candidates(&values, &[], DAY / 24).contains(&24));
    // A season must fit into the values twice.
    assert!(candidates(&values[..40], &[24], HOUR).is_empty());
}

#[test]
fn a_window_goes_on_where_the_model_ends() {
    let values = [1.0, 2.0, 3.0, 4.0];
    let window = |start| History { values: &values, start, step: 10 };
    let beyond = |start, next| window(start).beyond(next, 10, 0);
    assert_eq!(beyond(100, 120), Some(Resumption { gap: 0, new: &values[2..] }));
    // A drifting clock is tolerated.
    assert_eq!(beyond(100, 123), Some(Resumption { gap: 0, new: &values[2..] }));
    assert_eq!(beyond(100, 140), Some(Resumption { gap: 0, new: &[] }));
    assert_eq!(beyond(100, 80), Some(Resumption { gap: 2, new: &values }));
    assert_eq!(beyond(100, 150), None);
    assert_eq!(beyond(1_000_000, 100), None);
    assert_eq!(window(100).beyond(120, 20, 0), None);
}
