//! Questions in negotiations.

use haggle_control::{Consultation, EventKind};
use haggle_model::Span;
use haggle_negotiate::{Content, Message, Proposed};
use serde_json::{Value, json};

use crate::{
    Timeliness,
    testing::{NOW, World, name},
};

/// An inquiry to a service with room for this many requests per second to carry ten.
fn inquiry(number: u64, room: f64) -> Message {
    let ask = json!({
        "requested": 10.0, "capacity": room, "committed": 0.0, "agreed": 0.0,
        "sustainable": 1000.0,
    });
    let inquiry = json!({
        "session": "n1", "round": 1, "service": "cart", "tier": "silver", "requester": "web",
        "purpose": "growth", "strength": "mandatory",
        "window": {"start": NOW, "end": NOW + Span::from_mins(10)},
        "asks": {"requests_per_second": ask},
    });
    let data = json!({ "load": inquiry });
    message(number, json!({ "service": "cart" }), data)
}

fn message(number: u64, to: Value, data: Value) -> Message {
    let message = json!({
        "session": "n1", "message": number, "from": "session", "to": to,
        "type": "call_for_proposals", "data": data,
    });
    serde_json::from_value(message).unwrap()
}

fn bids_and_scores() -> [Message; 2] {
    let request = json!({
        "id": "r1", "service": "web", "tier": "silver", "resources": {"cpu_cores": 1.0}, "count": 2,
        "window": {"start": NOW, "end": NOW + Span::from_mins(10)},
    });
    let unit = json!({
        "provider": "cloud", "location": "here", "free": {"cpu_cores": 8.0}, "available": 2,
        "unit": {"id": "m", "count": 2, "resources": {"cpu_cores": 4.0}, "cost_per_hour": 1.0},
    });
    let bid = json!({
        "unit": "m", "provider": "cloud", "location": "here", "count": 2, "price_per_hour": 0.5,
        "performance": 1.0,
        "guarantees": {"availability": 1.0, "interruption_rate": 0.0, "interruption_notice": "0s"},
    });
    let calls = [
        (
            json!({ "provider": "cloud" }),
            json!({ "bids": {"request": request, "inventory": [unit]} }),
        ),
        (json!({ "service": "web" }), json!({ "scores": {"request": request, "bids": [bid]} })),
    ];
    calls.map(|(to, data)| message(9, to, data))
}

fn consult(world: &World, messages: Vec<Message>) -> Vec<Result<Content, String>> {
    let by = NOW + Span::from_mins(1);
    let consultation = Consultation { plugin: name("p"), by, seed: 3, messages: messages.clone() };
    let answers = world.decider.consult(NOW, consultation, Timeliness::InTime);
    assert!(answers.iter().map(|one| &one.question).eq(&messages));
    answers.into_iter().map(|one| one.answer).collect()
}

/// Returns the answers, with the remarks about them.
fn consult_within(
    world: &World,
    time: Span,
    timeliness: Timeliness,
) -> (Result<Content, String>, String) {
    let messages = vec![inquiry(1, 100.0)];
    let consultation = Consultation { plugin: name("p"), by: NOW + time, seed: 3, messages };
    let [one] = &world.decider.consult(NOW, consultation, timeliness)[..] else {
        panic!("one answer")
    };
    (one.answer.clone(), one.remark.clone().unwrap_or_default())
}

/// The loop calls no host function, so it continues after its time is up: the decider does not wait for it,
/// and does not call it again meanwhile.
#[test]
fn whoever_loops_is_not_waited_for_and_the_remark_says_who_answered_instead() {
    let world = World::new();
    world.misbehaving("p", "loop", None);
    let (said, remark) = consult_within(&world, Span::from_secs(3), Timeliness::InTime);
    assert_eq!(said, Ok(Content::Propose(Proposed::All)));
    let instead = "; the built-in price-performance answered instead";
    let begins = "plugin p generation 1, answering.respond: did not answer within";
    assert!(remark.starts_with(begins) && remark.ends_with(instead), "{remark}");
    let last = world.decider.last_error(&name("p")).unwrap().message;
    assert!(last.starts_with(begins) && last.ends_with(instead), "{last}");
    let events = world.events(EventKind::Fallback);
    assert_eq!(events, [format!("p: {last}")]);
    assert_eq!(world.calls("p"), 1);
}

#[test]
fn a_question_that_is_late_goes_to_the_built_in_plugin_alone() {
    let world = World::new();
    let first = world.misbehaving("p", "", None);
    world.misbehaving("p", "loop", Some(&first));
    for time in [Span::from_secs(60), Span::ZERO] {
        let (said, remark) = consult_within(&world, time, Timeliness::Late);
        assert_eq!(said, Ok(Content::Propose(Proposed::All)));
        let why = "plugin p generation 2 was not asked: calls of it wait for their turn";
        let instead = "; the built-in price-performance answered instead";
        assert!(remark.starts_with(why) && remark.ends_with(instead), "{remark}");
    }
    assert_eq!((world.calls("p"), world.calls("price-performance")), (0, 2));
}

#[test]
fn inquiries_are_one_call_and_a_refusal_is_an_answer() {
    let world = World::new();
    // The test plugin offers to carry nothing, which equals a rejection.
    world.misbehaving("p", "", None);
    let said = consult(&world, vec![inquiry(1, 100.0), inquiry(2, 0.0)]);
    assert!(said.iter().all(|said| matches!(said, Ok(Content::Counter(_)))), "{said:?}");
    assert_eq!((world.calls("p"), world.calls("price-performance")), (1, 0));
}

#[test]
fn a_stand_in_answers_for_parties_whose_plugin_does_not() {
    let world = World::new();
    world.misbehaving("p", "decline respond", None);
    let said = consult(&world, vec![inquiry(1, 100.0), inquiry(2, 0.0)]);
    assert_eq!(said[0], Ok(Content::Propose(Proposed::All)));
    assert!(matches!(said[1], Ok(Content::Refuse { .. } | Content::Counter(_))), "{said:?}");
    world.misbehaving("p", "nan", None);
    let [bids, scores] = bids_and_scores();
    let said = consult(&world, vec![bids, scores]);
    let [
        Ok(Content::Propose(Proposed::Bids(bids))),
        Ok(Content::Propose(Proposed::Scores(scores))),
    ] = said.as_slice()
    else {
        panic!("{said:?}");
    };
    assert_eq!((bids.is_empty(), scores.len()), (false, 1));
    assert_eq!(world.calls("price-performance"), 3);
}

#[test]
fn texts_of_plugins_are_short() {
    let world = World::new();
    world.misbehaving("p", "huge", None);
    let said = consult(&world, vec![inquiry(1, 100.0)]);
    let bytes = |text: &str| assert!(text.len() <= 1024, "{} bytes", text.len());
    match &said[0] {
        Ok(Content::Counter(offer)) => bytes(&offer.reason),
        Ok(_) => {}
        Err(why) => bytes(why),
    }
    if let Some(last) = world.decider.last_error(&name("p")) {
        bytes(&last.message);
    }
}
