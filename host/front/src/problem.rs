use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

/// The reason why the front refused a request, as problem details (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:haggle:problem:` and the refusal. Stable, for programs.
    #[serde(rename = "type")]
    pub kind: String,
    /// The refusal in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong, the limit, and how to fix it.
    pub detail: String,
}

/// The refusals of the front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request has a missing or invalid host.
    Invalid,
    /// A page of another site caused the request.
    Forbidden,
    /// The head or the body took too long to arrive.
    Timeout,
    /// The request is for a different host.
    Misdirected,
    /// The head is too large.
    HeadTooLarge,
    /// A limit of the host is reached.
    Busy,
    /// The host stops before the request is answered.
    Stopping,
}

/// The `Retry-After` of a busy host, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static(Problem::MEDIA_TYPE);

impl Refusal {
    /// All refusals, ordered by status.
    pub const ALL: [Self; 7] = [
        Self::Invalid,
        Self::Forbidden,
        Self::Timeout,
        Self::Misdirected,
        Self::HeadTooLarge,
        Self::Busy,
        Self::Stopping,
    ];

    /// The refusal's name, as it appears in the `type` of a problem.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Forbidden => "forbidden",
            Self::Timeout => "timeout",
            Self::Misdirected => "misdirected",
            Self::HeadTooLarge => "head_too_large",
            Self::Busy => "busy",
            Self::Stopping => "stopping",
        }
    }

    /// The refusal in words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Invalid => "Invalid request",
            Self::Forbidden => "Forbidden to pages of other sites",
            Self::Timeout => "The request took too long to arrive",
            Self::Misdirected => "Not the host that was asked for",
            Self::HeadTooLarge => "The head of the request is too large",
            Self::Busy => "Try again later",
            Self::Stopping => "The host is stopping",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Busy | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Problem {
    /// The content type of a problem.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// Creates a problem for this refusal.
    pub(crate) fn new(refusal: Refusal, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:haggle:problem:{}", refusal.as_str()),
            title: refusal.title().to_owned(),
            status: refusal.status().as_u16(),
            detail: detail.into(),
        }
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn retry_after(&self) -> Option<[(HeaderName, HeaderValue); 1]> {
        let busy = self.status == Refusal::Busy.status().as_u16();
        busy.then_some([(header::RETRY_AFTER, RETRY_AFTER)])
    }

    /// Formats a complete HTTP/1.1 response that closes the connection, for a connection without a parsed
    /// request.
    pub(crate) fn to_wire(&self) -> Vec<u8> {
        // A problem is plain data, so serialization cannot fail.
        let body = serde_json::to_string(self).unwrap_or_default();
        let retry = if self.retry_after().is_some() { "retry-after: 1\r\n" } else { "" };
        let (status, media_type, length) = (self.status(), Self::MEDIA_TYPE, body.len());
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\n{retry}connection: close\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let content_type = [(header::CONTENT_TYPE, MEDIA_TYPE)];
        (self.status(), self.retry_after(), content_type, Json(self)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::{Problem, Refusal};

    #[test]
    fn a_problem_on_the_wire_is_a_whole_response() {
        for refusal in Refusal::ALL {
            let problem = Problem::new(refusal, "because");
            let text = String::from_utf8(problem.to_wire()).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let status = refusal.status();
            assert!(head.starts_with(&format!("HTTP/1.1 {} ", status.as_u16())), "{head}");
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
            let retry = matches!(refusal, Refusal::Busy | Refusal::Stopping);
            assert_eq!(head.contains("retry-after: 1\r\n"), retry, "{head}");
            assert_eq!(serde_json::from_str::<Problem>(body).unwrap(), problem);
        }
    }
}
