use serde::Serialize;

use crate::{
    Blob, CallRecord, Kind, Log, Sample, SeriesKey, StoreError,
    journal::StagedCall,
    kind::{encode_key, encode_value},
    log::encode_record,
    samples,
};

/// Writes of any kinds that become durable together or not at all. Later writes to the same key win.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) operations: Vec<Operation>,
    pub(crate) bytes: usize,
    /// A buffer for encoding values before each is stored at its exact size.
    scratch: Vec<u8>,
}

/// One encoded write.
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
    /// Creates an empty batch. Committing one is a barrier: it is acknowledged once everything before it is
    /// durable.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the batch is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Creates or replaces the record with that key.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], [`StoreError::KeyTooLong`] or [`StoreError::Encode`]; the batch is then
    /// unchanged. The same applies to all other methods.
    pub fn put<K: Kind>(
        &mut self,
        key: &K::Key,
        value: &K::Value,
    ) -> Result<&mut Self, StoreError> {
        self.put_as::<K>(key, value)
    }

    /// Like [`Batch::put`], for a type with the same encoded form as the kind's value, so that the caller
    /// need not build one.
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

    /// Deletes a record, if it exists.
    ///
    /// # Errors
    /// [`StoreError::KeyTooLong`].
    pub fn delete<K: Kind>(&mut self, key: &K::Key) -> Result<&mut Self, StoreError> {
        let key = encode_key::<K>(key)?;
        self.push(key.len(), Operation::Delete { key });
        Ok(self)
    }

    /// Appends a record to a log. The store assigns its number, which is in the [`crate::Receipt`]; the
    /// record's own number is ignored.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] or [`StoreError::Encode`].
    pub fn append<L: Log>(&mut self, record: &L::Record) -> Result<&mut Self, StoreError> {
        let record = encode_record::<L>(record, &mut self.scratch)?;
        self.push(record.len(), Operation::Append { log: L::TAG, record });
        Ok(self)
    }

    /// Drops the records of a log before that number. Records are packed into blocks, so a few of them may
    /// remain.
    pub fn truncate<L: Log>(&mut self, before: u64) -> &mut Self {
        self.push(0, Operation::Truncate { log: L::TAG, before });
        self
    }

    /// Adds samples to a series, in any order. A second sample at the same time replaces the first one.
    ///
    /// # Errors
    /// [`StoreError::KeyTooLong`]. Too many samples within one hour make the commit fail.
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

    /// Journals a plugin call. `blobs` are the bytes that it refers to ([`CallRecord::blobs`]); blobs that
    /// the journal already has are not written again.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]. A blob that is neither given nor stored makes the commit fail with
    /// [`StoreError::MissingBlob`].
    pub fn call(&mut self, call: &CallRecord, blobs: &[Blob]) -> Result<&mut Self, StoreError> {
        let staged = StagedCall::new(call, blobs)?;
        self.push(staged.bytes(), Operation::Call(staged));
        Ok(self)
    }

    /// Adds the writes of another batch after those of this one.
    pub fn extend(&mut self, later: Self) {
        self.bytes += later.bytes;
        self.operations.extend(later.operations);
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
