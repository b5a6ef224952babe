//! Inspects sled's log without changing it, before sled opens it.
//!
//! When sled opens, it replays the log after its last snapshot. It treats the first unreadable part as the
//! end of an interrupted write and overwrites everything after it; in the middle of the log it skips the rest
//! of a segment. One damaged byte can therefore silently drop acknowledged writes, and destroy data that
//! could be salvaged. This module follows the same path read-only and reports where sled would stop.
//!
//! The format is that of sled 0.34: segments of 512 KiB in one file, in any order. Each has a header
//! (checksum, its position in the log, the stable position at that time) and consecutive messages (checksum,
//! kind, length, segment number, page). <https://docs.rs/sled/0.34.7>

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    path::Path,
};

use crate::commit_number;

const SEGMENT: u64 = 512 << 10;
const SEGMENT_HEADER: usize = 20;
/// Number of bytes at the end of a segment in which no message begins.
const RED_ZONE: usize = 32;
/// The masks of the checksums and positions in segment headers.
const CHECKSUM_MASK: u32 = u32::MAX;
const PLACE_MASK: u64 = i64::MAX as u64;

const CORRUPTED: u8 = 0;
const CANCELED: u8 = 1;
const CAP: u8 = 2;
const BATCH: u8 = 3;
const LAST_KIND: u8 = 11;

/// The findings of an inspection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// The number of the last write after the snapshot, if there is one.
    pub(crate) last_write: Option<u64>,
    /// A description of definite damage, as opposed to an interrupted write.
    pub(crate) damage: Option<String>,
    /// A description of where sled would stop.
    pub(crate) end: String,
}

struct Header {
    place: u64,
    stable: u64,
}

/// A valid message.
struct Message<'a> {
    kind: u8,
    body: &'a [u8],
    /// Includes the header.
    length: usize,
}

/// The end of a segment.
enum End {
    /// The segment is full.
    Full,
    /// The bytes at this offset are not a valid message.
    Torn(usize),
}

/// The content of a segment.
struct Content {
    end: End,
    /// The writes, as (position in the log, number), ascending.
    writes: Vec<(u64, u64)>,
    /// The batches, as (position of the batch, position of its last message).
    batches: Vec<(u64, u64)>,
}

/// Inspects the log in a state folder; empty findings if there is none.
pub(crate) fn inspect(state: &Path) -> io::Result<Findings> {
    let mut file = match File::open(state.join("db")) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Findings::default()),
        Err(e) => return Err(e),
    };
    let snapshot = snapshot_place(state)?;
    let mut findings = Findings::default();
    let mut segments = BTreeMap::new();
    let mut stable = snapshot;
    let mut buffer = Vec::new();
    for index in 0..file.metadata()?.len().div_ceil(SEGMENT) {
        let offset = index * SEGMENT;
        read_at(&mut file, offset, SEGMENT_HEADER, &mut buffer)?;
        match header(&buffer) {
            Some(header) if header.place >= floor(snapshot) => {
                stable = stable.max(header.stable);
                segments.insert(header.place, offset);
            }
            Some(_) => {}
            None => {
                // A segment that sled has cleared or never used is all zeros.
                read_at(&mut file, offset, SEGMENT as usize, &mut buffer)?;
                if buffer.len() >= SEGMENT_HEADER && buffer.iter().any(|byte| *byte != CORRUPTED) {
                    let damage = format!(
                        "the header of the segment at byte {offset} of state/db is damaged"
                    );
                    findings.damage.get_or_insert(damage);
                }
            }
        }
    }
    let mut expected = None;
    let mut log = Log::default();
    for (place, offset) in segments {
        let is_stable = place + SEGMENT <= floor(stable);
        // The part after the stable position must have no gaps.
        if !is_stable && expected.is_some_and(|expected| expected != place) && place > floor(stable)
        {
            break;
        }
        expected = Some(place + SEGMENT);
        read_at(&mut file, offset, SEGMENT as usize, &mut buffer)?;
        let content = content(&buffer, place);
        log.writes.extend(content.writes);
        log.batches.extend(content.batches);
        log.end = place + SEGMENT;
        if let End::Torn(at) = content.end {
            log.end = place + at as u64;
            findings.end = format!("byte {} of state/db", offset + at as u64);
            if !is_stable {
                break;
            }
            // A crash can also leave this: the segment was being reused, and its new end was written before
            // its new beginning.
            if goes_on(&buffer, at, place) {
                let damage = format!("{} is damaged, in the middle of its log", findings.end);
                findings.damage.get_or_insert(damage);
            }
        }
    }
    findings.last_write = log.last_write();
    Ok(findings)
}

#[derive(Default)]
struct Log {
    writes: Vec<(u64, u64)>,
    batches: Vec<(u64, u64)>,
    end: u64,
}

impl Log {
    /// The last write that is not part of an interrupted batch.
    fn last_write(&self) -> Option<u64> {
        let torn = self.batches.iter().find(|(_, last)| *last >= self.end).map(|(first, _)| *first);
        let end = torn.unwrap_or(self.end);
        self.writes.iter().filter(|(place, _)| *place < end).map(|(_, number)| *number).max()
    }
}

/// The position of the newest snapshot, from its file name.
fn snapshot_place(state: &Path) -> io::Result<u64> {
    let mut newest = 0;
    for entry in fs::read_dir(state)? {
        let name = entry?.file_name();
        let place = name.to_str().and_then(|name| name.strip_prefix("snap."));
        if let Some(place) = place.and_then(|place| u64::from_str_radix(place, 16).ok()) {
            newest = newest.max(place);
        }
    }
    Ok(newest)
}

const fn floor(place: u64) -> u64 {
    place / SEGMENT * SEGMENT
}

/// Reads up to `most` bytes; fewer at the end of the file.
fn read_at(file: &mut File, offset: u64, most: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    file.seek(SeekFrom::Start(offset))?;
    file.take(most as u64).read_to_end(buffer)?;
    Ok(())
}

fn header(segment: &[u8]) -> Option<Header> {
    let (checksum, rest) = segment.split_first_chunk()?;
    let covered = rest.get(..SEGMENT_HEADER - 4)?;
    let (place, stable) = covered.split_first_chunk()?;
    let stable = i64::from_le_bytes(*stable.first_chunk()?) ^ PLACE_MASK as i64;
    let sound = crc32fast::hash(covered) == u32::from_le_bytes(*checksum) ^ CHECKSUM_MASK;
    sound.then_some(Header {
        place: u64::from_le_bytes(*place) ^ PLACE_MASK,
        // The position is -1 before anything is stable.
        stable: u64::try_from(stable).unwrap_or(0),
    })
}

fn content(segment: &[u8], place: u64) -> Content {
    let (mut writes, mut batches) = (Vec::new(), Vec::new());
    let mut at = SEGMENT_HEADER;
    let end = loop {
        if at + RED_ZONE > SEGMENT as usize {
            break End::Full;
        }
        let Some(message) = message(segment.get(at..).unwrap_or(&[]), place / SEGMENT) else {
            break End::Torn(at);
        };
        let here = place + at as u64;
        match message.kind {
            CAP => break End::Full,
            CANCELED => {}
            BATCH => {
                let last = message.body.first_chunk().map(|last| u64::from_le_bytes(*last));
                batches.extend(last.map(|last| (here, last)));
            }
            _ => writes.extend(commit_number::find(message.body).map(|number| (here, number))),
        }
        at += message.length;
    };
    Content { end, writes, batches }
}

/// Whether a valid message of the same use of the segment follows the unreadable part.
fn goes_on(segment: &[u8], torn_at: usize, place: u64) -> bool {
    let behind = segment.get(torn_at + 1..).unwrap_or(&[]);
    (0..behind.len()).any(|at| message(behind.get(at..).unwrap_or(&[]), place / SEGMENT).is_some())
}

fn message(bytes: &[u8], segment_number: u64) -> Option<Message<'_>> {
    let (checksum, mut rest) = bytes.split_first_chunk()?;
    let covered = rest;
    let kind = *rest.split_off_first()?;
    let length = number(&mut rest)?;
    let of_segment = number(&mut rest)?;
    let _page = number(&mut rest)?;
    let header = covered.get(..covered.len() - rest.len())?;
    let body = rest.get(..usize::try_from(length).ok()?)?;
    if kind == CORRUPTED || kind > LAST_KIND || of_segment != segment_number {
        return None;
    }
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(body);
    hasher.update(header);
    let sound = hasher.finalize() ^ CHECKSUM_MASK == u32::from_le_bytes(*checksum);
    sound.then_some(Message { kind, body, length: 4 + header.len() + body.len() })
}

/// Decodes sled's variable-length integer: one byte up to 240, two up to 2287, three up to 67823, otherwise a
/// length byte and the value.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let first = *bytes.split_off_first()?;
    let mut next = || bytes.split_off_first().copied().map(u64::from);
    Some(match first {
        0..=240 => u64::from(first),
        241..=248 => 240 + 256 * (u64::from(first) - 241) + next()?,
        249 => 2288 + 256 * next()? + next()?,
        _ => {
            let mut number = [0; 8];
            for byte in number.iter_mut().take(usize::from(first) - 247) {
                *byte = *bytes.split_off_first()?;
            }
            u64::from_le_bytes(number)
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::fs;

    use super::inspect;

    fn batch(db: &sled::Db, number: u64) {
        let mut batch = sled::Batch::default();
        batch.insert(&[number as u8], vec![number as u8; 300]);
        batch.insert(crate::commit_number::KEY, crate::commit_number::encode(number));
        db.apply_batch(batch).unwrap();
        db.flush().unwrap();
    }

    fn filled(dir: &std::path::Path, from: u64, to: u64) {
        let config = sled::Config::new().path(dir).mode(sled::Mode::LowSpace);
        let db = crate::engine::open_patiently(&config.flush_every_ms(None), dir).unwrap();
        (from..=to).for_each(|number| batch(&db, number));
    }

    #[test]
    fn nothing_is_found_where_there_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(inspect(dir.path()).unwrap().last_write, None);
    }

    #[test]
    fn a_sound_log_ends_with_the_last_write() {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..4 {
            filled(dir.path(), round * 2000 + 1, round * 2000 + 2000);
            let findings = inspect(dir.path()).unwrap();
            assert_eq!(findings.last_write, Some(round * 2000 + 2000), "{findings:?}");
            assert_eq!(findings.damage, None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        /// Whichever byte is damaged: the findings match what sled finds, or report damage.
        #[test]
        fn it_foretells_what_sled_finds(part in 0.0..1.0_f64, flip in 1..=255_u8) {
            let dir = tempfile::tempdir().unwrap();
            filled(dir.path(), 1, 2500);
            let path = dir.path().join("db");
            let mut bytes = fs::read(&path).unwrap();
            let at = (part * bytes.len() as f64) as usize;
            bytes[at] ^= flip;
            fs::write(&path, &bytes).unwrap();
            let findings = inspect(dir.path()).unwrap();
            prop_assert_eq!(fs::read(&path).unwrap(), bytes, "it only reads");
            let config = sled::Config::new().path(dir.path());
            let opened = crate::engine::open_patiently(&config, dir.path());
            if let (Ok(db), None) = (opened, findings.damage) {
                let found = db.get(crate::commit_number::KEY).unwrap();
                let found = found.and_then(|value| crate::commit_number::decode(&value));
                prop_assert_eq!(findings.last_write, found);
            }
        }
    }
}
