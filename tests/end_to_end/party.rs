//! A party in negotiations that uses plain HTTP, and answers as the test says.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

/// The messages that it received so far, oldest first.
pub type Heard = Arc<Mutex<Vec<Value>>>;

/// A party on a port of its own. The body of the response to a message is the result of `answers`. Without a result
/// the body is empty, and the test may answer later.
pub struct Party {
    pub endpoint: String,
    pub heard: Heard,
}

impl Party {
    pub fn start(answers: impl Fn(&Value) -> Option<Value> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/negotiate", listener.local_addr().unwrap());
        let heard = Heard::default();
        let (kept, answers) = (Arc::clone(&heard), Arc::new(answers));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answers) = (Arc::clone(&kept), Arc::clone(&answers));
                std::thread::spawn(move || serve(stream, &kept, answers.as_ref()));
            }
        });
        Self { endpoint, heard }
    }

    /// The types of the messages that it received.
    pub fn types(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|message| message["type"].as_str().unwrap().to_owned()).collect()
    }
}

/// Proposes all that is asked for, and confirms it later.
pub fn agreeable(message: &Value) -> Option<Value> {
    match message["type"].as_str()? {
        "call_for_proposals" => Some(json!({"type": "propose", "data": "all"})),
        other => courteous(other),
    }
}

/// The answers to messages about an agreement: a confirmation or an acknowledgement.
pub fn courteous(kind: &str) -> Option<Value> {
    match kind {
        "accept" => Some(json!({"type": "confirm", "data": {}})),
        "confirm" | "release" => Some(json!({"type": "inform", "data": "received"})),
        _ => None,
    }
}

fn serve(stream: TcpStream, heard: &Heard, answers: &dyn Fn(&Value) -> Option<Value>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let event: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(event["specversion"], "1.0");
        let message = event["data"].clone();
        let answer = answers(&message).map_or_else(String::new, |answer| answer.to_string());
        heard.lock().unwrap().push(message);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
        if (&stream).write_all((head + &answer).as_bytes()).is_err() {
            return;
        }
    }
}
