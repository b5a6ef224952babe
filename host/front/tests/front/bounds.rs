//! What clients may take of a server, over real sockets.

use std::time::Duration;

use crate::support::{SOON, STRICT, Server, is_ok, problem};
use axum::http::Method;
use haggle_front::{FrontOptions, Pace, RouteBound};

const GET: &str = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const EVENTS: &str = "GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n";
const HOLD: &str = "GET /hold HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn options() -> FrontOptions {
    FrontOptions::default()
}

#[test]
fn a_head_that_trickles_is_given_up() {
    let server = Server::start(FrontOptions { head_patience: SOON, ..options() });
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nhost: localhost\r\nx: ");
    let refused = problem(&client.trickle("x"));
    assert_eq!(refused.status, 408);
    assert!(refused.detail.contains("within 1s"), "{refused:?}");
    let mut client = server.connect();
    client.send(GET);
    assert!(is_ok(&client.until("index")));
    client.send("GET / HT");
    assert_eq!(problem(&client.trickle("x")).kind, "urn:haggle:problem:timeout");
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let server = Server::start(FrontOptions { head_patience: SOON, ..options() });
    assert_eq!(server.connect().rest(), "");
}

#[test]
fn an_idle_connection_is_closed() {
    let server = Server::start(FrontOptions { idle_patience: SOON, ..options() });
    let mut client = server.connect();
    for _ in 0..3 {
        client.send(GET);
        assert!(is_ok(&client.until("index")));
    }
    assert_eq!(client.rest(), "");
}

#[test]
fn a_body_that_trickles_is_given_up_and_a_large_one_is_not() {
    let server = Server::start(FrontOptions { body: STRICT, ..options() });
    for framing in ["content-length: 1000000\r\n\r\n", "transfer-encoding: chunked\r\n\r\n"] {
        let mut client = server.connect();
        client.send("POST /length HTTP/1.1\r\nhost: localhost\r\n");
        client.send(framing);
        let chunked = framing.starts_with("transfer");
        let refused = problem(&client.trickle(if chunked { "1\r\nx\r\n" } else { "x" }));
        assert_eq!(refused.status, 408);
        assert!(refused.detail.contains("for 1s"), "{refused:?}");
    }
    let slow = Pace { patience: SOON, bytes_per_second: 1 };
    let server = Server::start(FrontOptions { body: slow, ..options() });
    let mut client = server.connect();
    client.send("POST /length HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4000000\r\n\r\n");
    for _ in 0..4 {
        client.send(&"x".repeat(1_000_000));
    }
    assert!(is_ok(&client.until("4000000")));
}

#[test]
fn who_waits_by_a_bound_of_its_own_keeps_nobody_out() {
    let route = RouteBound { methods: vec![Method::GET], path: "/hold".to_owned(), requests: 2 };
    let server = Server::start(FrontOptions { requests: 1, routes: vec![route], ..options() });
    let mut waiting: Vec<_> = std::iter::repeat_with(|| server.connect()).take(2).collect();
    for client in &mut waiting {
        client.send(HOLD);
        server.expect("held");
    }
    let refused = problem(&server.ask("GET", "/hold"));
    assert_eq!(refused.status, 503);
    assert!(refused.detail.contains("2 requests to /hold are in flight"), "{refused:?}");
    // Neither another path that begins alike nor another method counts for the bound.
    assert!(server.ask("GET", "/holding").starts_with("HTTP/1.1 404 "));
    assert!(server.ask("POST", "/hold").starts_with("HTTP/1.1 405 "));
    assert!(is_ok(&server.ask("GET", "/")));
    server.release(2);
    for client in &mut waiting {
        assert!(is_ok(&client.until("held")));
    }
}

#[test]
fn a_handler_that_takes_its_time_is_not_the_clients_fault() {
    let server = Server::start(FrontOptions {
        head_patience: SOON,
        idle_patience: SOON,
        body: STRICT,
        response: STRICT,
        ..options()
    });
    let mut held = server.connect();
    held.send(HOLD);
    server.expect("held");
    // Others whose time runs out meanwhile show that time has passed.
    for _ in 0..3 {
        assert_eq!(server.connect().rest(), "");
    }
    server.release(1);
    assert!(is_ok(&held.until("held")));
}

#[test]
fn connections_are_bounded() {
    let server = Server::start(FrontOptions { connections: 2, ..options() });
    let mut open = [server.connect(), server.connect()];
    for client in &mut open {
        client.send(GET);
        assert!(is_ok(&client.until("index")));
    }
    let refused = problem(&server.connect().rest());
    assert_eq!(refused.status, 503);
    assert!(refused.detail.contains("2 connections"), "{refused:?}");
    // A peer that sends a request gets to see the refusal as well.
    let mut client = server.connect();
    client.send(GET);
    assert_eq!(problem(&client.rest()).status, 503);
    drop(open);
    // The server learns of it in its own time.
    assert!((0..10_000).any(|_| is_ok(&server.ask("GET", "/"))));
}

#[test]
fn requests_in_flight_are_bounded_and_health_is_answered() {
    let server = Server::start(FrontOptions { requests: 2, ..options() });
    let mut held = [server.connect(), server.connect()];
    for client in &mut held {
        client.send(HOLD);
        server.expect("held");
    }
    for path in ["/", "/hold", "/healthz/x", "/events"] {
        let refused = problem(&server.ask("GET", path));
        assert_eq!(refused.status, 503, "{path}");
        assert!(refused.detail.contains("2 requests"), "{refused:?}");
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert!(is_ok(&server.ask("GET", path)), "{path}");
    }
    server.release(2);
    for client in &mut held {
        assert!(is_ok(&client.until("held")));
    }
    assert!(is_ok(&server.ask("GET", "/")));
}

#[test]
fn event_streams_are_bounded_by_themselves() {
    let server = Server::start(FrontOptions { requests: 1, event_streams: 2, ..options() });
    let mut streams = [server.connect(), server.connect()];
    for client in &mut streams {
        client.send(EVENTS);
        assert!(is_ok(&client.until("first\n\n")));
    }
    let refused = problem(&server.ask("GET", "/events"));
    assert_eq!(refused.status, 503);
    assert!(refused.detail.contains("2 event streams"), "{refused:?}");
    assert!(is_ok(&server.ask("GET", "/")), "streams do not count as requests");
    assert!(is_ok(&server.ask("HEAD", "/events")), "what has no body is no stream");
    drop(streams);
    assert!((0..10_000).any(|_| {
        let mut client = server.connect();
        client.send(EVENTS);
        is_ok(&client.until("\r\n\r\n"))
    }));
}

#[test]
fn a_client_that_does_not_read_is_dropped() {
    let server = Server::start(FrontOptions { response: STRICT, ..options() });
    let mut client = server.connect();
    client.send("GET /flood HTTP/1.1\r\nhost: localhost\r\n\r\n");
    server.expect("flood ended");
    assert!(client.is_closed());
}

#[test]
fn heads_are_bounded() {
    let server = Server::start(FrontOptions { head_bytes: 8 << 10, head_fields: 10, ..options() });
    for (padding, bound) in
        [(format!("x: {}\r\n", "x".repeat(9000)), "8192"), ("x: y\r\n".repeat(12), "10")]
    {
        let mut client = server.connect();
        client.send(&format!(
            "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{padding}\r\n"
        ));
        let refused = problem(&client.rest());
        assert_eq!(refused.status, 431);
        assert!(refused.detail.contains(bound), "{refused:?}");
    }
    let mut client = server.connect();
    client.send(&format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}", "x".repeat(17_000)));
    let refused = problem(&client.rest());
    assert_eq!(refused.status, 431);
    assert!(refused.detail.contains("at most 8192 bytes"), "{refused:?}");
    assert!(refused.detail.contains("10 header fields"), "{refused:?}");
    // More than the sockets' buffers take: the client is listened to until it can read the answer.
    let mut client = server.connect();
    client.send(&format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}", "x".repeat(900_000)));
    assert_eq!(problem(&client.rest()).status, 431);
    let target = "x".repeat(9000);
    assert_eq!(problem(&server.ask("GET", &format!("/{target}"))).status, 431);
}

#[test]
fn what_is_no_request_is_answered_with_a_problem() {
    let server = Server::start(options());
    for text in [
        "GET /\r\n\r\n",
        "G\u{1}T / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1, 2\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}",
    ] {
        let mut client = server.connect();
        client.send(text);
        let refused = problem(&client.rest());
        assert_eq!(refused.status, 400, "{text:?}");
        assert!(refused.detail.contains("not a request in HTTP/1.1"), "{refused:?}");
        // The same behind a request that was answered.
        let mut client = server.connect();
        client.send(GET);
        assert!(is_ok(&client.until("index")));
        client.send(text);
        assert_eq!(problem(&client.rest()).status, 400, "{text:?}");
    }
}

#[test]
fn shutting_down_ends_streams_and_waits_for_requests() {
    let mut server = Server::start(options());
    let mut idle = server.connect();
    idle.send(GET);
    assert!(is_ok(&idle.until("index")));
    let mut stream = server.connect();
    stream.send(EVENTS);
    stream.until("first\n\n");
    let mut held = server.connect();
    held.send(HOLD);
    server.expect("held");
    server.begin_shutdown();
    assert_eq!(idle.rest(), "");
    assert!(stream.rest().ends_with("0\r\n\r\n"), "the stream ends as it should");
    server.release(1);
    assert!(is_ok(&held.rest()));
    server.join();
    assert!(std::net::TcpStream::connect(server.address).is_err());
}

#[test]
fn shutting_down_does_not_wait_for_ever() {
    let mut server = Server::start(FrontOptions { drain: SOON, ..options() });
    let mut held = server.connect();
    held.send(HOLD);
    server.expect("held");
    server.begin_shutdown();
    let refused = problem(&held.rest());
    assert_eq!(refused.kind, "urn:haggle:problem:stopping");
    assert!(refused.detail.contains("once the host runs again"), "{refused:?}");
    server.join();
}

#[test]
fn shutting_down_does_not_wait_for_who_does_not_read() {
    let mut server = Server::start(FrontOptions { drain: SOON, ..options() });
    let mut client = server.connect();
    client.send("GET /flood HTTP/1.1\r\nhost: localhost\r\n\r\n");
    client.until("\r\n\r\n");
    server.begin_shutdown();
    server.join();
    assert!(client.is_closed());
}

#[test]
fn extreme_options_are_options() {
    let most = Pace { patience: Duration::MAX, bytes_per_second: 0 };
    let server = Server::start(FrontOptions {
        head_patience: Duration::MAX,
        idle_patience: Duration::MAX,
        body: most,
        response: most,
        head_bytes: usize::MAX,
        head_fields: usize::MAX,
        connections: usize::MAX,
        requests: usize::MAX,
        routes: Vec::new(),
        event_streams: usize::MAX,
        drain: Duration::MAX,
        hosts: Vec::new(),
    });
    assert!(is_ok(&server.ask("GET", "/")));
}
