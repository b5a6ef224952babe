//! Append-only logs, numbered without gaps from 1.
//!
//! The records that one group appends to a log are packed into as few engine records as possible, each under
//! the number of its first one. One engine record per decision would cost a tree insertion each, which is
//! sled's bottleneck.

use std::{collections::BTreeMap, marker::PhantomData};

use haggle_model::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Encoding, StoreError,
    engine::{Engine, Pair, Pairs},
    key::{self, Key},
    pages::{self, PAGE},
    view::{FIRST, Values, View},
};

/// The tag of the next number of each log.
const NEXT: u8 = 0x03;

/// A kind of log.
pub trait Log {
    /// The first byte of its keys; no two kinds or logs share one.
    const TAG: u8;
    /// The name of one record in messages.
    const NAME: &'static str;
    /// The encoding of its records.
    const ENCODING: Encoding = Encoding::Json;
    /// Maximum size of an encoded record, in bytes.
    const MAX_BYTES: usize = 1 << 20;
    /// The type of its records.
    type Record: Serialize + DeserializeOwned + Numbered + 'static;

    /// The time of a record, for logs with retention by age.
    fn at(_record: &Self::Record) -> Option<Timestamp> {
        None
    }
}

/// A record that stores its number in the log.
pub trait Numbered {
    /// Sets the number.
    fn number(&mut self, sequence: u64);
}

/// An iterator over the records of a log, which reads lazily.
pub struct Records<'a, L> {
    raw: RawRecords<'a>,
    log: PhantomData<L>,
}

/// An iterator over the encoded records of a log.
pub(crate) struct RawRecords<'a> {
    engine: &'a dyn Engine,
    blocks: Pairs<'a>,
    tag: u8,
    from: u64,
    /// The end of the range, exclusive.
    end: u64,
    /// The rest of the current block, last record first.
    block: Vec<(u64, Vec<u8>)>,
}

pub(crate) fn encode_record<L: Log>(
    record: &L::Record,
    scratch: &mut Vec<u8>,
) -> Result<Vec<u8>, StoreError> {
    let bytes = L::ENCODING.encode_checked::<L::Record>(L::NAME, record, scratch)?;
    if bytes.len() > L::MAX_BYTES {
        let what = format!("a {}", L::NAME);
        return Err(StoreError::TooLarge { what, bytes: bytes.len(), most: L::MAX_BYTES });
    }
    Ok(bytes)
}

/// Returns the next number of every log.
pub(crate) fn next_numbers(engine: &dyn Engine) -> Result<BTreeMap<u8, u64>, StoreError> {
    let mut numbers = BTreeMap::new();
    for entry in engine.under(&key::prefix(NEXT)) {
        let (key, record) = entry?;
        let tag = key::decode::<u64>(NEXT, &key).and_then(|tag| u8::try_from(tag).ok());
        let Some(tag) = tag else {
            tracing::error!(key = %pages::name(&key), "the store ignores a record that is no number of a log");
            continue;
        };
        let number = match pages::join(engine, &key, record) {
            Ok(value) => value.and_then(|value| u64::decode(&mut value.as_slice())),
            Err(StoreError::Unreadable(_)) => None,
            Err(error) => return Err(error),
        };
        let number = match number {
            Some(number) => number,
            None => after_last(engine, tag)?,
        };
        numbers.insert(tag, number);
    }
    Ok(numbers)
}

/// The number after the last block of a log, for when the stored next number is unreadable.
fn after_last(engine: &dyn Engine, tag: u8) -> Result<u64, StoreError> {
    let prefix = key::prefix(tag);
    let Some((key, record)) = engine.last(&prefix, &key::end_of(&prefix))? else {
        return Ok(FIRST);
    };
    let first: u64 = key::decode(tag, &key).unwrap_or(FIRST);
    let block = match pages::join(engine, &key, record) {
        Ok(block) => block.and_then(|block| unpack(&block)),
        Err(StoreError::Unreadable(_)) => None,
        Err(error) => return Err(error),
    };
    // If the block is unreadable too, assume more records than any block has.
    let records = block.map_or(u64::from(u32::MAX), |records| records.len() as u64);
    Ok(first.saturating_add(records))
}

/// Packs records with numbers from `first` on; returns the number after them.
pub(crate) fn stage(values: &mut Values, tag: u8, first: u64, records: &[Vec<u8>]) -> u64 {
    let mut number = first;
    let mut start = first;
    let mut block = Vec::new();
    for record in records {
        if !block.is_empty() && block.len() + record.len() + LENGTH >= PAGE {
            values.insert(key::of(tag, &start), Some(std::mem::take(&mut block)));
            start = number;
        }
        // The kind limits a record to far below 4 GiB.
        block.extend_from_slice(&(record.len() as u32).to_be_bytes());
        block.extend_from_slice(record);
        number += 1;
    }
    if !block.is_empty() {
        values.insert(key::of(tag, &start), Some(block));
    }
    let mut next = Vec::new();
    number.encode(&mut next);
    values.insert(key::of(NEXT, &u64::from(tag)), Some(next));
    number
}

/// Deletes the blocks that contain only records before that number.
pub(crate) fn truncate(view: &mut View<'_>, tag: u8, before: u64) -> Result<(), StoreError> {
    let mut earlier: Option<Vec<u8>> = None;
    for entry in view.engine.range(key::prefix(tag), key::of(tag, &before.saturating_add(1))) {
        let (key, _) = entry?;
        if let Some(earlier) = earlier.replace(key) {
            view.delete(earlier);
        }
    }
    Ok(())
}

/// Returns the keys of the oldest blocks of a log that lie entirely before number `keep`, or entirely before
/// `since`; at most `most` of them, and whether those are all. The last block is never included.
pub(crate) fn stale<L: Log>(
    engine: &dyn Engine,
    keep: u64,
    since: Timestamp,
    most: usize,
) -> Result<(Vec<Vec<u8>>, bool), StoreError> {
    let mut stale = Vec::new();
    let mut earlier: Option<Pair> = None;
    for entry in engine.under(&key::prefix(L::TAG)) {
        let entry = entry?;
        // An invalid key belongs to no block.
        let Some(first) = key::decode::<u64>(L::TAG, &entry.0) else { continue };
        if let Some((key, record)) = earlier.replace(entry) {
            if first > keep && !is_older::<L>(engine, &key, record, since)? {
                return Ok((stale, true));
            }
            if stale.len() == most {
                return Ok((stale, false));
            }
            stale.push(key);
        }
    }
    Ok((stale, true))
}

/// Whether the last record of a block is older than `since`, or unreadable.
fn is_older<L: Log>(
    engine: &dyn Engine,
    key: &[u8],
    record: Vec<u8>,
    since: Timestamp,
) -> Result<bool, StoreError> {
    if since == Timestamp::default() {
        return Ok(false);
    }
    let block = match pages::join(engine, key, record) {
        Ok(block) => block.and_then(|block| unpack(&block)?.pop()),
        Err(StoreError::Unreadable(_)) => None,
        Err(error) => return Err(error),
    };
    let record = block.and_then(|bytes| L::ENCODING.decode::<L::Record>(&bytes).ok());
    Ok(record.is_none_or(|record| L::at(&record).is_some_and(|at| at < since)))
}

/// Length of the size prefix of a record, in bytes.
const LENGTH: usize = 4;

/// Splits a block into its records.
pub(crate) fn unpack(mut block: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut records = Vec::new();
    while !block.is_empty() {
        let (length, rest) = block.split_first_chunk::<LENGTH>()?;
        let (record, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        records.push(record.to_vec());
        block = rest;
    }
    Some(records)
}

impl<'a> RawRecords<'a> {
    /// Returns the records from number `from` up to, not including, `end`.
    pub(crate) fn new(
        engine: &'a dyn Engine,
        tag: u8,
        from: u64,
        end: u64,
    ) -> Result<Self, StoreError> {
        let prefix = key::prefix(tag);
        // The block that contains `from` begins at or before it.
        let first = engine.last(&prefix, &key::of(tag, &from))?;
        let start = first.map_or(prefix, |(key, _)| key);
        let blocks = engine.range(start, key::of(tag, &end));
        Ok(Self { engine, blocks, tag, from, end, block: Vec::new() })
    }

    /// Reads the next block; `false` at the end.
    fn advance(&mut self) -> Result<bool, StoreError> {
        let Some((key, record)) = self.blocks.next().transpose()? else { return Ok(false) };
        // The log was truncated meanwhile; continue with the next block.
        let Some(block) = pages::join(self.engine, &key, record)? else { return Ok(true) };
        let damaged = || StoreError::unreadable("block of a log", pages::name(&key), "its form");
        let first: u64 = key::decode(self.tag, &key).ok_or_else(damaged)?;
        let records = unpack(&block).ok_or_else(damaged)?;
        self.block = (first..)
            .zip(records)
            .filter(|(number, _)| (self.from..self.end).contains(number))
            .collect();
        self.block.reverse();
        Ok(true)
    }
}

impl Iterator for RawRecords<'_> {
    type Item = Result<(u64, Vec<u8>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.block.pop() {
                return Some(Ok(record));
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl<'a, L: Log> Records<'a, L> {
    pub(crate) const fn new(raw: RawRecords<'a>) -> Self {
        Self { raw, log: PhantomData }
    }
}

impl<L: Log> Iterator for Records<'_, L> {
    type Item = Result<L::Record, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.raw.next()?;
        Some(next.and_then(|(number, bytes)| {
            let mut record: L::Record = L::ENCODING
                .decode(&bytes)
                .map_err(|detail| StoreError::unreadable(L::NAME, number, detail))?;
            record.number(number);
            Ok(record)
        }))
    }
}
