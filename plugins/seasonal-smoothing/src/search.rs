use crate::{
    filter::{Parameters, State},
    initial::{initial, warm_up},
    trial::{Trial, anchors},
};

/// The result of a search: the form of a model and its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Season lengths, at most two, the shortest first.
    pub seasons: Vec<usize>,
    /// The parameters.
    pub parameters: Parameters,
    /// The horizons that it was judged by.
    pub anchors: Vec<usize>,
    /// From which value on it was judged.
    pub from: usize,
}

/// With fewer values there is no search: the model is a level with the parameters `START`.
const FEW: usize = 12;
/// A form with more parts must be better by this share, or the simpler one is kept.
const WORTH: f64 = 0.02;
/// A search uses so many of the last values, or four periods of the longest season if those are more.
const LOOK_BACK: usize = 2048;

/// Of the forms with the lowest losses at the start, the search covers so many.
const SHORTLIST: usize = 2;

const START: Parameters = Parameters {
    level: 0.3,
    trend: 0.0,
    damping: 0.0,
    transient: 0.0,
    persistence: 0.0,
    seasonal: [0.1, 0.1],
};

const LEVELS: [f64; 9] = [0.01, 0.03, 0.08, 0.15, 0.3, 0.5, 0.7, 0.85, 1.0];
const TRENDS: [(f64, f64); 6] =
    [(0.0, 0.0), (0.02, 0.98), (0.05, 0.9), (0.15, 0.9), (0.3, 0.8), (0.6, 0.8)];
const TRANSIENTS: [(f64, f64); 10] = [
    (0.0, 0.0),
    (0.3, 0.5),
    (0.3, 0.8),
    (0.3, 0.95),
    (0.6, 0.5),
    (0.6, 0.8),
    (0.6, 0.95),
    (0.9, 0.8),
    (0.9, 0.95),
    (0.9, 0.99),
];
const SEASONALS: [f64; 5] = [0.02, 0.07, 0.15, 0.3, 0.6];

/// Every form is judged by the same forecasts.
struct Search<'a> {
    trial: Trial<'a>,
}

/// A form with the best parameters found, and its loss.
struct Found {
    seasons: Vec<usize>,
    start: State,
    parameters: Parameters,
    loss: f64,
}

/// Chooses the seasons and parameters that would have forecast the past best over the horizon. The measure is the
/// mean absolute error at a few horizons from every origin; each forecast uses only the values known at its origin.
/// The search goes over a grid, one parameter at a time. It takes some hundred passes over the values and is
/// deterministic.
#[must_use]
pub fn search(values: &[f64], candidates: &[usize], horizon: u32) -> Choice {
    let longest = candidates.last().copied().unwrap_or(1);
    let look_back = LOOK_BACK.max(4 * longest);
    let recent = values.get(values.len().saturating_sub(look_back)..).unwrap_or(values);
    let from = warm_up(recent.len(), candidates);
    let trial = Trial::new(recent, anchors(horizon, recent.len() - from), from);
    let search = Search { trial };
    let found = search.best(candidates);
    let from = warm_up(values.len(), candidates);
    Choice {
        seasons: found.seasons,
        parameters: found.parameters,
        anchors: search.trial.anchors,
        from,
    }
}

impl Search<'_> {
    fn best(&self, candidates: &[usize]) -> Found {
        let plain = self.form(Vec::new());
        if self.trial.values.len() < FEW {
            return plain;
        }
        let mut best = self.sweep(plain);
        // Adds one season, then a second one.
        for _ in 0..2 {
            let other = candidates.iter().filter(|length| !best.seasons.contains(length));
            let forms =
                other.map(|length| self.form([&best.seasons, [*length].as_slice()].concat()));
            let mut forms: Vec<Found> = forms.collect();
            forms.sort_by(|a, b| a.loss.total_cmp(&b.loss));
            forms.truncate(SHORTLIST);
            let swept = forms.into_iter().map(|form| self.sweep(form));
            let better = swept.min_by(|a, b| a.loss.total_cmp(&b.loss));
            match better {
                Some(form) if form.loss < best.loss * (1.0 - WORTH) => best = form,
                _ => break,
            }
        }
        self.sweep(best)
    }

    fn form(&self, mut seasons: Vec<usize>) -> Found {
        seasons.sort_unstable();
        let start = initial(self.trial.values, &seasons, self.trial.from);
        let mut found = Found { seasons, start, parameters: START, loss: f64::INFINITY };
        found.loss = self.trial.loss(found.start.clone(), &START, f64::INFINITY);
        found
    }

    /// Tries every value of each parameter in turn, while the others stay fixed.
    fn sweep(&self, mut found: Found) -> Found {
        self.improve(&mut found, LEVELS.iter(), |p, level| p.level = *level);
        self.improve(&mut found, TRANSIENTS.iter(), |p, (transient, persistence)| {
            (p.transient, p.persistence) = (*transient, *persistence);
        });
        for place in 0..found.seasons.len() {
            self.improve(&mut found, SEASONALS.iter(), |p, gain| {
                if let Some(seasonal) = p.seasonal.get_mut(place) {
                    *seasonal = *gain;
                }
            });
        }
        self.improve(&mut found, LEVELS.iter(), |p, level| p.level = *level);
        self.improve(&mut found, TRENDS.iter(), |p, (trend, damping)| {
            (p.trend, p.damping) = (*trend, *damping);
        });
        found
    }

    fn improve<'g, T: 'g>(
        &self,
        found: &mut Found,
        grid: impl Iterator<Item = &'g T>,
        set: impl Fn(&mut Parameters, &T),
    ) {
        let before = found.parameters;
        for value in grid {
            let mut tried = before;
            set(&mut tried, value);
            if tried == found.parameters || tried.level + tried.transient > 1.0 {
                continue;
            }
            // A smaller gain does not count, so that rounding errors do not choose.
            let limit = found.loss * (1.0 - 1e-4);
            let loss = self.trial.loss(found.start.clone(), &tried, limit);
            if loss < limit {
                (found.loss, found.parameters) = (loss, tried);
            }
        }
    }
}
