//! Stores samples in hourly chunks: one record holds all samples of a series within an hour.

use std::collections::BTreeMap;

use haggle_model::{Span, Timestamp, Window};
use serde::{Deserialize, Serialize};

use crate::{
    Encoding, StoreError,
    engine::Engine,
    key::{self, Key},
    kind::check_key,
    pages,
    series::{Sample, SeriesKey},
    view::View,
};

const TAG: u8 = 0x30;
const NAME: &str = "chunk of samples";

/// Length of a chunk. Longer chunks take less space, but cost more to append to.
const CHUNK: Span = Span::from_mins(60);

/// Maximum number of samples in a chunk: ten per second.
pub(crate) const MOST_SAMPLES: usize = 36_000;

/// The stored form of a chunk: parallel vectors, ascending in time.
#[derive(Default, Serialize, Deserialize)]
struct Chunk {
    /// Milliseconds since the previous sample; for the first one, since the start of the chunk.
    distances: Vec<u32>,
    values: Vec<f64>,
}

/// Chunks to delete.
pub(crate) struct Stale {
    /// Their keys.
    pub(crate) chunks: Vec<Vec<u8>>,
    /// Where to continue; `None` once all series are done.
    pub(crate) next: Option<Vec<u8>>,
}

/// Returns the common prefix of a series' chunk keys.
pub(crate) fn series_prefix(series: &SeriesKey) -> Result<Vec<u8>, StoreError> {
    let key = key::of(TAG, series);
    check_key(NAME, chunk_key(&key, Timestamp::MAX)).map(|_| key)
}

/// Groups samples by hour, with the keys of the chunks.
pub(crate) fn by_hour(
    series: &[u8],
    samples: &[Sample],
) -> BTreeMap<(Vec<u8>, Timestamp), BTreeMap<Timestamp, f64>> {
    let mut hours: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for sample in samples {
        let hour = sample.at.floor(CHUNK);
        hours.entry((chunk_key(series, hour), hour)).or_default().insert(sample.at, sample.value);
    }
    hours
}

/// Merges samples into their chunks.
pub(crate) fn merge(
    view: &mut View<'_>,
    series: &[u8],
    samples: &[Sample],
) -> Result<(), StoreError> {
    for ((key, start), added) in by_hour(series, samples) {
        let stored = view.get(&key).and_then(|bytes| match bytes {
            Some(bytes) => Ok(read(&key, start, &bytes)?.collect()),
            None => Ok(Vec::new()),
        });
        let stored = match stored {
            Ok(stored) => stored,
            // Replace an unreadable chunk; otherwise its hour would accept no samples any more.
            Err(StoreError::Unreadable(unreadable)) => {
                tracing::error!(%unreadable, "the store replaces samples");
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        let mut merged: BTreeMap<_, _> = stored.into_iter().map(|s| (s.at, s.value)).collect();
        merged.extend(added);
        check_count(&key, start, merged.len())?;
        view.put(key, Encoding::Postcard.encode(NAME, &Chunk::of(start, merged))?);
    }
    Ok(())
}

/// Refuses more samples than an hour may hold.
pub(crate) fn check_count(key: &[u8], hour: Timestamp, count: usize) -> Result<(), StoreError> {
    if count <= MOST_SAMPLES {
        return Ok(());
    }
    match key::decode::<(SeriesKey, Timestamp)>(TAG, key) {
        Some((series, _)) => Err(StoreError::HourFull { series, hour, count, most: MOST_SAMPLES }),
        None => Err(bad_key(key)),
    }
}

/// Returns the stored samples of an hour; none if the chunk is unreadable.
pub(crate) fn hour(
    engine: &dyn Engine,
    key: &[u8],
    start: Timestamp,
) -> Result<Vec<Sample>, StoreError> {
    let stored = pages::read(engine, key).and_then(|bytes| match bytes {
        Some(bytes) => Ok(read(key, start, &bytes)?.collect()),
        None => Ok(Vec::new()),
    });
    match stored {
        Err(StoreError::Unreadable(_)) => Ok(Vec::new()),
        other => other,
    }
}

/// Returns the samples of a series within the window, ascending in time, by chunk.
pub(crate) fn within<'a>(
    engine: &'a dyn Engine,
    series: Vec<u8>,
    window: Window,
) -> impl Iterator<Item = Result<Vec<Sample>, StoreError>> + use<'a> {
    let from = chunk_key(&series, window.start.floor(CHUNK));
    engine.range(from, chunk_key(&series, window.end)).filter_map(move |entry| {
        let read = entry.and_then(|(key, record)| {
            let start = chunk_start(&series, &key)?;
            let Some(bytes) = pages::join(engine, &key, record)? else { return Ok(None) };
            Ok(Some(read(&key, start, &bytes)?.filter(|s| window.contains(s.at)).collect()))
        });
        read.transpose()
    })
}

/// Returns all series with samples, in key order.
pub(crate) fn series(
    engine: &dyn Engine,
) -> impl Iterator<Item = Result<SeriesKey, StoreError>> + use<'_> {
    let end = key::end_of(&key::prefix(TAG));
    let mut from = key::prefix(TAG);
    std::iter::from_fn(move || {
        let (key, _) = match engine.range(from.clone(), end.clone()).next()? {
            Ok(found) => found,
            Err(error) => {
                from.clone_from(&end);
                return Some(Err(error));
            }
        };
        match key::decode::<(SeriesKey, Timestamp)>(TAG, &key) {
            Some((series, _)) => {
                // One look-up per series, however many chunks it has.
                from = key::end_of(&key::of(TAG, &series));
                Some(Ok(series))
            }
            None => {
                from = behind(&key);
                Some(Err(bad_key(&key)))
            }
        }
    })
}

/// Finds chunks that end at or before `before`; visits at most `most` chunks and series.
pub(crate) fn stale(
    engine: &dyn Engine,
    from: Option<Vec<u8>>,
    before: Timestamp,
    most: usize,
) -> Result<Stale, StoreError> {
    let prefix = key::prefix(TAG);
    let end = key::end_of(&prefix);
    let mut from = from.unwrap_or(prefix);
    let mut stale = Vec::new();
    for _ in 0..most {
        let Some((key, _)) = engine.range(from, end.clone()).next().transpose()? else {
            return Ok(Stale { chunks: stale, next: None });
        };
        from = match key::decode::<(SeriesKey, Timestamp)>(TAG, &key) {
            Some((_, start)) if start < before.floor(CHUNK) => {
                let next = behind(&key);
                stale.push(key);
                next
            }
            Some((series, _)) => key::end_of(&key::of(TAG, &series)),
            None => behind(&key),
        };
    }
    Ok(Stale { chunks: stale, next: Some(from) })
}

/// The next possible key.
fn behind(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

fn bad_key(key: &[u8]) -> StoreError {
    StoreError::unreadable(NAME, pages::name(key), "its key")
}

fn chunk_key(series: &[u8], start: Timestamp) -> Vec<u8> {
    let mut key = series.to_vec();
    start.encode(&mut key);
    key
}

fn chunk_start(series: &[u8], key: &[u8]) -> Result<Timestamp, StoreError> {
    key.strip_prefix(series)
        .and_then(|mut rest| Timestamp::decode(&mut rest))
        .ok_or_else(|| bad_key(key))
}

fn read(
    key: &[u8],
    start: Timestamp,
    bytes: &[u8],
) -> Result<impl Iterator<Item = Sample> + use<>, StoreError> {
    let chunk: Chunk = Encoding::Postcard
        .decode(bytes)
        .map_err(|detail| StoreError::unreadable(NAME, pages::name(key), detail))?;
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
            // The distance is less than an hour, in milliseconds.
            chunk.distances.push(at.since(previous).as_millis() as u32);
            chunk.values.push(value);
            previous = at;
        }
        chunk
    }
}
