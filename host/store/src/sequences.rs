use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crate::{Batch, Commit, StoreError, engine::Engine, key, kind::check_key, pages, queue::Queue};

const TAG: u8 = 0x04;
const NAME: &str = "sequence";

/// Number of sequence numbers to reserve at a time.
const BLOCK: u64 = 1024;

/// Assigns unique numbers, even across restarts: a number is assigned only once it is durably reserved. After
/// a crash the rest of a reservation is skipped.
#[derive(Default)]
pub(crate) struct Sequences(Mutex<BTreeMap<String, Sequence>>);

struct Sequence {
    next: u64,
    /// The first number that is not durably reserved.
    reserved: u64,
    /// A reservation in progress, and its upper bound.
    pending: Option<(Commit, u64)>,
}

impl Sequences {
    /// Returns the next number of a sequence, from 1.
    pub(crate) fn allocate(
        &self,
        engine: &dyn Engine,
        queue: &Queue,
        name: &str,
    ) -> Result<u64, StoreError> {
        let mut sequences = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !sequences.contains_key(name) {
            let next = stored(engine, name)?.unwrap_or(1);
            sequences.insert(name.to_owned(), Sequence { next, reserved: next, pending: None });
        }
        let Some(sequence) = sequences.get_mut(name) else { return Err(StoreError::Closed) };
        if sequence.pending.is_none() && sequence.reserved - sequence.next < BLOCK / 2 {
            // Reserve early, so that callers rarely wait for the reservation.
            let reserved = sequence.reserved + BLOCK;
            sequence.pending = Some((queue.commit(reservation(name, reserved)?, None), reserved));
        }
        if sequence.next == sequence.reserved
            && let Some((commit, reserved)) = sequence.pending.take()
        {
            commit.wait()?;
            sequence.reserved = reserved;
        }
        let number = sequence.next;
        sequence.next += 1;
        Ok(number)
    }

    /// Releases the unused part of the reservations. No number may be allocated afterwards.
    pub(crate) fn settle(&self) -> Result<Batch, StoreError> {
        let sequences = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = Batch::new();
        for (name, sequence) in sequences.iter() {
            batch.put_raw(NAME, record_key(name)?, &sequence.next)?;
        }
        Ok(batch)
    }
}

fn record_key(name: &str) -> Result<Vec<u8>, StoreError> {
    check_key(NAME, key::of(TAG, &name.to_owned()))
}

fn reservation(name: &str, reserved: u64) -> Result<Batch, StoreError> {
    let mut batch = Batch::new();
    batch.put_raw(NAME, record_key(name)?, &reserved)?;
    Ok(batch)
}

fn stored(engine: &dyn Engine, name: &str) -> Result<Option<u64>, StoreError> {
    let key = record_key(name)?;
    let Some(bytes) = pages::read(engine, &key)? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| StoreError::corrupt(format_args!("{NAME} {name}"), e))
}
