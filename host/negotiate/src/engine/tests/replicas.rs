//! Concurrent sessions of a service and its dependent that both change the replicas of the service.

use super::{Bench, Mandatory};
use crate::{
    Call, Content, Message, Party, Proposed, local_reply,
    testing::{at, name},
};

/// A bench in which `db` has five replicas for its own load.
fn five() -> Bench {
    let mut bench = Bench::of(&[("web", "db", 1.0, Mandatory)]);
    bench.world.provider("alder", 9, 1.0);
    open(&mut bench, "db", 500.0);
    finish(&mut bench);
    assert_eq!(bench.world.placed("db"), 5);
    bench
}

fn open(bench: &mut Bench, requester: &str, load: f64) -> String {
    let demand = bench.world.demand(requester, load);
    bench.open_for(demand)
}

fn reply(bench: &mut Bench, message: &Message) {
    let content = match &message.content {
        Content::CallForProposals(Call::Load(_)) => Content::Propose(Proposed::All),
        Content::CallForProposals(Call::Bids { request, inventory }) => {
            let Party::Provider(provider) = &message.to else { panic!("{message:?}") };
            let bids = bench.world.parties.bid(provider, request, inventory).unwrap();
            Content::Propose(Proposed::Bids(bids))
        }
        Content::CallForProposals(Call::Scores { request, bids }) => {
            let scores = bench.world.parties.rank(request, bids).unwrap();
            Content::Propose(Proposed::Scores(scores))
        }
        _ => match local_reply(message) {
            Some(content) => content,
            None => return,
        },
    };
    bench.hear(message.reply(content, at(0))).unwrap();
}

/// Answers all messages up to the first of this kind, and leaves that one unanswered.
fn until(bench: &mut Bench, kind: impl Fn(&Content) -> bool) -> Message {
    loop {
        let message = bench.said.pop_front().unwrap();
        if kind(&message.content) {
            return message;
        }
        reply(bench, &message);
    }
}

/// Answers all messages and completes all writes.
fn finish(bench: &mut Bench) {
    while !bench.said.is_empty() || !bench.writes.is_empty() {
        while let Some(message) = bench.said.pop_front() {
            reply(bench, &message);
        }
        for write in std::mem::take(&mut bench.writes).into_iter().filter(|write| write.awaited) {
            bench.written(&write.session, Ok(()));
        }
    }
}

/// Checks that the agreement of `web` relies on no more replicas of `db` than exist, and on enough.
fn check(bench: &Bench, needed: u32) {
    let agreed = bench.ends.iter().filter_map(|end| end.outcome.agreement());
    let mut of_web = agreed.rev().filter(|agreed| agreed.requester == name("web"));
    let replicas = of_web.next().unwrap().services[&name("db")].replicas;
    let placed = bench.world.placed("db");
    assert!(replicas >= 3, "{replicas}");
    assert!(placed >= replicas.min(needed) && placed >= needed, "{placed} of {replicas}");
    assert!(bench.ends.iter().all(|end| end.outcome.agreement().is_some()));
}

#[test]
fn what_is_given_back_meanwhile_is_not_counted_on() {
    let mut bench = five();
    open(&mut bench, "web", 300.0);
    let bids = |content: &Content| {
        matches!(content, Content::CallForProposals(Call::Bids { request, .. })
            if request.service == name("web"))
    };
    let late = until(&mut bench, bids);
    open(&mut bench, "db", 100.0);
    finish(&mut bench);
    assert_eq!(bench.world.placed("db"), 1, "nothing was promised yet");
    reply(&mut bench, &late);
    finish(&mut bench);
    check(&bench, 3);
}

#[test]
fn what_is_promised_meanwhile_is_not_given_back() {
    let mut bench = five();
    open(&mut bench, "db", 100.0);
    let late = until(&mut bench, |content| matches!(content, Content::Accept { .. }));
    open(&mut bench, "web", 300.0);
    finish(&mut bench);
    reply(&mut bench, &late);
    finish(&mut bench);
    check(&bench, 4);
    assert_eq!(bench.world.placed("db"), 4);
}

#[test]
fn what_is_given_back_on_its_way_to_disk_is_waited_for() {
    let mut bench = five();
    let db = open(&mut bench, "db", 100.0);
    while let Some(message) = bench.said.pop_front() {
        reply(&mut bench, &message);
    }
    assert!(bench.writes.iter().any(|write| write.awaited && write.session == db));
    let written = std::mem::take(&mut bench.writes);
    let web = open(&mut bench, "web", 300.0);
    while let Some(message) = bench.said.pop_front() {
        reply(&mut bench, &message);
    }
    assert!(!bench.writes.iter().any(|write| write.awaited && write.session == web), "it waits");
    for write in written.iter().filter(|write| write.awaited) {
        bench.written(&write.session, Ok(()));
    }
    finish(&mut bench);
    check(&bench, 3);
}
