//! Missing acknowledged writes are detected, and nothing is changed without permission.

use std::{fs, path::Path};

use super::{noise, open};
use crate::{Batch, Loss, Negotiations, Store, StoreError, StoreOptions};

const WRITES: u64 = 200;

fn write(store: &Store, n: u64) {
    let mut batch = Batch::new();
    batch.put::<Negotiations>(&format!("n-{n}"), &noise(n as usize, 3000).into()).unwrap();
    store.commit_wait(batch).unwrap();
}

fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    (0..WRITES).for_each(|n| write(&store, n));
    drop(store);
    dir
}

fn accepting(dir: &Path) -> Store {
    let options = StoreOptions { accept_loss: true, ..StoreOptions::default() };
    Store::open(dir, &options).unwrap()
}

fn lost(dir: &Path) -> Loss {
    match Store::open(dir, &StoreOptions::default()) {
        Ok(_) => panic!("opened"),
        Err(StoreError::Lost(loss)) => loss,
        Err(other) => panic!("{other}"),
    }
}

fn flip(db: &Path, part: usize) -> Vec<u8> {
    let mut bytes = fs::read(db).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[used * part / 10] ^= 1;
    fs::write(db, &bytes).unwrap();
    bytes
}

#[test]
fn a_flipped_bit_anywhere_in_the_log_keeps_the_store_from_opening_and_changes_nothing() {
    for part in [0, 3, 5, 9, 10] {
        let dir = filled();
        let db = dir.path().join("state/db");
        let damaged = flip(&db, part);
        let loss = lost(dir.path());
        assert!(loss.missing() > 0 || loss.damage.is_some(), "{loss:?}");
        assert_eq!(lost(dir.path()), loss, "it says the same again");
        assert!(fs::read(&db).unwrap() == damaged, "nothing was changed");
        let said = loss.to_string();
        assert!(said.contains("--accept-loss") && said.contains("backup"), "{said}");
    }
}

#[test]
fn an_accepted_loss_is_told_of_and_the_damaged_state_kept() {
    let dir = filled();
    let damaged = flip(&dir.path().join("state/db"), 9);
    let foretold = lost(dir.path());
    let store = accepting(dir.path());
    let loss = store.loss().unwrap().clone();
    assert_eq!((loss.acknowledged, loss.found), (foretold.acknowledged, foretold.found));
    assert!(loss.missing() > 0 && loss.missing() < WRITES, "{loss:?}");
    let found = store.scan::<Negotiations>().count() as u64;
    assert!(found > 0 && found < WRITES, "{found}");
    let kept = loss.kept.unwrap();
    assert!(fs::read(kept.join("db")).unwrap() == damaged);
    write(&store, 1000);
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.loss(), None, "it is told of once");
    assert_eq!(store.scan::<Negotiations>().count() as u64, found + 1);
}

#[test]
fn an_older_state_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write(&store, 1);
    drop(store);
    let backup = dir.path().join("backup");
    fs::rename(dir.path().join("state"), &backup).unwrap();
    fs::create_dir(dir.path().join("state")).unwrap();
    for entry in fs::read_dir(&backup).unwrap().flatten() {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), dir.path().join("state").join(entry.file_name())).unwrap();
        }
    }
    let store = open(dir.path());
    (2..10).for_each(|n| write(&store, n));
    drop(store);
    fs::remove_dir_all(dir.path().join("state")).unwrap();
    fs::rename(&backup, dir.path().join("state")).unwrap();
    let loss = lost(dir.path());
    assert!(loss.missing() >= 8, "{loss:?}");
    drop(accepting(dir.path()));
    assert_eq!(open(dir.path()).scan::<Negotiations>().count(), 1);
}

#[test]
fn without_a_note_of_what_was_acknowledged_a_sound_state_opens() {
    let dir = filled();
    fs::remove_file(dir.path().join("acknowledged")).unwrap();
    assert_eq!(open(dir.path()).scan::<Negotiations>().count() as u64, WRITES);
    fs::write(dir.path().join("acknowledged"), "nonsense").unwrap();
    assert_eq!(open(dir.path()).scan::<Negotiations>().count() as u64, WRITES);
}
