use axum::{
    Json,
    extract::Request,
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use haggle_control::ControlError;
use haggle_model::concise;
use haggle_runtime::{ErrorKind, HostError};
use serde::{Deserialize, Serialize};

/// The reason why a request was refused, as problem details (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// `urn:haggle:problem:` and the kind. Stable, for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:haggle:problem:not_found")]
    pub kind: String,
    /// The kind in words. Equal for all problems of the kind.
    #[schema(example = "Not found")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 404)]
    pub status: u16,
    /// What was wrong, where, and how to fix it.
    #[schema(example = "there is no service checkout")]
    pub detail: String,
    /// The value of the `Location` header, where the result will appear.
    #[serde(skip)]
    location: Option<String>,
}

/// The kinds of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The request is malformed.
    Invalid,
    /// The resource does not exist.
    NotFound,
    /// The resource exists, but does not support this method.
    MethodNotAllowed,
    /// The body did not arrive in time.
    Timeout,
    /// The request conflicts with the current state.
    Conflict,
    /// The request carries a condition that the host cannot check.
    PreconditionFailed,
    /// The body is too large.
    TooLarge,
    /// The media type of the body is not supported.
    UnsupportedMediaType,
    /// The body is well-formed but not acceptable.
    Unprocessable,
    /// The host failed internally.
    Internal,
    /// The host is temporarily unable to handle the request.
    Busy,
    /// The host is still starting.
    Starting,
    /// The host is stopping; retry once it runs again.
    Stopping,
}

/// The result of a handler.
pub(crate) type Answer<T> = Result<T, Problem>;

/// The `Retry-After` of a busy host, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static(Problem::MEDIA_TYPE);

impl ProblemKind {
    /// All kinds, ordered by status.
    pub const ALL: [Self; 13] = [
        Self::Invalid,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::Conflict,
        Self::PreconditionFailed,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Unprocessable,
        Self::Internal,
        Self::Busy,
        Self::Starting,
        Self::Stopping,
    ];

    /// The kind's name, as it appears in the `type` of a problem.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Timeout => "timeout",
            Self::Conflict => "conflict",
            Self::PreconditionFailed => "precondition_failed",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Unprocessable => "unprocessable",
            Self::Internal => "internal",
            Self::Busy => "busy",
            Self::Starting => "starting",
            Self::Stopping => "stopping",
        }
    }

    /// The kind in words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Invalid => "Invalid request",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::Timeout => "The request took too long to arrive",
            Self::Conflict => "In conflict with something else",
            Self::PreconditionFailed => "Not under this condition",
            Self::TooLarge => "Too large",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::Unprocessable => "Not acceptable as it is",
            Self::Internal => "The host failed",
            Self::Busy => "Try again later",
            Self::Starting => "The host is starting",
            Self::Stopping => "The host is stopping",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Busy | Self::Starting | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<ErrorKind> for ProblemKind {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Invalid => Self::Invalid,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::TooLarge => Self::TooLarge,
            ErrorKind::Unprocessable => Self::Unprocessable,
            ErrorKind::Busy => Self::Busy,
            ErrorKind::Stopping => Self::Stopping,
            ErrorKind::Internal => Self::Internal,
        }
    }
}

impl Problem {
    /// The content type of a problem.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// Creates a problem of this kind.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:haggle:problem:{}", kind.as_str()),
            title: kind.title().to_owned(),
            status: kind.status().as_u16(),
            detail: concise(&detail.into()),
            location: None,
        }
    }

    /// Adds the location where the result will appear.
    pub(crate) fn at(self, location: String) -> Self {
        Self { location: Some(location), ..self }
    }

    /// Creates a problem for a malformed request.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::Invalid, detail)
    }
}

impl From<HostError> for Problem {
    fn from(error: HostError) -> Self {
        let kind = ProblemKind::from(error.kind());
        if kind == ProblemKind::Internal {
            tracing::error!("{}", concise(&error.to_string()));
        }
        Self::new(kind, error.to_string())
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        HostError::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry: Option<[(HeaderName, HeaderValue); 1]> =
            (status == ProblemKind::Busy.status()).then_some([(header::RETRY_AFTER, RETRY_AFTER)]);
        let location =
            self.location.as_ref().map(|location| [(header::LOCATION, location.clone())]);
        let content_type = [(header::CONTENT_TYPE, MEDIA_TYPE)];
        (status, retry, location, content_type, Json(self)).into_response()
    }
}

pub(crate) async fn no_route(uri: Uri) -> Problem {
    let path = uri.path();
    let detail = format!("there is nothing at {path}: /openapi.json lists what there is");
    Problem::new(ProblemKind::NotFound, detail)
}

pub(crate) async fn no_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not answer to {method}", uri.path());
    Problem::new(ProblemKind::MethodNotAllowed, detail)
}

/// Adds the allowed methods to the problem, because only the router's response knows them.
pub(crate) async fn name_methods(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let Some(allow) = response.headers().get(header::ALLOW).cloned() else { return response };
    let methods = allow.to_str().unwrap_or_default().replace(',', ", ");
    let detail = format!("{path} does not answer to {method}: use one of {methods}");
    let problem = Problem::new(ProblemKind::MethodNotAllowed, detail);
    ([(header::ALLOW, allow)], problem).into_response()
}
