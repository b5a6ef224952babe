//! The stepwise search of Hyndman & Khandakar ("Automatic time series forecasting: the forecast package for R",
//! 2008, section 3.2): it starts from a few simple models, and moves to neighbours as long as they lower the
//! criterion.

use crate::{
    css::{Differenced, Fitted},
    orders::{Coefficients, Orders},
};

/// The highest order that is not seasonal.
const MOST_PLAIN: usize = 5;
/// The largest number of models that are fitted.
const MOST_MODELS: usize = 30;
/// The steps of each fit during the search, and the additional steps for the best model.
const STEPS: usize = 5;
const LAST_STEPS: usize = 20;

/// The best model with the differences of `base`. `freedom` is the number of parameters that were estimated from
/// the values before.
pub(crate) fn search(series: &Differenced, base: Orders, freedom: f64) -> Option<Fitted> {
    let seasonal = usize::from(base.season > 0);
    let most_seasonal = if base.season > 12 { seasonal } else { 2 * seasonal };
    let total = base.differences + base.seasonal_differences;
    let with = |ar, ma, seasonal_ar, seasonal_ma| Orders {
        ar,
        ma,
        seasonal_ar,
        seasonal_ma,
        constant: total == 0,
        ..base
    };
    let starts = [
        with(2, 2, seasonal, seasonal),
        with(0, 0, 0, 0),
        with(1, 0, seasonal, 0),
        with(0, 1, 0, seasonal),
    ];
    let mut tried: Vec<Orders> = Vec::new();
    let mut best: Option<(f64, Fitted)> = None;
    let mut attempt = |orders: Orders, best: &mut Option<(f64, Fitted)>| {
        let room = 3 * (orders.coefficients() + 1) <= series.values.len();
        if tried.contains(&orders) || tried.len() >= MOST_MODELS || !room {
            return false;
        }
        tried.push(orders);
        let start =
            best.as_ref().map_or_else(Coefficients::default, |(_, b)| b.coefficients.clone());
        let fitted = series.fit(orders, &start.resized(&orders), STEPS);
        let criterion = fitted.criterion(freedom);
        let better = best.as_ref().is_none_or(|(lowest, _)| criterion < *lowest);
        if better && criterion.is_finite() {
            *best = Some((criterion, fitted));
        }
        better
    };
    for orders in starts {
        attempt(orders, &mut best);
    }
    while let Some((_, current)) = &best {
        let now = current.orders;
        let mut better = false;
        for orders in neighbours(now, most_seasonal, total) {
            better |= attempt(orders, &mut best);
            if better {
                break;
            }
        }
        if !better {
            break;
        }
    }
    let (_, best) = best?;
    Some(series.fit(best.orders, &best.coefficients, LAST_STEPS))
}

/// The neighbours of a model: one order higher or lower, both orders of a kind higher or lower, and with or without
/// the constant.
fn neighbours(now: Orders, most_seasonal: usize, differences: usize) -> Vec<Orders> {
    const MOVES: [(isize, isize, isize, isize); 12] = [
        (0, 0, 1, 0),
        (0, 0, -1, 0),
        (0, 0, 0, 1),
        (0, 0, 0, -1),
        (0, 0, 1, 1),
        (0, 0, -1, -1),
        (1, 0, 0, 0),
        (-1, 0, 0, 0),
        (0, 1, 0, 0),
        (0, -1, 0, 0),
        (1, 1, 0, 0),
        (-1, -1, 0, 0),
    ];
    let moved = |order: usize, by: isize, most: usize| {
        order.checked_add_signed(by).filter(|order| *order <= most)
    };
    let mut all: Vec<Orders> = MOVES
        .iter()
        .filter_map(|(ar, ma, seasonal_ar, seasonal_ma)| {
            Some(Orders {
                ar: moved(now.ar, *ar, MOST_PLAIN)?,
                ma: moved(now.ma, *ma, MOST_PLAIN)?,
                seasonal_ar: moved(now.seasonal_ar, *seasonal_ar, most_seasonal)?,
                seasonal_ma: moved(now.seasonal_ma, *seasonal_ma, most_seasonal)?,
                ..now
            })
        })
        .collect();
    if differences == 1 {
        all.push(Orders { constant: !now.constant, ..now });
    }
    all
}
