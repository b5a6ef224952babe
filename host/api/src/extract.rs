use axum::{
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderName, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use haggle_control::Principal;
use haggle_model::Name;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use tokio::task::spawn_blocking;

use crate::{
    Problem, ProblemKind,
    body::{JSON_BYTES, Received},
    document,
    problem::Answer,
    state::{Api, lost},
};

/// The principal that makes the request.
pub(crate) struct By(pub(crate) Principal);

/// The path parameters. If a path segment is not a valid name, no resource can have it: reads and deletes
/// answer 404 and writes answer 400. Both responses say what a valid name is.
pub(crate) struct Path<T>(pub(crate) T);

/// The query parameters. `T` should deny unknown fields.
pub(crate) struct Query<T>(pub(crate) T);

/// A JSON body of at most `LIMIT` bytes.
pub(crate) struct Json<T, const LIMIT: usize = JSON_BYTES>(pub(crate) T);

/// Larger JSON bodies are parsed on a blocking thread, because parsing them takes long. In bytes.
const AT_ONCE: usize = 128 << 10;

/// The client's preferences as pairs of lower-case key and value (RFC 7240). As the RFC requires, callers
/// ignore unknown preferences and honour the others as far as possible.
pub(crate) fn preferences(headers: &HeaderMap) -> impl Iterator<Item = (String, &str)> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split([',', ';'])).map(|preference| {
        let (key, value) = preference.split_once('=').unwrap_or((preference, ""));
        (key.trim().to_ascii_lowercase(), value.trim().trim_matches('"'))
    })
}

/// Deserializes a whole number within `LEAST..=MOST` from a query parameter.
pub(crate) fn whole<'de, D: Deserializer<'de>, const LEAST: u64, const MOST: u64>(
    deserializer: D,
) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().ok().filter(|number| (LEAST..=MOST).contains(number)).ok_or_else(|| {
        D::Error::custom(format!("{text:?} is not a whole number from {LEAST} to {MOST}"))
    })
}

/// Whether the client prefers not to wait for the outcome (`respond-async`).
pub(crate) fn prefers_async(headers: &HeaderMap) -> bool {
    preferences(headers).any(|(key, _)| key == "respond-async")
}

/// A JSON body, not yet parsed, that describes the resource in the path. The names in the path complete it.
pub(crate) struct Document(Received);

impl Document {
    /// Parses the body. `names` pairs each field with its value in the path: the body may omit the field,
    /// otherwise its value must agree.
    pub(crate) fn named<T: DeserializeOwned>(self, names: &[(&'static str, &Name)]) -> Answer<T> {
        document::named(&self.0.bytes, names)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(match parts.extensions.get::<haggle_front::Principal>() {
            // Without a front, the request carries no identity.
            None | Some(haggle_front::Principal::Anonymous) => Principal::Anonymous,
            // An unknown kind of principal gets no more rights than an anonymous one.
            Some(_) => Principal::Anonymous,
        }))
    }
}

impl<S, T> FromRequestParts<S> for Path<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => {
                let kind = match parts.method {
                    Method::GET | Method::HEAD | Method::DELETE => ProblemKind::NotFound,
                    _ => ProblemKind::Invalid,
                };
                Err(Problem::new(kind, format!("in the path: {}", error.kind())))
            }
            Err(error) => Err(Problem::new(ProblemKind::Internal, error.body_text())),
        }
    }
}

impl<S, T> FromRequestParts<S> for Query<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(QueryRejection::FailedToDeserializeQueryString(error)) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let cause = cause.unwrap_or_else(|| error.body_text());
                Err(Problem::invalid(format!("in the query: {cause}")))
            }
            Err(error) => Err(Problem::invalid(error.body_text())),
        }
    }
}

impl<T, const LIMIT: usize> FromRequest<Api> for Json<T, LIMIT>
where
    T: DeserializeOwned + Send + 'static,
{
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Answer<Self> {
        let received = json(request, api, LIMIT).await?;
        if received.bytes.len() <= AT_ONCE {
            return document::parse(&received.bytes).map(Self);
        }
        let parsed = spawn_blocking(move || document::parse(&received.bytes)).await;
        parsed.unwrap_or_else(lost).map(Self)
    }
}

impl FromRequest<Api> for Document {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Answer<Self> {
        json(request, api, JSON_BYTES).await.map(Self)
    }
}

/// Refuses any query on routes without parameters, because a parameter without effect is a mistake.
pub(crate) async fn refuse_parameters(request: Request, next: Next) -> Response {
    match request.uri().query() {
        None | Some("") => next.run(request).await,
        Some(query) => {
            let query: String = query.chars().take(80).collect();
            let detail =
                format!("in the query: {query:?} is not known: there are no parameters here");
            Problem::invalid(detail).into_response()
        }
    }
}

/// The headers that make a change conditional.
const CONDITIONS: [HeaderName; 3] =
    [header::IF_MATCH, header::IF_NONE_MATCH, header::IF_UNMODIFIED_SINCE];

/// Refuses conditional changes, because the host cannot check the condition and the client relies on that
/// check.
pub(crate) async fn refuse_conditions(request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    match CONDITIONS.iter().find(|name| request.headers().contains_key(*name)) {
        Some(name) if !is_read => {
            let detail = format!(
                "the condition `{name}` cannot be checked, because documents have no versions here: leave it out, and the last document that is put counts"
            );
            Problem::new(ProblemKind::PreconditionFailed, detail).into_response()
        }
        _ => next.run(request).await,
    }
}

/// Refuses bodies that are encoded or only a part, because the host would take them for the whole text.
pub(crate) async fn refuse_encodings(request: Request, next: Next) -> Response {
    let headers = request.headers();
    if let Some(coding) = headers.get(header::CONTENT_ENCODING)
        && !coding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let detail = "the body has a `Content-Encoding`: send it without one";
        return Problem::new(ProblemKind::UnsupportedMediaType, detail).into_response();
    }
    if headers.contains_key(header::CONTENT_RANGE) {
        let detail = "the header `Content-Range` says that the body is a part: send the whole";
        return Problem::invalid(detail).into_response();
    }
    next.run(request).await
}

async fn json(request: Request, api: &Api, limit: usize) -> Answer<Received> {
    if !is_json(request.headers()) {
        let detail =
            "the body must be JSON and say so: send the header `Content-Type: application/json`";
        return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
    }
    api.documents.read(request, limit).await
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.strip_prefix("application/") {
        Some(subtype) => subtype == "json" || subtype.ends_with("+json"),
        None => false,
    }
}
