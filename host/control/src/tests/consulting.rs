//! The deadlines of plugins, and the remarks about fallbacks.

use haggle_model::Span;
use haggle_negotiate::{Content, Information};
use serde_json::json;

use crate::{
    Answer, Consultation, Input, Key, Record, Verdict,
    testing::{Manner, World, consulted, name},
};

/// A shop on machines, with a mandatory and an optional dependency.
fn world() -> World {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "lease": "4m", "renew_before": "1m"}));
    world.provider("rack", &[("m", 50)], 1.0);
    for service in ["web", "db", "ads"] {
        world.service(service, "silver");
    }
    world.depend("web", "db", 1.0);
    world.depend("db", "ads", 1.0);
    world
}

/// An answer at the last moment of a consultation counts, and leaves enough time for all later questions.
#[test]
fn an_answer_at_the_last_moment_counts() {
    for deadline in ["30s", "2s", "400ms"] {
        let mut world = world();
        world.plugins.insert(name("price-performance"), Manner::Silent);
        world.consultations.clear();
        let request = json!({"service": "web", "replicas": 6, "deadline": deadline});
        let caller = world.begin(request, false);
        let mut open: Vec<Consultation> = Vec::new();
        while !world.answers.contains_key(&caller) {
            for one in std::mem::take(&mut world.consultations) {
                match open.iter().find(|known| known.messages == one.messages) {
                    Some(known) => assert_eq!(one.by, known.by, "a repetition gains no time"),
                    None => open.push(one),
                }
            }
            let next = (0..open.len()).min_by_key(|place| open[*place].by);
            let next = open.remove(next.expect("somebody is asked"));
            let moment = next.by.before(Span::from_millis(1));
            world.pass(moment.since(world.now));
            world.step(Input::Consulted(consulted(&next, Manner::Fair).unwrap()));
        }
        let Ok(Answer::Verdict(verdict)) = world.answer(caller) else { panic!("no verdict") };
        assert_eq!((verdict.verdict, verdict.to), (Verdict::Approved, 6), "{verdict:?}");
    }
}

#[test]
fn a_remark_about_an_answer_is_on_record() {
    let mut world = world();
    world.plugins.insert(name("price-performance"), Manner::Silent);
    world.consultations.clear();
    let caller = world.begin(json!({"service": "web", "replicas": 6, "deadline": "30s"}), false);
    let question = world.consultations[0].messages[0].clone();
    let remark = "somebody else answered instead".to_owned();
    world.step(Input::Remarked(vec![(question.clone(), remark.clone())]));
    world.plugins.clear();
    world.pass(Span::from_secs(5));
    let Ok(Answer::Verdict(verdict)) = world.answer(caller) else { panic!("no verdict") };
    let key = Key::Negotiation(verdict.negotiation.clone());
    let Some(Record::Negotiation(record)) = world.disk.records.get(&key) else {
        panic!("it is kept")
    };
    let said = record
        .transcript
        .messages
        .iter()
        .find(|message| message.content == Content::Inform(Information::Fault(remark.clone())));
    let said = said.expect("the remark is kept");
    assert_eq!((said.message.message, &said.to), (question.message, &question.to));
    // The session has ended: remarks are no longer kept.
    world.step(Input::Remarked(vec![(question, remark)]));
}
