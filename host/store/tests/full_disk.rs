//! A real file system that is full: needs to mount a small one, so root.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr)]

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use haggle_model::Decision;
use haggle_store::{Batch, Decisions, Negotiations, Store, StoreError, StoreOptions};
use serde_json::json;

/// A file system of 24 MiB in memory, until it is dropped.
struct Small(tempfile::TempDir);

impl Small {
    /// None where this user may not mount.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(dir.path())
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(dir)),
            other => {
                eprintln!("skipped, because no file system can be mounted: {other:?}");
                None
            }
        }
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn ballast(&self) -> PathBuf {
        self.0.path().join("ballast")
    }

    /// Takes all room that is left.
    fn fill(&self) {
        let mut file = File::options().append(true).create(true).open(self.ballast()).unwrap();
        for size in [64 << 10, 4096] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path()).status());
    }
}

fn open(dir: &Path) -> Store {
    Store::open(dir, &StoreOptions::default()).unwrap()
}

/// What was acknowledged, and what was refused.
#[derive(Default)]
struct Said {
    acknowledged: Vec<u64>,
    refused: Vec<u64>,
}

impl Said {
    fn write(&mut self, store: &Store) -> Result<(), StoreError> {
        let n = (self.acknowledged.len() + self.refused.len()) as u64;
        let decision: Decision = serde_json::from_value(json!({
            "sequence": 0, "at": 0, "service": "shop", "from": 1, "to": 2, "target": 2,
            "reason": "request", "load": {}, "explanation": n.to_string(),
        }))
        .unwrap();
        let mut batch = Batch::new();
        let noise: Vec<u64> =
            (0..400).map(|i| (n * 1000 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        batch.put::<Negotiations>(&format!("n-{n}"), &json!(noise)).unwrap();
        batch.append::<Decisions>(&decision).unwrap();
        let outcome = store.commit_wait(batch);
        match &outcome {
            Ok(_) => self.acknowledged.push(n),
            Err(error) => {
                assert!(matches!(error, StoreError::Full { .. }), "{error}");
                self.refused.push(n);
            }
        }
        outcome.map(drop)
    }

    fn check(&self, store: &Store) {
        for n in &self.acknowledged {
            let there = store.get::<Negotiations>(&format!("n-{n}")).unwrap();
            assert!(there.is_some(), "{n} was acknowledged");
        }
        for n in &self.refused {
            let there = store.get::<Negotiations>(&format!("n-{n}")).unwrap();
            assert_eq!(there, None, "{n} was refused");
        }
        let decisions: Vec<u64> = store
            .records::<Decisions>(1)
            .unwrap()
            .map(|decision| decision.unwrap().explanation.parse().unwrap())
            .collect();
        assert_eq!(decisions, self.acknowledged);
    }
}

#[test]
fn a_full_disk_refuses_writes_and_is_recovered_from_by_itself() {
    let Some(disk) = Small::mount() else { return };
    let store = open(&disk.data());
    let mut said = Said::default();
    for _ in 0..3 {
        for _ in 0..50 {
            said.write(&store).unwrap();
        }
        disk.fill();
        while said.write(&store).is_ok() {}
        for _ in 0..20 {
            assert!(said.write(&store).is_err());
        }
        said.check(&store);
        disk.free();
        while store.trouble().is_some() {
            thread::yield_now();
        }
        said.write(&store).unwrap();
        said.check(&store);
    }
    drop(store);
    said.check(&open(&disk.data()));
}

#[test]
fn a_store_opens_on_a_full_disk_and_takes_writes_once_there_is_room() {
    let Some(disk) = Small::mount() else { return };
    let mut said = Said::default();
    let store = open(&disk.data());
    for _ in 0..50 {
        said.write(&store).unwrap();
    }
    disk.fill();
    while said.write(&store).is_ok() {}
    drop(store);
    for _ in 0..3 {
        // Whatever the closing has set free.
        disk.fill();
        let store = open(&disk.data());
        said.check(&store);
        assert!(said.write(&store).is_err());
    }
    let store = open(&disk.data());
    disk.free();
    while store.trouble().is_some() {
        thread::yield_now();
    }
    said.write(&store).unwrap();
    drop(store);
    said.check(&open(&disk.data()));
}
