use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use haggle_model::{Dependency, Name, Service, Span, Timestamp, Window};
use haggle_negotiate::Commitment;
use serde_json::{Value, json};

use crate::{
    Clock, ErrorKind, Host, HostError, HostOptions, ScalingRequest, ScalingVerdict, Verdict,
    testing::{World, name, options},
};

/// Half a second goes by every time that somebody looks at it.
struct Hasty {
    now: AtomicU64,
    real: bool,
}

impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.fetch_add(500, Ordering::SeqCst))
    }

    fn is_real(&self) -> bool {
        self.real
    }
}

#[test]
fn parties_in_this_process_use_up_the_time_of_a_session() {
    for (real, deadline, verdict) in [
        (true, "2s", Verdict::Denied),
        (true, "1h", Verdict::Approved),
        (false, "2s", Verdict::Approved),
    ] {
        let clock = Arc::new(Hasty { now: AtomicU64::new(1_750_000_000_000), real });
        let host = Host::open(HostOptions { clock, ..options() }).unwrap();
        for name in ["web", "db"] {
            let service = format!(
                r#"{{"name": "{name}", "replica": {{"serves": {{"requests_per_second": 10}}}}}}"#
            );
            host.put_service(serde_json::from_str::<Service>(&service).unwrap()).unwrap();
        }
        let (web, db) = (Name::new("web").unwrap(), Name::new("db").unwrap());
        let edge = r#"{"ratios": {"requests_per_second": 1}}"#;
        let edge = serde_json::from_str::<Dependency>(edge).unwrap();
        host.put_dependency(&web, &db, edge).unwrap();
        let request = format!(r#"{{"service": "web", "replicas": 4, "deadline": "{deadline}"}}"#);
        let request = serde_json::from_str::<ScalingRequest>(&request).unwrap();
        let answer = host.request_scaling(request).unwrap();
        assert_eq!(answer.verdict, verdict, "{answer:?}");
        if verdict == Verdict::Denied {
            assert!(answer.reasons[0].text.contains("deadline"), "{answer:?}");
        }
    }
}

const REST: Span = Span::from_mins(60);

fn world(data: Option<&Path>, machines: u32) -> World {
    let world = World::new(data);
    world.policy(json!({"alternatives": ["smaller"], "lease": "4m", "renew_before": "1m"}));
    world.provider("rack", &[("m", machines)], 1.0);
    world.service("web", "silver");
    world
}

impl World {
    fn at_minute(&self, minute: u64) -> Timestamp {
        self.begin() + Span::from_mins(minute)
    }

    fn begin(&self) -> Timestamp {
        Timestamp::from_millis(1_750_000_000_000).floor(Span::from_mins(1))
    }

    /// Replicas for these minutes.
    fn reserve(&self, replicas: u32, from: u64, to: u64) -> ScalingVerdict {
        let lease = Span::from_mins(to - from);
        self.ask(json!({"service": "web", "replicas": replicas, "start": self.at_minute(from), "lease": lease}))
    }

    fn until(&self, minute: u64) {
        self.pass(self.at_minute(minute).since(self.clock.now()));
    }

    fn refusal(&self, request: Value) -> HostError {
        let request: ScalingRequest = serde_json::from_value(request).unwrap();
        self.host.request_scaling(request).unwrap_err()
    }

    /// The replicas that are leased, by the minutes that they are leased for.
    fn leased(&self, holder: &str) -> Vec<(u64, u64, u32)> {
        let minute = |at: Timestamp| at.since(self.begin()).as_millis() / 60_000;
        let units = self.leases(holder).into_iter().filter(|lease| lease.replicas > 0);
        let mut all: Vec<_> =
            units.map(|l| (minute(l.window.start), minute(l.window.end), l.replicas)).collect();
        all.sort_unstable();
        all
    }
}

#[test]
fn what_is_reserved_begins_and_ends_with_its_window() {
    for known in [false, true] {
        let world = world(None, 12);
        if known {
            world.samples("web", 25.0);
        }
        let verdict = world.reserve(40, 20, 30);
        assert_eq!((verdict.verdict, verdict.to), (Verdict::Approved, 40), "{verdict:?}");
        let window = Window { start: world.at_minute(20), end: world.at_minute(30) };
        assert_eq!(verdict.window, window);
        world.until(19);
        let before = world.replicas("web");
        assert!(before < 10, "{before}");
        assert!(world.leased("web").contains(&(20, 30, 40)), "{:?}", world.leased("web"));
        world.until(21);
        assert_eq!(world.replicas("web"), 40);
        world.until(29);
        assert_eq!(world.replicas("web"), 40);
        world.until(31);
        assert_eq!(world.replicas("web"), before, "it goes back");
        world.pass(REST);
        assert_eq!(world.replicas("web"), before);
    }
}

#[test]
fn sessions_for_now_leave_what_is_reserved() {
    let world = world(None, 3);
    world.service("other", "silver");
    assert_eq!(world.reserve(8, 10, 20).to, 8);
    // It grows and is renewed again and again, up to the window and through it.
    for minute in 1..10 {
        world.samples("web", 10.0 * minute as f64);
        world.until(minute);
        let greedy = json!({"service": "other", "replicas": 12, "lease": "1h"});
        assert!(world.ask(greedy).to <= 4, "what is reserved is not free for others");
        let reserved = world.leased("web").into_iter().filter(|lease| lease.0 == 10);
        assert_eq!(reserved.collect::<Vec<_>>(), [(10, 20, 8)]);
    }
    assert_eq!(world.replicas("web"), 8);
    world.samples("web", 20.0);
    world.until(19);
    assert_eq!(world.replicas("web"), 8);
    world.samples("web", 20.0);
    world.until(25);
    assert!(world.replicas("web") <= 3);
}

#[test]
fn what_needs_more_than_is_reserved_adds_to_it() {
    let world = world(None, 3);
    assert_eq!(world.reserve(6, 5, 60).to, 6);
    world.samples("web", 20.0);
    world.until(10);
    assert_eq!(world.leased("web"), [(5, 60, 6)]);
    world.samples("web", 85.0);
    world.until(11);
    assert_eq!(world.replicas("web"), 9);
    let reserved = |world: &World| world.leased("web").contains(&(5, 60, 6));
    assert!(reserved(&world), "{:?}", world.leased("web"));
    world.samples("web", 85.0);
    world.until(20);
    assert_eq!((world.replicas("web"), reserved(&world)), (9, true));
    world.samples("web", 20.0);
    world.until(40);
    assert_eq!((world.replicas("web"), world.leased("web")), (6, vec![(5, 60, 6)]));
}

#[test]
fn a_restart_forgets_nothing_that_is_reserved() {
    let folder = tempfile::tempdir().unwrap();
    let first = world(Some(folder.path()), 12);
    first.samples("web", 20.0);
    assert_eq!(first.reserve(40, 10, 20).to, 40);
    assert_eq!(first.reserve(30, 40, 50).to, 30);
    first.until(2);
    let at = |world: World, minute: u64| {
        let now = world.at_minute(minute);
        drop(world);
        World::at(Some(folder.path()), now)
    };
    let second = at(first, 8);
    assert!(second.leased("web").ends_with(&[(10, 20, 40), (40, 50, 30)]));
    second.until(11);
    assert_eq!(second.replicas("web"), 40);
    let third = at(second, 12);
    assert_eq!(third.replicas("web"), 40);
    third.until(22);
    assert!(third.replicas("web") < 10);
    // Down throughout the window: it is over, and does not begin.
    let fourth = at(third, 55);
    fourth.until(56);
    assert!(fourth.replicas("web") < 10);
}

#[test]
fn what_begins_now_does_not_reach_into_what_is_reserved() {
    let world = world(None, 12);
    let reserved = world.reserve(40, 3, 10).negotiation;
    let verdict = world.ask(json!({"service": "web", "replicas": 5}));
    assert_eq!((verdict.to, verdict.window.end), (5, world.at_minute(3)), "no lease was asked for");
    for request in [
        json!({"service": "web", "replicas": 5, "lease": "5m"}),
        json!({"service": "web", "replicas": 5, "start": world.at_minute(9), "lease": "5m"}),
    ] {
        let error = world.refusal(request);
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(text.contains(&reserved) && text.contains("DELETE"), "{text}");
    }
    world.until(4);
    assert_eq!(world.replicas("web"), 40);
    world.until(11);
    assert_eq!(world.replicas("web"), 5, "what was asked for without an end goes on");
}

#[test]
fn more_for_a_while_does_not_shorten_what_is_reserved_and_less_does() {
    let world = world(None, 12);
    world.reserve(40, 3, 20);
    world.until(4);
    assert_eq!(world.ask(json!({"service": "web", "replicas": 45, "lease": "2m"})).to, 45);
    assert!(world.leased("web").contains(&(3, 20, 40)), "{:?}", world.leased("web"));
    world.until(7);
    assert_eq!((world.replicas("web"), world.leased("web")), (40, vec![(3, 20, 40)]));
    assert_eq!(world.ask(json!({"service": "web", "replicas": 10, "lease": "2m"})).to, 10);
    world.until(8);
    assert_eq!(world.replicas("web"), 10);
    world.until(10);
    assert_eq!((world.replicas("web"), world.leased("web").len()), (1, 1));
}

#[test]
fn those_it_depends_on_are_reserved_as_well() {
    let world = world(None, 30);
    world.service("db", "silver");
    let edge = serde_json::from_value(json!({"ratios": {"requests_per_second": 1}})).unwrap();
    world.host.put_dependency(&name("web"), &name("db"), edge).unwrap();
    world.samples("db", 12.0);
    assert_eq!(world.reserve(40, 10, 20).to, 40);
    world.until(9);
    assert!(world.replicas("db") < 5);
    assert!(world.leased("db").contains(&(10, 20, 40)), "{:?}", world.leased("db"));
    world.until(19);
    assert_eq!((world.replicas("web"), world.replicas("db")), (40, 40));
    world.until(25);
    assert_eq!(world.replicas("web"), 1);
    assert!(world.replicas("db") < 5);
}

#[test]
fn each_window_is_negotiated_and_stands_by_itself() {
    let world = world(None, 3);
    let reserved = world.reserve(2, 50, 60).negotiation;
    let at = |minute| world.at_minute(minute);
    let request = json!({"service": "web", "windows": [
        {"start": at(10), "end": at(12), "replicas": 9},
        {"start": at(12), "lease": "2m", "replicas": 20},
        {"start": at(55), "lease": "2m", "replicas": 5},
        {"start": at(30), "lease": "5m", "load": {"requests_per_second": 25}},
    ]});
    let mut dry = request.clone();
    dry["dry_run"] = json!(true);
    let foreseen = world.ask(dry);
    assert_eq!((foreseen.dry_run, world.leased("web").len()), (true, 1));
    let verdict = world.ask(request);
    assert_eq!(foreseen.verdict, verdict.verdict);
    assert_eq!((verdict.verdict, verdict.to), (Verdict::Reduced, 12));
    assert_eq!(verdict.window, Window { start: at(10), end: at(57) });
    let words = |verdict: &ScalingVerdict| -> Vec<_> {
        verdict.windows.iter().map(|part| (part.verdict, part.to)).collect()
    };
    let (approved, reduced, denied) = (Verdict::Approved, Verdict::Reduced, Verdict::Denied);
    let expected = [(approved, 9), (reduced, 12), (denied, 1), (approved, 3)];
    assert_eq!((words(&foreseen), words(&verdict)), (expected.to_vec(), expected.to_vec()));
    assert!(verdict.windows[2].reasons[0].text.contains(&reserved), "{verdict:?}");
    assert!(verdict.reasons.contains(&verdict.windows[2].reasons[0]));
    let progress = world.host.scaling_request(&verdict.negotiation).unwrap();
    assert_eq!((progress.pending, progress.verdict), (false, Some(verdict.clone())));
    let part = verdict.windows[0].negotiation.clone().unwrap();
    assert_eq!(world.host.scaling_request(&part).unwrap().verdict.unwrap().to, 9);
    for (minute, replicas) in [(9, 1), (11, 9), (13, 12), (15, 1), (31, 3), (36, 1), (56, 2)] {
        world.until(minute);
        assert_eq!(world.replicas("web"), replicas, "minute {minute}");
    }
}

#[test]
fn a_request_that_makes_no_sense_reserves_nothing() {
    let world = world(None, 3);
    let past =
        json!({"service": "web", "replicas": 2, "start": world.begin().before(Span::from_secs(1))});
    let error = world.refusal(past);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let both = json!({"service": "web", "windows": [
        {"start": world.at_minute(5), "lease": "5m", "replicas": 2},
        {"start": world.at_minute(9), "lease": "5m", "replicas": 2},
    ]});
    assert!(world.refusal(both).to_string().contains("windows[0] and windows[1] overlap"));
    assert!(world.leases("web").is_empty());
}

#[test]
fn an_agreement_about_the_same_that_is_on_its_way_to_disk_is_waited_for() {
    let world = World::new(None);
    world.policy(json!({"alternatives": []}));
    world.provider("rack", &[("m", 10)], 1.0);
    world.service("web", "silver");
    world.ask(json!({"service": "web", "replicas": 5}));
    let now = world.clock.now();
    let end = world.leases("web").into_iter().map(|lease| lease.id).collect();
    let commitment = Commitment { confirm: Vec::new(), end, end_at: now };
    let begun = world.host.ledger().begin(&commitment, now).unwrap();
    let request = json!({"service": "web", "replicas": 8});
    let ticket = world.host.begin_scaling(serde_json::from_value(request).unwrap()).unwrap();
    assert!(world.host.is_negotiating(&name("web")));
    let effects = world.host.with_engine(|engine, setting| {
        setting.ledger.finish(begun);
        engine.persisted("the other one", Ok(()), setting)
    });
    let endings = world.host.carry_out_effects(effects).unwrap();
    world.host.conclude(endings).unwrap();
    let verdict = ticket.wait().unwrap();
    assert_eq!((verdict.verdict, verdict.to), (Verdict::Approved, 8), "{verdict:?}");
    assert_eq!(world.replicas("web"), 8);
    world.check();
}
