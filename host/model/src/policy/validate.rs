use super::{Alternative, PolicyError, ScalingPolicy};
use crate::Span;

impl ScalingPolicy {
    /// Validates the rules that the types do not enforce.
    ///
    /// # Errors
    /// [`PolicyError`] naming the field.
    pub fn validate(&self) -> Result<(), PolicyError> {
        let wrong = |field, value: String, rule| {
            Err(PolicyError { policy: self.name.clone(), field, value, rule })
        };
        for (field, value, least, most, rule) in self.spans() {
            if value < least || value > most {
                return wrong(field, value.to_string(), rule);
            }
        }
        let seasons = &self.forecasting.seasons;
        let is_season = |season: &Span| !season.is_zero() && *season <= Span::LONGEST;
        if seasons.len() > Self::MOST_SEASONS || !seasons.iter().all(is_season) {
            let rule = "be at most 16 lengths of time, each above 0 and at most 3650d";
            let shown = seasons.iter().take(Self::MOST_SEASONS + 1).map(Span::to_string);
            return wrong("forecasting.seasons", shown.collect::<Vec<_>>().join(", "), rule);
        }
        let open = |x: f64| x > 0.0 && x < 1.0;
        let forecast = &self.forecasting;
        if forecast.step.is_zero() || forecast.step > forecast.horizon {
            let rule = "be above 0 and at most forecasting.horizon";
            return wrong("forecasting.step", forecast.step.to_string(), rule);
        }
        if forecast.horizon.steps(forecast.step) > Self::MOST_STEPS {
            let rule = "cover at most 10000 steps";
            return wrong("forecasting.horizon", forecast.horizon.to_string(), rule);
        }
        if forecast.history < forecast.step
            || forecast.history.steps(forecast.step) > Self::MOST_STEPS
        {
            let rule = "cover 1 to 10000 steps";
            return wrong("forecasting.history", forecast.history.to_string(), rule);
        }
        let ascending = forecast.levels.is_sorted_by(|a, b| a < b);
        let counted = (1..=Self::MOST_LEVELS).contains(&forecast.levels.len());
        if !counted || !ascending || !forecast.levels.iter().all(|l| open(*l)) {
            let rule =
                "be 1 to 32 levels, ascending and strictly between 0 and 1, e.g. [0.8, 0.95]";
            let shown: Vec<f64> = forecast.levels.iter().copied().take(33).collect();
            return wrong("forecasting.levels", format!("{shown:?}"), rule);
        }
        if !forecast.levels.iter().any(|level| self.scaling.plans_with(*level)) {
            let rule = "be the upper bound of an interval in forecasting.levels, which is (1 + level) / 2: 0.9 for 0.8 and 0.975 for 0.95";
            return wrong("scaling.quantile", self.scaling.quantile.to_string(), rule);
        }
        let shares = [
            ("failure_prediction.threshold", self.failure_prediction.threshold, 1.0),
            ("failure_prediction.headroom", self.failure_prediction.headroom, 10.0),
            ("scaling.target_utilization", self.scaling.target_utilization, 1.0),
        ];
        for (field, value, most) in shares {
            if !(value > 0.0 && value <= most) {
                let rule = if most > 1.0 {
                    "be above 0 and at most 10"
                } else {
                    "be above 0 and at most 1"
                };
                return wrong(field, value.to_string(), rule);
            }
        }
        if !(0.0..=1.0).contains(&self.scaling.min_confidence) {
            let rule = "lie between 0 and 1";
            return wrong("scaling.min_confidence", self.scaling.min_confidence.to_string(), rule);
        }
        let cold = self.scaling.cold_start;
        if u64::from(cold.steps) > Self::MOST_STEPS {
            let rule = "be at most 10000";
            return wrong("scaling.cold_start.steps", cold.steps.to_string(), rule);
        }
        if !(0.0..=10.0).contains(&cold.headroom) {
            let rule = "lie between 0 and 10";
            return wrong("scaling.cold_start.headroom", cold.headroom.to_string(), rule);
        }
        if let Some(budget) = self.ranking.budget_per_hour
            && !(0.0..=1e12).contains(&budget)
        {
            let rule = "lie between 0 and 1e12";
            return wrong("ranking.budget_per_hour", budget.to_string(), rule);
        }
        let negotiation = &self.negotiation;
        if negotiation.max_rounds == 0 || negotiation.max_rounds > 100 {
            let rule = "lie between 1 and 100";
            return wrong("negotiation.max_rounds", negotiation.max_rounds.to_string(), rule);
        }
        if negotiation.renew_before >= negotiation.lease {
            let rule = "be shorter than negotiation.lease";
            return wrong("negotiation.renew_before", negotiation.renew_before.to_string(), rule);
        }
        for (field, value) in [
            ("negotiation.tolerance", negotiation.tolerance),
            ("negotiation.burn_rate", negotiation.burn_rate),
        ] {
            if !(value > 0.0 && value <= 1000.0) {
                return wrong(field, value.to_string(), "be above 0 and at most 1000");
            }
        }
        let twice = |place: usize, alternative: &Alternative| {
            negotiation.alternatives.iter().take(place).any(|earlier| earlier == alternative)
        };
        if negotiation.alternatives.iter().enumerate().any(|(i, a)| twice(i, a)) {
            let rule = "name each alternative once, e.g. [partial, delayed]";
            return wrong("negotiation.alternatives", "a list with repetitions".to_owned(), rule);
        }
        Ok(())
    }

    /// The maximum number of steps of a history or a forecast.
    pub const MOST_STEPS: u64 = 10_000;
    /// The maximum number of levels of prediction intervals.
    pub const MOST_LEVELS: usize = 32;
    /// The maximum number of season lengths.
    pub const MOST_SEASONS: usize = 16;

    /// Every time span with its range, and the range in words.
    fn spans(&self) -> [(&'static str, Span, Span, Span, &'static str); 11] {
        const DECADE: &str = "be at most 3650d";
        const YEAR: &str = "be at most 365d";
        let Self { forecasting, failure_prediction, tiering, scaling, negotiation, .. } = self;
        let decade = |field, value| (field, value, Span::ZERO, Span::LONGEST, DECADE);
        let year = |field, value| (field, value, Span::ZERO, Span::from_mins(365 * 24 * 60), YEAR);
        [
            decade("forecasting.horizon", forecasting.horizon),
            decade("forecasting.history", forecasting.history),
            year("forecasting.refit", forecasting.refit),
            year("failure_prediction.horizon", failure_prediction.horizon),
            year("tiering.every", tiering.every),
            year("scaling.stabilization", scaling.stabilization),
            (
                "negotiation.deadline",
                negotiation.deadline,
                Span::from_millis(1),
                Span::from_mins(7 * 24 * 60),
                "be above 0 and at most 7d",
            ),
            decade("negotiation.lease", negotiation.lease),
            decade("negotiation.renew_before", negotiation.renew_before),
            year("negotiation.max_delay", negotiation.max_delay),
            year("negotiation.preemption_notice", negotiation.preemption_notice),
        ]
    }
}
