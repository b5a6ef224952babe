//! Lost, late, repeated and invalid messages.

use std::collections::VecDeque;

use haggle_model::{LeaseState, Resource, Strength, Strength::Mandatory};

use super::{Effect, Ending, Engine, EngineOptions, MessageError, OpenError, Setting};
use crate::{
    Call, Content, Demand, Information, Message, MessageId, Offer, Outcome, Party, Persist,
    Proposed, SessionRecord,
    testing::{Fixture, at, name, rps},
};

mod patience;
mod replicas;
mod together;

const PAIR: &[(&str, &str, f64, Strength)] = &[("web", "db", 1.0, Mandatory)];

/// An engine in a small world, with a disk that tests control.
struct Bench {
    world: Fixture,
    engine: Engine,
    said: VecDeque<Message>,
    writes: Vec<Persist>,
    ends: Vec<Ending>,
    faults: usize,
}

impl Bench {
    fn new() -> Self {
        Self::of(PAIR)
    }

    fn of(edges: &[(&str, &str, f64, Strength)]) -> Self {
        Self {
            world: Fixture::new(edges),
            engine: Engine::new(EngineOptions::default()),
            said: VecDeque::new(),
            writes: Vec::new(),
            ends: Vec::new(),
            faults: 0,
        }
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Engine, &mut Setting<'_>) -> T) -> T {
        let mut ledger = std::mem::take(&mut self.world.ledger);
        let now = at(self.world.now);
        let world = self.world.world();
        let done = act(&mut self.engine, &mut Setting { world: &world, ledger: &mut ledger, now });
        self.world.ledger = ledger;
        done
    }

    fn keep(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Deliver(message) => self.said.push_back(message),
                Effect::Persist(persist) => self.writes.push(persist),
                Effect::Finished(ending) => self.ends.push(ending),
                Effect::Fault { .. } => self.faults += 1,
                Effect::Expired(_) | Effect::Reclaimed(_) => {}
            }
        }
    }

    fn open(&mut self, load: f64) -> String {
        let demand = self.world.demand("web", load);
        self.open_for(demand)
    }

    fn open_for(&mut self, demand: Demand) -> String {
        let id = demand.session.clone();
        let effects = self.with(|engine, setting| engine.open(demand, setting)).unwrap();
        self.keep(effects);
        id
    }

    fn hear(&mut self, message: Message) -> Result<(), MessageError> {
        let effects = self.with(|engine, setting| engine.receive(message, setting))?;
        self.keep(effects);
        Ok(())
    }

    fn tick(&mut self, now: u64) {
        self.world.now = now;
        let effects = self.with(|engine, setting| engine.tick(setting));
        self.keep(effects);
    }

    fn written(&mut self, session: &str, result: Result<(), String>) {
        let effects = self.with(|engine, setting| engine.persisted(session, result, setting));
        self.keep(effects);
    }

    /// Answers all messages as agreeable parties would, until no more are sent.
    fn agree(&mut self) {
        while let Some(message) = self.said.pop_front() {
            let content = match &message.content {
                Content::CallForProposals(_) => Content::Propose(Proposed::All),
                Content::Accept { .. } => Content::Confirm { leases: Vec::new() },
                Content::Reject { .. } | Content::Inform(_) => continue,
                _ => Content::Inform(Information::Received),
            };
            let reply = message.reply(content, at(self.world.now));
            self.hear(reply).unwrap();
        }
    }

    fn fraction(&self) -> Option<f64> {
        self.ends.last()?.outcome.agreement().map(|agreement| agreement.fraction)
    }
}

fn question(bench: &mut Bench) -> Message {
    bench.said.pop_front().unwrap()
}

#[test]
fn nothing_counts_before_it_is_durable() {
    let mut bench = Bench::new();
    let id = bench.open(500.0);
    bench.agree();
    assert!(bench.ends.is_empty() && bench.engine.is_open(&id));
    let awaited = bench.writes.iter().find(|persist| persist.awaited).unwrap().clone();
    assert!(awaited.leases.iter().all(|lease| lease.state == LeaseState::Confirmed));
    assert!(bench.world.ledger.leases().all(|lease| lease.state == LeaseState::Held));
    // While the disk writes, neither the deadline nor a cancellation can end the session.
    bench.tick(100);
    let cancelled = bench.with(|engine, setting| engine.cancel(&id, "no".into(), setting));
    assert_eq!(cancelled, Err(MessageError::Confirming(id.clone())));
    bench.written(&id, Ok(()));
    assert_eq!(bench.fraction(), Some(1.0));
    assert!(bench.world.ledger.leases().all(|lease| awaited.leases.contains(lease)));
    assert_eq!(bench.world.ledger.leases().count(), 1);
    bench.written(&id, Ok(()));
    bench.agree();
    assert!(bench.engine.is_empty());
    assert_eq!(bench.writes.last().unwrap().record, None, "settled");
    assert_eq!(bench.ends.len(), 1);
}

#[test]
fn what_cannot_be_written_is_given_back() {
    let mut bench = Bench::new();
    let id = bench.open(500.0);
    bench.agree();
    bench.written(&id, Err("the disk is full".into()));
    assert!(bench.fraction().is_none());
    assert_eq!(bench.world.ledger.leases().count(), 0);
    assert!(bench.said.iter().any(|m| matches!(m.content, Content::Release { .. })));
    bench.agree();
    assert!(bench.engine.is_empty());
}

#[test]
fn a_session_ends_at_its_deadline() {
    let mut bench = Bench::new();
    bench.open(500.0);
    let first = question(&mut bench);
    bench.hear(first.reply(Content::Propose(Proposed::All), at(1))).unwrap();
    assert_eq!(bench.world.ledger.leases().count(), 1, "held, and nobody says that it holds");
    bench.tick(30);
    assert!(bench.ends[0].outcome.reasons()[0].text.contains("deadline"));
    assert_eq!(bench.world.ledger.leases().count(), 0);
}

#[test]
fn a_party_that_does_not_hold_what_it_proposed_ends_the_round() {
    let mut bench = Bench::new();
    bench.open(500.0);
    let call = question(&mut bench);
    bench.hear(call.reply(Content::Propose(Proposed::All), at(0))).unwrap();
    let accept = question(&mut bench);
    assert!(matches!(accept.content, Content::Accept { .. }));
    let refusal = Content::Refuse { reason: "sold".into() };
    bench.hear(accept.reply(refusal, at(0))).unwrap();
    assert_eq!(bench.world.ledger.leases().count(), 0);
    let release = question(&mut bench);
    assert!(matches!(release.content, Content::Release { .. }));
    let again = question(&mut bench);
    let Content::CallForProposals(Call::Load(inquiry)) = &again.content else { panic!() };
    assert_eq!(inquiry.round, 2);
}

#[test]
fn answers_that_make_no_sense_change_nothing() {
    let mut bench = Bench::new();
    let id = bench.open(500.0);
    let call = question(&mut bench);
    let counter = |quantities| Content::Counter(Offer { quantities, reason: String::new() });
    let cores = haggle_model::Quantities::of(Resource::CpuCores, 1.0).unwrap();
    let from = |from: Party, reply: Message| Message { from, ..reply };
    let about =
        |message: u64, reply: Message| Message { in_reply_to: Some(MessageId(message)), ..reply };
    let yes = || call.reply(Content::Propose(Proposed::All), at(0));
    let stranger = Message { session: "n9".into(), ..yes() };
    let unprompted = Message { in_reply_to: None, ..yes() };
    let cancel = Content::Cancel { reason: "bored".into() };
    type Wrong = fn(&MessageError) -> bool;
    let cases: Vec<(Message, Wrong)> = vec![
        (stranger, |e| matches!(e, MessageError::UnknownSession(_))),
        (unprompted, |e| matches!(e, MessageError::Unprompted("propose"))),
        (about(77, yes()), |e| matches!(e, MessageError::UnknownQuestion(MessageId(77)))),
        (from(Party::Service(name("web")), yes()), |e| {
            matches!(e, MessageError::WrongParty { .. })
        }),
        (call.reply(counter(cores), at(0)), |e| {
            matches!(e, MessageError::NotAsked(Resource::CpuCores))
        }),
        (call.reply(counter(rps(501.0)), at(0)), |e| {
            matches!(e, MessageError::TooMuch { offered: 501.0, asked: 500.0, .. })
        }),
        (call.reply(Content::Propose(Proposed::Bids(Vec::new())), at(0)), |e| {
            matches!(e, MessageError::WrongKind { got: "propose", .. })
        }),
        (call.reply(Content::Confirm { leases: Vec::new() }, at(0)), |e| {
            matches!(e, MessageError::WrongKind { got: "confirm", .. })
        }),
        (call.reply(cancel, at(0)), |e| matches!(e, MessageError::NotTheRequester(_))),
    ];
    for (message, wrong) in cases {
        let error = bench.hear(message).unwrap_err();
        assert!(wrong(&error), "{error}");
        assert!(bench.said.is_empty() && bench.engine.is_open(&id));
    }
    // The question is still open.
    bench.hear(yes()).unwrap();
    bench.hear(yes()).unwrap();
    assert_eq!(bench.said.len(), 1, "once");
    let other = call.reply(Content::Refuse { reason: "no".into() }, at(0));
    assert_eq!(bench.hear(other), Err(MessageError::Contradiction(call.message)));
    bench.agree();
    bench.written(&id, Ok(()));
    let recorded = bench.ends[0].transcript.messages.iter();
    let faults = recorded.filter(|m| matches!(&m.content, Content::Inform(Information::Fault(_))));
    assert_eq!(faults.count(), 9, "all but the one of another session");
}

#[test]
fn bids_and_scores_that_cannot_be_change_nothing() {
    let mut bench = Bench::new();
    bench.world.provider("alder", 5, 1.0);
    bench.open(300.0);
    let call = question(&mut bench);
    bench.hear(call.reply(Content::Propose(Proposed::All), at(0))).unwrap();
    let calls: Vec<Message> = bench.said.drain(..).collect();
    let call = &calls[0];
    let Content::CallForProposals(Call::Bids { request, inventory }) = &call.content else {
        panic!("{call:?}")
    };
    let mut parties = crate::testing::Parties::default();
    let good = parties.bid(&name("alder"), request, inventory).unwrap();
    for (field, value) in [
        ("price", f64::NAN),
        ("price", -1.0),
        ("price", 1e300),
        ("price", 1.1e9),
        ("count", 0.0),
        ("count", 4.0),
        ("count", 4e9),
        ("location", 0.0),
    ] {
        let mut bid = good[0].clone();
        match field {
            "count" => bid.count = value as u32,
            "location" => bid.location = "moon".to_owned(),
            _ => bid.price_per_hour = value,
        }
        let error = bench.hear(call.reply(Content::Propose(Proposed::Bids(vec![bid])), at(0)));
        assert!(matches!(error, Err(MessageError::Bid(_))), "{field} {value}: {error:?}");
    }
    for call in &calls {
        bench.hear(call.reply(Content::Propose(Proposed::Bids(good.clone())), at(0))).unwrap();
    }
    let rank = question(&mut bench);
    for scores in [vec![f64::NAN], vec![1.0, 2.0], vec![]] {
        let error = bench.hear(rank.reply(Content::Propose(Proposed::Scores(scores)), at(0)));
        assert!(matches!(error, Err(MessageError::Scores(_))), "{error:?}");
    }
}

#[test]
fn an_expired_hold_is_not_confirmed() {
    let mut bench = Bench::new();
    bench.open(500.0);
    let call = question(&mut bench);
    bench.hear(call.reply(Content::Propose(Proposed::All), at(0))).unwrap();
    let accept = question(&mut bench);
    bench.tick(31);
    let late = accept.reply(Content::Confirm { leases: Vec::new() }, at(31));
    assert!(matches!(bench.hear(late), Err(MessageError::Finished(_) | MessageError::Late(_))));
    assert_eq!(bench.world.ledger.leases().count(), 0);
}

#[test]
fn ids_are_used_once() {
    let mut bench = Bench::new();
    let id = bench.open(100.0);
    let mut again = bench.world.demand("web", 50.0);
    again.session = id.clone();
    let opened = bench.with(|engine, setting| engine.open(again.clone(), setting));
    assert_eq!(opened, Err(OpenError::Taken(id.clone())));
    let effects =
        bench.with(|engine, setting| engine.cancel(&id, "enough".into(), setting)).unwrap();
    bench.keep(effects);
    assert!(bench.ends[0].outcome.reasons()[0].text.contains("enough"));
    let opened = bench.with(|engine, setting| engine.open(again, setting));
    assert_eq!(opened, Err(OpenError::Taken(id)));
}

#[test]
fn a_restart_ends_every_session() {
    let mut bench = Bench::new();
    let agreed = bench.open(500.0);
    bench.agree();
    let open = bench.open(100.0);
    let records: Vec<SessionRecord> =
        bench.writes.iter().filter_map(|persist| persist.record.clone()).collect();
    let leases: Vec<_> = bench.writes.iter().flat_map(|persist| persist.leases.clone()).collect();
    // The record of the first session was written when it opened and again when it was agreed.
    let last = |id: &str| records.iter().rfind(|r| r.session == id).unwrap().clone();
    let on_disk: Vec<SessionRecord> = [&agreed, &open].into_iter().map(|id| last(id)).collect();

    let mut after = Bench::new();
    after.world.ledger.restore(leases, at(5));
    let effects = after.with(|engine, setting| engine.recover(on_disk, setting));
    after.keep(effects);
    let outcome = |id: &str| &after.ends.iter().find(|end| end.session == id).unwrap().outcome;
    assert_eq!(outcome(&agreed).agreement().unwrap().fraction, 1.0);
    assert!(matches!(outcome(&open), Outcome::Failed { .. }));
    assert_eq!(after.world.agreed("web", "db"), 500.0);
    let told: Vec<&'static str> = after.said.iter().map(|m| m.content.kind()).collect();
    assert_eq!(told, ["confirm"]);
    let stray = Message { message: MessageId(1), ..after.said[0].clone() };
    let stray = stray.reply(Content::Propose(Proposed::All), at(5));
    assert_eq!(after.hear(stray), Err(MessageError::UnknownQuestion(MessageId(1))));
    after.agree();
    assert!(after.engine.is_empty());
}
