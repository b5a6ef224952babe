use std::io::{self, BufReader, Cursor, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;

/// Limits for reading a file. They bound memory, because a small gzipped file can unpack to a huge one, and
/// two rows a century apart can span a gap of billions of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum size after unpacking, in bytes.
    pub bytes: u64,
    /// Maximum number of values, including those missing in gaps.
    pub values: usize,
}

impl Default for Limits {
    /// 1 GiB of text and 50 million values (400 MB of memory).
    fn default() -> Self {
        Self { bytes: 1 << 30, values: 50_000_000 }
    }
}

/// Reads a file, unpacks it if it begins like gzip, and removes a byte order mark. Beyond the limit it fails
/// with [`ErrorKind::FileTooLarge`].
pub(crate) fn unpacked<'a>(reader: impl Read + 'a, limit: u64) -> io::Result<Box<dyn Read + 'a>> {
    const GZIP: &[u8] = &[0x1f, 0x8b];
    const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
    let (head, whole) = peeked(reader, GZIP.len())?;
    let whole = BufReader::new(whole);
    let plain: Box<dyn Read + 'a> =
        if head == GZIP { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) };
    let (head, mut text) = peeked(Bounded { inner: plain, left: limit }, BYTE_ORDER_MARK.len())?;
    if head == BYTE_ORDER_MARK {
        text.read_exact(&mut [0; BYTE_ORDER_MARK.len()])?;
    }
    Ok(Box::new(text))
}

/// Returns the first `count` bytes, or fewer at the end, and a reader that starts with them again.
fn peeked<R: Read>(mut reader: R, count: usize) -> io::Result<(Vec<u8>, impl Read)> {
    let mut head = Vec::with_capacity(count);
    reader.by_ref().take(count as u64).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(reader)))
}

struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => {
                self.left = left;
                Ok(count)
            }
            None => Err(ErrorKind::FileTooLarge.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};

    use flate2::{Compression, write::GzEncoder};

    use super::unpacked;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8], limit: u64) -> std::io::Result<String> {
        let mut text = String::new();
        unpacked(bytes, limit)?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn unpacks_by_what_the_bytes_say() {
        let mut two_members = gzip(b"time,");
        two_members.extend(gzip(b"web"));
        assert_eq!(read(&two_members, 100).unwrap(), "time,web");
        for plain in ["", "t", "time,web"] {
            assert_eq!(read(plain.as_bytes(), 100).unwrap(), plain);
            let marked = format!("\u{feff}{plain}");
            assert_eq!(read(marked.as_bytes(), 100).unwrap(), plain);
            assert_eq!(read(&gzip(marked.as_bytes()), 100).unwrap(), plain);
        }
    }

    #[test]
    fn counts_the_unpacked_bytes() {
        let bomb = gzip(&vec![b'0'; 1_000_000]);
        assert!(bomb.len() < 10_000);
        assert_eq!(read(&bomb, 999_999).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(read(&bomb, 1_000_000).unwrap().len(), 1_000_000);
    }

    #[test]
    fn a_torn_gzip_is_an_error() {
        let whole = gzip(b"time,web\n");
        assert!(read(&whole[..whole.len() - 9], 100).is_err());
    }
}
