use std::fs;

use serde_json::json;

use super::{noise, open};
use crate::{Batch, Kind, Negotiations, Store, StoreError, StoreOptions, engine::open_patiently};

fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for i in 0..200 {
        let mut batch = Batch::new();
        batch.put::<Negotiations>(&format!("n-{i}"), &noise(i, 3000).into()).unwrap();
        drop(store.commit(batch));
    }
    drop(store);
    dir
}

fn refused(dir: &std::path::Path) -> StoreError {
    match Store::open(dir, &StoreOptions::default()) {
        Ok(_) => panic!("opened"),
        Err(error) => error,
    }
}

#[test]
fn a_second_opener_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let error = refused(dir.path());
    assert_eq!(error, StoreError::InUse(dir.path().to_owned()));
    assert!(error.to_string().contains("another --data"), "{error}");
    drop(first);
    open(dir.path());
}

#[test]
fn another_schema_is_refused_and_left_alone() {
    let dir = filled();
    fs::write(dir.path().join("format"), "4\n").unwrap();
    assert!(matches!(refused(dir.path()), StoreError::NewerSchema { found: 4, supported: 3, .. }));
    fs::write(dir.path().join("format"), "2\n").unwrap();
    let error = refused(dir.path());
    assert!(matches!(error, StoreError::OlderSchema { found: 2, supported: 3, .. }));
    assert!(error.to_string().contains("earlier version"), "{error}");
    assert!(error.to_string().contains("choose an empty directory"), "{error}");
    fs::write(dir.path().join("format"), "3\n").unwrap();
    assert_eq!(open(dir.path()).scan::<Negotiations>().count(), 200);
}

#[test]
fn damage_to_what_is_compressed_is_found() {
    let long = json!("x".repeat(5000));
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut batch = Batch::new();
    batch.put::<Negotiations>(&"n".to_owned(), &long).unwrap();
    store.commit_wait(batch).unwrap();
    drop(store);
    let state = dir.path().join("state");
    let kept = |damage: fn(&mut Vec<u8>)| {
        let db = open_patiently(&sled::Config::new().path(&state), &state).unwrap();
        let (key, sound) = db.scan_prefix([Negotiations::TAG]).next().unwrap().unwrap();
        assert!(sound.len() < 100, "{} bytes", sound.len());
        let mut damaged = sound.to_vec();
        damage(&mut damaged);
        db.insert(&key, damaged).unwrap();
        drop(db);
        let read = open(dir.path()).get::<Negotiations>(&"n".to_owned());
        let db = open_patiently(&sled::Config::new().path(&state), &state).unwrap();
        db.insert(key, sound).unwrap();
        read
    };
    assert_eq!(kept(|_| {}), Ok(Some(long)));
    let damages: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes.clear(),
        |bytes| bytes.truncate(3),
        |bytes| bytes.truncate(bytes.len() - 1),
        // The length claims 4 GiB.
        |bytes| bytes[1..5].fill(0xff),
    ];
    for damage in damages {
        assert!(matches!(kept(damage), Err(StoreError::Unreadable(_))));
    }
}

#[test]
fn a_damaged_marker_or_a_lost_state_is_an_error_that_says_what_to_do() {
    let dir = filled();
    fs::write(dir.path().join("format"), "one").unwrap();
    assert!(matches!(refused(dir.path()), StoreError::Corrupt { .. }));
    fs::write(dir.path().join("format"), "3").unwrap();
    fs::remove_dir_all(dir.path().join("state")).unwrap();
    let error = refused(dir.path());
    assert!(matches!(error, StoreError::Corrupt { .. }));
    assert!(error.to_string().contains("restore the data directory from a backup"), "{error}");
}

#[test]
fn damaged_files_are_errors_not_panics() {
    let dir = filled();
    let copy = |file: &str| fs::read(dir.path().join("state").join(file)).unwrap();
    let (db, conf) = (copy("db"), copy("conf"));
    // Damage a few bytes, everything after them, and everything before them, at several positions.
    let damages: [fn(&mut [u8], usize); 3] = [
        |bytes, at| bytes[at..at + 16].fill(0xa5),
        |bytes, at| bytes[at..].fill(0),
        |bytes, at| bytes[..at].fill(0xff),
    ];
    let mut noticed = 0;
    for damage in damages {
        for part in 1..6 {
            let other = tempfile::tempdir().unwrap();
            copy_dir(dir.path(), other.path());
            let mut damaged = db.clone();
            damage(&mut damaged, db.len() * part / 7);
            fs::write(other.path().join("state/db"), damaged).unwrap();
            let read = Store::open(other.path(), &StoreOptions::default())
                .and_then(|store| store.scan::<Negotiations>().collect::<Result<Vec<_>, _>>());
            match read {
                Ok(records) => assert!(records.len() <= 200),
                Err(
                    StoreError::Corrupt { .. }
                    | StoreError::Io { .. }
                    | StoreError::Lost(_)
                    | StoreError::Unreadable(_),
                ) => noticed += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(noticed > 0);
    let mut damaged = conf;
    damaged.iter_mut().for_each(|byte| *byte ^= 0x5a);
    fs::write(dir.path().join("state/conf"), damaged).unwrap();
    assert!(matches!(refused(dir.path()), StoreError::Corrupt { .. }));
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
