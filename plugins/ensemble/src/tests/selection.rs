use haggle_forecasting::{History, Prepared, Random, Setting};

use crate::{Member, Pool, Simple, select};

#[test]
fn opposite_errors_share_the_weight() {
    let above = [1.0, 1.0, f64::NAN, 1.0];
    let below = [-1.0, -1.0, f64::NAN, -1.0];
    let wild = [9.0, -9.0, f64::NAN, 9.0];
    assert_eq!(select(&[&above, &below, &wild]), [0.5, 0.5, 0.0]);
}

#[test]
fn the_best_alone_has_it_all() {
    let good = [0.1, -0.1, 0.1, -0.1];
    let bad = [1.0, -3.0, 5.0, -2.0];
    assert_eq!(select(&[&bad, &good]), [0.0, 1.0]);
    assert_eq!(select(&[&[], &[]]), [1.0, 0.0]);
}

#[test]
fn what_was_better_lately_is_chosen() {
    let once = [0.0, 0.0, 0.0, 2.0, 2.0, 2.0];
    let lately = [2.0, 2.0, 2.0, 0.0, 0.0, 0.0];
    let weights = select(&[&once, &lately]);
    assert!(weights[1] > weights[0], "{weights:?}");
}

#[test]
fn errors_together_are_not_those_that_chose_the_weights() {
    // The errors are pure noise. Members that are chosen by these errors look better than they are; members that
    // are chosen by the errors of other origins do not.
    let mut random = Random::new(7);
    let (origins, horizon) = (80, 1);
    let noise = |random: &mut Random| (0..origins * horizon).map(|_| random.normal()).collect();
    let errors: Vec<Vec<f64>> = (0..40).map(|_| noise(&mut random)).collect();
    let pool = Pool { members: vec![], origins: (1..=origins).collect(), horizon, errors };
    let chosen = pool.select();
    let all: Vec<f64> = (0..origins)
        .map(|place| chosen.iter().zip(&pool.errors).map(|(w, own)| w * own[place]).sum())
        .collect();
    let size = |errors: &[f64]| errors.iter().map(|e| e.abs()).sum::<f64>() / origins as f64;
    let (looks, is) = (size(&all), size(&pool.cross_validate().errors));
    assert!(is > 1.2 * looks, "{is} {looks}");
}

#[test]
fn a_member_suits_the_series_it_fits() {
    let mut random = Random::new(4);
    let mut walk = 0.0;
    let walk: Vec<f64> = (0..600)
        .map(|_| {
            walk += random.normal();
            walk
        })
        .collect();
    let day: Vec<f64> =
        (0..600).map(|t| [0.0, 5.0, 9.0, 1.0][t % 4] + 0.1 * random.normal()).collect();
    let members = [Simple::Last, Simple::Middle(36), Simple::Usual(4)].map(Member::Simple);
    let weights = |values: &[f64]| {
        let series = Prepared::of(History { values, start: 0, step: 1 }, 4).unwrap();
        let setting = Setting { seasons: &[4], horizon: 8, events: &[] };
        Pool::of(members.to_vec(), &series, &setting).select()
    };
    assert!(weights(&walk)[0] > 0.8, "{:?}", weights(&walk));
    assert!(weights(&day)[2] > 0.8, "{:?}", weights(&day));
}

#[test]
fn simple_forecasts_are_what_their_names_say() {
    let values = [1.0, 2.0, 3.0, 5.0, 6.0, 10.0];
    let expect = |simple: Simple| {
        let mut means = [0.0; 4];
        simple.expect(&values, &mut means);
        means
    };
    assert_eq!(expect(Simple::Last), [10.0; 4]);
    assert_eq!(expect(Simple::Middle(3)), [6.0; 4]);
    assert_eq!(expect(Simple::Repeat(3)), [5.0, 6.0, 10.0, 5.0]);
    assert_eq!(expect(Simple::Usual(3)), [3.0, 4.0, 6.5, 3.0]);

    let shape = [0.0, 5.0, 9.0];
    let risen: Vec<f64> = (0..18).map(|t| shape[t % 3] + if t < 12 { 0.0 } else { 7.0 }).collect();
    let mut means = [0.0; 4];
    Simple::Moved(3).expect(&risen, &mut means);
    means
        .iter()
        .zip([7.0, 12.0, 16.0, 7.0])
        .for_each(|(m, v)| assert!((m - v).abs() < 1e-9, "{m}"));
}
