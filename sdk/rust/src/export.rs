use std::{marker::PhantomData, mem::ManuallyDrop};

use crate::{
    Answering, FailurePrediction, Forecasting, Plugin, Ranking, Selling, Tiering, answering as a,
    bindings::{answering, failure_prediction, forecasting, metadata, ranking, selling, tiering},
    failure_prediction as p, forecasting as f,
    log::report_panics,
    market as m, selling as s, tiering as t,
    types::{CalendarEvent, Context, Fault},
};

/// Connects a plugin to the component's exports: it owns the arguments that the host passes, and lends them to the
/// plugin. Only the export macro uses it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Exported<T>(PhantomData<T>);

/// An argument that the host passed. It is never freed, because the instance and its memory end with the call.
fn passed<V>(value: V) -> ManuallyDrop<V> {
    ManuallyDrop::new(value)
}

impl<T: Plugin> metadata::exports::haggle::plugin::metadata::Guest for Exported<T> {
    fn describe() -> crate::metadata::Description {
        report_panics();
        T::describe()
    }

    fn validate_configuration(configuration: String) -> Result<(), String> {
        report_panics();
        T::validate_configuration(&configuration)
    }
}

impl<T: Forecasting> forecasting::exports::haggle::plugin::forecasting::Guest for Exported<T> {
    fn fit(ctx: Context, panel: f::Panel, previous: Option<f::Fitted>) -> Result<f::Fitted, Fault> {
        report_panics();
        let (ctx, panel, previous) = (passed(ctx), passed(panel), passed(previous));
        T::fit(&ctx, &panel, previous.as_ref())
    }

    fn forecast(
        ctx: Context,
        shared: Option<Vec<u8>>,
        tasks: Vec<f::Task>,
        events: Vec<CalendarEvent>,
    ) -> Vec<Result<f::Outlook, Fault>> {
        report_panics();
        let (ctx, shared, tasks, events) =
            (passed(ctx), passed(shared), passed(tasks), passed(events));
        T::forecast(&ctx, shared.as_deref(), &tasks, &events)
    }
}

impl<T: FailurePrediction> failure_prediction::exports::haggle::plugin::failure_prediction::Guest
    for Exported<T>
{
    fn learn(
        ctx: Context,
        model: Option<Vec<u8>>,
        horizon_ms: u64,
        examples: Vec<p::Example>,
    ) -> Result<Vec<u8>, Fault> {
        report_panics();
        let (ctx, model, examples) = (passed(ctx), passed(model), passed(examples));
        T::learn(&ctx, model.as_deref(), horizon_ms, &examples)
    }

    fn assess(
        ctx: Context,
        model: Option<Vec<u8>>,
        horizon_ms: u64,
        instances: Vec<p::Vitals>,
    ) -> Vec<Result<p::Risk, Fault>> {
        report_panics();
        let (ctx, model, instances) = (passed(ctx), passed(model), passed(instances));
        T::assess(&ctx, model.as_deref(), horizon_ms, &instances)
    }
}

impl<T: Answering> answering::exports::haggle::plugin::answering::Guest for Exported<T> {
    fn respond(ctx: Context, inquiries: Vec<a::Inquiry>) -> Vec<Result<a::Answer, Fault>> {
        report_panics();
        let (ctx, inquiries) = (passed(ctx), passed(inquiries));
        T::respond(&ctx, &inquiries)
    }
}

impl<T: Selling> selling::exports::haggle::plugin::selling::Guest for Exported<T> {
    fn make_bids(
        ctx: Context,
        request: m::Request,
        inventory: Vec<s::ComputeUnit>,
    ) -> Result<Vec<m::Bid>, Fault> {
        report_panics();
        let (ctx, request, inventory) = (passed(ctx), passed(request), passed(inventory));
        T::make_bids(&ctx, &request, &inventory)
    }
}

impl<T: Ranking> ranking::exports::haggle::plugin::ranking::Guest for Exported<T> {
    fn rank(ctx: Context, request: m::Request, bids: Vec<m::Bid>) -> Result<Vec<f64>, Fault> {
        report_panics();
        let (ctx, request, bids) = (passed(ctx), passed(request), passed(bids));
        T::rank(&ctx, &request, &bids)
    }
}

impl<T: Tiering> tiering::exports::haggle::plugin::tiering::Guest for Exported<T> {
    fn assign(ctx: Context, services: Vec<t::ServiceState>) -> Result<Vec<t::Assignment>, Fault> {
        report_panics();
        let (ctx, services) = (passed(ctx), passed(services));
        T::assign(&ctx, &services)
    }
}

/// Exports a plugin and names its roles, as the contract names them: `export!(Mine: forecasting);`, or
/// `export!(Mine: answering, selling, ranking);`. The roles are `forecasting`, `failure_prediction`,
/// `answering`, `selling`, `ranking` and `tiering`; the plugin implements the trait of each.
///
/// A crate exports one plugin. In a native build the macro only checks that the traits are implemented.
#[macro_export]
macro_rules! export {
    ($plugin:ty: $($role:ident),+ $(,)?) => {
        const _: () = {
            #[allow(dead_code)]
            type Exported = $crate::Exported<$plugin>;
            #[cfg(target_arch = "wasm32")]
            $crate::bindings::metadata::export!(Exported with_types_in $crate::bindings::metadata);
            $($crate::__export_role!($role, $plugin, Exported);)+
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_role {
    (forecasting, $plugin:ty, $exported:ident) => {
        $crate::__export_role!(@ Forecasting, forecasting, $plugin, $exported);
    };
    (failure_prediction, $plugin:ty, $exported:ident) => {
        $crate::__export_role!(@ FailurePrediction, failure_prediction, $plugin, $exported);
    };
    (answering, $plugin:ty, $exported:ident) => {
        $crate::__export_role!(@ Answering, answering, $plugin, $exported);
    };
    (selling, $plugin:ty, $exported:ident) => {
        $crate::__export_role!(@ Selling, selling, $plugin, $exported);
    };
    (ranking, $plugin:ty, $exported:ident) => {
        $crate::__export_role!(@ Ranking, ranking, $plugin, $exported);
    };
    (tiering, $plugin:ty, $exported:ident) => {
        $crate::__export_role!(@ Tiering, tiering, $plugin, $exported);
    };
    ($role:ident, $plugin:ty, $exported:ident) => {
        ::core::compile_error!(::core::concat!(
            ::core::stringify!($role),
            " is not a role: use forecasting, failure_prediction, answering, selling, ranking or tiering"
        ));
    };
    (@ $role:ident, $interface:ident, $plugin:ty, $exported:ident) => {
        const _: fn() = || {
            fn implements<T: $crate::$role>() {}
            implements::<$plugin>();
        };
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::$interface::export!($exported with_types_in $crate::bindings::$interface);
    };
}
