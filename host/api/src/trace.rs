use std::time::Instant;

use axum::{extract::Request, middleware::Next, response::Response};

/// Logs each request at debug level.
pub(crate) async fn trace(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let begun = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    tracing::debug!(%method, path, status, elapsed = ?begun.elapsed(), "request");
    response
}
