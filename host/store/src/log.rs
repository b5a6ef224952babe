//! Logs: records that are only ever appended, numbered without gaps from 1.
//!
//! What one group appends to a log is packed into as few records of the engine as fit, each under the number
//! of its first: a decision a record would cost a tree insertion each, which is what limits sled.

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

/// The tag under which the next number of each log is kept.
const NEXT: u8 = 0x03;

/// A kind of log.
pub trait Log {
    /// The first byte of its keys; no two kinds or logs share one.
    const TAG: u8;
    /// What one of its records is called in messages.
    const NAME: &'static str;
    /// How its records are written.
    const ENCODING: Encoding = Encoding::Json;
    /// The most bytes that an encoded record may have.
    const MAX_BYTES: usize = 1 << 20;
    /// What is appended.
    type Record: Serialize + DeserializeOwned + Numbered + 'static;

    /// When a record is from, for logs that forget by age.
    fn at(_record: &Self::Record) -> Option<Timestamp> {
        None
    }
}

/// A record that knows its place in its log.
pub trait Numbered {
    /// Tells it.
    fn number(&mut self, sequence: u64);
}

/// The records of a log, read as they are asked for.
pub struct Records<'a, L> {
    raw: RawRecords<'a>,
    log: PhantomData<L>,
}

/// The records of a log as bytes.
pub(crate) struct RawRecords<'a> {
    engine: &'a dyn Engine,
    blocks: Pairs<'a>,
    tag: u8,
    from: u64,
    /// The first number not to be read.
    end: u64,
    /// What is left of the current block, last record first.
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

/// The next number of every log.
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

/// The number behind the last block of a log, for when the one that is kept cannot be read.
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
    // More than any block has, where that one cannot be read either.
    let records = block.map_or(u64::from(u32::MAX), |records| records.len() as u64);
    Ok(first.saturating_add(records))
}

/// Packs records that get the numbers from `first` on; returns the number after them.
pub(crate) fn stage(values: &mut Values, tag: u8, first: u64, records: &[Vec<u8>]) -> u64 {
    let mut number = first;
    let mut start = first;
    let mut block = Vec::new();
    for record in records {
        if !block.is_empty() && block.len() + record.len() + LENGTH >= PAGE {
            values.insert(key::of(tag, &start), Some(std::mem::take(&mut block)));
            start = number;
        }
        // A record is far below 4 GiB: its kind bounds it.
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

/// Deletes the blocks all of whose records come before that number.
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

/// The keys of the blocks at the beginning of a log that come before number `keep` as a whole, or whose records
/// are all from before `since`; at most `most` of them, and whether those are all. The last block stays.
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
        // Under a key that is none there is no block: it says nothing about the others.
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

/// Whether the last record of a block is from before that moment, or cannot be read.
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

/// How many bytes stand before a record to say how long it is.
const LENGTH: usize = 4;

/// The records of a block.
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
    /// The records from number `from` up to, not including, `end`.
    pub(crate) fn new(
        engine: &'a dyn Engine,
        tag: u8,
        from: u64,
        end: u64,
    ) -> Result<Self, StoreError> {
        let prefix = key::prefix(tag);
        // The block that holds `from` begins at or before it.
        let first = engine.last(&prefix, &key::of(tag, &from))?;
        let start = first.map_or(prefix, |(key, _)| key);
        let blocks = engine.range(start, key::of(tag, &end));
        Ok(Self { engine, blocks, tag, from, end, block: Vec::new() })
    }

    /// Reads the next block; `false` at the end.
    fn advance(&mut self) -> Result<bool, StoreError> {
        let Some((key, record)) = self.blocks.next().transpose()? else { return Ok(false) };
        // Deleted while we were on our way: the log was truncated, and reading goes on behind it.
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
