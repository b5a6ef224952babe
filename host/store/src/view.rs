use std::collections::BTreeMap;

use crate::{StoreError, engine::Engine, pages};

/// Values to write (`None` deletes).
pub(crate) type Values = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The number of the first record.
pub(crate) const FIRST: u64 = 1;

/// Writes that are not yet applied.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    pub(crate) values: Values,
    /// Records to append, by the tag of their log.
    pub(crate) appended: BTreeMap<u8, Vec<Vec<u8>>>,
}

/// The state as one batch sees it: the applied state, overlaid with the group's writes so far, overlaid with
/// the batch's own writes.
pub(crate) struct View<'a> {
    pub(crate) engine: &'a dyn Engine,
    /// The next sequence number of each log before this group.
    next: &'a BTreeMap<u8, u64>,
    below: &'a Layer,
    top: Layer,
}

impl Layer {
    /// Merges the writes of a batch.
    pub(crate) fn absorb(&mut self, top: Self) {
        self.values.extend(top.values);
        for (log, mut records) in top.appended {
            self.appended.entry(log).or_default().append(&mut records);
        }
    }
}

impl<'a> View<'a> {
    pub(crate) fn new(
        engine: &'a dyn Engine,
        next: &'a BTreeMap<u8, u64>,
        below: &'a Layer,
    ) -> Self {
        Self { engine, next, below, top: Layer::default() }
    }

    /// Returns the batch's writes.
    pub(crate) fn into_layer(self) -> Layer {
        self.top
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.top.values.get(key).or_else(|| self.below.values.get(key)) {
            Some(value) => Ok(value.clone()),
            None => pages::read(self.engine, key),
        }
    }

    pub(crate) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.top.values.insert(key, Some(value));
    }

    pub(crate) fn delete(&mut self, key: Vec<u8>) {
        self.top.values.insert(key, None);
    }

    /// Appends a record to a log and returns its number.
    pub(crate) fn append(&mut self, log: u8, record: Vec<u8>) -> u64 {
        let pending = |layer: &Layer| layer.appended.get(&log).map_or(0, Vec::len) as u64;
        let first = self.next.get(&log).copied().unwrap_or(FIRST);
        let sequence = first + pending(self.below) + pending(&self.top);
        self.top.appended.entry(log).or_default().push(record);
        sequence
    }
}
