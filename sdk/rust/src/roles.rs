use bidding::{Answer, Bid, ComputeUnit, Inquiry, Request};
use failure_prediction::{Example, Risk, Vitals};
use forecasting::{Fitted, Outlook, Panel, Task};
use metadata::Description;
use tiering::{ApiState, Assignment};
use types::{Context, Duration, Event, Fault};

/// The vocabulary that all roles share.
pub mod types {
    pub use crate::bindings::vocabulary::haggle::policy::types::*;
}

/// Who a plugin is.
pub mod metadata {
    pub use crate::bindings::metadata::exports::haggle::policy::metadata::Description;
}

/// What a [`Forecaster`](crate::Forecaster) takes and gives.
pub mod forecasting {
    pub use crate::bindings::forecasting::exports::haggle::policy::forecasting::{
        Fitted, Interval, Outlook, Panel, Task,
    };
}

/// What a [`FailurePredictor`](crate::FailurePredictor) takes and gives.
pub mod failure_prediction {
    pub use crate::bindings::failure_prediction::exports::haggle::policy::failure_prediction::{
        Driver, Example, Risk, Vital, Vitals,
    };
}

/// What a [`Bidder`](crate::Bidder) takes and gives.
pub mod bidding {
    pub use crate::bindings::bidding::exports::haggle::policy::bidding::{
        Answer, Bid, ComputeUnit, Guarantees, Inquiry, Offer, Position, Proposal, Request, Strength,
    };
}

/// What a [`Tierer`](crate::Tierer) takes and gives.
pub mod tiering {
    pub use crate::bindings::tiering::exports::haggle::policy::tiering::{
        ApiState, Assignment, Objective,
    };
}

/// Every policy says who it is.
pub trait Policy {
    /// Name, version, a sentence, and the schema of the configuration.
    fn describe() -> Description;
}

/// Forecasts demand with prediction intervals.
pub trait Forecaster: Policy {
    /// Fits models to a panel. `previous` is what the last fit returned for the same series, in the same
    /// order (an error there is an empty model).
    ///
    /// What is returned is opaque to the host and comes back to [`Forecaster::forecast`]. A forecaster
    /// that learns nothing keeps this default: an empty model for each series.
    ///
    /// # Errors
    /// A [`Fault`] costs the whole panel its models; one inside [`Fitted`] only that series.
    fn fit(ctx: &Context, panel: &Panel, previous: Option<&Fitted>) -> Result<Fitted, Fault> {
        let _ = (ctx, previous);
        let per_series = panel.series.iter().map(|_| Ok(Vec::new())).collect();
        Ok(Fitted { shared: None, per_series, lookback: None })
    }

    /// Forecasts a batch: one answer for each task, in their order. `shared` is what the fit learnt across
    /// series; a task carries its own model.
    fn forecast(
        ctx: &Context,
        shared: Option<&[u8]>,
        tasks: &[Task],
        events: &[Event],
    ) -> Vec<Result<Outlook, Fault>>;
}

/// Predicts failures with calibrated probabilities.
pub trait FailurePredictor: Policy {
    /// Learns from examples on top of what `model` holds and returns the new model. `horizon` is how far
    /// ahead `failed` looks, in milliseconds.
    ///
    /// # Errors
    /// A [`Fault`] leaves the model as it was.
    fn learn(
        ctx: &Context,
        model: Option<&[u8]>,
        horizon: Duration,
        examples: &[Example],
    ) -> Result<Vec<u8>, Fault>;

    /// Assesses a batch: one answer for each subject, in their order.
    fn assess(
        ctx: &Context,
        model: Option<&[u8]>,
        horizon: Duration,
        subjects: &[Vitals],
    ) -> Vec<Result<Risk, Fault>>;
}

/// Answers proposals, bids for a provider and ranks bids for a buyer.
pub trait Bidder: Policy {
    /// Answers inquiries: one answer for each, in their order.
    fn respond(ctx: &Context, inquiries: &[Inquiry]) -> Vec<Result<Answer, Fault>>;

    /// Bids for a request from the inventory of one provider. No bid is an answer too.
    ///
    /// # Errors
    /// A [`Fault`] when the request breaks the contract.
    fn make_bids(
        ctx: &Context,
        request: &Request,
        inventory: &[ComputeUnit],
    ) -> Result<Vec<Bid>, Fault>;

    /// Scores bids for the buyer: one finite number for each, higher is better, in their order.
    ///
    /// # Errors
    /// A [`Fault`] when the request breaks the contract.
    fn rank(ctx: &Context, request: &Request, bids: &[Bid]) -> Result<Vec<f64>, Fault>;
}

/// Assigns service tiers and shares of a pool.
pub trait Tierer: Policy {
    /// Assigns the whole pool at once: one assignment for each API, in their order; the shares together
    /// are at most 1.
    ///
    /// # Errors
    /// A [`Fault`] when a state breaks the contract.
    fn assign(ctx: &Context, apis: &[ApiState]) -> Result<Vec<Assignment>, Fault>;
}
