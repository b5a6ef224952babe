use answering::{Answer, Inquiry};
use failure_prediction::{Example, Risk, Vitals};
use forecasting::{Fitted, Outlook, Panel, Task};
use market::{Bid, Request};
use metadata::Description;
use selling::ComputeUnit;
use tiering::{Assignment, ServiceState};
use types::{CalendarEvent, Context, Fault};

/// The vocabulary that all roles share.
pub mod types {
    pub use crate::bindings::vocabulary::haggle::plugin::types::*;
}

/// The records that [`Selling`](crate::Selling) and [`Ranking`](crate::Ranking) share.
pub mod market {
    pub use crate::bindings::vocabulary::haggle::plugin::market::*;
}

/// The description of a plugin.
pub mod metadata {
    pub use crate::bindings::metadata::exports::haggle::plugin::metadata::Description;
}

/// Arguments and results of [`Forecasting`](crate::Forecasting).
pub mod forecasting {
    pub use crate::bindings::forecasting::exports::haggle::plugin::forecasting::{
        Bounds, Fitted, Interval, Outlook, Panel, Task,
    };
}

/// Arguments and results of [`FailurePrediction`](crate::FailurePrediction).
pub mod failure_prediction {
    pub use crate::bindings::failure_prediction::exports::haggle::plugin::failure_prediction::{
        Contribution, Example, MetricSeries, Risk, Vitals,
    };
}

/// Arguments and results of [`Answering`](crate::Answering).
pub mod answering {
    pub use crate::bindings::answering::exports::haggle::plugin::answering::{
        Answer, Ask, Inquiry, Offer, Strength,
    };
}

/// Arguments of [`Selling`](crate::Selling).
pub mod selling {
    pub use crate::bindings::selling::exports::haggle::plugin::selling::{
        ComputeUnit, UnitResource,
    };
}

/// Arguments and results of [`Tiering`](crate::Tiering).
pub mod tiering {
    pub use crate::bindings::tiering::exports::haggle::plugin::tiering::{
        Assignment, Objective, ServiceState,
    };
}

/// Every plugin describes itself.
pub trait Plugin {
    /// Name, version, one or two sentences, and the schema of the configuration.
    fn describe() -> Description;

    /// Checks a configuration that already conforms to the schema, for rules that a schema cannot express.
    /// By default every such configuration is valid.
    ///
    /// # Errors
    /// A text for the operator that names the field and says how to correct it.
    fn validate_configuration(configuration: &str) -> Result<(), String> {
        let _ = configuration;
        Ok(())
    }
}

/// Forecasts demand with prediction intervals.
pub trait Forecasting: Plugin {
    /// Fits models to a panel. `previous` is the result of the last fit of the same series in the same order (a
    /// series whose fit failed has an empty model there).
    ///
    /// The host passes the models back to [`Forecasting::forecast`] and does not look into them. A plugin
    /// that learns nothing keeps this default, which makes an empty model for each series.
    ///
    /// # Errors
    /// A [`Fault`] leaves the whole panel without models of this fit; a fault inside [`Fitted`] concerns only its
    /// series.
    fn fit(ctx: &Context, panel: &Panel, previous: Option<&Fitted>) -> Result<Fitted, Fault> {
        let _ = (ctx, previous);
        let models = panel.series.iter().map(|_| Ok(Vec::new())).collect();
        Ok(Fitted { shared: None, models, lookback_steps: None })
    }

    /// Forecasts a batch: one answer for each task, in their order. `shared` is the shared model of the fit;
    /// a task carries its own.
    fn forecast(
        ctx: &Context,
        shared: Option<&[u8]>,
        tasks: &[Task],
        events: &[CalendarEvent],
    ) -> Vec<Result<Outlook, Fault>>;
}

/// Predicts failures with calibrated probabilities.
pub trait FailurePrediction: Plugin {
    /// Updates `model` with examples and returns the new model. `horizon_ms` is how far ahead of the vitals
    /// `failed` looks, in milliseconds.
    ///
    /// # Errors
    /// A [`Fault`] leaves the model as it was.
    fn learn(
        ctx: &Context,
        model: Option<&[u8]>,
        horizon_ms: u64,
        examples: &[Example],
    ) -> Result<Vec<u8>, Fault>;

    /// Assesses a batch: one answer for each instance, in their order.
    fn assess(
        ctx: &Context,
        model: Option<&[u8]>,
        horizon_ms: u64,
        instances: &[Vitals],
    ) -> Vec<Result<Risk, Fault>>;
}

/// Answers calls for proposals on behalf of services.
pub trait Answering: Plugin {
    /// Answers a batch: one answer for each inquiry, in their order.
    fn respond(ctx: &Context, inquiries: &[Inquiry]) -> Vec<Result<Answer, Fault>>;
}

/// Sells the compute units of a provider.
pub trait Selling: Plugin {
    /// Bids for a request from the inventory of one provider. An empty list is an answer too.
    ///
    /// # Errors
    /// A [`Fault`] when the request breaks the contract.
    fn make_bids(
        ctx: &Context,
        request: &Request,
        inventory: &[ComputeUnit],
    ) -> Result<Vec<Bid>, Fault>;
}

/// Ranks the bids that a buyer receives.
pub trait Ranking: Plugin {
    /// Scores bids: one finite number for each, in their order. Higher is better.
    ///
    /// # Errors
    /// A [`Fault`] when the request breaks the contract.
    fn rank(ctx: &Context, request: &Request, bids: &[Bid]) -> Result<Vec<f64>, Fault>;
}

/// Assigns service tiers and shares of the capacity that services compete for.
pub trait Tiering: Plugin {
    /// Assigns all services at once: one assignment for each, in their order. The shares add up to at most 1.
    ///
    /// # Errors
    /// A [`Fault`] when a state breaks the contract.
    fn assign(ctx: &Context, services: &[ServiceState]) -> Result<Vec<Assignment>, Fault>;
}
