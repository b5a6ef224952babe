//! The HTTP API. Handlers only translate: what a request says becomes one call of the [`Host`] on a
//! thread that may block, and what the host answers becomes JSON. Every refusal, whoever makes it, is
//! a [`Problem`], and the description at `/openapi.json` comes from the handlers themselves.

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
mod plugins;
mod policies;
mod problem;
mod providers;
mod samples;
mod scaling;
mod serve;
mod services;
mod state;
#[cfg(test)]
mod tests;
mod trace;
mod upload;

use std::sync::Arc;

use axum::{Router, middleware};

use crate::Host;

pub use problem::{Problem, ProblemKind};
pub use serve::serve;

use state::{Api, Closing};

/// What the API is told beside the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiOptions {
    /// The most bytes of a plugin's upload; more is refused while it arrives.
    pub upload_bytes: usize,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self { upload_bytes: haggle_sandbox::Limits::default().upload_bytes }
    }
}

/// Every route of the API over `host`. It runs in a tokio runtime with time and I/O, whose threads for
/// blocking work wait for the host.
pub fn router(host: Arc<Host>, options: ApiOptions) -> Router {
    assemble(Api::new(host, options, Closing::default()))
}

fn assemble(api: Api) -> Router {
    let without_parameters = services::routes()
        .merge(dependencies::routes())
        .merge(providers::routes())
        .merge(policies::routes())
        .merge(calendar::routes())
        .merge(plugins::routes())
        .merge(samples::routes())
        .merge(scaling::routes())
        .merge(negotiations::routes())
        .merge(events::routes())
        .route_layer(middleware::from_fn(extract::refuse_parameters));
    let (router, document) = openapi::described()
        .merge(without_parameters)
        .merge(upload::routes())
        .merge(decisions::routes())
        .merge(forecasts::routes())
        .merge(health::routes())
        .split_for_parts();
    router
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        .layer(openapi::publish(&document))
        .layer(middleware::from_fn(trace::trace))
        .with_state(api)
}
