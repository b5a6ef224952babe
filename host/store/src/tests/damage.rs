use std::fs;

use super::open;
use crate::{Batch, Negotiations, Store, StoreError, StoreOptions};

fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for i in 0..200 {
        let mut batch = Batch::new();
        batch.put::<Negotiations>(&format!("n-{i}"), &"x".repeat(3000).into()).unwrap();
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
fn a_newer_schema_is_refused_and_left_alone() {
    let dir = filled();
    fs::write(dir.path().join("format"), "2\n").unwrap();
    assert!(matches!(refused(dir.path()), StoreError::NewerSchema { found: 2, supported: 1, .. }));
    fs::write(dir.path().join("format"), "1\n").unwrap();
    assert_eq!(open(dir.path()).scan::<Negotiations>().count(), 200);
}

#[test]
fn a_damaged_marker_or_a_lost_state_is_an_error_that_says_what_to_do() {
    let dir = filled();
    fs::write(dir.path().join("format"), "one").unwrap();
    assert!(matches!(refused(dir.path()), StoreError::Corrupt { .. }));
    fs::write(dir.path().join("format"), "1").unwrap();
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
    // A few bytes, everything from there on, everything up to there: at several places.
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
                Err(StoreError::Corrupt { .. } | StoreError::Io { .. }) => noticed += 1,
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
