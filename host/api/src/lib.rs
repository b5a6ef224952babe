//! The HTTP API of the policy host. A handler only translates: it reads the host's durable snapshot, which
//! never blocks, or calls one operation of the host and awaits the result without holding a thread. Every
//! error response is a [`Problem`]. The handlers themselves generate the description at `/openapi.json`.
//!
//! [`serve`] puts [`haggle_front`] before the routes; it bounds the resources that clients can use. Responses
//! show endpoints without their secrets.

mod body;
mod calendar;
mod decisions;
mod dependencies;
mod document;
mod document_views;
mod events;
mod extract;
mod forecasts;
mod health;
mod negotiations;
mod openapi;
mod options;
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
mod startup;
mod state;
#[cfg(test)]
mod tests;
mod trace;
mod upload;
mod views;

use std::sync::Arc;

use axum::{Router, middleware};
use haggle_runtime::Host;

pub use options::ApiOptions;
pub use problem::{Problem, ProblemKind};
pub use serve::serve;
pub use startup::Opening;

use state::Api;

/// Builds every route of the API over `host`, without the front that [`serve`] adds. It must run in a tokio
/// runtime with time and I/O enabled.
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
        .layer(middleware::from_fn(extract::refuse_encodings))
        .layer(middleware::from_fn(trace::trace))
        .with_state(Api::new(host, options.upload_bytes));
    // This layer wraps the whole router, because a route reports its allowed methods only in its response.
    Router::new().fallback_service(routes).layer(middleware::from_fn(problem::name_methods))
}
