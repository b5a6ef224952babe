use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{self, KeepAlive, Sse},
};
use haggle_runtime::NumberedEvent;
use serde_json::json;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{openapi::ListProblems, state::Api};

/// Number of events buffered for the connection. A slower reader falls behind in the host's own backlog.
const AHEAD: usize = 16;

/// Interval of the keep-alive comments on an idle stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(stream))
}

/// Follow events
///
/// Streams server-sent events from now on: `event` is the kind, `id` ascends, `data` is the event as JSON. A
/// client that reads too slowly gets an event `lagged` with data such as `{"missed": 12}` in place of the
/// events that it missed; the journal at `/v1/decisions` has every decision. An idle stream carries a comment
/// every 15 seconds.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "decisions",
    operation_id = "follow_events",
    responses(
        (
            status = 200,
            description = "A stream that does not end by itself; the schema is that of `data`",
            content_type = "text/event-stream",
            body = NumberedEvent,
        ),
        ListProblems,
    )
)]
async fn stream(State(api): State<Api>) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::spawn(forward(api.host.events(), sender));
    Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// Forwards events until the host ends or the client disconnects.
async fn forward(
    mut events: broadcast::Receiver<NumberedEvent>,
    sender: mpsc::Sender<Result<sse::Event, Infallible>>,
) {
    let pass = async {
        loop {
            let written = match events.recv().await {
                Ok(event) => written(&event),
                Err(broadcast::error::RecvError::Lagged(missed)) => lagged(missed),
                Err(broadcast::error::RecvError::Closed) => break,
            };
            if sender.send(Ok(written)).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = pass => {}
        () = sender.closed() => {}
    }
}

fn written(event: &NumberedEvent) -> sse::Event {
    // An event is plain data, so serialization cannot fail and yields one line.
    let data = serde_json::to_string(event).unwrap_or_default();
    sse::Event::default().event(event.kind.as_str()).id(event.id.to_string()).data(data)
}

fn lagged(missed: u64) -> sse::Event {
    sse::Event::default().event("lagged").data(json!({ "missed": missed }).to_string())
}

#[cfg(test)]
mod tests {
    use axum::{body::to_bytes, response::IntoResponse};
    use haggle_control::EventKind;
    use haggle_model::Timestamp;
    use serde_json::Value;
    use tokio::sync::{broadcast, mpsc};
    use tokio_stream::wrappers::ReceiverStream;

    use super::{NumberedEvent, Sse, forward};

    fn event(id: u64) -> NumberedEvent {
        NumberedEvent {
            id,
            at: Timestamp::from_millis(id),
            kind: EventKind::Log,
            subject: "test".to_owned(),
            message: "line one\nline two".to_owned(),
            detail: Value::Null,
        }
    }

    #[tokio::test]
    async fn who_falls_behind_is_told_how_much_was_missed() {
        let events = broadcast::Sender::new(2);
        let receiver = events.subscribe();
        for id in 1..=5 {
            events.send(event(id)).unwrap();
        }
        drop(events);
        let (sender, written) = mpsc::channel(16);
        forward(receiver, sender).await;
        let body = Sse::new(ReceiverStream::new(written)).into_response().into_body();
        let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        let events: Vec<&str> = text.trim_end().split("\n\n").collect();
        assert_eq!(events.len(), 3, "{text}");
        assert_eq!(events[0], "event: lagged\ndata: {\"missed\":3}");
        assert!(events[1].contains("id: 4") && events[2].contains("id: 5"), "{text}");
    }
}
