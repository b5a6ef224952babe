use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use haggle_model::{Lease, Strict};
use haggle_negotiate::{Message, MessageId, Party};
use haggle_runtime::Host;
use haggle_transport::unwrapped;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Problem,
    extract::Path,
    openapi::{ListProblems, ReadProblems, SendProblems},
    problem::Answer,
    state::{Api, SharedJson, written_json},
};

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(get)).routes(routes!(leases)).routes(routes!(receive))
}

/// All leases.
#[derive(Serialize, ToSchema)]
struct Leases<'a> {
    /// The leases, ordered by id.
    items: Vec<&'a Lease>,
}

/// Get a negotiation
///
/// Returns the demand, the parties asked, their answers and the outcome.
#[utoipa::path(
    get,
    path = "/v1/negotiations/{id}",
    tag = "negotiation",
    operation_id = "get_negotiation",
    params(("id" = String, Path, description = "The negotiation, as verdicts, leases and decisions name it")),
    responses((status = 200, description = "The negotiation", body = Object), ReadProblems)
)]
async fn get(State(api): State<Api>, Path(id): Path<String>) -> Answer<Json<Value>> {
    api.read(move |host| Ok(host.negotiation(&id)?)).await.map(Json)
}

/// List the leases
///
/// Returns the capacity that is held or agreed and has not ended.
#[utoipa::path(
    get,
    path = "/v1/leases",
    tag = "negotiation",
    operation_id = "list_leases",
    responses((status = 200, description = "Leases", body = Leases), ListProblems)
)]
async fn leases(State(api): State<Api>) -> Answer<SharedJson> {
    let written = |host: &Host| {
        let (state, now) = (host.snapshot(), host.now());
        let mut items: Vec<&Lease> = state.leases(now).collect();
        items.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        written_json(&Leases { items })
    };
    api.shared_json(&api.large.leases, written).await
}

/// A message to a negotiation, plain or as the data of a CloudEvent. `sdk/participants.md` describes its
/// fields.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "it describes the body, which the engine reads")]
struct PostedMessage(serde_json::Value);

/// Send a message to a negotiation
///
/// A party with an endpoint uses this to answer later than in the response to the message that it received.
/// The service that requested the negotiation uses it to end the negotiation (`cancel`). The body is a
/// message, plain or as the data of a CloudEvent; the host fills in `session`, `message` and `to` if the body
/// omits them. Sending the same answer again has no effect; the host refuses a different answer to the same
/// message. The host refuses an invalid answer with 422, records it in the transcript and changes nothing:
/// the question stays open.
#[utoipa::path(
    post,
    path = "/v1/negotiations/{id}/messages",
    tag = "negotiation",
    operation_id = "post_message",
    params(("id" = String, Path, description = "The negotiation")),
    request_body(
        content((PostedMessage = "application/json"), (PostedMessage = "application/cloudevents+json")),
        example = json!({"in_reply_to": 3, "from": {"service": "cart"}, "type": "propose", "data": "all"})
    ),
    responses((status = 202, description = "Accepted"), SendProblems)
)]
async fn receive(
    State(api): State<Api>,
    Path(id): Path<String>,
    request: Request,
) -> Answer<StatusCode> {
    let received = api.documents.read(request, Message::MOST_BYTES).await?;
    let message = match message(&id, &received.bytes) {
        Ok(message) => message,
        Err(Wrong::Body(why)) => return Err(Problem::invalid(why)),
        Err(Wrong::Answer { about, from, why }) => {
            return Err(api.host.receive_unreadable(id, from, about, why).await.into());
        }
    };
    api.finish(|host| async move { host.receive(message).await }).await?;
    Ok(StatusCode::ACCEPTED)
}

/// The reason why bytes are not a valid message.
#[derive(Debug)]
enum Wrong {
    /// The body has no sender, or answers no message.
    Body(String),
    /// The sender and the answered message are known, but the content is invalid.
    Answer { about: MessageId, from: Party, why: String },
}

/// Parses a message and completes it from the path.
fn message(session: &str, bytes: &[u8]) -> Result<Message, Wrong> {
    let Strict(value): Strict<Value> =
        serde_json::from_slice(bytes).map_err(|error| Wrong::Body(format!("the body: {error}")))?;
    let mut value = unwrapped(value);
    let no_object = || Wrong::Body("a message is a JSON object".to_owned());
    let fields = value.as_object_mut().ok_or_else(no_object)?;
    let named = fields.entry("session").or_insert_with(|| session.into());
    if named != session {
        return Err(Wrong::Body(format!("session is {named}, and the path says {session:?}")));
    }
    // A message that answers nothing needs no id, because nothing refers to it.
    let answered = fields.get("in_reply_to").cloned();
    fields.entry("message").or_insert_with(|| answered.unwrap_or_else(|| 0.into()));
    let about = fields.get("in_reply_to").and_then(|about| MessageId::deserialize(about).ok());
    let from = fields.get("from").and_then(|from| Party::deserialize(from).ok());
    Strict::deserialize(value).map(|Strict(message)| message).map_err(|error| match (about, from) {
        (Some(about), Some(from)) => Wrong::Answer { about, from, why: error.to_string() },
        _ => Wrong::Body(format!("not a message: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use super::message;

    #[test]
    fn completes_a_message_from_the_path_and_says_what_is_wrong() {
        let short =
            br#"{"in_reply_to": 3, "from": {"service": "cart"}, "type": "propose", "data": "all"}"#;
        let read = message("n-1", short).unwrap();
        assert_eq!((read.session.as_str(), read.in_reply_to), ("n-1", Some(read.message)));
        let cancel =
            br#"{"from": {"service": "cart"}, "type": "cancel", "data": {"reason": "no"}}"#;
        assert_eq!(message("n-1", cancel).unwrap().in_reply_to, None);
        for (body, says) in [
            ("", "body"),
            ("[]", "object"),
            (r#"{"session": "other"}"#, "the path says"),
            (r#"{"in_reply_to": 3, "from": {"service": "cart"}, "type": "shrug"}"#, "shrug"),
            (r#"{"in_reply_to": 3, "type": "propose", "data": "all"}"#, "from"),
            (
                r#"{"in_reply_to": 3, "from": {"service": "cart"}, "type": "counter", "data": {"quantities": {"requests_per_second": -4}, "reason": ""}}"#,
                "-4",
            ),
        ] {
            let error = format!("{:?}", message("n-1", body.as_bytes()).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }
}
