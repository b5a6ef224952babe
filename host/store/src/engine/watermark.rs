//! How far writes are acknowledged, kept outside sled: what sled's log has lost, sled itself cannot know.
//!
//! The file holds two slots that are written in turn and in place, so that it takes no new room, and a write that
//! is cut short leaves the other slot. It is written after sled's own flush and before the acknowledgement, and
//! synced with the device once a second at most: a second sync for each flush would halve what the store takes
//! in. So after a crash of the process it is exact, and after a loss of power it may be behind by a second or
//! two of writes, never ahead.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};

use crate::StoreError;

/// What a slot begins with.
const MAGIC: &[u8; 8] = b"haggle\0w";
/// Slots lie this far apart, so that no sector holds both.
const SLOT: u64 = 4096;
const CHECKSUM: usize = 8;

/// The file is synced with the device so often at most.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// What a slot says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    /// The number of the last write that was acknowledged.
    pub(crate) acknowledged: u64,
    /// The number of the last write that sled had when it was opened: what its snapshot includes.
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
    /// Reads the file, if there is one. One that cannot be read counts as none, which is told of: it must not
    /// keep a sound store from opening.
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
                    // So that both slots have their room.
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
