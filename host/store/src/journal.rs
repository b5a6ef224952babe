//! The journal of plugin calls: what each saw and answered, so that it can be repeated.
//!
//! Large inputs and outputs are kept once, by digest, however many calls share them, with a count of
//! how often the journal refers to each. The journal forgets its oldest calls where it would exceed its
//! bounds, and with them the blobs that nothing refers to any more.

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

/// From how many bytes on an input or output becomes a blob.
const BLOB_FROM: usize = 4096;

/// The most bytes of one input, output or blob.
const MOST_BYTES: usize = 1 << 30;

/// A call of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// Its place in the journal; the store assigns it.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// The plugin.
    pub plugin: Name,
    /// Its generation.
    pub generation: u64,
    /// Of its component.
    pub digest: Digest,
    /// What was called, e.g. `forecasting.forecast`.
    pub function: String,
    /// The arguments, but for what is in the blobs.
    pub input: Vec<u8>,
    /// Further arguments, by digest.
    pub blobs: Vec<Digest>,
    /// The result, or what went wrong.
    pub outcome: Result<Vec<u8>, String>,
    /// The fuel that it took.
    pub fuel_used: u64,
}

/// Bytes that journalled calls refer to by their digest. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Blob {
    digest: Digest,
    bytes: Arc<[u8]>,
}

/// How much the journal holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalSize {
    /// The bytes of all calls and blobs.
    pub bytes: u64,
    /// The number of calls.
    pub calls: u64,
}

/// How much it may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) bytes: u64,
    pub(crate) calls: u64,
}

/// A call as it is stored.
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

/// How often the journal refers to a blob, and how large it is.
#[derive(Serialize, Deserialize)]
struct References {
    count: u64,
    bytes: u64,
}

/// A call on its way to the writer.
#[derive(Debug)]
pub(crate) struct StagedCall {
    record: Vec<u8>,
    references: Vec<Digest>,
    blobs: Vec<Blob>,
}

impl Blob {
    /// Computes the digest, once.
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

    /// What it takes on its way.
    pub(crate) fn bytes(&self) -> usize {
        self.record.len() + self.blobs.iter().map(|blob| blob.bytes.len()).sum::<usize>()
    }
}

impl StoredCall {
    /// Every blob it refers to, as often as it does.
    fn references(&self) -> Vec<Digest> {
        let payloads = [Some(&self.input), self.outcome.as_ref().ok()];
        let payloads = payloads.into_iter().flatten().filter_map(|payload| match payload {
            Payload::Inline(_) => None,
            Payload::Blob(digest) => Some(*digest),
        });
        self.blobs.iter().copied().chain(payloads).collect()
    }
}

/// Appends a call, keeps its blobs, and returns its number.
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

/// Forgets the oldest calls until the rest is within the limits. What this group appends stays until
/// the next.
pub(crate) fn retain(view: &mut View<'_>, limits: Limits) -> Result<(), StoreError> {
    let mut size = size(view)?;
    let before = size;
    let engine = view.engine;
    let mut blocks = engine.under(&key::prefix(CALLS));
    while size.bytes > limits.bytes || size.calls > limits.calls {
        let Some((key, record)) = blocks.next().transpose()? else { break };
        let block = tolerate(pages::join(engine, &key, record))?;
        // What cannot be read goes with the rest; blobs that only it refers to stay.
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

/// Takes back one reference; returns how many bytes that sets free.
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

/// Counts again how much the journal holds, where what is kept of it cannot be read: the value to put right, if
/// any.
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

/// How much the journal holds.
pub(crate) fn size_of(engine: &dyn Engine) -> Result<JournalSize, StoreError> {
    let key = key::prefix(TOTALS);
    match pages::read(engine, &key)? {
        Some(bytes) => decode(&key, &bytes),
        None => Ok(JournalSize::default()),
    }
}

/// The bytes of a blob.
pub(crate) fn blob(engine: &dyn Engine, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
    pages::read(engine, &key::of(BLOBS, digest))
}

/// The calls from number `from` up to, not including, `end`. Calls that are forgotten meanwhile are
/// left out.
pub(crate) fn calls(
    engine: &dyn Engine,
    from: u64,
    end: u64,
) -> Result<impl Iterator<Item = Result<CallRecord, StoreError>> + use<'_>, StoreError> {
    let records = RawRecords::new(engine, CALLS, from, end)?;
    Ok(records.filter_map(move |entry| entry.and_then(|(n, r)| load(engine, n, &r)).transpose()))
}

/// The tag of the calls' log.
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
        // A blob goes with its last call.
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

/// Bookkeeping that cannot be read counts as missing: it must not end all writing.
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
