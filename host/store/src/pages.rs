//! Values of any size in small pages.
//!
//! sled keeps up to 16 records in one leaf and writes a leaf above 128 KiB to a file of its own, which
//! it does not sync and, once replaced, may never delete: 1 MiB values rewritten 400 times were seen to
//! leave 1.2 GB behind. So no record is larger than [`PAGE`] here. A larger value is cut into pages
//! under a number of its own, and its key holds that number. Replacing it takes a new number: whoever
//! reads the old one meanwhile finds pages missing, not pages mixed, and looks again.
//!
//! Before that a value is compressed: the record of a negotiation among six services takes 2 KiB instead of
//! 18, and it costs less to compress it than to write that.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    StoreError,
    engine::{Engine, Writes},
    key::{self, Key},
};

/// The most bytes in one record: 16 of them and their keys stay below sled's 128 KiB.
pub(crate) const PAGE: usize = 6 * 1024;

/// The tag of the pages themselves.
const TAG: u8 = 0x02;

const INLINE: u8 = 0;
const PAGED: u8 = 1;
/// In addition to one of both: the value is compressed (an LZ4 block behind its length).
const COMPRESSED: u8 = 2;

/// Shorter values are kept as they are.
const COMPRESS_FROM: usize = 512;
/// A block is never of more than so many times its own bytes.
const MOST_RATIO: usize = 256;

/// How often a value that is being replaced is looked for again.
const ATTEMPTS: usize = 100;

/// Writes and removes values, as part of a group. There is one, in the writer.
pub(crate) struct Pages {
    next: u64,
}

/// Where a large value lies.
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

    /// Turns values (`None` deletes) into what the engine is to write.
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

/// The value at `key`.
pub(crate) fn read(engine: &dyn Engine, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    match engine.get(key)? {
        Some(record) => join(engine, key, record),
        None => Ok(None),
    }
}

/// The value whose record was found at `key`; `None` if it was deleted meanwhile.
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

/// What is kept of a value, and how.
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

/// A key for a person to read.
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

    /// All pages together; `None` where one is missing.
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
