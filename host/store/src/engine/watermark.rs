//! Records outside sled up to which number writes are acknowledged, because sled cannot know what its own log
//! has lost.
//!
//! The file has two slots that are written alternately and in place, so a write needs no new space, and an
//! interrupted write leaves the other slot intact. The file is written after sled's flush and before the
//! acknowledgement, and synced with the device at most once per second: a second sync for each flush would
//! halve the store's throughput. After a process crash it is therefore exact. After a power failure it may be
//! one or two seconds of writes behind, never ahead.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};

use crate::StoreError;

/// The first bytes of a slot.
const MAGIC: &[u8; 8] = b"haggle\0w";
/// Distance of the slots in bytes, so that no sector holds both.
const SLOT: u64 = 4096;
const CHECKSUM: usize = 8;

/// Minimum time between two syncs of the file.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// The content of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    /// The number of the last acknowledged write.
    pub(crate) acknowledged: u64,
    /// The number of the last write when sled was opened, which its snapshot includes.
    pub(crate) opened_with: u64,
}

pub(crate) struct Watermark {
    path: PathBuf,
    file: Option<File>,
    mark: Option<Mark>,
    next_slot: u64,
    synced: Instant,
}

impl Watermark {
    /// Reads the file, if it exists. An unreadable file is logged and treated as missing, because it must not
    /// prevent a valid store from opening.
    pub(crate) fn open(data: &Path) -> Self {
        let path = data.join("acknowledged");
        let mut found = [None; 2];
        if let Ok(mut file) = File::open(&path) {
            for (slot, mark) in found.iter_mut().enumerate() {
                *mark = read(&mut file, slot as u64);
            }
            if found == [None; 2] {
                tracing::error!(path = %path.display(), "cannot be read: lost writes would not be noticed at this start");
            }
        }
        let [first, second] = found;
        let next_slot = u64::from(first > second);
        Self { path, file: None, mark: first.max(second), next_slot, synced: Instant::now() }
    }

    pub(crate) const fn mark(&self) -> Option<Mark> {
        self.mark
    }

    pub(crate) fn write(&mut self, mark: Mark) -> Result<(), StoreError> {
        let written = self.write_slot(mark);
        if written.is_err() {
            self.file = None;
        }
        written.map_err(|e| StoreError::io("write", &self.path, &e))
    }

    fn write_slot(&mut self, mark: Mark) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut options = File::options();
                let file = options.create(true).truncate(false).write(true).open(&self.path)?;
                if file.metadata()?.len() < 2 * SLOT {
                    // Reserves the space of both slots.
                    (&file).write_all(&[0; 2 * SLOT as usize])?;
                }
                none.insert(file)
            }
        };
        file.seek(SeekFrom::Start(self.next_slot * SLOT))?;
        file.write_all(&encode(mark))?;
        self.next_slot = 1 - self.next_slot;
        self.mark = Some(mark);
        if self.synced.elapsed() >= SYNC_EVERY {
            file.sync_data()?;
            self.synced = Instant::now();
        }
        Ok(())
    }
}

fn encode(mark: Mark) -> Vec<u8> {
    let mut slot = MAGIC.to_vec();
    slot.extend_from_slice(&mark.acknowledged.to_be_bytes());
    slot.extend_from_slice(&mark.opened_with.to_be_bytes());
    let checksum = Sha256::digest(&slot);
    slot.extend(checksum.iter().take(CHECKSUM));
    slot
}

fn read(file: &mut File, slot: u64) -> Option<Mark> {
    let mut bytes = [0; MAGIC.len() + 16 + CHECKSUM];
    file.seek(SeekFrom::Start(slot * SLOT)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    let (acknowledged, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    let opened_with = rest.first_chunk()?;
    let mark = Mark {
        acknowledged: u64::from_be_bytes(*acknowledged),
        opened_with: u64::from_be_bytes(*opened_with),
    };
    (encode(mark) == bytes).then_some(mark)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::fs;

    use super::{Mark, SLOT, Watermark};

    fn mark(acknowledged: u64) -> Mark {
        Mark { acknowledged, opened_with: 1 }
    }

    #[test]
    fn it_says_what_was_written_last() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Watermark::open(dir.path()).mark(), None);
        for number in 1..20 {
            let mut watermark = Watermark::open(dir.path());
            watermark.write(mark(number)).unwrap();
            watermark.write(mark(number + 1)).unwrap();
            assert_eq!(Watermark::open(dir.path()).mark(), Some(mark(number + 1)));
        }
    }

    proptest! {
        #[test]
        fn a_damaged_slot_leaves_the_other(
            numbers in prop::collection::vec(1_u64..1000, 2..6), at in 0..32_usize, flip in 1..=255_u8,
        ) {
            let mut numbers = numbers;
            numbers.sort_unstable();
            numbers.dedup();
            prop_assume!(numbers.len() >= 2);
            let dir = tempfile::tempdir().unwrap();
            let mut watermark = Watermark::open(dir.path());
            numbers.iter().for_each(|number| watermark.write(mark(*number)).unwrap());
            let path = dir.path().join("acknowledged");
            let mut bytes = fs::read(&path).unwrap();
            let last = (numbers.len() - 1) % 2 * SLOT as usize;
            bytes[last + at] ^= flip;
            fs::write(&path, bytes).unwrap();
            let before = numbers[numbers.len() - 2];
            prop_assert_eq!(Watermark::open(dir.path()).mark(), Some(mark(before)));
        }
    }
}
