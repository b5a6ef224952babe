//! A server of its own for each test, and a client that never fails on a status.

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpStream,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use serde_json::Value;

pub const HAGGLE: &str = env!("CARGO_BIN_EXE_haggle");

/// A running `haggle serve`; killed when dropped.
pub struct Server {
    child: Child,
    url: String,
    agent: ureq::Agent,
}

/// An answer: its status and its body, which is JSON in most cases.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: Value,
}

impl Server {
    /// Starts a host on the data directory, with the simulator as its driver and a pass every second.
    pub fn start(data: &Path) -> Self {
        let config = data.with_extension("yaml");
        std::fs::write(&config, "interval: 1s\nactuator: simulator\n").unwrap();
        let mut child = Command::new(HAGGLE)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let url = loop {
            let mut line = String::new();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it did not start: {said}");
            if let Some(at) = line.find("http://") {
                break line[at..].split_whitespace().next().unwrap().to_owned();
            }
            said.push_str(&line);
        };
        // A thread must read on, or the server blocks on a full pipe.
        std::thread::spawn(move || lines.read_to_string(&mut String::new()));
        Self { child, url, agent: agent() }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// A raw connection, for requests that the client cannot send.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    pub fn get(&self, path: &str) -> Answer {
        Answer::of(self.agent.get(self.url(path)).call()).unwrap()
    }

    pub fn delete(&self, path: &str) -> Answer {
        Answer::of(self.agent.delete(self.url(path)).call()).unwrap()
    }

    pub fn put(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.agent.put(self.url(path)).send_json(body)).unwrap()
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.agent.post(self.url(path)).send_json(body)).unwrap()
    }

    /// Posts without waiting for the outcome.
    pub fn post_async(&self, path: &str, body: &Value) -> Answer {
        let request = self.agent.post(self.url(path)).header("prefer", "respond-async");
        Answer::of(request.send_json(body)).unwrap()
    }

    pub fn put_bytes(&self, path: &str, bytes: &[u8]) -> Answer {
        Answer::of(self.agent.put(self.url(path)).send(bytes)).unwrap()
    }

    /// Asks the server to end, by `SIGTERM`.
    pub fn begin_to_end(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits until it has ended by itself.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Kills the server by `SIGKILL`: at once, without any cleanup.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Answer {
    pub fn of(
        result: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Self, ureq::Error> {
        let mut response = result?;
        let header = response.headers().get("content-type");
        let content_type = header.and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
        let text = response.body_mut().with_config().limit(64 << 20).read_to_string()?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Self { status: response.status().as_u16(), content_type, body })
    }

    /// Asserts that it is a problem document with this status whose detail contains `says`.
    #[track_caller]
    pub fn is_problem(&self, status: u16, says: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.content_type, "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], status, "{self:?}");
        let detail = self.body["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(says), "{says:?} is not in {detail:?}");
    }

    #[track_caller]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.body
    }
}

pub fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into()
}

/// Calls `ask` again and again until it succeeds; its error is the state that it found instead.
#[track_caller]
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Result<T, Value>) -> T {
    let mut last = Value::Null;
    for _ in 0..600 {
        match ask() {
            Ok(found) => return found,
            Err(instead) => last = instead,
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what} did not happen within 30 s, but {last}")
}
