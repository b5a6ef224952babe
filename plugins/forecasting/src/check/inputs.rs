//! Series to forecast: usual ones, dirty ones and published ones.

use haggle_sdk::types::{Context, Series};
use proptest::prelude::*;

use crate::{calendar::HOUR, random::Random};

/// Interval levels that are more extreme than the usual ones.
pub const LEVELS: [f64; 4] = [0.1, 0.5, 0.8, 0.999];

/// The context of every call.
#[must_use]
pub fn context() -> Context {
    Context { now_ms: 0, seed: 0, configuration: "{}".into() }
}

/// Hourly values as a series that begins `hours` hours after the epoch.
#[must_use]
pub fn series(values: &[f64], hours: u64) -> Series {
    let non_negative = values.iter().all(|value| value.is_nan() || *value >= 0.0);
    let last_at_ms = (hours + values.len().saturating_sub(1) as u64) * HOUR;
    let (id, values) = (format!("series {hours}"), values.to_vec());
    Series { id, last_at_ms, step_ms: HOUR, values, non_negative }
}

/// A daily course of 24 values with noise and a small trend. Every seventh day has a larger amplitude.
#[must_use]
pub fn load(count: usize, seed: u64) -> Vec<f64> {
    let mut random = Random::new(seed);
    let at = |t: usize| {
        let day = (t as f64 / 24.0 * std::f64::consts::TAU).sin();
        let weekly = if (t / 24).is_multiple_of(7) { 1.3 } else { 1.0 };
        100.0 + 0.02 * t as f64 + 40.0 * weekly * day
    };
    (0..count).map(|t| at(t) + 3.0 * random.normal()).collect()
}

/// Dirty series, each with a name for what is wrong with it.
#[must_use]
pub fn dirty() -> Vec<(&'static str, Vec<f64>)> {
    let clean = load(400, 1);
    let changed = |change: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
        clean.iter().enumerate().map(|(t, value)| change(t, *value)).collect()
    };
    vec![
        ("nothing", vec![]),
        ("missing altogether", vec![f64::NAN; 50]),
        ("one value", vec![7.0]),
        ("three values", vec![7.0, 9.0, 8.0]),
        ("one value among missing ones", changed(&|t, v| if t == 200 { v } else { f64::NAN })),
        ("constant", vec![42.0; 300]),
        ("zeros", vec![0.0; 300]),
        ("zeros and one value", changed(&|t, _| f64::from(u8::from(t == 399)))),
        ("gaps", changed(&|t, v| if t % 3 == 0 || t / 50 == 4 { f64::NAN } else { v })),
        ("ends in a gap", changed(&|t, v| if t > 350 { f64::NAN } else { v })),
        ("begins with a gap", changed(&|t, v| if t < 200 { f64::NAN } else { v })),
        ("level shift", changed(&|t, v| if t > 300 { v + 5000.0 } else { v })),
        ("outliers", changed(&|t, v| if t % 97 == 5 { v * 1e6 } else { v })),
        ("infinite", changed(&|t, v| if t == 100 { f64::INFINITY } else { v })),
        ("a counter that resets", changed(&|t, _| (t % 70) as f64 * 1000.0)),
        ("mostly zero", changed(&|t, v| if t % 11 == 0 { v } else { 0.0 })),
        ("huge", changed(&|_, v| v * 1e300)),
        ("tiny", changed(&|_, v| v * 1e-300)),
        ("growing without bound", changed(&|t, _| 1.5_f64.powi(t as i32))),
        ("alternating", changed(&|t, _| if t % 2 == 0 { 0.0 } else { 1e9 })),
        ("below zero", changed(&|_, v| v - 1000.0)),
    ]
}

/// Arbitrary histories of `count` values: any numbers, numbers that are not negative (for models of proportions),
/// or positive ones. Some values are missing.
pub fn any_values(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f64>> {
    let number = prop_oneof![
        6 => -100.0..100.0,
        2 => any::<f64>(),
        2 => Just(0.0),
        2 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::MAX),
        1 => Just(f64::MIN),
        1 => Just(5e-324),
    ];
    let amount = prop_oneof![
        8 => 0.0..100.0,
        1 => Just(0.0),
        1 => Just(f64::NAN),
        1 => Just(f64::MAX),
        1 => Just(5e-324),
    ];
    let load = prop_oneof![12 => 1.0..100.0, 1 => Just(f64::NAN)];
    prop_oneof![
        2 => prop::collection::vec(number, count.clone()),
        1 => prop::collection::vec(amount, count.clone()),
        1 => prop::collection::vec(load, count),
    ]
}

/// International airline passengers in thousands, monthly from January 1949 (Box & Jenkins, 1970).
#[rustfmt::skip]
pub const AIR_PASSENGERS: [f64; 144] = [
    112.0, 118.0, 132.0, 129.0, 121.0, 135.0, 148.0, 148.0, 136.0, 119.0, 104.0, 118.0,
    115.0, 126.0, 141.0, 135.0, 125.0, 149.0, 170.0, 170.0, 158.0, 133.0, 114.0, 140.0,
    145.0, 150.0, 178.0, 163.0, 172.0, 178.0, 199.0, 199.0, 184.0, 162.0, 146.0, 166.0,
    171.0, 180.0, 193.0, 181.0, 183.0, 218.0, 230.0, 242.0, 209.0, 191.0, 172.0, 194.0,
    196.0, 196.0, 236.0, 235.0, 229.0, 243.0, 264.0, 272.0, 237.0, 211.0, 180.0, 201.0,
    204.0, 188.0, 235.0, 227.0, 234.0, 264.0, 302.0, 293.0, 259.0, 229.0, 203.0, 229.0,
    242.0, 233.0, 267.0, 269.0, 270.0, 315.0, 364.0, 347.0, 312.0, 274.0, 237.0, 278.0,
    284.0, 277.0, 317.0, 313.0, 318.0, 374.0, 413.0, 405.0, 355.0, 306.0, 271.0, 306.0,
    315.0, 301.0, 356.0, 348.0, 355.0, 422.0, 465.0, 467.0, 404.0, 347.0, 305.0, 336.0,
    340.0, 318.0, 362.0, 348.0, 363.0, 435.0, 491.0, 505.0, 404.0, 359.0, 310.0, 337.0,
    360.0, 342.0, 406.0, 396.0, 420.0, 472.0, 548.0, 559.0, 463.0, 407.0, 362.0, 405.0,
    417.0, 391.0, 419.0, 461.0, 472.0, 535.0, 622.0, 606.0, 508.0, 461.0, 390.0, 432.0,
];

/// The level of Lake Huron in feet, yearly from 1875 (Brockwell & Davis, 1991).
#[rustfmt::skip]
pub const LAKE_HURON: [f64; 98] = [
    580.38, 581.86, 580.97, 580.80, 579.79, 580.39, 580.42, 580.82, 581.40, 581.32, 581.44, 581.68,
    581.17, 580.53, 580.01, 579.91, 579.14, 579.16, 579.55, 579.67, 578.44, 578.24, 579.10, 579.09,
    579.35, 578.82, 579.32, 579.01, 579.00, 579.80, 579.83, 579.72, 579.89, 580.01, 579.37, 578.69,
    578.19, 578.67, 579.55, 578.92, 578.09, 579.37, 580.13, 580.14, 579.51, 579.24, 578.66, 578.86,
    578.05, 577.79, 576.75, 576.75, 577.82, 578.64, 580.58, 579.48, 577.38, 576.90, 576.94, 576.24,
    576.84, 576.85, 576.90, 577.79, 578.18, 577.51, 577.23, 578.42, 579.61, 579.05, 579.26, 579.22,
    579.38, 579.10, 577.95, 578.12, 579.75, 580.85, 580.41, 579.96, 579.61, 578.76, 578.18, 577.21,
    577.13, 579.10, 578.25, 577.91, 576.89, 575.96, 576.80, 577.68, 578.38, 578.52, 579.74, 579.31,
    579.89, 579.96,
];
