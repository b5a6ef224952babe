use crate::model::probability;

/// Platt scaling ("Probabilistic outputs for support vector machines", 1999), kept up to date: the
/// calibrated log-odds are `slope · x + shift`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Above 0.
    pub slope: f64,
    /// In log-odds.
    pub shift: f64,
    /// How firmly the slope is known.
    pub slope_precision: f64,
    /// How firmly the shift is known.
    pub shift_precision: f64,
}

/// With each batch, the precision that older examples gave fades to this share.
const KEEP: f64 = 0.9;
const STEPS: usize = 20;

impl Default for Calibration {
    /// Leaves the log-odds unchanged, with a low precision.
    fn default() -> Self {
        Self { slope: 1.0, shift: 0.0, slope_precision: 10.0, shift_precision: 1.0 }
    }
}

impl Calibration {
    /// The calibrated log-odds.
    #[must_use]
    pub fn apply(&self, log_odds: f64) -> f64 {
        self.slope * log_odds + self.shift
    }

    /// Learns from log-odds that were given before the outcome was known. With few outcomes, the calibration stays
    /// close to the present one (Newton's method on the likelihood with a normal prior).
    pub fn learn(&mut self, outcomes: &[(f64, bool)]) {
        let prior = *self;
        let (mut slope, mut shift) = (prior.slope, prior.shift);
        let mut curvature = (0.0, 0.0, 0.0);
        for _ in 0..STEPS {
            let mut gradient = (
                prior.slope_precision * (slope - prior.slope),
                prior.shift_precision * (shift - prior.shift),
            );
            curvature = (prior.slope_precision, 0.0, prior.shift_precision);
            for (x, failed) in outcomes {
                let p = probability(slope * x + shift);
                let off = p - f64::from(u8::from(*failed));
                let weight = p * (1.0 - p);
                gradient = (gradient.0 + off * x, gradient.1 + off);
                curvature.0 += weight * x * x;
                curvature.1 += weight * x;
                curvature.2 += weight;
            }
            let determinant = curvature.0 * curvature.2 - curvature.1 * curvature.1;
            if !(determinant.is_finite() && determinant > 0.0) {
                return;
            }
            let by_slope = (curvature.2 * gradient.0 - curvature.1 * gradient.1) / determinant;
            let by_shift = (curvature.0 * gradient.1 - curvature.1 * gradient.0) / determinant;
            // A full step may overshoot where the outcomes are separable.
            slope = (slope - by_slope.clamp(-0.5, 0.5)).clamp(0.05, 5.0);
            shift = (shift - by_shift.clamp(-1.0, 1.0)).clamp(-20.0, 20.0);
        }
        let kept = |before: f64, now: f64, least: f64| (KEEP * now.max(before)).max(least);
        let least = Self::default();
        *self = Self {
            slope,
            shift,
            slope_precision: kept(prior.slope_precision, curvature.0, least.slope_precision),
            shift_precision: kept(prior.shift_precision, curvature.2, least.shift_precision),
        };
    }
}
