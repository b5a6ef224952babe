//! Key encodings whose byte order is the order of the values.

use haggle_model::{LeaseId, Name, Timestamp};

use crate::Digest;

/// Maximum length of an encoded key, in bytes. A page of sled's index holds up to 256 keys and must stay far
/// below the 128 KiB above which sled puts a page into a separate file (see `pages`).
pub(crate) const MAX_KEY: usize = 400;

/// A type that can be a key. Its encoding sorts as its values do and is self-delimiting, so that several
/// encodings form a compound key.
pub trait Key: Sized {
    /// Appends the encoding.
    fn encode(&self, out: &mut Vec<u8>);

    /// Decodes the key from the front of `input`; `None` if it is invalid.
    fn decode(input: &mut &[u8]) -> Option<Self>;
}

/// The first part of every key: the kind of record and the tenant.
#[must_use]
pub(crate) fn prefix(tag: u8) -> Vec<u8> {
    let mut key = vec![tag];
    TENANT.to_owned().encode(&mut key);
    key
}

/// Returns the key of a record.
pub(crate) fn of(tag: u8, key: &impl Key) -> Vec<u8> {
    let mut bytes = prefix(tag);
    key.encode(&mut bytes);
    bytes
}

/// Decodes the rest of a key after its prefix.
pub(crate) fn decode<K: Key>(tag: u8, bytes: &[u8]) -> Option<K> {
    let mut rest = bytes.strip_prefix(prefix(tag).as_slice())?;
    K::decode(&mut rest).filter(|_| rest.is_empty())
}

/// The first key that does not begin with `prefix`.
pub(crate) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

/// The only tenant.
const TENANT: &str = "default";

impl Key for u64 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        let (bytes, rest) = input.split_first_chunk()?;
        *input = rest;
        Some(Self::from_be_bytes(*bytes))
    }
}

impl Key for Timestamp {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_millis().encode(out);
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        Self::checked_from_millis(u64::decode(input)?).ok()
    }
}

impl Key for Digest {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        let (bytes, rest) = input.split_first_chunk()?;
        *input = rest;
        Some(Self::from_bytes(*bytes))
    }
}

/// Ends with two zero bytes; a zero inside is followed by 255. A text therefore sorts before every longer
/// text that begins with it.
impl Key for String {
    fn encode(&self, out: &mut Vec<u8>) {
        for byte in self.bytes() {
            out.push(byte);
            if byte == 0 {
                out.push(u8::MAX);
            }
        }
        out.extend_from_slice(&[0, 0]);
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        let mut text = Vec::new();
        loop {
            match input.split_first()? {
                (0, rest) => {
                    let (next, rest) = rest.split_first()?;
                    *input = rest;
                    match *next {
                        0 => return Self::from_utf8(text).ok(),
                        u8::MAX => text.push(0),
                        _ => return None,
                    }
                }
                (byte, rest) => {
                    text.push(*byte);
                    *input = rest;
                }
            }
        }
    }
}

impl Key for Name {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_str().as_bytes());
        out.extend_from_slice(&[0, 0]);
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        Self::new(&String::decode(input)?).ok()
    }
}

impl Key for LeaseId {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        String::decode(input).map(Self)
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        Some((A::decode(input)?, B::decode(input)?))
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, decode, end_of, of};
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = String> {
        prop_oneof!["[a\0]{0,6}", "\\PC{0,12}"]
    }

    proptest! {
        #[test]
        fn keys_sort_as_their_values_and_read_back(
            a in (text(), any::<u64>()), b in (text(), any::<u64>()),
        ) {
            let (x, y) = (of(7, &a), of(7, &b));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(decode::<(String, u64)>(7, &x), Some(a.clone()));
            prop_assert_eq!(decode::<(String, u64)>(8, &x), None);
        }

        #[test]
        fn no_bytes_make_decoding_fail_badly(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut rest = bytes.as_slice();
            if let Some(text) = String::decode(&mut rest) {
                let mut again = Vec::new();
                text.encode(&mut again);
                prop_assert_eq!(&again, &bytes[..bytes.len() - rest.len()]);
            }
        }

        #[test]
        fn the_end_of_a_prefix_lies_behind_all_that_begin_with_it(
            prefix in prop::collection::vec(any::<u8>(), 1..5),
            tail in prop::collection::vec(any::<u8>(), 0..5),
        ) {
            prop_assume!(prefix.iter().any(|byte| *byte < u8::MAX));
            let key = [prefix.clone(), tail].concat();
            let end = end_of(&prefix);
            prop_assert!(key < end);
            prop_assert!(!end.starts_with(&prefix));
        }
    }
}
