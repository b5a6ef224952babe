use std::sync::Arc;

use haggle_sandbox::{
    Assess, Fit, Forecast, Function, Respond, answering, failure_prediction, forecasting,
    types::Fault,
};

/// A function whose calls may be made on another thread.
pub trait Movable: Function<Answer: Send> + Send + Sync + 'static {}

impl<F: Function<Answer: Send> + Send + Sync + 'static> Movable for F {}

/// A function that answers each item of its batch, with a fault where it cannot.
pub trait PerItem: Movable {
    /// What one item is answered.
    type Item;

    /// The answers, in the order of the items.
    fn items(answer: Self::Answer) -> Vec<Result<Self::Item, Fault>>;

    /// Whether the whole call counts as a failure: every item is a fault of the plugin's own, as nonsense is.
    fn has_failed(answer: &Self::Answer) -> bool;
}

fn all_broken<T>(answers: &[Result<T, Fault>]) -> bool {
    let broken = |answer: &Result<T, Fault>| matches!(answer, Err(Fault::Internal(_)));
    !answers.is_empty() && answers.iter().all(broken)
}

/// A model that was fitted to one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FittedSeries {
    /// What was learnt about this series.
    pub model: Vec<u8>,
    /// What was learnt about all series that were fitted with it; the same for all of them.
    pub shared: Option<Arc<Vec<u8>>>,
    /// How many of the values before the fit a forecast looks at; all if none.
    pub lookback: Option<u32>,
}

impl PerItem for Fit {
    type Item = FittedSeries;

    fn items(answer: forecasting::Fitted) -> Vec<Result<FittedSeries, Fault>> {
        let forecasting::Fitted { shared, models, lookback_steps } = answer;
        let shared = shared.map(Arc::new);
        let item = |model| FittedSeries { model, shared: shared.clone(), lookback: lookback_steps };
        models.into_iter().map(|model| model.map(item)).collect()
    }

    fn has_failed(answer: &forecasting::Fitted) -> bool {
        all_broken(&answer.models)
    }
}

impl PerItem for Forecast {
    type Item = forecasting::Outlook;

    fn items(answer: Self::Answer) -> Vec<Result<forecasting::Outlook, Fault>> {
        answer
    }

    fn has_failed(answer: &Self::Answer) -> bool {
        all_broken(answer)
    }
}

impl PerItem for Assess {
    type Item = failure_prediction::Risk;

    fn items(answer: Self::Answer) -> Vec<Result<failure_prediction::Risk, Fault>> {
        answer
    }

    fn has_failed(answer: &Self::Answer) -> bool {
        all_broken(answer)
    }
}

impl PerItem for Respond {
    type Item = answering::Answer;

    fn items(answer: Self::Answer) -> Vec<Result<answering::Answer, Fault>> {
        answer
    }

    fn has_failed(answer: &Self::Answer) -> bool {
        all_broken(answer)
    }
}
