//! Messages as CloudEvents (specification 1.0.2, structured mode).

use haggle_negotiate::{Content, Message, Party};
use serde::Deserialize;
use serde_json::{Value, json};

/// The media type of a CloudEvent in structured mode.
pub const CLOUD_EVENT: &str = "application/cloudevents+json";

/// Converts a message to a CloudEvent.
#[must_use]
pub fn cloud_event(message: &Message) -> Value {
    let subject = match &message.to {
        Party::Service(name) => format!("services/{name}"),
        Party::Provider(name) => format!("providers/{name}"),
        Party::Session | Party::Ledger => String::new(),
    };
    json!({
        "specversion": "1.0",
        "id": format!("{}/{}", message.session, message.message),
        "source": format!("/v1/negotiations/{}", message.session),
        "type": format!("haggle.negotiation.{}", message.content.kind()),
        "subject": subject,
        "time": message.at,
        "datacontenttype": "application/json",
        "data": message,
    })
}

/// Returns the data of a CloudEvent; any other value is returned unchanged.
#[must_use]
pub fn unwrapped(mut value: Value) -> Value {
    match value.get("specversion") {
        Some(_) => value.get_mut("data").map(Value::take).unwrap_or_default(),
        None => value,
    }
}

/// Parses an answer in a response: a message, plain or as the data of a CloudEvent, or only its `type` and
/// `data`.
///
/// # Errors
/// The length of the body and the position of the error. The error does not quote the body, because an
/// endpoint may lead to a source whose content must stay private.
pub(crate) fn answer(body: &[u8]) -> Result<Content, String> {
    let length = body.len();
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| format!("its {length} bytes are not JSON{}", place(&error)))?;
    let is_event = value.get("specversion").is_some();
    Content::deserialize(unwrapped(value)).map_err(|_| {
        // Parse again to get the position.
        let error = match is_event {
            true => serde_json::from_slice::<Event>(body).err(),
            false => serde_json::from_slice::<Content>(body).err(),
        };
        let place = error.as_ref().map(place).unwrap_or_default();
        format!("its {length} bytes of JSON are not a message{place}")
    })
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "data")]
    _data: Content,
}

fn place(error: &serde_json::Error) -> String {
    match error.line() {
        0 => String::new(),
        line => format!(", from line {line}, column {} on", error.column()),
    }
}

#[cfg(test)]
mod tests {
    use haggle_negotiate::{Content, Proposed};

    use super::answer;

    #[test]
    fn an_answer_is_a_message_an_event_or_what_is_said() {
        let said = Ok(Content::Propose(Proposed::All));
        for body in [
            r#"{"type": "propose", "data": "all"}"#,
            r#"{"data": "all", "type": "propose"}"#,
            r#"{"specversion": "1.0", "type": "x", "data": {"type": "propose", "data": "all"}}"#,
            r#"{"session": "s", "message": 3, "in_reply_to": 3, "from": {"service": "a"}, "type": "propose", "data": "all"}"#,
        ] {
            assert_eq!(answer(body.as_bytes()), said, "{body}");
        }
    }

    #[test]
    fn what_is_no_answer_is_described_and_not_repeated() {
        for (body, expected) in [
            ("", "its 0 bytes are not JSON, from line 1, column 0 on"),
            ("root:x:0:0", "its 10 bytes are not JSON, from line 1, column 1 on"),
            ("{\n\"root\n", "its 8 bytes are not JSON, from line 3, column 0 on"),
            (
                r#"{"type": "root"}"#,
                "its 16 bytes of JSON are not a message, from line 1, column 15 on",
            ),
            ("null", "its 4 bytes of JSON are not a message"),
            ("[]", "its 2 bytes of JSON are not a message"),
            ("{}", "its 2 bytes of JSON are not a message"),
            (r#"{"type": "propose", "data": "root"}"#, "its 35 bytes of JSON are not a message"),
            (r#"{"specversion": "1.0"}"#, "its 22 bytes of JSON are not a message"),
            (
                r#"{"specversion": "1.0", "data": {"type": "root"}}"#,
                "its 48 bytes of JSON are not a message",
            ),
        ] {
            let error = answer(body.as_bytes()).unwrap_err();
            assert!(error.starts_with(expected) && !error.contains("root"), "{body}: {error}");
        }
    }
}
