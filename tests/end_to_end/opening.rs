//! What a host prints and answers before it is open.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use crate::server::HAGGLE;

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_host_is_heard_of_before_it_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut host = Command::new(HAGGLE)
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path().join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(host.stderr.take().unwrap()).lines().map(Result::unwrap);
    let _host = Killed(host);
    let first = lines.next().unwrap();
    let rest = first.strip_prefix("haggle starts: ").unwrap_or_else(|| panic!("{first}"));
    let (address, _) = rest.split_once("/livez").unwrap();
    assert!(get(address, "/livez").starts_with("HTTP/1.1 200 "));
    let said: Vec<String> = lines.by_ref().take_while(|line| !line.contains("http://")).collect();
    let begun = said.iter().any(|line| line.contains("compiling the built-in plugins: 0 of "));
    assert!(begun, "{said:?}");
    for path in ["/livez", "/readyz", "/healthz", "/v1/services"] {
        let answer = get(address, path);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    }
}
