//! Samples in chunks of an hour: one record holds all samples of a series within it.

use std::collections::BTreeMap;

use haggle_model::{Name, Span, Timestamp, Window};
use serde::{Deserialize, Serialize};

use crate::{
    Encoding, StoreError,
    engine::Engine,
    key::{self, Key},
    kind::check_key,
    pages,
    view::View,
};

const TAG: u8 = 0x30;
const NAME: &str = "chunk of samples";

/// How much time a chunk holds. Longer ones cost less space, and more to append to.
const CHUNK: Span = Span::from_mins(60);

/// The most samples in a chunk: ten a second.
const MOST_SAMPLES: usize = 36_000;

/// Which series a sample belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesKey {
    /// The service.
    pub service: Name,
    /// The metric.
    pub metric: String,
    /// The replica, container or API that it was measured on; empty for the service as a whole.
    pub subject: String,
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// What; NaN is kept too.
    pub value: f64,
}

/// A chunk as it is stored: parallel, and ascending in time.
#[derive(Default, Serialize, Deserialize)]
struct Chunk {
    /// Milliseconds since the previous sample, the first since the chunk's start.
    distances: Vec<u32>,
    values: Vec<f64>,
}

impl Key for SeriesKey {
    fn encode(&self, out: &mut Vec<u8>) {
        self.service.encode(out);
        self.metric.encode(out);
        self.subject.encode(out);
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        Some(Self {
            service: Key::decode(input)?,
            metric: Key::decode(input)?,
            subject: Key::decode(input)?,
        })
    }
}

/// What the keys of all chunks of a series begin with.
pub(crate) fn series_prefix(series: &SeriesKey) -> Result<Vec<u8>, StoreError> {
    check_key(NAME, key::of(TAG, series))
}

/// Adds samples to the chunks they belong to.
pub(crate) fn merge(
    view: &mut View<'_>,
    series: &[u8],
    samples: Vec<Sample>,
) -> Result<(), StoreError> {
    let mut chunks: BTreeMap<Timestamp, Vec<Sample>> = BTreeMap::new();
    for sample in samples {
        chunks.entry(sample.at.floor(CHUNK)).or_default().push(sample);
    }
    for (start, added) in chunks {
        let key = chunk_key(series, start);
        let mut merged: BTreeMap<Timestamp, f64> = match view.get(&key)? {
            Some(bytes) => read(&key, start, &bytes)?.map(|s| (s.at, s.value)).collect(),
            None => BTreeMap::new(),
        };
        merged.extend(added.iter().map(|sample| (sample.at, sample.value)));
        if merged.len() > MOST_SAMPLES {
            return Err(StoreError::TooLarge {
                what: format!(
                    "the hour from {start} of series {} ({} samples, at most {MOST_SAMPLES})",
                    pages::name(series),
                    merged.len()
                ),
                bytes: merged.len() * size_of::<Sample>(),
                most: MOST_SAMPLES * size_of::<Sample>(),
            });
        }
        view.put(key, Encoding::Postcard.encode(NAME, &Chunk::of(start, merged))?);
    }
    Ok(())
}

/// The samples of a series within the window, ascending in time.
pub(crate) fn within(
    engine: &Engine,
    series: &[u8],
    window: Window,
) -> Result<Vec<Sample>, StoreError> {
    let mut samples = Vec::new();
    let from = chunk_key(series, window.start.floor(CHUNK));
    for entry in engine.range(from, chunk_key(series, window.end)) {
        let (key, record) = entry?;
        let start = chunk_start(series, &key)?;
        if let Some(bytes) = pages::join(engine, &key, record)? {
            samples.extend(read(&key, start, &bytes)?.filter(|s| window.contains(s.at)));
        }
    }
    Ok(samples)
}

/// All series that have samples, in the order of their keys.
pub(crate) fn series(
    engine: &Engine,
) -> impl Iterator<Item = Result<SeriesKey, StoreError>> + use<'_> {
    let end = key::end_of(&key::prefix(TAG));
    let mut from = key::prefix(TAG);
    std::iter::from_fn(move || {
        let (key, _) = match engine.range(from.clone(), end.clone()).next()? {
            Ok(found) => found,
            Err(error) => return Some(Err(error)),
        };
        match key::decode::<(SeriesKey, Timestamp)>(TAG, &key) {
            Some((series, _)) => {
                // One look-up a series, however many chunks it has.
                from = key::end_of(&key::of(TAG, &series));
                Some(Ok(series))
            }
            None => {
                from.clone_from(&end);
                Some(Err(StoreError::corrupt(pages::name(&key), "no key of a chunk of samples")))
            }
        }
    })
}

/// The keys of the chunks of a series that end at or before that moment.
pub(crate) fn chunks_before<'a>(
    engine: &'a Engine,
    series: &[u8],
    before: Timestamp,
) -> impl Iterator<Item = Result<Vec<u8>, StoreError>> + use<'a> {
    let from = chunk_key(series, Timestamp::default());
    engine
        .range(from, chunk_key(series, before.floor(CHUNK)))
        .map(|entry| entry.map(|(key, _)| key.to_vec()))
}

fn chunk_key(series: &[u8], start: Timestamp) -> Vec<u8> {
    let mut key = series.to_vec();
    start.encode(&mut key);
    key
}

fn chunk_start(series: &[u8], key: &[u8]) -> Result<Timestamp, StoreError> {
    key.strip_prefix(series)
        .and_then(|mut rest| Timestamp::decode(&mut rest))
        .ok_or_else(|| StoreError::corrupt(pages::name(key), "no key of a chunk of samples"))
}

fn read(
    key: &[u8],
    start: Timestamp,
    bytes: &[u8],
) -> Result<impl Iterator<Item = Sample> + use<>, StoreError> {
    let chunk: Chunk = Encoding::Postcard.decode(bytes).map_err(|detail| {
        StoreError::corrupt(format_args!("{NAME} {}", pages::name(key)), detail)
    })?;
    let mut at = start;
    Ok(chunk.distances.into_iter().zip(chunk.values).map(move |(distance, value)| {
        at = at + Span::from_millis(u64::from(distance));
        Sample { at, value }
    }))
}

impl Chunk {
    fn of(start: Timestamp, samples: BTreeMap<Timestamp, f64>) -> Self {
        let mut previous = start;
        let mut chunk = Self::default();
        for (at, value) in samples {
            // Below an hour in milliseconds.
            chunk.distances.push(at.since(previous).as_millis() as u32);
            chunk.values.push(value);
            previous = at;
        }
        chunk
    }
}
