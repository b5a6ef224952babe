//! What web pages of others may do, over real sockets. The rules themselves are tested beside the code.

use crate::support::{Server, is_ok, problem};
use haggle_front::FrontOptions;

fn server() -> Server {
    let hosts = vec!["haggle.example".parse().unwrap()];
    Server::start(FrontOptions { hosts, ..FrontOptions::default() })
}

fn ask(server: &Server, line: &str, headers: &str) -> String {
    let mut client = server.connect();
    client.send(&format!("{line} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n"));
    client.rest()
}

#[test]
fn pages_of_others_do_not_reach_handlers() {
    let server = server();
    let port = server.address.port();
    let own = format!("host: 127.0.0.1:{port}\r\n");
    for (line, headers, status) in [
        ("GET /", format!("host: evil.example:{port}\r\n"), 421),
        (
            "POST /",
            format!("host: evil.example:{port}\r\norigin: http://evil.example:{port}\r\n"),
            421,
        ),
        ("GET /healthz", "host: evil.example\r\n".to_owned(), 421),
        ("GET /nowhere", "host: evil.example\r\n".to_owned(), 421),
        ("GET /", String::new(), 400),
        ("POST /", format!("{own}origin: null\r\n"), 403),
        ("POST /", format!("{own}origin: https://evil.example\r\n"), 403),
        ("POST /", format!("{own}sec-fetch-site: cross-site\r\n"), 403),
        ("PUT /nowhere", format!("{own}sec-fetch-site: same-site\r\n"), 403),
    ] {
        let response = ask(&server, line, &headers);
        let refused = problem(&response);
        assert_eq!(refused.status, status, "{line} {headers}");
        assert!(refused.kind.starts_with("urn:haggle:problem:"), "{refused:?}");
        assert!(!response.contains("access-control"), "{response}");
    }
    let misdirected = problem(&ask(&server, "GET /", "host: evil.example\r\n")).detail;
    for part in ["evil.example", "localhost", "127.0.0.1", "haggle.example", "add"] {
        assert!(misdirected.contains(part), "{misdirected}");
    }
}

#[test]
fn own_pages_and_other_clients_do() {
    let server = server();
    let port = server.address.port();
    for (line, headers) in [
        ("GET /", format!("host: 127.0.0.1:{port}\r\nsec-fetch-site: cross-site\r\n")),
        ("POST /", format!("host: localhost:{port}\r\n")),
        ("POST /", format!("host: localhost:{port}\r\norigin: http://localhost:{port}\r\n")),
        ("POST /", "host: haggle.example\r\norigin: https://haggle.example\r\n".to_owned()),
    ] {
        let response = ask(&server, line, &headers);
        assert!(is_ok(&response), "{line} {headers}: {response}");
        for header in
            ["cross-origin-resource-policy: same-origin", "x-content-type-options: nosniff"]
        {
            assert!(response.contains(header), "{response}");
        }
    }
    let mut old = server.connect();
    old.send("GET /healthz HTTP/1.0\r\n\r\n");
    assert!(old.rest().contains("200 OK"));
    assert!(ask(&server, "GET /who", "host: localhost\r\n").ends_with("Anonymous"));
}

#[test]
fn a_client_that_sends_a_large_body_sees_why_it_is_refused() {
    let server = server();
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nhost: evil.example\r\ncontent-length: 800000\r\n\r\n");
    client.send(&"x".repeat(800_000));
    let response = client.until("}");
    assert_eq!(problem(&response).status, 421);
    assert!(client.is_closed());
}
