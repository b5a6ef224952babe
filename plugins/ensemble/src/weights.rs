//! Updates the weights of the members with each value after the fit.
//!
//! Exponentially weighted averages with a fixed share (Herbster & Warmuth, "Tracking the best expert", 1998;
//! Cesa-Bianchi & Lugosi, "Prediction, learning, and games", 2006, chapter 5): with every value, a member's weight
//! falls exponentially with its loss. A fixed share of all weight is then distributed as the fit had it. No member
//! is therefore lost for good, and members that forecast as well as before keep their weights.
//!
//! The fit weighs members by their errors over the whole horizon. An error over one step says little about those:
//! the last value may be the best forecast over one step and the worst over twelve. A member's loss is therefore
//! the ratio of its error to its usual one. If a series is harder to forecast for a while, the ratios of all
//! members rise alike.

use haggle_forecasting::{larger, smaller};

use crate::member::Member;

/// A member and how much it counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighed {
    /// The member.
    pub member: Member,
    /// Its weight from the fit; these weights add up to 1.
    pub fitted: f64,
    /// Its current weight.
    pub weight: f64,
    /// Its usual error over one step, as of the fit.
    pub usual: f64,
}

/// How fast weights follow the losses.
const RATE: f64 = 0.07;
/// The share of all weight that is distributed as in the fit, with every value.
const BACK: f64 = 0.01;
/// The largest ratio of an error to the usual one, so that a single outlier changes little.
const MOST: f64 = 4.0;
/// The smallest usual error of a member, as a share of that of all members together: no member is expected to be
/// exact.
const LEAST: f64 = 0.1;

/// Updates the weights after a value. `errors` are the errors of the members, and `together` is the usual error of
/// their common forecast.
pub fn weigh(members: &mut [Weighed], errors: impl Iterator<Item = f64>, together: f64) {
    let least = (LEAST * together).max(f64::MIN_POSITIVE);
    let mut total = 0.0;
    for (member, error) in members.iter_mut().zip(errors) {
        let loss = smaller(error.abs() / larger(member.usual, least), MOST);
        member.weight *= (-RATE * loss).exp();
        total += member.weight;
    }
    for member in members {
        member.weight = (1.0 - BACK) * member.weight / total + BACK * member.fitted;
    }
}
