//! Fits a panel.

use std::sync::Arc;

use haggle_plugins::{Who, context};
use haggle_sandbox::{Fit, forecasting};

use crate::{
    forecasting::{ForecastJob, is_empty, seasons_steps, steps, task_series, whole},
    models::{Model, Shared},
};

impl ForecastJob {
    /// Fits the panel in one call, so that its models can share what was learned across the series.
    pub(crate) fn fit(&mut self) {
        let (forecast, now) = (&self.policy.forecasting, self.now);
        let step = forecast.step;
        let mut series = Vec::new();
        self.busy.inner.history.read(&mut |history| {
            let all = self.members.iter();
            series = all.map(|one| whole(history, &one.service, &self.policy, now)).collect();
        });
        let fitted: Vec<usize> =
            (0..series.len()).filter(|i| !series.get(*i).is_none_or(is_empty)).collect();
        if fitted.is_empty() {
            return;
        }
        let ask = |items: &[usize], who: &Who| {
            let places = || items.iter().filter_map(|item| fitted.get(*item));
            let one = |place: &usize| {
                Some(task_series(&self.members.get(*place)?.service, series.get(*place)?))
            };
            let panel = forecasting::Panel {
                series: places().filter_map(one).collect(),
                horizon_steps: steps(forecast.horizon, step),
                seasons_steps: seasons_steps(forecast),
                events: self.events.to_vec(),
            };
            let models: Vec<Option<&Model>> =
                places().map(|place| self.model_for(*place, who)).collect();
            let known = models.iter().any(Option::is_some);
            let shared = models.iter().flatten().find_map(|model| model.shared.as_ref());
            let bytes = |model: &Option<&Model>| {
                Ok(model.and_then(|model| model.bytes.as_deref().cloned()).unwrap_or_default())
            };
            let previous = known.then(|| forecasting::Fitted {
                shared: shared.map(|shared| shared.bytes.as_ref().clone()),
                models: models.iter().map(bytes).collect(),
                lookback_steps: models.iter().flatten().find_map(|model| model.lookback),
            });
            Fit { context: context(now, now.as_millis()), panel, previous }
        };
        let policies = &self.busy.inner.policies;
        let answers = policies.fit(now, &forecast.plugin, fitted.len(), &ask);
        let Some(wanted) = self.who.as_ref().map(|who| who.digest) else { return };
        // Models with the same shared part use the same allocation.
        let mut shared: Vec<Shared> = Vec::new();
        for (place, answer) in fitted.into_iter().zip(answers) {
            let Some(member) = self.members.get_mut(place) else { continue };
            member.model = Some(match answer {
                Ok(decided) => Model {
                    wanted,
                    component: decided.by.digest,
                    fitted_at: now,
                    bytes: Some(Arc::new(decided.answer.model)),
                    shared: decided.answer.shared.map(|bytes| {
                        let known = shared.iter().find(|one| Arc::ptr_eq(&one.bytes, &bytes));
                        let new = known.cloned().unwrap_or_else(|| Shared::new(bytes));
                        shared.push(new.clone());
                        new
                    }),
                    lookback: decided.answer.lookback,
                },
                Err(error) => {
                    tracing::debug!(service = %member.service.name, %error, "not fitted");
                    Model::unfitted(wanted, now)
                }
            });
        }
    }
}
