use haggle_forecasting::Random;

use crate::histogram::{Row, Sum, Unit, best_border, children, histogram, lighter_above};

/// Rows in two nodes, with the bin of each.
fn rows(count: usize) -> (Unit, Vec<Row>, Vec<u8>) {
    let mut random = Random::new(4);
    let halves: Vec<[f64; 2]> = (0..count).map(|_| [random.normal(), random.uniform()]).collect();
    let (unit, sums) = Unit::of(&halves);
    let row = |(place, sum): (u32, Sum)| Row { sum, place, node: u8::from(random.below(3) == 0) };
    let rows = (0..).zip(sums).map(row).collect();
    (unit, rows, (0..count).map(|_| random.below(32) as u8).collect())
}

#[test]
fn sums_are_those_of_the_rows() {
    let mut random = Random::new(5);
    let halves: Vec<[f64; 2]> = (0..30_000).map(|_| [random.normal(), random.uniform()]).collect();
    let (unit, sums) = Unit::of(&halves);
    let mut whole = Sum::default();
    sums.iter().for_each(|sum| whole.add(*sum));
    for (half, read) in unit.read(whole).into_iter().enumerate() {
        let exact: f64 = halves.iter().map(|halves| halves[half]).sum();
        assert!((read - exact).abs() < 0.1, "{read} is not {exact}");
    }
    let (unit, nothing) = Unit::of(&[[0.0, 1.0]; 3]);
    assert_eq!(unit.read(nothing[0])[0], 0.0);
}

/// The counted child and the difference for the other child both equal a full count.
#[test]
fn a_child_is_what_the_other_leaves_of_the_parent() {
    let (_, rows, bins) = rows(1000);
    let asked: Vec<u8> = (0..1000).map(|place| (place % 7) as u8).collect();
    let above = |row: &Row| asked[row.place as usize] > 4;
    let parents = histogram(&rows, &bins, 2);
    let upper = [true, false];
    let some: Vec<Row> =
        rows.iter().copied().filter(|row| upper[usize::from(row.node)] == above(row)).collect();
    let all: Vec<Row> =
        rows.iter().map(|row| Row { node: row.node | u8::from(above(row)) << 1, ..*row }).collect();
    let counted = histogram(&all, &bins, 4);
    assert_eq!(children(&parents, &histogram(&some, &bins, 2), &upper), counted);
    // Two of seven are above.
    let asked = histogram(&rows, &asked, 2);
    assert!(asked.iter().all(|node| lighter_above(node, 4) && !lighter_above(node, 1)));
}

#[test]
fn the_best_border_parts_what_differs() {
    let halves: Vec<[f64; 2]> = (0..64).map(|i| [if i < 40 { -1.0 } else { 1.0 }, 1.0]).collect();
    let (unit, sums) = Unit::of(&halves);
    let rows: Vec<Row> = (0..).zip(sums).map(|(place, sum)| Row { sum, place, node: 0 }).collect();
    let bins: Vec<u8> = (0..64).map(|place| place / 2).collect();
    let (gain, bin) = best_border(&histogram(&rows, &bins, 1), &unit, 1.0);
    assert_eq!(bin, 19);
    let exact = 40.0_f64.powi(2) / 41.0 + 24.0_f64.powi(2) / 25.0 - 16.0_f64.powi(2) / 65.0;
    assert!((gain - exact).abs() < 1e-3, "{gain} is not {exact}");
}
