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

/// Why a request was refused: problem details as RFC 9457 has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// `urn:haggle:problem:` and the kind; stable, for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:haggle:problem:not_found")]
    pub kind: String,
    /// The kind in words; the same for all problems of the kind.
    #[schema(example = "Not found")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 404)]
    pub status: u16,
    /// What was wrong this time, where, and how to mend it.
    #[schema(example = "there is no service checkout")]
    pub detail: String,
    /// Where to look later, for the header of that name.
    #[serde(skip)]
    location: Option<String>,
}

/// What kinds of problems there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The request does not say what it should.
    Invalid,
    /// There is no such thing.
    NotFound,
    /// There is such a thing, but this cannot be done with it.
    MethodNotAllowed,
    /// The body stopped arriving.
    Timeout,
    /// Something else is in the way.
    Conflict,
    /// It depends on a condition that the host cannot check.
    PreconditionFailed,
    /// The body is too large.
    TooLarge,
    /// The body is of another type.
    UnsupportedMediaType,
    /// What was sent is well-formed, and still not acceptable.
    Unprocessable,
    /// The host's own trouble.
    Internal,
    /// Not now.
    Busy,
    /// Not before the host is open.
    Starting,
    /// Not before the host runs again.
    Stopping,
}

/// What a handler answers.
pub(crate) type Answer<T> = Result<T, Problem>;

/// How long a client should wait before it asks a busy host again, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static(Problem::MEDIA_TYPE);

impl ProblemKind {
    /// All of them, in the order of their status.
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

    /// The name within the problem's type.
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

    /// A problem of that kind.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:haggle:problem:{}", kind.as_str()),
            title: kind.title().to_owned(),
            status: kind.status().as_u16(),
            detail: concise(&detail.into()),
            location: None,
        }
    }

    /// The same problem, and where to look later.
    pub(crate) fn at(self, location: String) -> Self {
        Self { location: Some(location), ..self }
    }

    /// A request that does not say what it should.
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

/// Says in a problem which methods are allowed: only the response of the router knows them.
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
