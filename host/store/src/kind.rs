use std::any::TypeId;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    StoreError,
    depth::{self, Nesting},
    key::{self, Key, MAX_KEY},
    pages,
};

/// A kind of record: its key, its value, and their encoding.
pub trait Kind {
    /// The first byte of its keys; no two kinds share one.
    const TAG: u8;
    /// The name of one record in messages.
    const NAME: &'static str;
    /// The encoding of its values.
    const ENCODING: Encoding = Encoding::Json;
    /// Maximum size of an encoded value, in bytes.
    const MAX_BYTES: usize = 1 << 20;
    /// The key. Records are iterated in key order.
    type Key: Key;
    /// The value.
    type Value: Serialize + DeserializeOwned + 'static;
}

/// A record: its key and its value.
pub type Entry<K> = (<K as Kind>::Key, <K as Kind>::Value);

/// The encoding of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// JSON, for records that a person may want to read.
    Json,
    /// postcard after a version byte, for bulk data.
    Postcard,
}

/// The version byte of postcard values.
const POSTCARD_VERSION: u8 = 1;

impl Encoding {
    pub(crate) fn encode(
        self,
        what: &'static str,
        value: &impl Serialize,
    ) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        self.write(what, value, &mut bytes)?;
        Ok(bytes)
    }

    /// Encodes a value that must be readable as `T`. A value that would not be is refused, because the
    /// problem would otherwise surface only at the next opening. `scratch` is overwritten; callers that
    /// encode many values pass the same buffer, and each result is allocated at its exact size.
    pub(crate) fn encode_checked<T: DeserializeOwned + 'static>(
        self,
        what: &'static str,
        value: &impl Serialize,
        scratch: &mut Vec<u8>,
    ) -> Result<Vec<u8>, StoreError> {
        scratch.clear();
        let nesting = self.write(what, value, scratch)?;
        if self == Self::Json {
            let depth =
                if nesting.is_known() { nesting.deepest() } else { depth::of_text(scratch) };
            if depth > depth::MOST_KEPT {
                return Err(StoreError::TooDeep { what, depth, most: depth::MOST_KEPT });
            }
            // A `Value` can be read from any serializer output that is not nested too deeply.
            let takes_any = TypeId::of::<T>() == TypeId::of::<serde_json::Value>();
            if takes_any && nesting.is_known() {
                return Ok(scratch.clone());
            }
        }
        match self.decode::<T>(scratch) {
            Ok(_) => Ok(scratch.clone()),
            Err(detail) => Err(StoreError::Irreversible { what, detail }),
        }
    }

    /// Appends an encoded value, and returns the nesting of its JSON.
    fn write(
        self,
        what: &'static str,
        value: &impl Serialize,
        bytes: &mut Vec<u8>,
    ) -> Result<Nesting, StoreError> {
        let failed = |e: &dyn std::fmt::Display| StoreError::Encode { what, detail: e.to_string() };
        let mut nesting = Nesting::default();
        match self {
            Self::Json => {
                let mut json = serde_json::Serializer::with_formatter(bytes, &mut nesting);
                value.serialize(&mut json).map_err(|e| failed(&e))?;
            }
            Self::Postcard => {
                bytes.push(POSTCARD_VERSION);
                *bytes =
                    postcard::to_extend(value, std::mem::take(bytes)).map_err(|e| failed(&e))?;
            }
        }
        Ok(nesting)
    }

    /// Decodes a value, or returns the reason why it is invalid.
    pub(crate) fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, String> {
        match self {
            Self::Json => serde_json::from_slice(bytes).map_err(|e| e.to_string()),
            Self::Postcard => match bytes.split_first() {
                Some((&POSTCARD_VERSION, rest)) => {
                    postcard::from_bytes(rest).map_err(|e| e.to_string())
                }
                Some((version, _)) => Err(format!("encoding version {version} is not known")),
                None => Err("it is empty".to_owned()),
            },
        }
    }
}

/// Encodes a key of the kind.
pub(crate) fn encode_key<K: Kind>(key: &K::Key) -> Result<Vec<u8>, StoreError> {
    check_key(K::NAME, key::of(K::TAG, key))
}

pub(crate) fn check_key(what: &'static str, key: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    match key.len() {
        0..=MAX_KEY => Ok(key),
        bytes => Err(StoreError::KeyTooLong { what, bytes, most: MAX_KEY }),
    }
}

/// Encodes a value of the kind.
pub(crate) fn encode_value<K: Kind>(
    key: &[u8],
    value: &impl Serialize,
    scratch: &mut Vec<u8>,
) -> Result<Vec<u8>, StoreError> {
    let bytes = K::ENCODING.encode_checked::<K::Value>(K::NAME, value, scratch)?;
    if bytes.len() > K::MAX_BYTES {
        let what = format!("{} {}", K::NAME, pages::name(key));
        return Err(StoreError::TooLarge { what, bytes: bytes.len(), most: K::MAX_BYTES });
    }
    Ok(bytes)
}

/// Decodes a value of the kind.
pub(crate) fn decode_value<K: Kind>(key: &[u8], bytes: &[u8]) -> Result<K::Value, StoreError> {
    K::ENCODING
        .decode(bytes)
        .map_err(|detail| StoreError::unreadable(K::NAME, pages::name(key), detail))
}
