use std::sync::Arc;

use haggle_sandbox::{
    Assess, Fit, Forecast, Function, Respond, answering, failure_prediction, forecasting,
    types::Fault,
};

/// A function whose calls may run on another thread.
pub trait Movable: Function<Answer: Send> + Send + Sync + 'static {}

impl<F: Function<Answer: Send> + Send + Sync + 'static> Movable for F {}

/// A function that answers each item of its batch, possibly with a fault.
pub trait PerItem: Movable {
    /// The answer to one item.
    type Item;

    /// Splits the answer by item, in order.
    fn items(answer: Self::Answer) -> Vec<Result<Self::Item, Fault>>;

    /// Whether the whole call counts as a failure: every item is an internal fault of the plugin, such as an
    /// invalid answer.
    fn has_failed(answer: &Self::Answer) -> bool;
}

fn all_broken<T>(answers: &[Result<T, Fault>]) -> bool {
    let broken = |answer: &Result<T, Fault>| matches!(answer, Err(Fault::Internal(_)));
    !answers.is_empty() && answers.iter().all(broken)
}

/// A model fitted to one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FittedSeries {
    /// The model of this series.
    pub model: Vec<u8>,
    /// The model shared by all series that were fitted together.
    pub shared: Option<Arc<Vec<u8>>>,
    /// Number of values before the fit that a forecast needs; `None` means all.
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
