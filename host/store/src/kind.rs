use serde::{Serialize, de::DeserializeOwned};

use crate::{
    StoreError, depth,
    key::{self, Key, MAX_KEY},
    pages,
};

/// A kind of record: what its key and value are, and how they are written.
pub trait Kind {
    /// The first byte of its keys; no two kinds share one.
    const TAG: u8;
    /// What one of them is called in messages.
    const NAME: &'static str;
    /// How its values are written.
    const ENCODING: Encoding = Encoding::Json;
    /// The most bytes that an encoded value may have.
    const MAX_BYTES: usize = 1 << 20;
    /// What tells them apart; records are iterated in its order.
    type Key: Key;
    /// What is kept.
    type Value: Serialize + DeserializeOwned;
}

/// A record: its key and its value.
pub type Entry<K> = (<K as Kind>::Key, <K as Kind>::Value);

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// JSON, for what a person may want to look at.
    Json,
    /// postcard behind a version byte, for bulk.
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
        let failed = |e: &dyn std::fmt::Display| StoreError::Encode { what, detail: e.to_string() };
        match self {
            Self::Json => serde_json::to_vec(value).map_err(|e| failed(&e)),
            Self::Postcard => {
                postcard::to_extend(value, vec![POSTCARD_VERSION]).map_err(|e| failed(&e))
            }
        }
    }

    /// The same for a value that has to be read again as `T`: one that would not be is refused, because it
    /// would be found only when the store is opened the next time.
    pub(crate) fn encode_checked<T: DeserializeOwned>(
        self,
        what: &'static str,
        value: &impl Serialize,
    ) -> Result<Vec<u8>, StoreError> {
        let bytes = self.encode(what, value)?;
        if self == Self::Json {
            let depth = depth::of_text(&bytes);
            if depth > depth::MOST_KEPT {
                return Err(StoreError::TooDeep { what, depth, most: depth::MOST_KEPT });
            }
        }
        match self.decode::<T>(&bytes) {
            Ok(_) => Ok(bytes),
            Err(detail) => Err(StoreError::Irreversible { what, detail }),
        }
    }

    /// The value, or what is wrong with it.
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

/// The bytes of a key of that kind.
pub(crate) fn encode_key<K: Kind>(key: &K::Key) -> Result<Vec<u8>, StoreError> {
    check_key(K::NAME, key::of(K::TAG, key))
}

pub(crate) fn check_key(what: &'static str, key: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    match key.len() {
        0..=MAX_KEY => Ok(key),
        bytes => Err(StoreError::KeyTooLong { what, bytes, most: MAX_KEY }),
    }
}

/// The bytes of a value of that kind.
pub(crate) fn encode_value<K: Kind>(
    key: &[u8],
    value: &impl Serialize,
) -> Result<Vec<u8>, StoreError> {
    let bytes = K::ENCODING.encode_checked::<K::Value>(K::NAME, value)?;
    if bytes.len() > K::MAX_BYTES {
        let what = format!("{} {}", K::NAME, pages::name(key));
        return Err(StoreError::TooLarge { what, bytes: bytes.len(), most: K::MAX_BYTES });
    }
    Ok(bytes)
}

/// The value of that kind in the bytes.
pub(crate) fn decode_value<K: Kind>(key: &[u8], bytes: &[u8]) -> Result<K::Value, StoreError> {
    K::ENCODING
        .decode(bytes)
        .map_err(|detail| StoreError::unreadable(K::NAME, pages::name(key), detail))
}
