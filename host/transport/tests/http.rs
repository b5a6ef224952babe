//! Deliveries to parties that are real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use haggle_model::{Endpoint, Timestamp};
use haggle_negotiate::{Content, Information, Message, Party, Proposed};
use haggle_transport::{AddressPolicy, HttpOptions, HttpTransport, Reply, Transport, Transports};
use proptest::prelude::*;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

/// How long a test waits for what must happen, before it fails.
const BOUND: Duration = Duration::from_secs(30);

/// Something that a party says and nobody should repeat.
const WORDS: &str = "root-x-0-0";

fn message() -> Message {
    Message {
        session: "n1".to_owned(),
        message: serde_json::from_value(serde_json::json!(3)).unwrap(),
        in_reply_to: None,
        at: Timestamp::from_millis(0),
        from: Party::Session,
        to: Party::Service("far".parse().unwrap()),
        content: Content::Inform(Information::Received),
    }
}

fn transport(options: HttpOptions) -> Transports {
    Transports::new().with("http", Arc::new(HttpTransport::new(options)))
}

async fn deliver(transport: &Transports, endpoint: &str) -> Reply {
    let endpoint = Endpoint::new(endpoint).unwrap();
    let message = message();
    timeout(BOUND, transport.deliver(&endpoint, &message)).await.unwrap()
}

/// Reads a request to its end: the head, then as many bytes as it says.
async fn read_request(stream: &TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        stream.readable().await.unwrap();
        match stream.try_read(&mut buffer) {
            Ok(0) => return String::from_utf8(bytes).unwrap(),
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(error) => panic!("{error}"),
        }
        let text = String::from_utf8(bytes.clone()).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.unwrap().parse().unwrap() {
                return text;
            }
        }
    }
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        stream.writable().await.unwrap();
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            // Who has read enough hangs up.
            Err(_) => return,
        }
    }
}

/// A party that answers every request with these bytes and hangs up. The requests come out of the channel.
async fn party(response: Vec<u8>) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = asked.send(read_request(&stream).await);
            write(&stream, &response).await;
        }
    });
    (address, requests)
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
        .into()
}

#[tokio::test]
async fn a_party_says_something_nothing_or_nonsense() {
    let transport = transport(HttpOptions::default());
    let said = r#"{"type": "propose", "data": "all"}"#;
    let leak = format!(r#"{{"type": "{WORDS}"}}"#);
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nroot-x-0-0";
    let large = answer("200 OK", &format!("[\"{}\"]", "x".repeat(Message::MOST_BYTES)));
    let chunk = format!("100000\r\n{}\r\n", "x".repeat(1 << 20));
    let endless =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n");
    let redirect = "HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    for (response, kind, text) in [
        (answer("200 OK", said), "said", ""),
        (answer("200 OK", ""), "nothing", ""),
        (answer("204 No Content", ""), "nothing", ""),
        (answer("200 OK", WORDS), "unreadable", "its 10 bytes are not JSON, from line 1, column 1"),
        (answer("200 OK", &leak), "unreadable", "are not a message, from line 1"),
        (cut.into(), "unreadable", "broke off"),
        (large, "unreadable", "longer than the 1048576 bytes"),
        (endless.into(), "unreadable", "longer than the 1048576 bytes"),
        (answer("503 root-x-0-0", WORDS), "unreached", "status 503"),
        (answer("429 Too Many Requests", ""), "unreached", "status 429"),
        (answer("408 Request Timeout", ""), "unreached", "status 408"),
        (answer("404 Not Found", WORDS), "never", "status 404"),
        (redirect.into(), "never", "redirects are not followed"),
        (WORDS.into(), "unreached", "was not reached"),
        ("".into(), "unreached", "was not reached"),
    ] {
        let (address, mut requests) = party(response.clone()).await;
        let reply = deliver(&transport, &format!("http://{address}/x")).await;
        let shown = String::from_utf8_lossy(&response[..response.len().min(80)]).into_owned();
        let (got, why) = match reply {
            Reply::Said(content) => {
                assert_eq!(*content, Content::Propose(Proposed::All));
                ("said", String::new())
            }
            Reply::Nothing => ("nothing", String::new()),
            Reply::Unreadable(why) => ("unreadable", why),
            Reply::Unreached(why) => ("unreached", why),
            Reply::Never(why) => ("never", why),
        };
        assert_eq!(got, kind, "{shown}: {why}");
        assert!(why.contains(text) && !why.contains(WORDS), "{shown}: {why}");
        assert!(why.is_empty() || why.contains(&format!("http://{address}/x")), "{why}");
        assert!(requests.recv().await.is_some());
    }
}

#[tokio::test]
async fn a_message_goes_as_an_event_with_its_credentials() {
    let transport = transport(HttpOptions::default());
    let (address, mut requests) = party(answer("202 Accepted", "")).await;
    let reply = deliver(&transport, &format!("http://us%65r:pa%3Ass@{address}/a?b=c")).await;
    assert_eq!(reply, Reply::Nothing);
    let request = requests.recv().await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{head}");
    for line in [
        "content-type: application/cloudevents+json",
        "authorization: Basic dXNlcjpwYTpzcw==",
        &format!("host: {address}"),
    ] {
        assert!(head.lines().any(|l| l == line), "{line}: {head}");
    }
    let event: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        event,
        serde_json::json!({
            "specversion": "1.0",
            "id": "n1/3",
            "source": "/v1/negotiations/n1",
            "type": "haggle.negotiation.inform",
            "subject": "services/far",
            "time": "1970-01-01T00:00:00Z",
            "datacontenttype": "application/json",
            "data": message(),
        })
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let transport = transport(HttpOptions::default());
    let (elsewhere, mut followed) = party(answer("200 OK", "")).await;
    for status in [301, 302, 303, 307, 308] {
        let response = format!(
            "HTTP/1.1 {status} x\r\nlocation: http://{elsewhere}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        let (address, _requests) = party(response.into()).await;
        assert!(matches!(
            deliver(&transport, &format!("http://{address}/")).await,
            Reply::Never(_)
        ));
    }
    assert!(followed.try_recv().is_err());
}

#[tokio::test]
async fn a_silent_party_delays_only_itself() {
    let options = HttpOptions { in_flight_each: 2, waiting_each: 1, ..HttpOptions::default() };
    let transport = transport(options);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow = format!("http://{}/", silent.local_addr().unwrap());
    let (address, _requests) = party(answer("200 OK", "")).await;
    let mut asked: Vec<_> = (0..3)
        .map(|_| {
            let (transport, slow) = (transport.clone(), slow.clone());
            tokio::spawn(async move { deliver(&transport, &slow).await })
        })
        .collect();
    // Two are on their way.
    let connections = (silent.accept().await.unwrap(), silent.accept().await.unwrap());
    let fast = format!("http://{address}/");
    for _ in 0..20 {
        assert_eq!(deliver(&transport, &fast).await, Reply::Nothing);
    }
    // The third waits or is about to; a fourth and further ones find the line full.
    let Reply::Unreached(why) = deliver(&transport, &slow).await else { panic!("it was silent") };
    assert!(why.contains("1 messages to it wait already"), "{why}");
    assert!(asked.iter().all(|task| !task.is_finished()));
    drop(connections);
    drop(silent);
    for task in &mut asked {
        assert!(matches!(task.await.unwrap(), Reply::Unreached(_)));
    }
}

#[tokio::test]
async fn patience_ends_for_answers_and_in_line() {
    let patience = Duration::from_millis(300);
    let options = HttpOptions { patience, in_flight_each: 1, ..HttpOptions::default() };
    let transport = transport(options);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow = format!("http://{}/", silent.local_addr().unwrap());
    let (first, second) = tokio::join!(deliver(&transport, &slow), deliver(&transport, &slow));
    for reply in [first, second] {
        let Reply::Unreached(why) = reply else { panic!("{reply:?}") };
        assert!(why.contains("300ms"), "{why}");
    }
    // A body that is never complete counts as no answer, too.
    let halting = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/", halting.local_addr().unwrap());
    let (deaf, _kept) = tokio::join!(deliver(&transport, &endpoint), async {
        let (stream, _) = halting.accept().await.unwrap();
        read_request(&stream).await;
        write(&stream, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").await;
        stream
    });
    let Reply::Unreached(why) = deaf else { panic!("{deaf:?}") };
    assert!(why.contains("did not answer within 300ms"), "{why}");
}

#[tokio::test]
async fn the_own_address_and_forbidden_ones_are_not_asked() {
    let (own, mut requests) = party(answer("200 OK", "")).await;
    let port = own.port();
    let everywhere = SocketAddr::from(([0, 0, 0, 0], port));
    for listens in [own, everywhere] {
        let addresses = AddressPolicy { own: vec![listens], allowed: vec![own.ip()] };
        let transport = transport(HttpOptions { addresses, ..HttpOptions::default() });
        for endpoint in [
            format!("http://127.0.0.1:{port}/v1/plugins/mine/rollback"),
            format!("http://localhost:{port}/"),
            format!("http://[::ffff:127.0.0.1]:{port}/"),
            format!("http://0.0.0.0:{port}/"),
            "http://169.254.169.254/latest/api/token".to_owned(),
            "http://[::ffff:169.254.169.254]/".to_owned(),
            "http://[64:ff9b::a9fe:a9fe]/".to_owned(),
            "http://[fe80::1]/".to_owned(),
            "http://224.0.0.1/".to_owned(),
        ] {
            // A machine may resolve its name to ::1 first, where nobody is in this test.
            let reply = deliver(&transport, &endpoint).await;
            let Reply::Never(why) = reply else { panic!("{endpoint}: {reply:?}") };
            assert!(why.contains("must not be connected to"), "{why}");
        }
    }
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn a_scheme_without_a_transport_is_never_reached() {
    let reply = deliver(&Transports::new(), "http://user:secret@a/?secret").await;
    let Reply::Never(why) = reply else { panic!("{reply:?}") };
    assert!(why.contains("http is not supported yet") && !why.contains("secret"), "{why}");
}

/// A party for the property below, on a runtime of its own.
static REFUSES: LazyLock<(tokio::runtime::Runtime, Vec<SocketAddr>)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let addresses = runtime.block_on(async {
        let mut addresses = vec![SocketAddr::from(([169, 254, 1, 1], 80))];
        for response in
            [answer("404 x", ""), answer("503 x", ""), answer("200 OK", "{"), WORDS.into()]
        {
            addresses.push(party(response).await.0);
        }
        addresses
    });
    (runtime, addresses)
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_reply_tells_a_secret(
        user in "zq[a-z0-9!$&]{1,12}",
        password in "qz[a-z0-9:!$&]{1,12}",
        token in "xq[a-z0-9=&/?:@]{1,12}",
        index in 0usize..5,
    ) {
        let (runtime, addresses) = &*REFUSES;
        let endpoint = format!("http://{user}:{password}@{}/p?{token}", addresses[index]);
        let transport = transport(HttpOptions::default());
        let reply = runtime.block_on(deliver(&transport, &endpoint));
        let shown = format!("{reply:?}");
        prop_assert!(!matches!(reply, Reply::Said(_) | Reply::Nothing), "{}", shown);
        prop_assert!(shown.contains("/p?***"), "{}", shown);
        for secret in [&user, &password, &token] {
            prop_assert!(!shown.contains(secret.as_str()), "{}", shown);
        }
    }
}
