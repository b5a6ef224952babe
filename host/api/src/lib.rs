//! The HTTP API of the policy host. A handler only translates: it reads the host's durable snapshot, for
//! which nobody waits, or has the host do one thing and awaits the answer, which holds no thread. Every
//! refusal, whoever makes it, is a [`Problem`], and the description at `/openapi.json` comes from the handlers
//! themselves.
//!
//! [`serve`] puts [`haggle_front`] before the routes, which bounds what clients may take of the server.
//! Answers show endpoints without the secrets in them.

mod body;
mod calendar;
mod decisions;
mod dependencies;
mod document;
mod events;
mod extract;
mod forecasts;
mod health;
mod negotiations;
mod openapi;
mod opening;
mod plugins;
mod policies;
mod problem;
mod providers;
mod reservations;
mod samples;
mod scaling_requests;
mod serve;
mod services;
mod shared_answer;
mod shown;
mod state;
#[cfg(test)]
mod tests;
mod trace;
mod upload;
mod views;

use std::sync::Arc;

use axum::{Router, middleware};
use haggle_runtime::Host;

pub use opening::Opening;
pub use problem::{Problem, ProblemKind};
pub use serve::{ApiOptions, serve};

use state::Api;

/// Every route of the API over `host`, without the front that [`serve`] puts before them. It runs in a tokio
/// runtime with time and I/O.
pub fn router(host: Arc<Host>, options: &ApiOptions) -> Router {
    let without_parameters = services::routes()
        .merge(dependencies::routes())
        .merge(providers::routes())
        .merge(policies::routes())
        .merge(calendar::routes())
        .merge(plugins::routes())
        .merge(samples::routes())
        .merge(scaling_requests::routes())
        .merge(negotiations::routes())
        .merge(events::routes())
        .route_layer(middleware::from_fn(extract::refuse_parameters));
    let (router, document) = openapi::described()
        .merge(without_parameters)
        .merge(upload::routes())
        .merge(decisions::routes())
        .merge(forecasts::routes())
        .merge(reservations::routes())
        .merge(health::routes())
        .split_for_parts();
    let routes = router
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        .layer(openapi::publish(&document))
        .layer(middleware::from_fn(extract::refuse_conditions))
        .layer(middleware::from_fn(trace::trace))
        .with_state(Api::new(host, options.upload_bytes));
    // Around all of it, because a route says only at its end which methods it has.
    Router::new().fallback_service(routes).layer(middleware::from_fn(problem::name_methods))
}
