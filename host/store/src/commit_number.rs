//! Numbers the writes. Each write stores its number in the state, and comparing that with the number that was
//! acknowledged shows whether writes are missing.

/// The key of the number.
pub(crate) const KEY: &[u8] = &[0x05];

/// Precedes the number, so that the number can also be found in sled's log.
const MAGIC: [u8; 16] = *b"\xe3haggle write\0\x9c\x17";

pub(crate) fn encode(number: u64) -> Vec<u8> {
    [MAGIC.as_slice(), &number.to_be_bytes()].concat()
}

pub(crate) fn decode(value: &[u8]) -> Option<u64> {
    let number = value.strip_prefix(&MAGIC)?;
    number.try_into().ok().map(u64::from_be_bytes)
}

/// Returns the highest write number anywhere in these bytes.
pub(crate) fn find(bytes: &[u8]) -> Option<u64> {
    let [first, ..] = MAGIC;
    let mut highest = None;
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        rest = rest.get(at..)?;
        let number = rest.strip_prefix(&MAGIC).and_then(<[u8]>::first_chunk);
        highest = highest.max(number.map(|number| u64::from_be_bytes(*number)));
        rest = rest.get(1..)?;
    }
    highest
}

#[cfg(test)]
mod tests {
    use super::{decode, encode, find};

    #[test]
    fn a_number_is_read_back_and_found() {
        assert_eq!(decode(&encode(7)), Some(7));
        assert_eq!(decode(b"7"), None);
        assert_eq!(find(&[]), None);
        assert_eq!(find(&encode(7)[1..]), None);
        let text = [b"\xe3x".as_slice(), &encode(7), b"\xe3", &encode(9), &encode(8)].concat();
        assert_eq!(find(&text), Some(9));
    }
}
