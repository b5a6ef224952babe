//! Messages to parties elsewhere, over HTTP: each is posted as a CloudEvent whose data is the message. The
//! party answers in the response, or later with `POST /v1/negotiations/{id}/messages`.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, OnceLock, Weak,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use haggle_model::Endpoint;
use haggle_negotiate::{Content, Message, MessageId, Party};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::host::{Host, lock};

/// So many messages are on their way at the same time; the others wait in line.
const CARRIERS: usize = 32;
/// So many answers are worked on at the same time: each may wait for the disk, which then writes for all.
const CLERKS: usize = 8;
/// A party that needs longer answers later, or is asked again.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest time until open sessions are looked at.
const BEAT: Duration = Duration::from_millis(100);

/// Takes messages to endpoints and brings back answers, on threads of its own, for as long as its host
/// lives. It also lets time pass for open sessions.
#[derive(Debug)]
pub struct Courier;

/// Where the host puts what the courier is to take.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    line: OnceLock<Sender<(Endpoint, Message)>>,
    under_way: Arc<UnderWay>,
}

/// Messages on their way or in line, by session and id. A party that takes its time is not sent the same again
/// meanwhile: that would keep the carriers from those who answer.
#[derive(Debug, Default)]
struct UnderWay(Mutex<BTreeSet<(String, MessageId)>>);

/// What became of a message.
pub(crate) struct Delivered {
    pub(crate) message: Message,
    pub(crate) reply: Reply,
}

/// What a party answers at once.
#[derive(Debug, PartialEq)]
pub(crate) enum Reply {
    Said(Box<Content>),
    /// Nothing: the answer comes later, or when it is asked again.
    Nothing,
    /// What nobody can read, and why: it is asked again.
    Unreadable(String),
    /// It was not there, or does not want to be asked now, and why: it is asked again.
    Unreached(String),
    /// It does not want to be asked this, and why.
    Never(String),
}

impl Outbox {
    /// Puts a message there.
    ///
    /// # Errors
    /// Why nobody takes it.
    pub(crate) fn send(&self, endpoint: Endpoint, message: Message) -> Result<(), String> {
        let nobody = || "this host has no courier to reach endpoints".to_owned();
        let line = self.line.get().ok_or_else(nobody)?;
        match self.under_way.begins(&message) {
            true => line.send((endpoint, message)).map_err(|_| nobody()),
            false => Ok(()),
        }
    }
}

impl UnderWay {
    fn begins(&self, message: &Message) -> bool {
        lock(&self.0).insert((message.session.clone(), message.message))
    }

    fn ends(&self, message: &Message) {
        lock(&self.0).remove(&(message.session.clone(), message.message));
    }
}

impl Courier {
    /// Starts a courier for the host, which resumes sessions of an earlier run. A host has one courier: to
    /// start another does nothing.
    ///
    /// # Errors
    /// [`HostError`](crate::HostError) where a thread cannot be started or the store fails.
    pub fn start(host: &Arc<Host>) -> Result<(), crate::HostError> {
        let (outbox, to_carry) = mpsc::channel();
        if host.outbox.line.set(outbox).is_err() {
            return Ok(());
        }
        let (inbox, delivered) = mpsc::channel();
        let (to_carry, delivered) =
            (Arc::new(Mutex::new(to_carry)), Arc::new(Mutex::new(delivered)));
        let agent = agent();
        for _ in 0..CARRIERS {
            let (to_carry, inbox, agent) = (Arc::clone(&to_carry), inbox.clone(), agent.clone());
            let under_way = Arc::clone(&host.outbox.under_way);
            spawn("courier", move || carry(&to_carry, &under_way, &inbox, &agent))?;
        }
        for _ in 0..CLERKS {
            let (delivered, host) = (Arc::clone(&delivered), Arc::downgrade(host));
            spawn("courier clerk", move || take_in(&delivered, &host))?;
        }
        let weak = Arc::downgrade(host);
        spawn("session clock", move || keep_time(&weak))?;
        host.resume_sessions()
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), crate::HostError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map(drop)
        .map_err(|error| crate::HostError::Task(error.to_string()))
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .max_redirects(0)
        .user_agent(concat!("haggle/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

fn carry(
    to_carry: &Mutex<Receiver<(Endpoint, Message)>>,
    under_way: &UnderWay,
    inbox: &Sender<Delivered>,
    agent: &ureq::Agent,
) {
    loop {
        let next = lock(to_carry).recv();
        let Ok((endpoint, message)) = next else { return };
        let reply = post(agent, &endpoint, &message);
        under_way.ends(&message);
        if inbox.send(Delivered { message, reply }).is_err() {
            return;
        }
    }
}

fn take_in(delivered: &Mutex<Receiver<Delivered>>, host: &Weak<Host>) {
    loop {
        let next = lock(delivered).recv_timeout(Duration::from_secs(1));
        let Some(host) = host.upgrade() else { return };
        match next {
            Ok(delivered) => host.delivered(delivered),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn keep_time(host: &Weak<Host>) {
    loop {
        let Some(alive) = host.upgrade() else { return };
        let now = alive.clock.now();
        let due = alive.sessions_due();
        if due.is_some_and(|due| due <= now) {
            alive.tick_sessions();
        }
        drop(alive);
        let pause = due.map_or(BEAT, |due| Duration::from(due.since(now)).min(BEAT));
        std::thread::sleep(pause.max(Duration::from_millis(1)));
    }
}

/// Posts a message and reads the answer.
fn post(agent: &ureq::Agent, endpoint: &Endpoint, message: &Message) -> Reply {
    let event = cloud_event(message).to_string();
    let request = agent.post(endpoint.expose()).header("content-type", CLOUD_EVENT);
    let mut response = match request.send(event) {
        Ok(response) => response,
        Err(error) => return Reply::Unreached(format!("{endpoint} was not reached: {error}")),
    };
    let status = response.status();
    let body = response.body_mut().with_config().limit(Message::MOST_BYTES as u64).read_to_vec();
    match status.as_u16() {
        200..=299 => match body {
            Ok(body) if body.is_empty() => Reply::Nothing,
            Ok(body) => {
                answer(&body).map_or_else(Reply::Unreadable, |said| Reply::Said(Box::new(said)))
            }
            Err(error) => Reply::Unreadable(error.to_string()),
        },
        408 | 425 | 429 | 500..=599 => {
            Reply::Unreached(format!("{endpoint} answered with status {status}"))
        }
        _ => Reply::Never(format!("{endpoint} answered with status {status}")),
    }
}

/// The media type of a CloudEvent in structured mode.
pub(crate) const CLOUD_EVENT: &str = "application/cloudevents+json";

/// The message as a CloudEvent (specification 1.0.2, structured mode).
fn cloud_event(message: &Message) -> Value {
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

/// An answer in a response: a message, bare or as the data of a CloudEvent, or only its `type` and `data`.
fn answer(body: &[u8]) -> Result<Content, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    Content::deserialize(unwrapped(value)).map_err(|error| error.to_string())
}

/// The data of a CloudEvent; anything else as it is.
pub(crate) fn unwrapped(mut value: Value) -> Value {
    match value.get("specversion") {
        Some(_) => value.get_mut("data").map(Value::take).unwrap_or_default(),
        None => value,
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
            r#"{"specversion": "1.0", "type": "x", "data": {"type": "propose", "data": "all"}}"#,
            r#"{"session": "s", "message": 3, "in_reply_to": 3, "from": {"service": "a"}, "type": "propose", "data": "all"}"#,
        ] {
            assert_eq!(answer(body.as_bytes()), said, "{body}");
        }
        for body in ["", "{}", "[]", "null", r#"{"type": "shrug"}"#, r#"{"specversion": "1.0"}"#] {
            assert!(answer(body.as_bytes()).is_err(), "{body}");
        }
    }
}
