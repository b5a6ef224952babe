//! Scaling requests for now and for later.

use haggle_model::{ScalingPolicy, Span, Timestamp, Window};
use serde_json::{Value, json};

use crate::{
    Answer, ControlError, ErrorKind, ScalingVerdict, Verdict,
    testing::{Manner, World},
};

const REST: Span = Span::from_mins(60);

fn world(machines: u32) -> World {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "lease": "4m", "renew_before": "1m"}));
    world.provider("rack", &[("m", machines)], 1.0);
    world.service("web", "silver");
    world
}

impl World {
    fn begun() -> Timestamp {
        Timestamp::from_millis(1_750_000_000_000).floor(Span::from_mins(1))
    }

    pub(super) fn at_minute(&self, minute: u64) -> Timestamp {
        Self::begun() + Span::from_mins(minute)
    }

    /// Requests replicas for these minutes.
    fn reserve(&mut self, replicas: u32, from: u64, to: u64) -> ScalingVerdict {
        let lease = Span::from_mins(to - from);
        let start = self.at_minute(from);
        self.ask(json!({"service": "web", "replicas": replicas, "start": start, "duration": lease}))
    }

    pub(super) fn until(&mut self, minute: u64) {
        self.pass(self.at_minute(minute).since(self.now));
    }

    fn refusal(&mut self, request: Value) -> ControlError {
        self.try_ask(request).unwrap_err()
    }

    /// The leased replicas as (first minute, last minute, replicas).
    pub(super) fn leased(&self, holder: &str) -> Vec<(u64, u64, u32)> {
        let minute = |at: Timestamp| at.since(Self::begun()).as_millis() / 60_000;
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
        let mut world = world(12);
        if known {
            world.load("web", 25.0);
        }
        let verdict = world.reserve(40, 20, 30);
        assert_eq!((verdict.verdict, verdict.to), (Verdict::Approved, 40), "{verdict:?}");
        let window = Window { start: world.at_minute(20), end: world.at_minute(30) };
        assert_eq!(verdict.window, window);
        world.until(19);
        let before = world.replicas("web");
        assert_eq!(before, if known { 3 } else { 1 });
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
    let mut world = world(3);
    world.service("other", "silver");
    assert_eq!(world.reserve(8, 10, 20).to, 8);
    // The service grows and renews its leases repeatedly, up to the window and through it.
    for minute in 1..10 {
        world.load("web", 10.0 * minute as f64);
        world.until(minute);
        let greedy = json!({"service": "other", "replicas": 12, "duration": "1h"});
        assert!(world.ask(greedy).to <= 4, "what is reserved is not free for others");
        let reserved = world.leased("web").into_iter().filter(|lease| lease.0 == 10);
        assert_eq!(reserved.collect::<Vec<_>>(), [(10, 20, 8)]);
    }
    assert_eq!(world.replicas("web"), 8);
    world.load("web", 20.0);
    world.until(19);
    assert_eq!(world.replicas("web"), 8);
    world.until(25);
    assert!(world.replicas("web") <= 3);
}

#[test]
fn what_needs_more_than_is_reserved_adds_to_it() {
    let mut world = world(3);
    assert_eq!(world.reserve(6, 5, 60).to, 6);
    world.load("web", 20.0);
    world.until(10);
    assert_eq!(world.leased("web"), [(5, 60, 6)]);
    world.load("web", 85.0);
    world.until(11);
    assert_eq!(world.replicas("web"), 9);
    let reserved = |world: &World| world.leased("web").contains(&(5, 60, 6));
    assert!(reserved(&world), "{:?}", world.leased("web"));
    world.until(20);
    assert_eq!((world.replicas("web"), reserved(&world)), (9, true));
    world.load("web", 20.0);
    world.until(40);
    assert_eq!((world.replicas("web"), world.leased("web")), (6, vec![(5, 60, 6)]));
}

#[test]
fn a_restart_forgets_nothing_that_is_reserved() {
    let mut world = world(12);
    world.load("web", 20.0);
    assert_eq!(world.reserve(40, 10, 20).to, 40);
    assert_eq!(world.reserve(30, 40, 50).to, 30);
    world.until(2);
    let restart = |world: &mut World, minute| {
        world.restart_at(world.at_minute(minute));
        world.load("web", 20.0);
    };
    restart(&mut world, 8);
    assert!(world.leased("web").ends_with(&[(10, 20, 40), (40, 50, 30)]));
    world.until(11);
    assert_eq!(world.replicas("web"), 40);
    restart(&mut world, 12);
    assert_eq!(world.replicas("web"), 40);
    world.until(22);
    assert!(world.replicas("web") < 10);
    // The host is down throughout the window: the reservation is over and does not begin.
    restart(&mut world, 55);
    world.until(56);
    assert!(world.replicas("web") < 10);
}

#[test]
fn what_begins_now_does_not_reach_into_what_is_reserved() {
    let mut world = world(12);
    let reserved = world.reserve(40, 3, 10).negotiation;
    let verdict = world.ask(json!({"service": "web", "replicas": 5}));
    assert_eq!((verdict.to, verdict.window.end), (5, world.at_minute(3)), "no lease was asked for");
    for request in [
        json!({"service": "web", "replicas": 5, "duration": "5m"}),
        json!({"service": "web", "replicas": 5, "start": world.at_minute(9), "duration": "5m"}),
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
    let mut world = world(12);
    world.reserve(40, 3, 20);
    world.until(4);
    assert_eq!(world.ask(json!({"service": "web", "replicas": 45, "duration": "2m"})).to, 45);
    assert!(world.leased("web").contains(&(3, 20, 40)), "{:?}", world.leased("web"));
    world.until(7);
    assert_eq!((world.replicas("web"), world.leased("web")), (40, vec![(3, 20, 40)]));
    assert_eq!(world.ask(json!({"service": "web", "replicas": 10, "duration": "2m"})).to, 10);
    world.until(8);
    assert_eq!(world.replicas("web"), 10);
    world.until(10);
    assert_eq!((world.replicas("web"), world.leased("web").len()), (1, 1));
}

#[test]
fn those_it_depends_on_are_reserved_as_well() {
    let mut world = world(30);
    world.service("db", "silver");
    world.depend("web", "db", 1.0);
    world.load("db", 12.0);
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
    let mut world = world(3);
    let reserved = world.reserve(2, 50, 60).negotiation;
    let at = |minute| World::begun() + Span::from_mins(minute);
    let request = json!({"service": "web", "windows": [
        {"start": at(10), "end": at(12), "replicas": 9},
        {"start": at(12), "duration": "2m", "replicas": 20},
        {"start": at(55), "duration": "2m", "replicas": 5},
        {"start": at(30), "duration": "5m", "load": {"requests_per_second": 25}},
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
    let progress = world.progress(&verdict.negotiation).unwrap();
    assert_eq!((progress.pending, progress.verdict), (false, Some(verdict.clone())));
    assert!(verdict.windows[0].negotiation.is_some());
    for (minute, replicas) in [(9, 1), (11, 9), (13, 12), (15, 1), (31, 3), (36, 1), (56, 2)] {
        world.until(minute);
        assert_eq!(world.replicas("web"), replicas, "minute {minute}");
    }
}

#[test]
fn a_request_that_makes_no_sense_reserves_nothing() {
    let mut world = world(3);
    let writes = world.disk.writes;
    let past = World::begun().before(Span::from_secs(1));
    let error = world.refusal(json!({"service": "web", "replicas": 2, "start": past}));
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let both = json!({"service": "web", "windows": [
        {"start": world.at_minute(5), "duration": "5m", "replicas": 2},
        {"start": world.at_minute(9), "duration": "5m", "replicas": 2},
    ]});
    assert!(world.refusal(both).to_string().contains("windows[0] and windows[1] overlap"));
    assert!(world.leases("web").is_empty());
    assert_eq!(world.disk.writes, writes, "nothing of it is written");
}

#[test]
fn a_dry_run_is_answered_with_its_verdict_however_early_an_answer_is_wanted() {
    for fails in [false, true] {
        let mut world = world(2);
        world.service("db", "silver");
        world.depend("web", "db", 1.0);
        let manner = if fails { Manner::Silent } else { Manner::Fair };
        world.plugins.insert(ScalingPolicy::default().answering.plugin, manner);
        let request = json!({"service": "web", "replicas": 3, "dry_run": true, "deadline": "20s"});
        let caller = world.begin(request, true);
        world.pass(Span::from_mins(1));
        let Ok(Answer::Verdict(verdict)) = world.answer(caller) else { panic!("no verdict") };
        let wanted = if fails { Verdict::Denied } else { Verdict::Approved };
        assert_eq!((verdict.dry_run, verdict.verdict), (true, wanted), "{verdict:?}");
        assert_eq!(world.progress(&verdict.negotiation), None, "it is kept nowhere");
        assert_eq!(world.replicas("web"), 1);
    }
}
