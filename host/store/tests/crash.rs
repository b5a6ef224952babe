//! Kills a process that writes, at any moment, and looks at what it left.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use haggle_model::{Decision, Lease, LeaseId, Name, Timestamp, Window};
use haggle_store::{
    Batch, Blob, CallRecord, Decisions, Digest, Durability, Leases, Negotiations, Sample,
    SeriesKey, Store, StoreOptions,
};
use serde_json::json;

const DIR: &str = "HAGGLE_STORE_CRASH_DIR";
const ROUND: &str = "HAGGLE_STORE_CRASH_ROUND";
const ROUNDS: u64 = 15;
const WRITERS: u64 = 3;

fn options(round: u64) -> StoreOptions {
    StoreOptions {
        durability: if round.is_multiple_of(2) {
            Durability::PowerLoss
        } else {
            Durability::ProcessCrash
        },
        journal_calls: 60,
        journal_bytes: 1 << 20,
        ..StoreOptions::default()
    }
}

/// SplitMix64, so that every run kills at the same moments.
fn random(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn lease(id: &str) -> Lease {
    serde_json::from_value(json!({
        "id": id, "negotiation": "n", "holder": "shop", "owner": {"service": "stock"},
        "amounts": {"requests_per_second": 1.5}, "replicas": 1, "price_per_hour": 0,
        "window": {"start": 0, "end": 10}, "state": "held", "held_until": 5,
    }))
    .unwrap()
}

fn decision(id: &str) -> Decision {
    serde_json::from_value(json!({
        "sequence": 0, "at": 0, "service": "shop", "from": 1, "to": 2, "target": 2,
        "reason": "request", "load": {}, "explanation": id,
    }))
    .unwrap()
}

/// Text that cannot be compressed to less than half of it.
fn noise(seed: &str, length: usize) -> String {
    let parts =
        (0..length.div_ceil(64)).map(|part| Digest::of(format!("{seed} {part}").as_bytes()));
    parts.map(|digest| digest.to_string()).collect()
}

fn series(writer: u64) -> SeriesKey {
    SeriesKey {
        service: Name::new(&format!("s{writer}")).unwrap(),
        metric: "load".to_owned(),
        instance: String::new(),
    }
}

/// An agreement: a record that is sometimes of many pages, two leases, a decision, a call, a sample.
fn agreement(writer: u64, id: &str, moment: u64) -> Batch {
    let mut batch = Batch::new();
    let size = if moment.is_multiple_of(5) { 30_000 } else { 100 };
    let record = json!({"id": id, "text": noise(id, size)});
    batch.put::<Negotiations>(&id.to_owned(), &record).unwrap();
    for part in ["a", "b"] {
        let id = format!("{id}-{part}");
        batch.put::<Leases>(&LeaseId(id.clone()), &lease(&id)).unwrap();
    }
    batch.append::<Decisions>(&decision(id)).unwrap();
    let model = Blob::new(noise(&(moment % 4).to_string(), 20_000).into_bytes());
    let call = CallRecord {
        sequence: 0,
        at: Timestamp::from_millis(moment),
        plugin: Name::new("p").unwrap(),
        generation: 1,
        digest: Digest::of(b"p"),
        function: "answering.respond".to_owned(),
        input: id.repeat(1000).into_bytes(),
        blobs: vec![model.digest()],
        outcome: Err("none".to_owned()),
        fuel_used: 1,
    };
    batch.call(&call, &[model]).unwrap();
    let sample = Sample { at: Timestamp::from_millis(moment), value: moment as f64 };
    batch.samples(&series(writer), &[sample]).unwrap();
    batch
}

/// The process that is killed. It prints what was acknowledged.
#[test]
#[ignore = "the test below runs it in a process of its own"]
fn writes_until_it_is_killed() {
    let (Ok(dir), Ok(round)) = (std::env::var(DIR), std::env::var(ROUND)) else { return };
    let round: u64 = round.parse().unwrap();
    let store = Store::open(Path::new(&dir), &options(round)).unwrap();
    let say = |line: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").unwrap();
        out.flush().unwrap();
    };
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (store, say) = (&store, &say);
            scope.spawn(move || {
                for i in 0..1_000_000_u64 {
                    let number = store.allocate("test").unwrap();
                    say(format!("number {number}"));
                    let id = format!("{round}-{writer}-{i}");
                    let moment = round * 1_000_000 + i;
                    let receipt = store.commit_wait(agreement(writer, &id, moment)).unwrap();
                    say(format!("done {id} {} {writer} {moment}", receipt.sequences[0]));
                    if i % 10 == 3 {
                        let digest = store.artefacts().put(id.as_bytes()).unwrap();
                        say(format!("artefact {digest}"));
                    }
                }
            });
        }
    });
}

/// What the killed processes said.
#[derive(Default)]
struct Said {
    done: BTreeMap<String, (u64, u64, u64)>,
    numbers: BTreeSet<u64>,
    artefacts: BTreeSet<Digest>,
}

impl Said {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["done", id, sequence, writer, moment] => {
                let numbers =
                    (sequence.parse().unwrap(), writer.parse().unwrap(), moment.parse().unwrap());
                self.done.insert((*id).to_owned(), numbers);
            }
            ["number", number] => {
                let fresh = self.numbers.insert(number.parse().unwrap());
                assert!(fresh, "number {number} was given twice");
            }
            ["artefact", digest] => {
                self.artefacts.insert(digest.parse().unwrap());
            }
            _ => {}
        }
    }
}

#[test]
fn all_that_was_acknowledged_survives_a_kill_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let mut said = Said::default();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writes_until_it_is_killed", "--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let listener = thread::spawn(|| {
            // What is half-said when it dies was not said: the last line needs its end.
            let mut lines = Vec::new();
            let mut out = BufReader::new(out);
            let mut line = String::new();
            while out.read_line(&mut line).unwrap() > 0 {
                if line.ends_with('\n') {
                    lines.push(line.trim_end().to_owned());
                }
                line.clear();
            }
            lines
        });
        // From within the opening to well into the writing.
        thread::sleep(Duration::from_millis(random(round) % 400));
        child.kill().unwrap();
        child.wait().unwrap();
        listener.join().unwrap().iter().for_each(|line| said.hear(line));
        verify(&Store::open(dir.path(), &options(round)).unwrap(), &said);
    }
    assert!(said.done.len() > 100, "only {} were acknowledged", said.done.len());
}

fn verify(store: &Store, said: &Said) {
    let negotiations: BTreeSet<String> = store
        .scan::<Negotiations>()
        .map(|entry| {
            let (id, record) = entry.unwrap();
            assert_eq!(record["id"], json!(id));
            id
        })
        .collect();
    let leases: BTreeSet<String> = store.scan::<Leases>().map(|entry| entry.unwrap().0.0).collect();
    let parts = negotiations.iter().flat_map(|id| [format!("{id}-a"), format!("{id}-b")]);
    assert_eq!(leases, parts.collect(), "an agreement is there in part");

    let decisions: BTreeMap<String, u64> = store
        .records::<Decisions>(1)
        .unwrap()
        .map(|decision| decision.map(|d| (d.explanation, d.sequence)).unwrap())
        .collect();
    assert_eq!(decisions.keys().cloned().collect::<BTreeSet<_>>(), negotiations);
    let numbers: BTreeSet<u64> = decisions.values().copied().collect();
    assert_eq!(numbers, (1..=decisions.len() as u64).collect());

    for (id, (sequence, writer, moment)) in &said.done {
        assert_eq!(decisions.get(id), Some(sequence), "{id} was acknowledged");
        let at = Timestamp::from_millis(*moment);
        let window = Window { start: at, end: Timestamp::from_millis(moment + 1) };
        let samples = store.samples(&series(*writer), window).unwrap();
        assert_eq!(samples, [Sample { at, value: *moment as f64 }]);
    }
    for digest in &said.artefacts {
        assert!(store.artefacts().get(digest).unwrap().is_some());
    }

    let mut bytes = 0;
    let mut blobs = BTreeSet::new();
    let calls: Vec<CallRecord> = store.calls(1).unwrap().map(Result::unwrap).collect();
    for call in &calls {
        for blob in call.blobs.iter().chain([&Digest::of(&call.input)]) {
            if let Some(found) = store.blob(blob).unwrap() {
                if blobs.insert(*blob) {
                    bytes += found.len() as u64;
                }
            } else {
                assert!(!call.blobs.contains(blob) && call.input.len() < 4096);
            }
        }
    }
    let size = store.journal_size().unwrap();
    assert_eq!(size.calls, calls.len() as u64);
    assert!(size.bytes >= bytes && size.bytes <= bytes + calls.len() as u64 * 8192);
}
