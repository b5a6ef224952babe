use std::any::TypeId;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    StoreError,
    depth::{self, Nesting},
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
    type Value: Serialize + DeserializeOwned + 'static;
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
        let mut bytes = Vec::new();
        self.write(what, value, &mut bytes)?;
        Ok(bytes)
    }

    /// Encodes a value that has to be read again as `T`: one that would not be is refused, because it would be
    /// found only when the store is opened the next time. `scratch` is overwritten; whoever encodes many values
    /// passes the same one, and each gets an allocation of its exact size.
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
            // A `Value` is read from any JSON that the serializer writes and that is not too deep.
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

    /// Appends an encoded value, and says how its JSON is nested.
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
    scratch: &mut Vec<u8>,
) -> Result<Vec<u8>, StoreError> {
    let bytes = K::ENCODING.encode_checked::<K::Value>(K::NAME, value, scratch)?;
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
