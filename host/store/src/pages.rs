//! Splits values of any size into small pages.
//!
//! sled keeps up to 16 records in one leaf, and writes a leaf above 128 KiB to a separate file, which it does
//! not sync and may never delete after replacing it: rewriting 1 MiB values 400 times left 1.2 GB behind in a
//! test. No record is therefore larger than [`PAGE`]. A larger value is split into pages under its own
//! number, and its key refers to that number. Replacing it takes a new number: a concurrent reader of the old
//! one finds missing pages, never mixed ones, and reads again.
//!
//! Values are compressed first: the record of a negotiation among six services takes 2 KiB instead of 18, and
//! compressing it costs less than writing it.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    StoreError,
    engine::{Engine, Writes},
    key::{self, Key},
};

/// Maximum size of one record, in bytes: 16 of them with their keys stay below sled's 128 KiB.
pub(crate) const PAGE: usize = 6 * 1024;

/// The tag of the pages.
const TAG: u8 = 0x02;

const INLINE: u8 = 0;
const PAGED: u8 = 1;
/// A flag beside either: the value is compressed (an LZ4 block after its length).
const COMPRESSED: u8 = 2;

/// Minimum size of a value to compress, in bytes.
const COMPRESS_FROM: usize = 512;
/// Maximum compression ratio of a valid block.
const MOST_RATIO: usize = 256;

/// Maximum number of attempts to read a value that is being replaced.
const ATTEMPTS: usize = 100;

/// Writes and removes values as part of a group. The writer owns the only instance.
pub(crate) struct Pages {
    next: u64,
}

/// The location of a large value.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Extent {
    number: u64,
    length: u64,
}

impl Pages {
    pub(crate) fn open(engine: &dyn Engine) -> Result<Self, StoreError> {
        let prefix = key::prefix(TAG);
        let last = engine.last(&prefix, &key::end_of(&prefix))?;
        let last = last.and_then(|(k, _)| key::decode::<(u64, u64)>(TAG, &k));
        Ok(Self { next: last.map_or(0, |(number, _)| number + 1) })
    }

    /// Converts values (`None` deletes) into engine writes.
    pub(crate) fn stage(
        &mut self,
        engine: &dyn Engine,
        values: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    ) -> Result<Writes, StoreError> {
        let mut writes = Writes::new();
        for (key, value) in values {
            let old = engine.get(&key)?;
            if let Some(extent) = old.as_deref().and_then(Extent::read) {
                for page in extent.page_keys() {
                    writes.push((page, None));
                }
            }
            match value {
                Some(value) => self.put(&mut writes, key, &value),
                None => writes.push((key, None)),
            }
        }
        Ok(writes)
    }

    fn put(&mut self, writes: &mut Writes, key: Vec<u8>, value: &[u8]) {
        let (form, value) = compress(value);
        if value.len() < PAGE {
            let mut record = Vec::with_capacity(value.len() + 1);
            record.push(INLINE | form);
            record.extend_from_slice(&value);
            writes.push((key, Some(record)));
            return;
        }
        let extent = Extent { number: self.next, length: value.len() as u64 };
        self.next += 1;
        for (page, bytes) in extent.page_keys().zip(value.chunks(PAGE)) {
            writes.push((page, Some(bytes.to_vec())));
        }
        let mut record = vec![PAGED | form];
        extent.number.encode(&mut record);
        extent.length.encode(&mut record);
        writes.push((key, Some(record)));
    }
}

/// Returns the value at `key`.
pub(crate) fn read(engine: &dyn Engine, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    match engine.get(key)? {
        Some(record) => join(engine, key, record),
        None => Ok(None),
    }
}

/// Returns the value whose record was read at `key`; `None` if it was deleted meanwhile.
pub(crate) fn join(
    engine: &dyn Engine,
    key: &[u8],
    mut record: Vec<u8>,
) -> Result<Option<Vec<u8>>, StoreError> {
    for _ in 0..ATTEMPTS {
        let Some((&form, rest)) = record.split_first() else {
            return Err(corrupt(key, "it is empty"));
        };
        if form & !COMPRESSED == INLINE {
            return decompress(key, form, rest.to_vec()).map(Some);
        }
        let extent = Extent::read(&record).ok_or_else(|| corrupt(key, "unknown form"))?;
        if let Some(value) = extent.value(engine)? {
            return decompress(key, form, value).map(Some);
        }
        match engine.get(key)? {
            Some(now) if now == record => return Err(corrupt(key, "a page is missing")),
            Some(now) => record = now,
            None => return Ok(None),
        }
    }
    Err(corrupt(key, "it never stays the same"))
}

/// Returns the stored form of a value, and its encoding.
fn compress(value: &[u8]) -> (u8, Cow<'_, [u8]>) {
    if value.len() >= COMPRESS_FROM {
        let packed = lz4_flex::compress_prepend_size(value);
        if packed.len() < value.len() {
            return (COMPRESSED, packed.into());
        }
    }
    (0, value.into())
}

fn decompress(key: &[u8], form: u8, kept: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    if form & COMPRESSED == 0 {
        return Ok(kept);
    }
    let broken = |error: lz4_flex::block::DecompressError| corrupt(key, &error.to_string());
    let (length, block) = lz4_flex::block::uncompressed_size(&kept).map_err(broken)?;
    if length > block.len().saturating_mul(MOST_RATIO) {
        return Err(corrupt(key, "it says that it is longer than it can be"));
    }
    let value = lz4_flex::decompress(block, length).map_err(broken)?;
    if value.len() == length { Ok(value) } else { Err(corrupt(key, "a part is missing")) }
}

fn corrupt(key: &[u8], detail: &str) -> StoreError {
    StoreError::unreadable("record", name(key), detail)
}

/// Formats a key for a person.
pub(crate) fn name(key: &[u8]) -> Cow<'_, str> {
    key.escape_ascii().to_string().into()
}

impl Extent {
    fn read(record: &[u8]) -> Option<Self> {
        let (form, mut rest) = record.split_first()?;
        if form & !COMPRESSED != PAGED {
            return None;
        }
        let (number, length) = Key::decode(&mut rest)?;
        rest.is_empty().then_some(Self { number, length })
    }

    fn page_keys(self) -> impl Iterator<Item = Vec<u8>> {
        let pages = self.length.div_ceil(PAGE as u64);
        (0..pages).map(move |page| key::of(TAG, &(self.number, page)))
    }

    /// Joins all pages; `None` if one is missing.
    fn value(self, engine: &dyn Engine) -> Result<Option<Vec<u8>>, StoreError> {
        let mut value = Vec::new();
        for page in self.page_keys() {
            match engine.get(&page)? {
                Some(bytes) => value.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
        Ok((value.len() as u64 == self.length).then_some(value))
    }
}
