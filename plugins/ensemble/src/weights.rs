//! How much each member counts as values come in after the fit.
//!
//! Exponentially weighted averages with a fixed share (Herbster & Warmuth, "Tracking the best expert", 1998;
//! Cesa-Bianchi & Lugosi, "Prediction, learning, and games", 2006, chapter 5): with every value, a member's
//! weight falls exponentially in its loss, and then a share of the whole goes back to where the fit left it,
//! so that nobody is lost for good and members that do as well as they did keep their weights.
//!
//! The fit weighs members by their errors over the whole horizon, of which one step says little: a look at
//! the last value may be best over one step and worst over twelve. So a member's loss is not its error, but
//! how many times as large as usual it is. What is harder to forecast for a while is so for all alike.

use haggle_forecasting::{larger, smaller};

use crate::member::Member;

/// A member and how much it counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighed {
    /// The member.
    pub member: Member,
    /// Its share as the fit left it; the shares of all add up to 1.
    pub fitted: f64,
    /// Its share as of now.
    pub weight: f64,
    /// Its usual error over one step, as of the fit.
    pub usual: f64,
}

/// How fast weights follow the losses.
const RATE: f64 = 0.07;
/// The share of the whole that goes back with every value.
const BACK: f64 = 0.01;
/// An error counts as so many times the usual one at most: a single outlier changes little.
const MOST: f64 = 4.0;
/// A usual error counts as this share at least of that of all together: nobody is expected to be exact.
const LEAST: f64 = 0.1;

/// Weighs the members anew after a value: their `errors` are how far they were off, `together` is the usual
/// error of all of them.
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
