use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

use crate::{FrontOptions, Problem, Refusal, RouteBound, body::Held};

/// Limits the requests in flight and the size of heads.
#[derive(Debug)]
pub(crate) struct Admission {
    head_bytes: usize,
    head_fields: usize,
    requests: Bound,
    routes: Vec<(RouteBound, Bound)>,
    event_streams: Bound,
    closing: watch::Receiver<Option<Instant>>,
}

#[derive(Debug)]
struct Bound {
    places: Arc<Semaphore>,
    most: usize,
}

/// Paths that are always answered, even if all limits are reached.
const HEALTH: [&str; 4] = ["/livez", "/healthz", "/readyz", "/metrics"];

impl Admission {
    pub(crate) fn new(options: &FrontOptions, closing: watch::Receiver<Option<Instant>>) -> Self {
        let routes = options.routes.iter();
        let routes = routes.map(|route| (route.clone(), Bound::new(route.requests)));
        Self {
            head_bytes: options.head_bytes,
            head_fields: options.head_fields,
            requests: Bound::new(options.requests),
            routes: routes.collect(),
            event_streams: Bound::new(options.event_streams),
            closing,
        }
    }

    /// Returns the limit that applies to a request, with the path if it is a route's own limit.
    fn bound(&self, request: &Request) -> (&Bound, Option<&str>) {
        match self.routes.iter().find(|(route, _)| route.fits(request)) {
            Some((route, bound)) => (bound, Some(&route.path)),
            None => (&self.requests, None),
        }
    }

    /// Checks the size of a request's head.
    fn check_head(&self, request: &Request) -> Result<(), Problem> {
        let (fields, headers) = (request.headers().len(), request.headers());
        if fields > self.head_fields {
            let most = self.head_fields;
            let detail = format!("the request has {fields} header fields: send at most {most}");
            return Err(Problem::new(Refusal::HeadTooLarge, detail));
        }
        let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
        let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
        let bytes = target + bytes.sum::<usize>();
        if bytes > self.head_bytes {
            let most = self.head_bytes;
            let detail = format!("the head of the request has {bytes} bytes: send at most {most}");
            return Err(Problem::new(Refusal::HeadTooLarge, detail));
        }
        Ok(())
    }
}

impl RouteBound {
    fn fits(&self, request: &Request) -> bool {
        let rest = request.uri().path().strip_prefix(self.path.as_str());
        let below = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        below && self.methods.contains(request.method())
    }
}

impl Bound {
    fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(most)), most }
    }
}

/// Admits a request if there is room, and holds its place until the response is written.
pub(crate) async fn admit(
    State(admission): State<Arc<Admission>>,
    request: Request,
    next: Next,
) -> Response {
    if let Err(problem) = admission.check_head(&request) {
        return problem.into_response();
    }
    if is_health(&request) {
        return next.run(request).await;
    }
    let (bound, path) = admission.bound(&request);
    let Ok(place) = Arc::clone(&bound.places).try_acquire_owned() else {
        let most = bound.most;
        let to = path.map_or(String::new(), |path| format!(" to {path}"));
        return busy(&format!(
            "{most} requests{to} are in flight, which is the most: ask again later"
        ));
    };
    let is_head = request.method() == Method::HEAD;
    let response = next.run(request).await;
    // Only the head of a response to HEAD is written.
    if is_head || !is_event_stream(&response) {
        return response.map(|body| Held::hold(body, place, None));
    }
    let Ok(stream) = Arc::clone(&admission.event_streams.places).try_acquire_owned() else {
        let most = admission.event_streams.most;
        return busy(&format!(
            "{most} event streams are open, which is the most: close one, or ask again later"
        ));
    };
    let mut closing = admission.closing.clone();
    let until = Box::pin(async move {
        // An error means that the server has ended.
        let _ = closing.wait_for(Option::is_some).await;
    });
    response.map(|body| Held::hold(body, stream, Some(until)))
}

fn is_health(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
        && HEALTH.contains(&request.uri().path())
}

pub(crate) fn is_event_stream(response: &Response) -> bool {
    let value = response.headers().get(header::CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("text/event-stream")
}

fn busy(detail: &str) -> Response {
    tracing::debug!("refused a request: {detail}");
    Problem::new(Refusal::Busy, detail).into_response()
}
