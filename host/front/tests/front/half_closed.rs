//! Clients that shut their writing side and read on.

use crate::support::{Server, is_ok};
use haggle_front::FrontOptions;

fn server() -> Server {
    Server::start(FrontOptions::default())
}

#[test]
fn a_half_closed_client_gets_its_answers() {
    let server = server();
    for (request, end) in [
        ("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n", "index"),
        ("GET /healthz HTTP/1.0\r\n\r\n", "ok"),
        ("POST /length HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nabcde", "\r\n\r\n5"),
        (
            "GET / HTTP/1.1\r\nhost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n",
            "ok",
        ),
    ] {
        let mut client = server.connect();
        client.send(request);
        client.end();
        let response = client.rest();
        assert!(response.contains(" 200 OK") && response.ends_with(end), "{request}: {response}");
    }
}

#[test]
fn a_half_closed_client_may_wait() {
    let server = server();
    let mut client = server.connect();
    client.send("GET /hold HTTP/1.1\r\nhost: localhost\r\n\r\n");
    client.end();
    server.expect("held");
    server.release(1);
    let response = client.rest();
    assert!(is_ok(&response) && response.ends_with("held"), "{response}");
}

#[test]
fn a_large_response_reaches_a_half_closed_client_whole() {
    let server = server();
    let mut client = server.connect();
    client.send("GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n");
    client.end();
    let response = client.rest();
    let (_, body) = response.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), crate::support::LARGE);
}

#[test]
fn a_body_that_is_cut_off_is_not_waited_for() {
    // The body may pause for 60 s, which is longer than the test waits.
    let server = server();
    for framing in ["content-length: 10\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n5\r\nab"] {
        let mut client = server.connect();
        client.send(&format!("POST /length HTTP/1.1\r\nhost: localhost\r\n{framing}"));
        client.end();
        assert!(!is_ok(&client.rest()), "{framing}");
    }
}

#[test]
fn an_event_stream_ends_with_what_its_client_sends() {
    let server = Server::start(FrontOptions { event_streams: 1, ..FrontOptions::default() });
    let mut client = server.connect();
    client.send("GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n");
    client.until("first\n\n");
    client.end();
    assert!(client.is_closed());
}

#[test]
fn who_resets_the_connection_waits_for_nothing() {
    let server = server();
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
    client.leave_unread();
    client.send("GET /wait HTTP/1.1\r\nhost: localhost\r\n\r\n");
    server.expect("waits");
    drop(client);
    server.expect("wait ended");
}
