use std::ops::ControlFlow;

use crate::filter::{Parameters, Reach, State, Turning, turn};

/// The horizons at which forecasts are compared with the observed values: the first step, the last, and two
/// between, as far as the history allows.
#[must_use]
pub fn anchors(horizon: u32, origins: usize) -> Vec<usize> {
    let last = (horizon as usize).min(origins / 2).max(1);
    let mut anchors = vec![1, last.div_ceil(3), (2 * last).div_ceil(3), last];
    anchors.sort_unstable();
    anchors.dedup();
    anchors
}

/// The largest number of horizons that are compared.
const ANCHORS: usize = 4;

/// Runs the recursions over the values. For every origin after the first `from` values and every anchor, it calls
/// `told` with the anchor's place and the error of the forecast (observed minus expected). It ends early if `told`
/// breaks.
pub fn run(
    state: &mut State,
    parameters: &Parameters,
    values: &[f64],
    anchors: &[usize],
    from: usize,
    told: impl FnMut(usize, f64) -> ControlFlow<()>,
) {
    let last = anchors.last().copied().unwrap_or(1);
    let reaches: Vec<Reach> = Reach::every(parameters).take(last).collect();
    let mut ahead =
        [Anchor { ahead: 0, reach: Reach { trend: 0.0, transient: 0.0 }, came: &[] }; ANCHORS];
    for (anchor, h) in ahead.iter_mut().zip(anchors) {
        let ahead = h.saturating_sub(1);
        let Some(reach) = reaches.get(ahead) else { continue };
        *anchor = Anchor { ahead, reach: *reach, came: values.get(ahead..).unwrap_or_default() };
    }
    let mut seasons = std::mem::take(&mut state.seasons);
    let judge = Judge { parameters, values, anchors: ahead, from };
    match seasons.len() {
        0 => judge.pass::<0>(state, &mut [], told),
        1 => turn::<1, _>(&mut seasons, |seasons| judge.pass(state, seasons, told)),
        _ => turn::<2, _>(&mut seasons, |seasons| judge.pass(state, seasons, told)),
    }
    state.seasons = seasons;
}

/// A horizon at which forecasts are compared with the observed values.
#[derive(Clone, Copy)]
struct Anchor<'a> {
    /// Steps after the next.
    ahead: usize,
    reach: Reach,
    /// The observed values, by origin.
    came: &'a [f64],
}

/// The inputs of a pass.
struct Judge<'a> {
    parameters: &'a Parameters,
    values: &'a [f64],
    anchors: [Anchor<'a>; ANCHORS],
    from: usize,
}

impl Judge<'_> {
    /// The innermost loop: the numbers of seasons and anchors are known to the compiler, see
    /// [`State::step`].
    fn pass<const S: usize>(
        &self,
        state: &mut State,
        seasons: &mut [Turning<'_>; S],
        mut told: impl FnMut(usize, f64) -> ControlFlow<()>,
    ) {
        let Self { parameters, values, anchors, from } = self;
        let (warm_up, judged) = values.split_at((*from).min(values.len()));
        for value in warm_up {
            state.step(seasons, *value, parameters);
        }
        for (time, value) in (*from..).zip(judged) {
            for (place, anchor) in anchors.iter().enumerate() {
                let expected = state.expected(seasons, anchor.ahead, &anchor.reach);
                // NaN if the value is missing or lies beyond the end.
                let error = anchor.came.get(time).copied().unwrap_or(f64::NAN) - expected;
                if !error.is_nan() && told(place, error).is_break() {
                    return;
                }
            }
            state.step(seasons, *value, parameters);
        }
    }
}

/// Measures parameters by their forecasts of a history.
#[derive(Clone, Debug)]
pub struct Trial<'a> {
    /// The history.
    pub values: &'a [f64],
    /// The horizons.
    pub anchors: Vec<usize>,
    /// The number of first values that are not judged.
    pub from: usize,
    /// The weight of an error at each anchor.
    weights: Vec<f64>,
}

impl<'a> Trial<'a> {
    /// Judges forecasts at the anchors from every origin after the first `from` values.
    #[must_use]
    pub fn new(values: &'a [f64], anchors: Vec<usize>, from: usize) -> Self {
        let count = |h: &usize| {
            let judged = values.get(from + h - 1..).unwrap_or_default();
            judged.iter().filter(|value| !value.is_nan()).count().max(1) as f64
        };
        let weights = anchors.iter().map(|h| 1.0 / (count(h) * anchors.len() as f64)).collect();
        Self { values, anchors, from, weights }
    }

    /// The mean over the anchors of the mean absolute error at each; infinite as soon as it exceeds
    /// `limit`, because then it no longer matters by how much.
    #[must_use]
    pub fn loss(&self, mut state: State, parameters: &Parameters, limit: f64) -> f64 {
        let mut loss = 0.0;
        let weights: [f64; ANCHORS] =
            std::array::from_fn(|i| self.weights.get(i).copied().unwrap_or(0.0));
        run(&mut state, parameters, self.values, &self.anchors, self.from, |place, error| {
            loss += error.abs() * weights.get(place).copied().unwrap_or(0.0);
            if loss > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if loss > limit { f64::INFINITY } else { loss }
    }
}
