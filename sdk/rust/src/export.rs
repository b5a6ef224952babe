use std::{marker::PhantomData, mem::ManuallyDrop};

use crate::{
    Bidder, FailurePredictor, Forecaster, Policy, Tierer, bidding as b,
    bindings::{bidding, failure_prediction, forecasting, metadata, tiering},
    failure_prediction as p, forecasting as f,
    log::report_panics,
    tiering as t,
    types::{Context, Duration, Event, Fault},
};

/// Joins a policy to the component's exports: it owns what the host passes and lends it to the policy.
/// The export macros name it; nobody else needs to.
#[doc(hidden)]
#[derive(Debug)]
pub struct Exported<T>(PhantomData<T>);

/// What the host has passed. The instance ends with the call, and all that it holds with it at once: to free
/// it piece by piece before is work for nobody.
fn passed<V>(value: V) -> ManuallyDrop<V> {
    ManuallyDrop::new(value)
}

impl<T: Policy> metadata::exports::haggle::policy::metadata::Guest for Exported<T> {
    fn describe() -> crate::metadata::Description {
        report_panics();
        T::describe()
    }
}

impl<T: Forecaster> forecasting::exports::haggle::policy::forecasting::Guest for Exported<T> {
    fn fit(ctx: Context, panel: f::Panel, previous: Option<f::Fitted>) -> Result<f::Fitted, Fault> {
        report_panics();
        let (ctx, panel, previous) = (passed(ctx), passed(panel), passed(previous));
        T::fit(&ctx, &panel, previous.as_ref())
    }

    fn forecast(
        ctx: Context,
        shared: Option<Vec<u8>>,
        tasks: Vec<f::Task>,
        events: Vec<Event>,
    ) -> Vec<Result<f::Outlook, Fault>> {
        report_panics();
        let (ctx, shared, tasks, events) =
            (passed(ctx), passed(shared), passed(tasks), passed(events));
        T::forecast(&ctx, shared.as_deref(), &tasks, &events)
    }
}

impl<T: FailurePredictor> failure_prediction::exports::haggle::policy::failure_prediction::Guest
    for Exported<T>
{
    fn learn(
        ctx: Context,
        model: Option<Vec<u8>>,
        horizon: Duration,
        examples: Vec<p::Example>,
    ) -> Result<Vec<u8>, Fault> {
        report_panics();
        let (ctx, model, examples) = (passed(ctx), passed(model), passed(examples));
        T::learn(&ctx, model.as_deref(), horizon, &examples)
    }

    fn assess(
        ctx: Context,
        model: Option<Vec<u8>>,
        horizon: Duration,
        subjects: Vec<p::Vitals>,
    ) -> Vec<Result<p::Risk, Fault>> {
        report_panics();
        let (ctx, model, subjects) = (passed(ctx), passed(model), passed(subjects));
        T::assess(&ctx, model.as_deref(), horizon, &subjects)
    }
}

impl<T: Bidder> bidding::exports::haggle::policy::bidding::Guest for Exported<T> {
    fn respond(ctx: Context, inquiries: Vec<b::Inquiry>) -> Vec<Result<b::Answer, Fault>> {
        report_panics();
        let (ctx, inquiries) = (passed(ctx), passed(inquiries));
        T::respond(&ctx, &inquiries)
    }

    fn make_bids(
        ctx: Context,
        request: b::Request,
        inventory: Vec<b::ComputeUnit>,
    ) -> Result<Vec<b::Bid>, Fault> {
        report_panics();
        let (ctx, request, inventory) = (passed(ctx), passed(request), passed(inventory));
        T::make_bids(&ctx, &request, &inventory)
    }

    fn rank(ctx: Context, request: b::Request, bids: Vec<b::Bid>) -> Result<Vec<f64>, Fault> {
        report_panics();
        let (ctx, request, bids) = (passed(ctx), passed(request), passed(bids));
        T::rank(&ctx, &request, &bids)
    }
}

impl<T: Tierer> tiering::exports::haggle::policy::tiering::Guest for Exported<T> {
    fn assign(ctx: Context, apis: Vec<t::ApiState>) -> Result<Vec<t::Assignment>, Fault> {
        report_panics();
        let (ctx, apis) = (passed(ctx), passed(apis));
        T::assign(&ctx, &apis)
    }
}

/// Exports a policy that plays several roles: `export!(Mine: forecaster, tierer);`. The roles are
/// `forecaster`, `failure_predictor`, `bidder` and `tierer`.
///
/// A crate exports one policy. In a native build it only checks that the traits are there.
#[macro_export]
macro_rules! export {
    ($policy:ty: $($role:ident),+ $(,)?) => {
        const _: () = {
            #[allow(dead_code)]
            type Exported = $crate::Exported<$policy>;
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::metadata::export!(Exported with_types_in $crate::bindings::metadata);
            $($crate::__export_role!($role, $policy, Exported);)+
        };
    };
}

/// Exports a [`Forecaster`](crate::Forecaster).
#[macro_export]
macro_rules! export_forecaster {
    ($policy:ty) => {
        $crate::export!($policy: forecaster);
    };
}

/// Exports a [`FailurePredictor`](crate::FailurePredictor).
#[macro_export]
macro_rules! export_failure_predictor {
    ($policy:ty) => {
        $crate::export!($policy: failure_predictor);
    };
}

/// Exports a [`Bidder`](crate::Bidder).
#[macro_export]
macro_rules! export_bidder {
    ($policy:ty) => {
        $crate::export!($policy: bidder);
    };
}

/// Exports a [`Tierer`](crate::Tierer).
#[macro_export]
macro_rules! export_tierer {
    ($policy:ty) => {
        $crate::export!($policy: tierer);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_role {
    (forecaster, $policy:ty, $exported:ident) => {
        $crate::__export_role!(@ Forecaster, forecasting, $policy, $exported);
    };
    (failure_predictor, $policy:ty, $exported:ident) => {
        $crate::__export_role!(@ FailurePredictor, failure_prediction, $policy, $exported);
    };
    (bidder, $policy:ty, $exported:ident) => {
        $crate::__export_role!(@ Bidder, bidding, $policy, $exported);
    };
    (tierer, $policy:ty, $exported:ident) => {
        $crate::__export_role!(@ Tierer, tiering, $policy, $exported);
    };
    (@ $role:ident, $interface:ident, $policy:ty, $exported:ident) => {
        const _: fn() = || {
            fn plays<T: $crate::$role>() {}
            plays::<$policy>();
        };
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::$interface::export!($exported with_types_in $crate::bindings::$interface);
    };
}
