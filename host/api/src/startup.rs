use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
};

use axum::{
    Router,
    extract::Request,
    http::Method,
    response::{IntoResponse, Response},
};
use haggle_runtime::Host;
use tower::{ServiceExt, service_fn};

use crate::{ApiOptions, Problem, ProblemKind};

/// A host that may still be opening. Opening can take minutes if the built-in plugins must first be compiled.
/// The API reports that it is starting until [`Opening::done`] is called.
#[derive(Clone, Debug, Default)]
pub struct Opening(Arc<OnceLock<Arc<Host>>>);

impl Opening {
    /// Marks the host as open; the API uses it from the next request on. A second host is ignored.
    pub fn done(&self, host: Arc<Host>) {
        // A second host is dropped.
        let _ = self.0.set(host);
    }

    /// Returns the host once it is open.
    #[must_use]
    pub fn host(&self) -> Option<&Arc<Host>> {
        self.0.get()
    }
}

impl From<Arc<Host>> for Opening {
    fn from(host: Arc<Host>) -> Self {
        let opening = Self::default();
        opening.done(host);
        opening
    }
}

/// Routes requests to the host once it is open. Until then, only the liveness route answers `ok`; all others
/// answer that the host is starting.
pub(crate) fn router(opening: Opening, options: ApiOptions) -> Router {
    let routes = Arc::new(OnceLock::new());
    Router::new().fallback_service(service_fn(move |request: Request| {
        let open = opening.host().cloned();
        let routes: Option<Router> =
            open.map(|host| routes.get_or_init(|| crate::router(host, &options)).clone());
        async move {
            match routes {
                Some(routes) => routes.oneshot(request).await,
                None => Ok::<_, Infallible>(starting(&request)),
            }
        }
    }))
}

fn starting(request: &Request) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_read && request.uri().path() == "/livez" {
        return "ok".into_response();
    }
    let detail = "the host is starting: it opens its data and compiles its built-in plugins, and its log says how far it is; ask again later, or wait until /readyz answers with 200";
    Problem::new(ProblemKind::Starting, detail).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{body::to_bytes, http::header};
    use tower::ServiceExt;

    use super::{Opening, router};
    use crate::{ApiOptions, ProblemKind, tests};

    #[tokio::test]
    async fn a_host_that_opens_says_so_until_it_is_open() {
        let opening = Opening::default();
        let router = router(opening.clone(), ApiOptions::default());
        let ask = async |method: &str, uri: &str| {
            let response = router.clone().oneshot(tests::request(method, uri)).await.unwrap();
            let retry = response.headers().get(header::RETRY_AFTER).cloned();
            let (status, body) = (response.status(), response.into_body());
            let body = to_bytes(body, usize::MAX).await.unwrap();
            (status.as_u16(), retry.is_some(), String::from_utf8(body.to_vec()).unwrap())
        };
        assert_eq!(ask("GET", "/livez").await, (200, false, "ok".to_owned()));
        for (method, uri) in
            [("GET", "/readyz"), ("GET", "/healthz"), ("GET", "/v1/services"), ("POST", "/livez")]
        {
            let (status, retry, body) = ask(method, uri).await;
            assert_eq!((status, retry), (503, true), "{uri}: {body}");
            assert!(body.contains("urn:haggle:problem:starting"), "{body}");
            assert!(body.contains("compiles its built-in plugins"), "{body}");
        }
        assert_eq!(ProblemKind::Starting.status(), 503);
        opening.done(tests::host().await);
        for uri in ["/livez", "/readyz", "/healthz"] {
            assert_eq!(ask("GET", uri).await, (200, false, "ok".to_owned()), "{uri}");
        }
        assert_eq!(ask("GET", "/v1/graph").await.0, 200);
        assert_eq!(ask("POST", "/livez").await.0, 405);
    }
}
