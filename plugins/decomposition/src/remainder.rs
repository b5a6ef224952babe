/// What is left of the last values after the regression, and how it goes on: a level that stays and a
/// deviation that fades, as in seasonal exponential smoothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Remainder {
    /// How much of an innovation stays, 0 to 1.
    pub stays: f64,
    /// How much of it fades, 0 to 1; both together are at most 1.
    pub fades: f64,
    /// What is left of what fades after a step, 0 to 1.
    pub persistence: f64,
    /// The level.
    pub level: f64,
    /// What fades.
    pub transient: f64,
}

const STAYS: [f64; 7] = [0.0, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0];
const FADES: [(f64, f64); 7] =
    [(0.0, 0.0), (0.3, 0.8), (0.3, 0.95), (0.6, 0.8), (0.6, 0.95), (0.9, 0.8), (0.9, 0.95)];

impl Remainder {
    /// Nothing left, and the parameters by which these remainders would have been expected best, `horizon`
    /// steps and fewer ahead.
    #[must_use]
    pub fn fit(remainders: &[f64], horizon: usize) -> Self {
        let last = horizon.clamp(1, (remainders.len() / 2).max(1));
        let anchors = [1, last.div_ceil(3), (2 * last).div_ceil(3), last];
        let still = |stays: f64, (fades, persistence): (f64, f64)| Self {
            stays,
            fades,
            persistence,
            level: 0.0,
            transient: 0.0,
        };
        let all = STAYS.iter().flat_map(|stays| FADES.map(|fades| still(*stays, fades)));
        let all = all.filter(|remainder| remainder.stays + remainder.fades <= 1.0);
        let loss = |remainder: &Self| {
            let mut state = *remainder;
            let mut loss = 0.0;
            for (place, value) in remainders.iter().enumerate() {
                for ahead in anchors {
                    let came = remainders.get(place + ahead - 1).copied().unwrap_or(f64::NAN);
                    let error = (came - state.expect(ahead as i32)).abs();
                    loss += if error.is_nan() { 0.0 } else { error };
                }
                state.update(*value);
            }
            loss
        };
        let best = all.map(|remainder| (loss(&remainder), remainder));
        let best = best.min_by(|a, b| a.0.total_cmp(&b.0));
        best.map_or_else(|| still(0.0, (0.0, 0.0)), |(_, remainder)| remainder)
    }

    /// Takes in the next one; NaN is missing.
    pub fn update(&mut self, remainder: f64) {
        self.transient *= self.persistence;
        let innovation = remainder - self.level - self.transient;
        if !innovation.is_nan() {
            self.level += self.stays * innovation;
            self.transient += self.fades * innovation;
        }
    }

    /// What is expected of it so many steps ahead.
    #[must_use]
    pub fn expect(&self, ahead: i32) -> f64 {
        self.level + self.transient * self.persistence.powi(ahead)
    }

    /// The deviation of the error over 1, 2, 3… steps relative to an innovation's.
    pub fn deviations(&self) -> impl Iterator<Item = f64> + use<> {
        let Self { stays, fades, persistence, .. } = *self;
        let (mut variance, mut power) = (1.0, 1.0);
        std::iter::repeat_with(move || {
            let now = f64::sqrt(variance);
            power *= persistence;
            variance += (stays + fades * power).powi(2);
            now
        })
    }
}
