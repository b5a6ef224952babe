use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crate::{Batch, Sample, SeriesKey, StoreError, engine::Engine, queue::Queue, samples};

/// Counts the samples of each hour of each series before they are accepted, so that a batch that would exceed
/// the limit is refused before any part is accepted.
#[derive(Default)]
pub(crate) struct Admission {
    /// Upper bounds of the sample counts, by the key of the hour's chunk: a sample that replaces another one
    /// counts twice. They include every admitted batch that may not have been applied yet.
    counts: Mutex<BTreeMap<Vec<u8>, usize>>,
}

/// Maximum number of counts to keep.
const MOST_COUNTS: usize = 50_000;

impl Admission {
    pub(crate) fn admit<'s>(
        &self,
        engine: &dyn Engine,
        queue: &Queue,
        batch: impl IntoIterator<Item = (&'s SeriesKey, &'s [Sample])>,
    ) -> Result<(), StoreError> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() > MOST_COUNTS {
            // Once all batches are applied, the store has the counts.
            queue.commit(Batch::new(), None).wait()?;
            counts.clear();
        }
        let mut admitted = BTreeMap::new();
        for (series, samples) in batch {
            let series = samples::series_prefix(series)?;
            for ((key, hour), added) in samples::by_hour(&series, samples) {
                let known = match admitted.get(&key).or_else(|| counts.get(&key)) {
                    Some(known) => *known,
                    None => samples::hour(engine, &key, hour)?.len(),
                };
                let mut count = known + added.len();
                if count > samples::MOST_SAMPLES && added.len() <= samples::MOST_SAMPLES {
                    // Some samples may replace others: count again what is stored.
                    queue.commit(Batch::new(), None).wait()?;
                    let stored = samples::hour(engine, &key, hour)?;
                    let others = stored.iter().filter(|s| !added.contains_key(&s.at)).count();
                    count = others + added.len();
                }
                samples::check_count(&key, hour, count)?;
                admitted.insert(key, count);
            }
        }
        counts.extend(admitted);
        Ok(())
    }
}
