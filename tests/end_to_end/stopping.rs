//! `SIGTERM` while clients wait, and clients that close one half of their connection.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use serde_json::{Value, json};

use crate::{
    party::Party,
    server::{Server, eventually},
};

const EVENTS: &str = "GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn service() -> Value {
    json!({"replica": {"capacity": {"requests_per_second": 100}}})
}

/// A service whose requests wait for a party that does not answer.
fn with_a_silent_party(server: &Server, party: &Party) {
    server.put("/v1/services/web", &service()).is(201);
    let mut mute = service();
    mute["endpoint"] = json!(party.endpoint);
    server.put("/v1/services/mute", &mute).is(201);
    let ratios = json!({"ratios": {"requests_per_second": 1}});
    server.put("/v1/dependencies/web/mute", &ratios).is(201);
}

fn written(method: &str, path: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn heard(party: &Party, negotiations: usize) {
    eventually("the questions", || {
        let heard = party.heard.lock().unwrap();
        let sessions: std::collections::BTreeSet<_> =
            heard.iter().filter_map(|message| message["session"].as_str()).collect();
        if sessions.len() >= negotiations { Ok(()) } else { Err(json!(*heard)) }
    });
}

#[test]
fn who_waits_when_the_host_is_stopped_is_told_where_to_look_later() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let party = Party::start(|_| None);
    with_a_silent_party(&server, &party);

    let wanted = json!({"service": "web", "replicas": 3, "deadline": "60s"});
    let mut waiting = server.connect();
    waiting.write_all(written("POST", "/v1/scaling-requests", &wanted).as_bytes()).unwrap();
    let mut stream = server.connect();
    stream.write_all(EVENTS.as_bytes()).unwrap();
    heard(&party, 1);
    server.begin_to_end();

    let answer = rest(waiting);
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("");
    assert_eq!(field("retry-after: "), "1", "{head}");
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["type"], "urn:haggle:problem:stopping");
    let events = rest(stream);
    assert!(events.ends_with("\r\n0\r\n\r\n"), "the stream ends as it should: {events:?}");
    assert_eq!(server.wait().code(), Some(0));

    let location = field("location: ");
    assert!(location.starts_with("/v1/scaling-requests/"), "{head}");
    let id = location.rsplit('/').next().unwrap();
    assert!(problem["detail"].as_str().unwrap().contains(id), "{problem}");
    let server = Server::start(&data);
    let progress = server.get(location).is(200);
    assert_eq!(progress["negotiation"], id, "{progress}");
    assert_eq!(progress["pending"], false, "{progress}");
    assert_eq!(progress["verdict"]["verdict"], "denied", "{progress}");
}

#[test]
fn half_closed_clients_are_answered_and_their_streams_end() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let party = Party::start(|_| None);
    with_a_silent_party(&server, &party);
    let wanted = json!({"service": "web", "replicas": 3, "deadline": "2s"});
    for (request, status) in [
        ("GET /healthz HTTP/1.0\r\n\r\n".to_owned(), "200"),
        (written("PUT", "/v1/services/other", &service()), "201"),
        (written("POST", "/v1/scaling-requests", &wanted), "200"),
    ] {
        let mut client = server.connect();
        client.write_all(request.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let answer = rest(client);
        assert!(answer.contains(&format!(" {status} ")), "{request}: {answer}");
    }
    let mut stream = server.connect();
    stream.write_all(EVENTS.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    // The stream ends only because its client has closed its half.
    rest(stream);
}
