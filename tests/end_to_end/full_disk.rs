//! Runs a real host on a real file system that is full. The test mounts a small one, so it needs root on Linux.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::server::Server;

/// Unmounts when dropped.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0).status());
    }
}

/// A small file system in memory; none if this user may not mount one.
fn mount(path: &Path) -> Option<Mounted<'_>> {
    let mount = ["-t", "tmpfs", "-o", "size=48m", "tmpfs"];
    match Command::new("mount").args(mount).arg(path).output() {
        Ok(output) if output.status.success() => Some(Mounted(path)),
        other => {
            eprintln!("skipped, because no file system can be mounted: {other:?}");
            None
        }
    }
}

fn fill(ballast: &Path) {
    let mut file = File::options().append(true).create(true).open(ballast).unwrap();
    for size in [64 << 10, 4096] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

fn put(server: &Server, name: &str) -> crate::server::Answer {
    let service = json!({"replica": {"capacity": {"requests_per_second": 10}}});
    server.put(&format!("/v1/services/{name}"), &service)
}

/// Puts a service until the host accepts it.
fn put_patiently(server: &Server, name: &str) {
    let limit = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = put(server, name);
        if answer.status == 201 {
            return;
        }
        answer.is_problem(503, "the disk is full");
        assert!(Instant::now() < limit, "it does not recover");
    }
}

/// Puts services until the host refuses one. A few may still fit into space that a write or a start has freed.
fn write_until_refused(
    server: &Server,
    prefix: &str,
    kept: &mut Vec<String>,
    refused: &mut Vec<String>,
) {
    for n in 0.. {
        let name = format!("{prefix}-{n}");
        let answer = put(server, &name);
        if answer.status != 201 {
            answer.is_problem(503, "the disk is full");
            refused.push(name);
            return;
        }
        kept.push(name);
    }
}

#[test]
fn a_full_disk_refuses_writes_and_neither_it_nor_a_kill_needs_a_hand() {
    let dir = tempfile::tempdir().unwrap();
    // The full file system is the data directory itself, so that the configuration beside it can always be written.
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let Some(_mounted) = mount(&data) else { return };
    let ballast = data.join("ballast");
    let mut server = Server::start(&data);
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    for round in 0..3 {
        fill(&ballast);
        write_until_refused(&server, &format!("s{round}"), &mut kept, &mut refused);
        server.get("/readyz").is_problem(503, "the disk is full");
        assert_eq!(server.get("/v1/services").status, 200);
        if round == 1 {
            // The host starts again while the disk is full.
            server.kill();
            server = Server::start(&data);
            write_until_refused(&server, "again", &mut kept, &mut refused);
        }
        fs::remove_file(&ballast).unwrap();
        let name = format!("after-{round}");
        put_patiently(&server, &name);
        kept.push(name);
        assert_eq!(server.get("/readyz").status, 200);
    }
    for restarted in [false, true] {
        if restarted {
            server.kill();
            server = Server::start(&data);
        }
        let status = |name: &String| server.get(&format!("/v1/services/{name}")).status;
        assert!(kept.iter().all(|name| status(name) == 200), "what was acknowledged is there");
        assert!(refused.iter().all(|name| status(name) == 404), "what was refused is not");
    }
}
