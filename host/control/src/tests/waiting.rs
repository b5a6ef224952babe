//! Windows of a request wait for each other if each negotiation examines many units.

use haggle_model::Span;
use serde_json::{Value, json};

use crate::{
    Answer, Change, Input, Verdict,
    testing::{World, service},
};

const WINDOWS: u64 = 30;

/// A market of 8,000 unit kinds: two windows together reach the limit of examined units.
fn world() -> World {
    let mut world = World::new();
    let ids: Vec<String> = (0..1000).map(|n| format!("m{n}")).collect();
    let units: Vec<(&str, u32)> = ids.iter().map(|id| (id.as_str(), 1)).collect();
    for provider in 0..8 {
        world.provider(&format!("rack{provider}"), &units, 1.0);
    }
    world.service("web", "silver");
    world
}

fn windows(world: &World) -> Value {
    let start = |n: u64| world.now + Span::from_mins(60 + n);
    let all = (0..WINDOWS).map(|n| json!({"start": start(n), "duration": "30s", "replicas": 2}));
    json!({"service": "web", "deadline": "1m", "windows": all.collect::<Vec<_>>()})
}

#[test]
fn others_get_their_turn_between_the_windows_of_a_request() {
    let mut world = world();
    let request = windows(&world);
    let caller = world.begin(request, false);
    let mut ticks = 0;
    while world.state().can_open_window() {
        let waiting = world.state().unopened.len();
        // Another change is processed before the next window begins.
        world.change(Change::PutService(service(&format!("other{ticks}")))).unwrap();
        assert_eq!(world.state().unopened.len(), waiting);
        world.step(Input::Tick);
        assert!(world.state().unopened.len() < waiting);
        ticks += 1;
    }
    assert!(ticks >= 2, "{ticks}");
    let Answer::Verdict(verdict) = world.answer(caller).unwrap() else { panic!("no verdict") };
    assert_eq!((verdict.verdict, verdict.windows.len() as u64), (Verdict::Approved, WINDOWS));
    assert_eq!(world.leases("web").len() as u64, WINDOWS, "a unit has room for both replicas");
    assert_eq!(world.state().open_windows, 0);
    world.check();
}

#[test]
fn a_window_whose_turn_comes_after_the_deadline_is_denied() {
    let mut world = world();
    let request = windows(&world);
    let caller = world.begin(request, false);
    world.now = world.now + Span::from_mins(2);
    world.step(Input::Tick);
    let Answer::Verdict(verdict) = world.answer(caller).unwrap() else { panic!("no verdict") };
    let denied = verdict.windows.iter().filter(|window| window.verdict == Verdict::Denied);
    assert!((1..WINDOWS).contains(&(denied.count() as u64)));
    assert!(verdict.reasons.iter().any(|reason| reason.text.contains("by the deadline")));
    assert_eq!(verdict.verdict, Verdict::Reduced);
}

#[test]
fn what_is_cancelled_while_it_waits_is_never_negotiated() {
    let mut world = world();
    let request = windows(&world);
    let caller = world.begin(request, true);
    let Answer::Accepted(progress) = world.answer(caller).unwrap() else { panic!("no answer") };
    assert!(progress.pending && world.state().can_open_window());
    world.cancel(&progress.negotiation).unwrap();
    while world.state().can_open_window() {
        world.step(Input::Tick);
    }
    let later = world.leases("web").into_iter().filter(|lease| lease.window.start > world.now);
    assert_eq!(later.count(), 0, "what was agreed is given back, and nothing follows");
    world.check();
}
