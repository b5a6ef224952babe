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
}
