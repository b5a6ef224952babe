//! Silent parties, and the timeouts of their questions.

use haggle_model::{Span, Strength::Optional};

use super::*;

impl Bench {
    /// Opens a session with this deadline, in seconds.
    fn open_by(&mut self, load: f64, deadline: u64) -> String {
        let mut demand = self.world.demand("web", load);
        demand.policy.deadline = Span::from_secs(deadline);
        self.open_for(demand)
    }

    /// Lets time pass while the `silent` parties do not answer. All others do, and the disk writes at once.
    fn pass(&mut self, seconds: std::ops::RangeInclusive<u64>, silent: &dyn Fn(&Message) -> bool) {
        for now in seconds {
            self.tick(now);
            loop {
                let awaited: Vec<Persist> = self.writes.drain(..).filter(|w| w.awaited).collect();
                for persist in &awaited {
                    self.written(&persist.session, Ok(()));
                }
                let heard: Vec<Message> = self.said.drain(..).filter(|m| !silent(m)).collect();
                if heard.is_empty() && awaited.is_empty() {
                    break;
                }
                for message in heard {
                    self.answer(&message);
                }
            }
        }
    }

    /// Answers one message as an agreeable party would.
    fn answer(&mut self, message: &Message) {
        let mut parties = crate::testing::Parties::default();
        let content = match (&message.content, &message.to) {
            (
                Content::CallForProposals(Call::Bids { request, inventory }),
                Party::Provider(name),
            ) => {
                let bids = parties.bid(name, request, inventory).unwrap();
                Content::Propose(Proposed::Bids(bids))
            }
            (Content::CallForProposals(Call::Scores { bids, .. }), _) => {
                let scores = bids.iter().map(|bid| -bid.price_per_hour).collect();
                Content::Propose(Proposed::Scores(scores))
            }
            (Content::CallForProposals(_), _) => Content::Propose(Proposed::All),
            (Content::Accept { .. }, _) => Content::Confirm { leases: Vec::new() },
            (Content::Reject { .. } | Content::Inform(_), _) => return,
            _ => Content::Inform(Information::Received),
        };
        let reply = message.reply(content, at(self.world.now));
        match self.hear(reply) {
            Ok(()) | Err(MessageError::Finished(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn of_service(service: &'static str) -> impl Fn(&Message) -> bool {
    move |message| message.to == Party::Service(name(service))
}

fn of_provider(provider: &'static str) -> impl Fn(&Message) -> bool {
    move |message| message.to == Party::Provider(name(provider))
}

const OPTIONAL: &[(&str, &str, f64, Strength)] =
    &[("web", "db", 1.0, Mandatory), ("web", "ads", 1.0, Optional)];

#[test]
fn silence_is_asked_again_and_then_taken_for_a_refusal() {
    let mut bench = Bench::new();
    bench.open(500.0);
    let first = question(&mut bench);
    for now in 1..20 {
        bench.tick(now);
    }
    assert!(bench.said.iter().all(|again| *again == first));
    // The wait is half of thirty seconds, with growing pauses.
    assert_eq!(bench.said.len(), 6);
    let reasons = bench.ends[0].outcome.reasons();
    assert!(reasons[0].text.contains("no answer after 7 attempts"), "{reasons:?}");
    let late = first.reply(Content::Propose(Proposed::All), at(20));
    assert_eq!(bench.hear(late), Err(MessageError::Finished("n1".into())));
}

#[test]
fn who_is_optional_and_silent_is_left_out_in_time() {
    for deadline in [2, 10, 30, 300] {
        let mut bench = Bench::of(OPTIONAL);
        bench.open_by(500.0, deadline);
        bench.pass(0..=deadline - 1, &of_service("ads"));
        let agreement = bench.ends[0].outcome.agreement().unwrap();
        assert_eq!(
            (agreement.fraction, agreement.without_optional.len()),
            (1.0, 1),
            "{deadline} s"
        );
    }
}

#[test]
fn a_silent_provider_leaves_time_for_the_others() {
    for rounds in [1, 4, 100] {
        let mut bench = Bench::of(&[]);
        bench.world.service("web", 10);
        bench.world.provider("good", 5, 1.0);
        bench.world.provider("mute", 5, 0.1);
        let mut demand = bench.world.demand("web", 500.0);
        demand.policy.deadline = Span::from_secs(10);
        demand.policy.max_rounds = rounds;
        bench.open_for(demand);
        bench.pass(0..=9, &of_provider("mute"));
        assert_eq!(bench.fraction(), Some(1.0), "{rounds} rounds");
    }
}

#[test]
fn who_proposes_and_then_does_not_hold_it_is_left_out() {
    let silent = |message: &Message| {
        let accepts = matches!(message.content, Content::Accept { .. });
        accepts && (of_service("ads")(message) || of_provider("mute")(message))
    };
    let mut bench = Bench::of(OPTIONAL);
    bench.world.provider("good", 5, 1.0);
    bench.world.provider("mute", 5, 0.1);
    bench.open_by(300.0, 10);
    bench.pass(0..=9, &silent);
    let agreement = bench.ends[0].outcome.agreement().unwrap();
    assert_eq!((agreement.fraction, agreement.without_optional.len()), (1.0, 1));
}

#[test]
fn who_cannot_be_done_without_is_asked_for_as_long_as_there_is_time() {
    let mut bench = Bench::new();
    let id = bench.open_by(500.0, 60);
    let first = question(&mut bench);
    for now in 1..=25 {
        bench.tick(now);
    }
    let times = bench.said.len();
    assert!((8..12).contains(&times), "{times} repetitions");
    bench.said.clear();
    bench.hear(first.reply(Content::Propose(Proposed::All), at(25))).unwrap();
    bench.agree();
    bench.written(&id, Ok(()));
    assert_eq!(bench.fraction(), Some(1.0));
}

#[test]
fn chains_of_silence_end_before_the_deadline() {
    let chain: Vec<(String, String)> =
        (0..8).map(|n| (format!("a{n}"), format!("a{}", n + 1))).collect();
    let mut edges = vec![("web", "db", 1.0, Mandatory), ("web", "a0", 1.0, Optional)];
    edges.extend(chain.iter().map(|(from, to)| (from.as_str(), to.as_str(), 1.0, Optional)));
    let mut bench = Bench::of(&edges);
    bench.open_by(100.0, 60);
    bench.pass(0..=59, &|message| message.to != Party::Service(name("db")));
    assert_eq!(bench.fraction(), Some(1.0));
}

#[test]
fn an_answer_that_cannot_be_read_is_none() {
    let mut bench = Bench::new();
    let id = bench.open_by(500.0, 10);
    let call = question(&mut bench);
    let unreadable = |bench: &mut Bench, session: &str, from: &Party, about: MessageId| {
        let (now, why) = (at(bench.world.now), "it is gibberish".to_owned());
        bench.with(|engine, _| engine.unreadable(session, from, about, why, now))
    };
    let error = unreadable(&mut bench, &id, &call.to, call.message);
    assert!(matches!(error, MessageError::Unreadable { .. }), "{error}");
    let web = Party::Service(name("web"));
    let error = unreadable(&mut bench, &id, &web, call.message);
    assert!(matches!(error, MessageError::WrongParty { .. }), "{error}");
    let error = unreadable(&mut bench, &id, &call.to, MessageId(77));
    assert!(matches!(error, MessageError::UnknownQuestion(_)), "{error}");
    let error = unreadable(&mut bench, "n9", &call.to, call.message);
    assert!(matches!(error, MessageError::UnknownSession(_)), "{error}");
    // The question stays open after any number of unreadable answers, and a valid answer counts.
    for _ in 0..5000 {
        unreadable(&mut bench, &id, &call.to, call.message);
    }
    bench.tick(1);
    assert_eq!(question(&mut bench), call);
    bench.hear(call.reply(Content::Propose(Proposed::All), at(1))).unwrap();
    bench.agree();
    bench.written(&id, Ok(()));
    assert_eq!(bench.fraction(), Some(1.0));
    let kept = bench.ends[0].transcript.messages.len();
    assert!((1000..1100).contains(&kept), "{kept} messages are kept");
    let error = unreadable(&mut bench, &id, &call.to, call.message);
    assert!(matches!(error, MessageError::Unreadable { .. } | MessageError::Finished(_)));
}

#[test]
fn what_was_wrong_with_the_last_answer_is_named_when_it_is_given_up() {
    let mut bench = Bench::new();
    bench.open_by(500.0, 10);
    let call = question(&mut bench);
    let much = Content::Counter(Offer { quantities: rps(1e9), reason: String::new() });
    bench.hear(call.reply(much, at(0))).unwrap_err();
    (1..=9).for_each(|now| bench.tick(now));
    let reasons = bench.ends[0].outcome.reasons();
    assert!(reasons[0].text.contains("1000000000 requests_per_second"), "{reasons:?}");

    let mut bench = Bench::new();
    bench.open_by(500.0, 10);
    let call = question(&mut bench);
    let now = at(0);
    let gibberish = "it is gibberish".to_owned();
    bench.with(|engine, _| engine.unreadable("n1", &call.to, call.message, gibberish, now));
    (1..=9).for_each(|now| bench.tick(now));
    let reasons = bench.ends[0].outcome.reasons();
    assert!(reasons[0].text.contains("gibberish"), "{reasons:?}");

    let mut bench = Bench::of(&[]);
    bench.world.service("web", 10);
    bench.world.provider("alder", 5, 1.0);
    bench.open_by(500.0, 10);
    let call = question(&mut bench);
    bench.hear(call.reply(Content::Confirm { leases: Vec::new() }, at(0))).unwrap_err();
    (1..=9).for_each(|now| bench.tick(now));
    let reasons = bench.ends[0].outcome.reasons();
    assert!(reasons[0].text.contains("a confirm does not answer"), "{reasons:?}");
}

#[test]
fn a_transcript_has_a_bounded_size_and_the_end_in_it() {
    let mut bench = Bench::new();
    let id = bench.open(500.0);
    let call = question(&mut bench);
    for _ in 0..200 {
        let why = "x".repeat(10_000);
        bench.engine.unreadable(&id, &call.to, call.message, why, at(0));
    }
    bench.hear(call.reply(Content::Propose(Proposed::All), at(0))).unwrap();
    bench.agree();
    bench.written(&id, Ok(()));
    let kept = &bench.ends[0].transcript;
    let bytes = serde_json::to_vec(kept).unwrap().len();
    assert!(bytes < crate::Transcript::MOST_BYTES + 10_000, "{bytes}");
    assert!((100..200).contains(&kept.left_out), "{} are left out", kept.left_out);
    let last = &kept.messages.last().unwrap().content;
    assert!(matches!(last, Content::Inform(Information::Outcome(_))), "{last:?}");
}
