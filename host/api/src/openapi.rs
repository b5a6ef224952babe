use std::collections::BTreeMap;

use axum::{Extension, body::Bytes, http::header, response::IntoResponse};
use haggle_front::Refusal;
use serde_json::{Value, json};
use utoipa::{
    IntoResponses, OpenApi,
    openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Problem, ProblemKind, state::Api};

/// The description without its paths, which the routes add.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Haggle",
        description = "Scaling that is forecast by sandboxed plugins and negotiated before it happens.\n\n\
            Documents are JSON with `snake_case` fields. Times are RFC 3339 (`2026-01-31T12:00:00Z`) \
            or numbers: seconds since 1970 below 1e11, milliseconds from there on. Durations are text with a \
            unit, such as `90s` or `1h 30m`; amounts are numbers or text such as \
            `500m` or `512Mi`. Whatever is refused is answered with problem details (RFC 9457) that say \
            what was wrong, where, and how to mend it; nothing has changed then.\n\n\
            Before a request reaches any of this, it may be refused with 400 or 421 because of its `Host`, \
            with 403 because a page of another site caused it, with 431 because its head is too large, and \
            with 503 because too many are in flight. A host that is still starting answers everything but `/livez` \
            with 503.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(Problem)),
    tags(
        (name = "services", description = "The services that the host scales."),
        (name = "dependencies", description = "The load that services cause on each other."),
        (name = "providers", description = "The providers of compute units."),
        (name = "policies", description = "How services are scaled."),
        (name = "calendar", description = "Known events that change demand."),
        (name = "plugins", description = "The sandboxed components that make the decisions."),
        (name = "facts", description = "Measurements and forecasts."),
        (name = "negotiation", description = "Requests, agreements and reservations."),
        (name = "decisions", description = "Decisions and events."),
        (name = "host", description = "The host itself."),
    )
)]
struct Description;

/// An empty router that holds the description. The router serves it once [`publish`] provides the complete
/// one.
pub(crate) fn described() -> OpenApiRouter<Api> {
    let mut description = Description::openapi();
    let components = description.components.get_or_insert_default();
    for kind in ProblemKind::ALL {
        components.responses.insert(kind.as_str().to_owned(), RefOr::T(response(kind)));
    }
    for refusal in Refusal::ALL {
        let described = || RefOr::T(refused(refusal));
        components.responses.entry(refusal.as_str().to_owned()).or_insert_with(described);
    }
    OpenApiRouter::with_openapi(description).routes(routes!(document))
}

/// Provides the complete description to the route that serves it.
pub(crate) fn publish(description: &utoipa::openapi::OpenApi) -> Extension<Published> {
    // A description is plain data, so serialization cannot fail.
    Extension(Published(serde_json::to_vec(description).unwrap_or_default().into()))
}

/// The description as JSON.
#[derive(Clone)]
pub(crate) struct Published(Bytes);

/// Get this description
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "host",
    responses((status = 200, description = "The API in OpenAPI form", content_type = "application/json", body = Object))
)]
async fn document(Extension(Published(bytes)): Extension<Published>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], bytes)
}

/// Declares, for the description, the problems that a kind of request can return.
macro_rules! problems {
    ($($(#[$doc:meta])* $group:ident: $($kind:ident)*;)*) => {
        $(
            $(#[$doc])*
            pub(crate) struct $group;

            impl IntoResponses for $group {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    references(&[$(ProblemKind::$kind),*])
                }
            }
        )*
    };
}

problems! {
    /// Problems of listing a collection, which has no name and no parameters.
    ListProblems: Invalid Internal;
    /// Problems of reading a resource by name.
    ReadProblems: Invalid NotFound Internal;
    /// Problems of putting a document.
    WriteProblems: Invalid Timeout Conflict PreconditionFailed TooLarge UnsupportedMediaType Internal Busy;
    /// Problems of sending a document that refers to other resources.
    SendProblems: Invalid NotFound Timeout Conflict PreconditionFailed TooLarge UnsupportedMediaType Unprocessable Internal Busy;
    /// Problems of changing or deleting a resource by name.
    ChangeProblems: Invalid NotFound Conflict PreconditionFailed Internal Busy;
    /// Problems of uploading a plugin.
    UploadProblems: Invalid Timeout Conflict PreconditionFailed TooLarge Unprocessable Internal Busy;
    /// Problems of a health check.
    ReadyProblems: Busy;
}

fn references(kinds: &[ProblemKind]) -> BTreeMap<String, RefOr<Response>> {
    kinds
        .iter()
        .map(|kind| {
            let reference = Ref::from_response_name(kind.as_str());
            (kind.status().as_str().to_owned(), RefOr::Ref(reference))
        })
        .collect()
}

fn response(kind: ProblemKind) -> Response {
    let example = json!({
        "type": Problem::new(kind, "").kind,
        "title": kind.title(),
        "status": kind.status().as_u16(),
        "detail": detail(kind),
    });
    problem(kind.title(), Some(example))
}

/// The response of the front when it refuses a request before a handler sees it.
fn refused(refusal: Refusal) -> Response {
    problem(refusal.title(), None)
}

fn problem(title: &str, example: Option<Value>) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .example(example)
        .build();
    ResponseBuilder::new().description(title).content(Problem::MEDIA_TYPE, content).build()
}

/// An example `detail` for a problem of this kind.
const fn detail(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Invalid => {
            "in the body: `replicas.min`: invalid type: string \"two\", expected a whole number from 0 to 4294967295 (line 4, column 17)"
        }
        ProblemKind::NotFound => "there is no service checkout",
        ProblemKind::MethodNotAllowed => "/v1/graph does not answer to PUT: use one of GET, HEAD",
        ProblemKind::Timeout => "the body arrived too slowly: send it in one piece",
        ProblemKind::Conflict => {
            "service payments still has dependencies (checkout -> payments): delete those first"
        }
        ProblemKind::PreconditionFailed => {
            "the condition `if-match` cannot be checked, because documents have no versions here: leave it out, and the last document that is put counts"
        }
        ProblemKind::TooLarge => "the body is larger than the 2097152 bytes that are taken here",
        ProblemKind::UnsupportedMediaType => {
            "the body must be JSON and say so: send the header `Content-Type: application/json`"
        }
        ProblemKind::Unprocessable => {
            "plugin seasonal: it exports none of the roles: export at least one interface of haggle:plugin"
        }
        ProblemKind::Internal => "the host lost this request: its log says more",
        ProblemKind::Busy => {
            "cannot write /var/lib/haggle/state: the disk is full; make room (a host that runs goes on by itself then)"
        }
        ProblemKind::Starting => {
            "the host is starting: it opens its data and compiles its built-in plugins, and its log says how far it is; ask again later, or wait until /readyz answers with 200"
        }
        ProblemKind::Stopping => {
            "the host is stopping before scaling request h7x2-31 has a verdict. What is agreed until the host ends stands, the rest is denied: look at the request once the host runs again, and ask again for what is missing"
        }
    }
}
