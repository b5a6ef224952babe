use haggle_forecasting::{Clock, Prepared, Setting, Track, mean, origins};

use crate::{member::Member, selection::select};

/// The members that may forecast a series, and the errors of their forecasts of its past.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The members, at the end of the history.
    pub members: Vec<Member>,
    /// How many values were known at each origin, ascending.
    pub origins: Vec<usize>,
    /// How many steps ahead each forecast reached.
    pub horizon: usize,
    /// The errors of each member (observed minus expected), `horizon` of them for each origin. NaN if no value was
    /// observed, which is the same for all members.
    pub errors: Vec<Vec<f64>>,
}

/// Forecasts of the past begin after this share of the history: older values say less, and the rest judges what was
/// learnt from the first part.
pub(crate) const LEARNT: f64 = 0.6;
/// The number of origins from which the past is forecast.
const ORIGINS: usize = 100;
/// The number of folds in the cross-validation of the weights.
const FOLDS: usize = 8;

impl Pool {
    /// The forecasts of these members from up to a hundred origins in the last part of the history. A member that
    /// needs more than the first part of the history is left out.
    #[must_use]
    pub fn of(members: Vec<Member>, series: &Prepared, setting: &Setting<'_>) -> Self {
        let count = series.values.len();
        let late = ((LEARNT * count as f64) as usize).max(1);
        let rewound = members.into_iter().map(|member| {
            let (early, from) = member.rewind(series);
            (member, early, from.max(1))
        });
        let mut rewound: Vec<(Member, Member, usize)> = rewound.collect();
        rewound.retain(|(_, _, from)| *from <= late);
        let from = rewound.iter().map(|(_, _, from)| *from).max().unwrap_or(1).max(late);
        let horizon = setting.horizon.min(count / 2).max(1);
        let origins = origins(count, from, ORIGINS, setting.seasons);
        let clock = Clock { start: series.start, step: series.step, events: setting.events };
        let (mut members, mut errors) = (Vec::new(), Vec::new());
        for (member, early, from) in rewound {
            members.push(member);
            errors.push(forecast_past((early, from), series, &clock, &origins, horizon));
        }
        Self { members, origins, horizon, errors }
    }

    /// The weights of the members.
    #[must_use]
    pub fn select(&self) -> Vec<f64> {
        let errors: Vec<&[f64]> = self.errors.iter().map(Vec::as_slice).collect();
        select(&errors)
    }

    /// The usual error of each member over one step.
    #[must_use]
    pub fn usual(&self) -> Vec<f64> {
        let usual = |errors: &Vec<f64>| {
            let first = errors.iter().step_by(self.horizon.max(1));
            mean(first.filter(|error| !error.is_nan()).map(|error| error.abs()))
        };
        self.errors.iter().map(usual).collect()
    }

    /// The errors of the weighted members, cross-validated: the errors of all other folds choose the weights for a
    /// fold of the origins. Weights look too good on the errors that chose them.
    #[must_use]
    pub fn cross_validate(&self) -> Track {
        let mut errors = vec![0.0; self.origins.len() * self.horizon];
        let fold = self.origins.len().div_ceil(FOLDS).max(1) * self.horizon;
        for (place, errors) in errors.chunks_mut(fold).enumerate() {
            let (from, to) = (place * fold, place * fold + errors.len());
            let part = |own: &[f64], from, to| own.get(from..to).unwrap_or_default().to_vec();
            let others = |own: &Vec<f64>| [part(own, 0, from), part(own, to, own.len())].concat();
            let others: Vec<Vec<f64>> = self.errors.iter().map(others).collect();
            let others: Vec<&[f64]> = others.iter().map(Vec::as_slice).collect();
            for (weight, own) in select(&others).iter().zip(&self.errors) {
                let own = own.get(from..to).unwrap_or_default();
                errors.iter_mut().zip(own).for_each(|(sum, error)| *sum += weight * error);
            }
        }
        Track { origins: self.origins.clone(), horizon: self.horizon, errors }
    }
}

fn forecast_past(
    (mut member, mut known): (Member, usize),
    series: &Prepared,
    clock: &Clock<'_>,
    origins: &[usize],
    horizon: usize,
) -> Vec<f64> {
    let mut errors = vec![0.0; origins.len() * horizon];
    for (origin, errors) in origins.iter().zip(errors.chunks_exact_mut(horizon)) {
        let new = series.values.get(known..*origin).unwrap_or_default();
        member.update(new, &clock.after(known));
        known = *origin;
        let (past, came) = (series.clean.get(..known), series.values.get(known..));
        member.expect(past.unwrap_or_default(), &clock.after(known), errors);
        let came = came.unwrap_or_default().iter().copied().chain(std::iter::repeat(f64::NAN));
        errors.iter_mut().zip(came).for_each(|(error, came)| *error = came - *error);
    }
    errors
}
