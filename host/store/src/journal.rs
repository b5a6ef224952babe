//! The journal of plugin calls: the inputs and outputs of each call, for replay.
//!
//! Large inputs and outputs are stored once, by digest, with a count of the calls that refer to them. When
//! the journal would exceed its limits, it drops its oldest calls and the blobs that nothing refers to any
//! more.

use std::sync::Arc;

use haggle_model::{Name, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Digest, Encoding, StoreError, bytes,
    engine::Engine,
    key,
    log::{self, RawRecords},
    pages,
    view::{FIRST, Values, View},
};

const CALLS: u8 = 0x22;
const BLOBS: u8 = 0x23;
const REFERENCES: u8 = 0x24;
const TOTALS: u8 = 0x25;

const NAME: &str = "journalled call";

/// Minimum size of an input or output that is stored as a blob, in bytes.
const BLOB_FROM: usize = 4096;

/// Maximum size of one input, output or blob, in bytes.
const MOST_BYTES: usize = 1 << 30;

/// A plugin call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// Its sequence number in the journal, assigned by the store.
    pub sequence: u64,
    /// When the call was made.
    pub at: Timestamp,
    /// The plugin.
    pub plugin: Name,
    /// Its generation.
    pub generation: u64,
    /// The digest of the plugin's component.
    pub digest: Digest,
    /// The function that was called, such as `forecasting.forecast`.
    pub function: String,
    /// The encoded arguments, without those in blobs.
    pub input: Vec<u8>,
    /// The blobs with further arguments, by digest.
    pub blobs: Vec<Digest>,
    /// The encoded result, or the error.
    pub outcome: Result<Vec<u8>, String>,
    /// The fuel that the call used.
    pub fuel_used: u64,
}

/// Bytes that journalled calls refer to by their digest. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Blob {
    digest: Digest,
    bytes: Arc<[u8]>,
}

/// The size of the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalSize {
    /// The bytes of all calls and blobs.
    pub bytes: u64,
    /// The number of calls.
    pub calls: u64,
}

/// The limits of the journal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) bytes: u64,
    pub(crate) calls: u64,
}

/// The stored form of a call.
#[derive(Serialize, Deserialize)]
struct StoredCall {
    at: Timestamp,
    plugin: Name,
    generation: u64,
    digest: Digest,
    function: String,
    input: Payload,
    blobs: Vec<Digest>,
    outcome: Result<Payload, String>,
    fuel_used: u64,
}

#[derive(Serialize, Deserialize)]
enum Payload {
    Inline(#[serde(with = "bytes")] Vec<u8>),
    Blob(Digest),
}

/// The number of references to a blob, and the blob's size in bytes.
#[derive(Serialize, Deserialize)]
struct References {
    count: u64,
    bytes: u64,
}

/// A call that is queued for the writer.
#[derive(Debug)]
pub(crate) struct StagedCall {
    record: Vec<u8>,
    references: Vec<Digest>,
    blobs: Vec<Blob>,
}

impl Blob {
    /// Computes the digest of the bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self { digest: Digest::of(&bytes), bytes }
    }

    /// The digest.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl StagedCall {
    pub(crate) fn new(call: &CallRecord, blobs: &[Blob]) -> Result<Self, StoreError> {
        let mut blobs = blobs.to_vec();
        let mut payload = |bytes: &[u8]| {
            if bytes.len() < BLOB_FROM {
                return Payload::Inline(bytes.to_vec());
            }
            let blob = Blob::new(bytes);
            let digest = blob.digest;
            blobs.push(blob);
            Payload::Blob(digest)
        };
        let stored = StoredCall {
            at: call.at,
            plugin: call.plugin.clone(),
            generation: call.generation,
            digest: call.digest,
            function: call.function.clone(),
            input: payload(&call.input),
            blobs: call.blobs.clone(),
            outcome: match &call.outcome {
                Ok(output) => Ok(payload(output)),
                Err(error) => Err(error.clone()),
            },
            fuel_used: call.fuel_used,
        };
        if let Some(blob) = blobs.iter().find(|blob| blob.bytes.len() > MOST_BYTES) {
            let what = format!("blob {} of a {NAME}", blob.digest);
            return Err(StoreError::TooLarge { what, bytes: blob.bytes.len(), most: MOST_BYTES });
        }
        let record = Encoding::Postcard.encode(NAME, &stored)?;
        if record.len() > MOST_BYTES {
            let what = format!("a {NAME}");
            return Err(StoreError::TooLarge { what, bytes: record.len(), most: MOST_BYTES });
        }
        Ok(Self { record, references: stored.references(), blobs })
    }

    /// The size of the queued call, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.record.len() + self.blobs.iter().map(|blob| blob.bytes.len()).sum::<usize>()
    }
}

impl StoredCall {
    /// Returns every blob that the call refers to, with repetitions.
    fn references(&self) -> Vec<Digest> {
        let payloads = [Some(&self.input), self.outcome.as_ref().ok()];
        let payloads = payloads.into_iter().flatten().filter_map(|payload| match payload {
            Payload::Inline(_) => None,
            Payload::Blob(digest) => Some(*digest),
        });
        self.blobs.iter().copied().chain(payloads).collect()
    }
}

/// Appends a call and its blobs, and returns its number.
pub(crate) fn append(view: &mut View<'_>, call: StagedCall) -> Result<u64, StoreError> {
    let mut size = size(view)?;
    for digest in call.references {
        let key = key::of(REFERENCES, &digest);
        let references = match get::<References>(view, &key)? {
            Some(known) => References { count: known.count + 1, ..known },
            None => {
                let blob = call.blobs.iter().find(|blob| blob.digest == digest);
                let blob = blob.ok_or(StoreError::MissingBlob(digest))?;
                view.put(key::of(BLOBS, &digest), blob.bytes.to_vec());
                size.bytes += blob.bytes.len() as u64;
                References { count: 1, bytes: blob.bytes.len() as u64 }
            }
        };
        put(view, key, &references)?;
    }
    size.bytes += call.record.len() as u64;
    size.calls += 1;
    put(view, key::prefix(TOTALS), &size)?;
    Ok(view.append(CALLS, call.record))
}

/// Drops the oldest calls until the rest is within the limits. Calls of the current group remain until the
/// next one.
pub(crate) fn retain(view: &mut View<'_>, limits: Limits) -> Result<(), StoreError> {
    let mut size = size(view)?;
    let before = size;
    let engine = view.engine;
    let mut blocks = engine.under(&key::prefix(CALLS));
    while size.bytes > limits.bytes || size.calls > limits.calls {
        let Some((key, record)) = blocks.next().transpose()? else { break };
        let block = tolerate(pages::join(engine, &key, record))?;
        // Unreadable calls are dropped too; blobs that only they refer to remain.
        let records = block.flatten().and_then(|block| log::unpack(&block)).unwrap_or_default();
        for record in records {
            size.bytes = size.bytes.saturating_sub(record.len() as u64);
            size.calls = size.calls.saturating_sub(1);
            let call: Option<StoredCall> = tolerate(decode(&key, &record))?;
            for digest in call.map(|call| call.references()).unwrap_or_default() {
                size.bytes = size.bytes.saturating_sub(release(view, &digest)?);
            }
        }
        view.delete(key);
    }
    if size != before {
        put(view, key::prefix(TOTALS), &size)?;
    }
    Ok(())
}

/// Removes one reference; returns the number of bytes freed.
fn release(view: &mut View<'_>, digest: &Digest) -> Result<u64, StoreError> {
    let key = key::of(REFERENCES, digest);
    match get::<References>(view, &key)? {
        Some(References { count: 0 | 1, bytes }) => {
            view.delete(key);
            view.delete(key::of(BLOBS, digest));
            Ok(bytes)
        }
        Some(References { count, bytes }) => {
            put(view, key, &References { count: count - 1, bytes })?;
            Ok(0)
        }
        None => Ok(0),
    }
}

/// Recomputes the size of the journal if its stored value is unreadable. Returns the corrected value, if any.
pub(crate) fn recount(engine: &dyn Engine) -> Result<Values, StoreError> {
    let mut values = Values::new();
    if tolerate(size_of(engine))?.is_some() {
        return Ok(values);
    }
    let mut size = JournalSize::default();
    for call in RawRecords::new(engine, CALLS, FIRST, u64::MAX)? {
        if let Some((_, record)) = tolerate(call)? {
            size.calls += 1;
            size.bytes += record.len() as u64;
        }
    }
    for entry in engine.under(&key::prefix(REFERENCES)) {
        let (key, record) = entry?;
        let bytes = tolerate(pages::join(engine, &key, record))?.flatten();
        let references = bytes.map(|bytes| tolerate(decode::<References>(&key, &bytes)));
        let references = references.transpose()?.flatten();
        size.bytes += references.map_or(0, |references| references.bytes);
    }
    values.insert(key::prefix(TOTALS), Some(Encoding::Postcard.encode(NAME, &size)?));
    Ok(values)
}

/// Returns the size of the journal.
pub(crate) fn size_of(engine: &dyn Engine) -> Result<JournalSize, StoreError> {
    let key = key::prefix(TOTALS);
    match pages::read(engine, &key)? {
        Some(bytes) => decode(&key, &bytes),
        None => Ok(JournalSize::default()),
    }
}

/// Returns the bytes of a blob.
pub(crate) fn blob(engine: &dyn Engine, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
    pages::read(engine, &key::of(BLOBS, digest))
}

/// Returns the calls from number `from` up to, not including, `end`. Calls that are dropped meanwhile are
/// omitted.
pub(crate) fn calls(
    engine: &dyn Engine,
    from: u64,
    end: u64,
) -> Result<impl Iterator<Item = Result<CallRecord, StoreError>> + use<'_>, StoreError> {
    let records = RawRecords::new(engine, CALLS, from, end)?;
    Ok(records.filter_map(move |entry| entry.and_then(|(n, r)| load(engine, n, &r)).transpose()))
}

/// The tag of the log of calls.
pub(crate) const fn tag() -> u8 {
    CALLS
}

fn load(
    engine: &dyn Engine,
    sequence: u64,
    bytes: &[u8],
) -> Result<Option<CallRecord>, StoreError> {
    let stored: StoredCall = decode(&key::of(CALLS, &sequence), bytes)?;
    let fetch = |payload| match payload {
        Payload::Inline(bytes) => Ok(bytes),
        Payload::Blob(digest) => blob(engine, &digest)?.ok_or(StoreError::MissingBlob(digest)),
    };
    let payloads = fetch(stored.input).and_then(|input| {
        let outcome = match stored.outcome {
            Ok(output) => Ok(fetch(output)?),
            Err(error) => Err(error),
        };
        Ok((input, outcome))
    });
    let (input, outcome) = match payloads {
        Ok(payloads) => payloads,
        // A blob is deleted with the last call that refers to it.
        Err(StoreError::MissingBlob(_)) if is_forgotten(engine, sequence)? => return Ok(None),
        Err(StoreError::MissingBlob(digest)) => {
            let why = format_args!("blob {digest} is missing");
            return Err(StoreError::unreadable(NAME, sequence, why));
        }
        Err(error) => return Err(error),
    };
    Ok(Some(CallRecord {
        sequence,
        at: stored.at,
        plugin: stored.plugin,
        generation: stored.generation,
        digest: stored.digest,
        function: stored.function,
        input,
        blobs: stored.blobs,
        outcome,
        fuel_used: stored.fuel_used,
    }))
}

fn is_forgotten(engine: &dyn Engine, sequence: u64) -> Result<bool, StoreError> {
    let key = key::of(CALLS, &sequence);
    Ok(engine.last(&key::prefix(CALLS), &key)?.is_none())
}

fn size(view: &View<'_>) -> Result<JournalSize, StoreError> {
    Ok(get(view, &key::prefix(TOTALS))?.unwrap_or_default())
}

fn get<T: DeserializeOwned>(view: &View<'_>, key: &[u8]) -> Result<Option<T>, StoreError> {
    let read = view.get(key).and_then(|bytes| bytes.map(|b| decode(key, &b)).transpose());
    tolerate(read).map(Option::flatten)
}

/// Treats unreadable bookkeeping as missing, because it must not block all writes.
fn tolerate<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::Unreadable(unreadable)) => {
            tracing::error!(%unreadable, "the journal is incomplete");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn put(view: &mut View<'_>, key: Vec<u8>, value: &impl Serialize) -> Result<(), StoreError> {
    let value = Encoding::Postcard.encode(NAME, value)?;
    view.put(key, value);
    Ok(())
}

fn decode<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, StoreError> {
    Encoding::Postcard
        .decode(bytes)
        .map_err(|detail| StoreError::unreadable(NAME, pages::name(key), detail))
}
