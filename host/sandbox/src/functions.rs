//! The functions that a plugin exports, each as a value that can be called, stored and replayed.

use serde::{Deserialize, Serialize};
use wasmtime::{Store, component::Instance};

use crate::{
    answering,
    call_outcome::CallOutcome,
    check::{self, Broken},
    contract::types::{CalendarEvent, Context, Fault},
    error::{CallError, Cause},
    failure_prediction as failure, forecasting,
    function::{Function, Guest},
    generation::{Exports, Generation},
    market,
    role::Role,
    selling,
    state::State,
    tiering,
};

/// Defines a function: its arguments, the guest function to call, and the check of the answer.
macro_rules! function {
    (
        $(#[$doc:meta])*
        $name:ident = $wit:literal, $role:ident . $exports:ident
        { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }
        -> $answer:ty,
        |$this:ident, $guest:ident, $store:ident| $call:expr,
        check: $check:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub struct $name {
            /// The context of the call.
            pub context: Context,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Function for $name {
            const NAME: &'static str = $wit;
            const ROLE: Role = Role::$role;
            type Answer = $answer;

            fn context(&self) -> &Context {
                &self.context
            }

            fn configure(&mut self, configuration: &str) {
                configuration.clone_into(&mut self.context.configuration);
            }

            fn call(
                &self,
                generation: &Generation,
                time: std::time::Duration,
            ) -> Result<CallOutcome<$answer>, CallError> {
                generation.call_guest(self, time)
            }
        }

        impl Guest for $name {
            async fn invoke(
                &self,
                $store: &mut Store<State>,
                instance: &Instance,
                exports: &Exports,
            ) -> wasmtime::Result<Result<$answer, Fault>> {
                let missing = || wasmtime::format_err!("no {} role", Role::$role);
                let $guest = exports.$exports.as_ref().ok_or_else(missing)?.load(&mut *$store, instance)?;
                let $this = self;
                $call
            }

            fn check(&self, answer: &mut $answer) -> Result<Vec<Broken>, Cause> {
                let check: fn(&Self, &mut $answer) -> Result<Vec<Broken>, String> = $check;
                check(self, answer).map_err(Cause::Nonsense)
            }
        }
    };
}

function! {
    /// Fits models to a panel of series.
    Fit = "forecasting.fit", Forecasting.forecasting
    {
        /// The series, fitted together.
        panel: forecasting::Panel,
        /// The result of the last fit.
        previous: Option<forecasting::Fitted>,
    }
    -> forecasting::Fitted,
    |this, guest, store| {
        guest.call_fit(store, &this.context, &this.panel, this.previous.as_ref()).await
    },
    check: |this, answer| check::fitted(&this.panel, answer)
}

function! {
    /// Forecasts a batch of series.
    Forecast = "forecasting.forecast", Forecasting.forecasting
    {
        /// The model that the series share.
        shared: Option<Vec<u8>>,
        /// One task for each series.
        tasks: Vec<forecasting::Task>,
        /// Events that overlap the histories or horizons.
        events: Vec<CalendarEvent>,
    }
    -> Vec<Result<forecasting::Outlook, Fault>>,
    |this, guest, store| {
        let shared = this.shared.as_deref();
        Ok(Ok(guest.call_forecast(store, &this.context, shared, &this.tasks, &this.events).await?))
    },
    check: |this, answer| check::outlooks(&this.tasks, answer)
}

function! {
    /// Learns from examples with known outcomes.
    Learn = "failure-prediction.learn", FailurePrediction.failure_prediction
    {
        /// The result of earlier learning.
        model: Option<Vec<u8>>,
        /// The prediction horizon, in milliseconds.
        horizon_ms: u64,
        /// The examples.
        examples: Vec<failure::Example>,
    }
    -> Vec<u8>,
    |this, guest, store| {
        guest.call_learn(store, &this.context, this.model.as_deref(), this.horizon_ms, &this.examples).await
    },
    check: |_, answer| check::learnt(answer).map(|()| Vec::new())
}

function! {
    /// Assesses a batch of instances.
    Assess = "failure-prediction.assess", FailurePrediction.failure_prediction
    {
        /// The learned model.
        model: Option<Vec<u8>>,
        /// The prediction horizon, in milliseconds.
        horizon_ms: u64,
        /// The vitals of each instance.
        instances: Vec<failure::Vitals>,
    }
    -> Vec<Result<failure::Risk, Fault>>,
    |this, guest, store| {
        let model = this.model.as_deref();
        Ok(Ok(guest.call_assess(store, &this.context, model, this.horizon_ms, &this.instances).await?))
    },
    check: |this, answer| check::risks(&this.instances, answer)
}

function! {
    /// Answers inquiries on behalf of services.
    Respond = "answering.respond", Answering.answering
    {
        /// One inquiry for each service.
        inquiries: Vec<answering::Inquiry>,
    }
    -> Vec<Result<answering::Answer, Fault>>,
    |this, guest, store| Ok(Ok(guest.call_respond(store, &this.context, &this.inquiries).await?)),
    check: |this, answer| check::answers(&this.inquiries, answer)
}

function! {
    /// Bids on behalf of a provider.
    MakeBids = "selling.make-bids", Selling.selling
    {
        /// The buyer's request.
        request: market::Request,
        /// The provider's units.
        inventory: Vec<selling::ComputeUnit>,
    }
    -> Vec<market::Bid>,
    |this, guest, store| {
        guest.call_make_bids(store, &this.context, &this.request, &this.inventory).await
    },
    check: |this, answer| check::bids(&this.inventory, answer)
}

function! {
    /// Ranks bids on behalf of the buyer.
    Rank = "ranking.rank", Ranking.ranking
    {
        /// The buyer's request.
        request: market::Request,
        /// The offered bids.
        bids: Vec<market::Bid>,
    }
    -> Vec<f64>,
    |this, guest, store| guest.call_rank(store, &this.context, &this.request, &this.bids).await,
    check: |this, answer| check::scores(&this.bids, answer).map(|()| Vec::new())
}

function! {
    /// Assigns tiers and shares of capacity.
    Assign = "tiering.assign", Tiering.tiering
    {
        /// The services that compete for capacity.
        services: Vec<tiering::ServiceState>,
    }
    -> Vec<tiering::Assignment>,
    |this, guest, store| guest.call_assign(store, &this.context, &this.services).await,
    check: |this, answer| check::assignments(&this.services, answer).map(|()| Vec::new())
}

/// Calls a function again from its stored arguments and returns the encoded answer. Returns `None` if this
/// host does not know the function or cannot decode the arguments.
#[must_use]
pub fn replay(
    generation: &Generation,
    function: &str,
    input: &[u8],
) -> Option<Result<Vec<u8>, CallError>> {
    fn run<F: Function>(
        generation: &Generation,
        input: &[u8],
    ) -> Option<Result<Vec<u8>, CallError>> {
        let function: F = postcard::from_bytes(input).ok()?;
        Some(match generation.call(&function) {
            Ok(called) => Ok(postcard::to_stdvec(&called.answer).ok()?),
            Err(error) => Err(error),
        })
    }
    let run: fn(&Generation, &[u8]) -> _ = match function {
        Fit::NAME => run::<Fit>,
        Forecast::NAME => run::<Forecast>,
        Learn::NAME => run::<Learn>,
        Assess::NAME => run::<Assess>,
        Respond::NAME => run::<Respond>,
        MakeBids::NAME => run::<MakeBids>,
        Rank::NAME => run::<Rank>,
        Assign::NAME => run::<Assign>,
        _ => return None,
    };
    run(generation, input)
}
