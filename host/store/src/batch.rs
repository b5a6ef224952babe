use serde::Serialize;

use crate::{
    Blob, CallRecord, Kind, Log, Sample, SeriesKey, StoreError,
    journal::StagedCall,
    kind::{encode_key, encode_value},
    log::encode_record,
    samples,
};

/// Writes that become durable together or not at all, whatever kinds they are of. Later ones of the
/// same key win.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) operations: Vec<Operation>,
    pub(crate) bytes: usize,
    /// Where values are encoded before each is kept in its exact size.
    scratch: Vec<u8>,
}

/// One write, encoded.
#[derive(Debug)]
pub(crate) enum Operation {
    Put { key: Vec<u8>, value: Vec<u8> },
    Delete { key: Vec<u8> },
    Append { log: u8, record: Vec<u8> },
    Truncate { log: u8, before: u64 },
    Samples { series: Vec<u8>, samples: Vec<Sample> },
    Call(StagedCall),
}

impl Batch {
    /// An empty batch. Committing it is a barrier: it is acknowledged once everything before it is durable.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it writes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Adds a record or replaces the one with that key.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], [`StoreError::KeyTooLong`] or [`StoreError::Encode`]; the batch is then as
    /// it was, and so for all others.
    pub fn put<K: Kind>(
        &mut self,
        key: &K::Key,
        value: &K::Value,
    ) -> Result<&mut Self, StoreError> {
        self.put_as::<K>(key, value)
    }

    /// The same for something that is written as such a value is, without making one of it first.
    ///
    /// # Errors
    /// As [`Batch::put`].
    pub fn put_as<K: Kind>(
        &mut self,
        key: &K::Key,
        value: &impl Serialize,
    ) -> Result<&mut Self, StoreError> {
        let key = encode_key::<K>(key)?;
        let value = encode_value::<K>(&key, value, &mut self.scratch)?;
        self.push(key.len() + value.len(), Operation::Put { key, value });
        Ok(self)
    }

    /// Deletes a record; nothing happens where there is none.
    ///
    /// # Errors
    /// [`StoreError::KeyTooLong`].
    pub fn delete<K: Kind>(&mut self, key: &K::Key) -> Result<&mut Self, StoreError> {
        let key = encode_key::<K>(key)?;
        self.push(key.len(), Operation::Delete { key });
        Ok(self)
    }

    /// Appends a record to a log. The number it gets is in the [`crate::Receipt`]; the one it has does not
    /// matter.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] or [`StoreError::Encode`].
    pub fn append<L: Log>(&mut self, record: &L::Record) -> Result<&mut Self, StoreError> {
        let record = encode_record::<L>(record, &mut self.scratch)?;
        self.push(record.len(), Operation::Append { log: L::TAG, record });
        Ok(self)
    }

    /// Lets a log forget what comes before that number. Records are packed, so a few of them may stay.
    pub fn truncate<L: Log>(&mut self, before: u64) -> &mut Self {
        self.push(0, Operation::Truncate { log: L::TAG, before });
        self
    }

    /// Adds samples to a series, in any order. A second sample of the same moment replaces the first.
    ///
    /// # Errors
    /// [`StoreError::KeyTooLong`]. That there are too many of them within one hour is an error of the
    /// commit.
    pub fn samples(
        &mut self,
        series: &SeriesKey,
        samples: &[Sample],
    ) -> Result<&mut Self, StoreError> {
        let series = samples::series_prefix(series)?;
        let bytes = series.len() + size_of_val(samples);
        self.push(bytes, Operation::Samples { series, samples: samples.to_vec() });
        Ok(self)
    }

    /// Journals a call of a plugin. `blobs` are bytes that it refers to ([`CallRecord::blobs`]); those that
    /// the journal has already are not written again.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]. A blob that is neither given nor there is an error of the commit,
    /// [`StoreError::MissingBlob`].
    pub fn call(&mut self, call: &CallRecord, blobs: &[Blob]) -> Result<&mut Self, StoreError> {
        let staged = StagedCall::new(call, blobs)?;
        self.push(staged.bytes(), Operation::Call(staged));
        Ok(self)
    }

    pub(crate) fn put_raw(
        &mut self,
        what: &'static str,
        key: Vec<u8>,
        value: &impl Serialize,
    ) -> Result<(), StoreError> {
        let value = crate::Encoding::Json.encode(what, value)?;
        self.push(key.len() + value.len(), Operation::Put { key, value });
        Ok(())
    }

    pub(crate) fn delete_raw(&mut self, key: Vec<u8>) {
        self.push(key.len(), Operation::Delete { key });
    }

    fn push(&mut self, bytes: usize, operation: Operation) {
        self.bytes += bytes + size_of::<Operation>();
        self.operations.push(operation);
    }
}
