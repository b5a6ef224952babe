//! Changes over time: amendments, records and the clock.

use haggle_model::{Lease, Span};
use serde_json::json;

use crate::{
    ErrorKind, EventKind, Key, Options, Verdict,
    testing::{Manner, PASS, World, name},
};

fn world() -> World {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "lease": "4m", "renew_before": "1m"}));
    world.provider("rack", &[("m", 5)], 1.0);
    world.service("web", "silver");
    world.service("db", "silver");
    world
}

#[test]
fn a_reservation_is_changed_in_place_or_stands_as_it_was() {
    let mut world = world();
    world.depend("web", "db", 0.5);
    let start = world.at_minute(10);
    let request = json!({"service": "web", "replicas": 6, "start": start, "duration": "5m"});
    let id = world.ask(request).negotiation;
    // The new window is earlier, longer and larger.
    let window = json!({"start": world.at_minute(8), "duration": "10m", "replicas": 10});
    let verdict = world.amend(&id, window).unwrap();
    assert_eq!((verdict.verdict, verdict.to), (Verdict::Approved, 10), "{verdict:?}");
    assert_eq!(verdict.negotiation, id, "it keeps its id");
    let later = |world: &World, holder: &str| -> Vec<_> {
        world.leased(holder).into_iter().filter(|(from, ..)| *from >= 5).collect()
    };
    assert_eq!(later(&world, "web"), [(8, 18, 10)], "the old leases are gone");
    assert_eq!(world.leased_at("db", world.at_minute(9)), 5);
    let reservations = world.state().reservations(None);
    assert_eq!(reservations.len(), 1);
    assert_eq!((reservations[0].request.as_str(), reservations[0].replicas), (id.as_str(), 10));
    // An amendment that is not available at all changes nothing.
    world.plugins.insert(name("price-performance"), Manner::Refusing);
    let window = json!({"start": world.at_minute(8), "duration": "20m", "replicas": 12});
    let denied = world.amend(&id, window).unwrap();
    assert_eq!(denied.verdict, Verdict::Denied);
    assert_eq!(later(&world, "web"), [(8, 18, 10)]);
    assert_eq!(world.state().reservations(None), reservations);
    world.plugins.clear();
    world.restart();
    assert_eq!(later(&world, "web"), [(8, 18, 10)]);
    world.until(9);
    assert_eq!((world.replicas("web"), world.replicas("db")), (10, 5));
    world.until(17);
    assert_eq!(world.replicas("web"), 10);
    world.until(19);
    assert_eq!((world.replicas("web"), world.replicas("db")), (1, 1));
    world.until(30);
    assert_eq!(
        world.amend(&id, json!({"duration": "5m", "replicas": 2})).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn what_has_begun_is_changed_in_place_as_well() {
    let mut world = world();
    let start = world.at_minute(2);
    let request = json!({"service": "web", "replicas": 6, "start": start, "duration": "5m"});
    let id = world.ask(request).negotiation;
    world.until(3);
    assert_eq!(world.replicas("web"), 6);
    let verdict = world.amend(&id, json!({"end": world.at_minute(12), "replicas": 9})).unwrap();
    assert_eq!((verdict.verdict, verdict.to), (Verdict::Approved, 9), "{verdict:?}");
    assert_eq!(world.replicas("web"), 9);
    world.until(11);
    assert_eq!(world.replicas("web"), 9);
    assert_eq!(world.amend(&id, json!({"end": world.at_minute(20), "replicas": 3})).unwrap().to, 3);
    world.until(19);
    assert_eq!(world.replicas("web"), 3);
    world.cancel(&id).unwrap();
    world.pass(PASS);
    assert_eq!(world.replicas("web"), 1);
    assert!(world.leased_at("web", world.now) <= 1, "{:?}", world.places("web"));
}

#[test]
fn only_one_window_that_is_agreed_can_be_changed() {
    let mut world = world();
    let open = world.ask(json!({"service": "web", "replicas": 3})).negotiation;
    let two = json!({"service": "db", "windows": [
        {"start": world.at_minute(10), "duration": "1m", "replicas": 2},
        {"start": world.at_minute(20), "duration": "1m", "replicas": 2}]});
    let two = world.ask(two);
    let later = two.windows.last().and_then(|window| window.negotiation.clone()).unwrap();
    let two = two.negotiation;
    let window = json!({"start": world.at_minute(30), "duration": "1m", "replicas": 2});
    for id in [&open, &two] {
        assert_eq!(world.amend(id, window.clone()).unwrap_err().kind(), ErrorKind::Conflict);
    }
    let one =
        json!({"service": "db", "start": world.at_minute(40), "duration": "1m", "replicas": 2});
    let one = world.ask(one).negotiation;
    let taken = json!({"start": world.at_minute(20), "duration": "1m", "replicas": 2});
    let error = world.amend(&one, taken).unwrap_err();
    assert!(error.to_string().contains(&later), "{error}");
}

#[test]
fn an_overlap_shorter_than_a_pass_is_cut_off() {
    let mut world = world();
    let window =
        |from, lease| json!({"service": "web", "replicas": 3, "start": from, "duration": lease});
    world.ask(window(world.at_minute(10), "5m"));
    let verdict = world.ask(window(world.at_minute(5), "303s"));
    assert_eq!(verdict.window.end, world.at_minute(10));
    let after = world.at_minute(15).before(Span::from_secs(9));
    assert_eq!(world.ask(window(after, "5m")).window.start, world.at_minute(15));
    let before = world.at_minute(10).before(Span::from_secs(60));
    assert_eq!(world.try_ask(window(before, "75s")).unwrap_err().kind(), ErrorKind::Conflict);
    // A remainder that short is not granted either.
    let within = world.at_minute(12);
    assert_eq!(world.try_ask(window(within, "5s")).unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn records_are_kept_within_bounds_and_live_ones_always() {
    let options = World::new().options;
    let mut world = World::with(Options { records: 50, ..options });
    world.thorough = false;
    world.policy(json!({"alternatives": ["partial"], "lease": "4m", "renew_before": "1m"}));
    world.provider("rack", &[("m", 5)], 1.0);
    world.service("web", "silver");
    world.service("db", "silver");
    let start = world.now + Span::from_mins(24 * 60);
    let request = json!({"service": "web", "replicas": 6, "start": start, "duration": "5m"});
    let old = world.ask(request).negotiation;
    for round in 0..1200_u32 {
        world.ask(json!({"service": "db", "replicas": 2 + round % 2, "duration": "1m"}));
        if round % 100 == 0 {
            world.pass(PASS);
        }
    }
    world.pass(Span::from_mins(2));
    let negotiations = world.disk.count(|key| matches!(key, Key::Negotiation(_)));
    let requests = world.disk.count(|key| matches!(key, Key::Request(_)));
    assert!(negotiations <= 60 && requests <= 60, "{negotiations}, {requests}");
    for key in [Key::Negotiation(old.clone()), Key::Request(old.clone())] {
        assert!(world.disk.records.contains_key(&key), "{key:?}");
    }
    world.restart();
    assert!(world.progress(&old).is_some());
    world.cancel(&old).unwrap();
    assert_eq!(world.leased_at("web", start), 0);
    world.pass(PASS);
    world.cancel(&old).unwrap();
}

#[test]
fn a_clock_that_jumps_ahead_ends_what_is_over_by_then() {
    let mut world = world();
    world.depend("web", "db", 1.0);
    world.plugins.insert(name("price-performance"), Manner::Silent);
    let waiting = world.begin(json!({"service": "web", "replicas": 5, "deadline": "30s"}), false);
    world.plugins.clear();
    let start = world.at_minute(60);
    let request = json!({"service": "db", "replicas": 6, "start": start, "duration": "30m"});
    world.ask(request);
    world.now = world.at_minute(70);
    world.step(crate::Input::Tick);
    assert_eq!(world.state().open_sessions(), 0);
    let answer = world.answer(waiting).unwrap();
    let crate::Answer::Verdict(verdict) = answer else { panic!("{answer:?}") };
    assert!(verdict.reasons[0].text.contains("deadline"), "{verdict:?}");
    world.reconcile();
    assert_eq!(world.replicas("db"), 6);
}

#[test]
fn a_clock_that_goes_back_leaves_reservations_and_nothing_in_the_future() {
    let mut world = world();
    world.load("web", 25.0);
    let start = world.at_minute(600);
    let request = json!({"service": "db", "replicas": 6, "start": start, "duration": "30m"});
    world.ask(request);
    world.until(300);
    world.load("web", 45.0);
    world.pass(PASS);
    world.plugins.insert(name("price-performance"), Manner::Silent);
    let waiting = world.begin(json!({"service": "db", "replicas": 5, "duration": "1m"}), false);
    world.plugins.clear();
    world.events.clear();
    world.restart_clock(world.at_minute(100));
    assert_eq!(world.state().open_sessions(), 0);
    let crate::Answer::Verdict(verdict) = world.answer(waiting).unwrap() else { panic!() };
    assert!(verdict.reasons[0].text.contains("clock"), "{verdict:?}");
    assert!(world.events.iter().any(|e| e.kind == EventKind::Alert && e.message.contains("back")));
    assert!(world.service_state("web").observed.is_none());
    assert!(world.service_state("web").forecast.is_none());
    // Existing replicas stay, and new ones are granted at once.
    world.load("web", 55.0);
    world.pass(PASS);
    assert_eq!(world.replicas("web"), 6);
    world.load("web", 15.0);
    world.pass(Span::from_mins(1));
    assert_eq!(world.replicas("web"), 2, "no peak of the future keeps it up");
    assert!(world.control.next_due(world.now).is_none_or(|due| due < world.at_minute(110)));
    world.until(601);
    assert_eq!(world.replicas("db"), 6);
    world.until(640);
    assert_eq!((world.replicas("web"), world.replicas("db")), (2, 1));
}

#[test]
fn a_clock_that_goes_back_over_a_restart_does_no_harm_either() {
    let mut world = world();
    world
        .policy_with(json!({"stabilization": "10m"}), json!({"lease": "4m", "renew_before": "1m"}));
    world.until(300);
    world.load("web", 95.0);
    world.pass(PASS);
    assert_eq!(world.replicas("web"), 10);
    let lasts = |lease: &Lease| lease.window.end;
    assert!(world.leases("web").iter().map(lasts).all(|end| end > world.at_minute(300)));
    world.restart_at(world.at_minute(100));
    world.load("web", 15.0);
    world.pass(Span::from_mins(12));
    assert_eq!(world.replicas("web"), 2);
}

#[test]
fn a_reservation_that_was_reduced_in_place_gives_everything_back_when_it_is_cancelled() {
    let mut world = world();
    world.depend("web", "db", 0.5);
    let (start, soon) = (world.at_minute(60), Span::from_mins(61));
    let request = json!({"service": "web", "replicas": 10, "start": start, "duration": "5m"});
    let id = world.ask(request).negotiation;
    let window = json!({"start": start, "duration": "5m", "replicas": 2});
    assert_eq!(world.amend(&id, window).unwrap().verdict, Verdict::Approved);
    assert!(world.leased_at("db", start) > 0);
    world.cancel(&id).unwrap();
    let during = world.at_minute(0) + soon;
    assert_eq!((world.leased_at("web", during), world.leased_at("db", during)), (0, 0));
}
