use haggle_model::{LeaseState, Strength};

use super::{Input, Output, Session};
use crate::{
    Answer, Context, Demand, MessageId, Outcome,
    testing::{Fixture, at, name, rps, window},
};

use Strength::Mandatory;

const PAIR: &[(&str, &str, f64, Strength)] =
    &[("web", "db", 1.0, Mandatory), ("app", "db", 1.0, Mandatory)];

fn open(shop: &mut Fixture, requester: &str, load: f64) -> (Session, Vec<Output>) {
    let demand = shop.demand(requester, load);
    let world = shop.world();
    Session::new(demand, &Context { world: &world, ledger: &shop.ledger, now: at(shop.now) })
        .unwrap()
}

fn step(shop: &Fixture, session: &mut Session, input: Input) -> Vec<Output> {
    let world = shop.world();
    session.step(input, &Context { world: &world, ledger: &shop.ledger, now: at(shop.now) })
}

/// The answer of an honest party. Holds and similar outputs are carried out in the ledger.
fn answer(shop: &mut Fixture, output: &Output) -> Option<Input> {
    let now = at(shop.now);
    Some(match output {
        Output::Ask { message, inquiries } => {
            let answers = inquiries
                .iter()
                .map(|inquiry| {
                    let requested = &inquiry.asks.requested;
                    let share = inquiry.asks.free().share_of(requested);
                    Ok(match share {
                        1.0 => Answer::Accept,
                        _ => crate::testing::counter(requested.scaled(share)),
                    })
                })
                .collect();
            Input::Answers { message: *message, answers }
        }
        Output::CallForBids { message, provider, request, inventory } => {
            let bids = shop.parties.bid(provider, request, inventory);
            Input::Bids { message: *message, bids }
        }
        Output::Rank { message, request, bids } => {
            let scores = shop.parties.rank(request, bids);
            Input::Scores { message: *message, scores }
        }
        Output::Hold { message, holds } => {
            let result = shop.ledger.hold(holds, now).map(|_| ()).map_err(|e| e.to_string());
            Input::Held { message: *message, result }
        }
        Output::Confirm { message, commitment, .. } => {
            let result = shop.ledger.confirm(commitment, now).map_err(|e| e.to_string());
            Input::Confirmed { message: *message, result }
        }
        Output::Release { leases, .. } => {
            shop.ledger.release(leases);
            return None;
        }
        _ => return None,
    })
}

fn outcome(outputs: &[Output]) -> Option<&Outcome> {
    outputs.iter().find_map(|output| match output {
        Output::Finished(outcome) => Some(outcome),
        _ => None,
    })
}

/// Runs until the session requests a hold.
fn until_hold(shop: &mut Fixture, session: &mut Session, mut outputs: Vec<Output>) -> Vec<Output> {
    while !outputs.iter().any(|output| matches!(output, Output::Hold { .. })) {
        let input = outputs.iter().find_map(|output| answer(shop, output)).unwrap();
        outputs = step(shop, session, input);
    }
    outputs
}

fn finish(shop: &mut Fixture, session: &mut Session, mut outputs: Vec<Output>) -> Outcome {
    loop {
        if let Some(outcome) = outcome(&outputs) {
            assert!(session.is_finished());
            return outcome.clone();
        }
        let inputs: Vec<Input> = outputs.iter().filter_map(|o| answer(shop, o)).collect();
        outputs = inputs.into_iter().flat_map(|input| step(shop, session, input)).collect();
    }
}

#[test]
fn two_compete_for_the_last_capacity() {
    let mut shop = Fixture::new(PAIR);
    let (mut web, first) = open(&mut shop, "web", 700.0);
    let (mut app, second) = open(&mut shop, "app", 700.0);
    // Both are offered the full capacity, and one is faster.
    let web_holds = until_hold(&mut shop, &mut web, first);
    let app_holds = until_hold(&mut shop, &mut app, second);
    let web_end = finish(&mut shop, &mut web, web_holds);
    let app_end = finish(&mut shop, &mut app, app_holds);
    assert_eq!(web_end.agreement().unwrap().fraction, 1.0);
    let agreement = app_end.agreement().unwrap();
    assert!((agreement.fraction - 3.0 / 7.0).abs() < 1e-9);
    assert!(agreement.reasons.iter().any(|r| r.text.contains("could not be held")));
    assert_eq!((shop.agreed("web", "db"), shop.agreed("app", "db")), (700.0, 300.0));
}

#[test]
fn the_slower_one_fails_without_rounds_left() {
    let mut shop = Fixture::new(PAIR);
    let mut demand = shop.demand("app", 700.0);
    demand.policy.max_rounds = 1;
    let world = shop.world();
    let cx = Context { world: &world, ledger: &shop.ledger, now: at(0) };
    let (mut app, outputs) = Session::new(demand, &cx).unwrap();
    let holds = until_hold(&mut shop, &mut app, outputs);
    let (mut web, outputs) = open(&mut shop, "web", 700.0);
    finish(&mut shop, &mut web, outputs);
    let end = finish(&mut shop, &mut app, holds);
    assert!(end.agreement().is_none());
    assert_eq!(shop.ledger.leases_of(&name("app")).count(), 0);
}

#[test]
fn every_message_may_come_twice_or_uncalled() {
    let mut shop = Fixture::new(PAIR);
    let (mut session, mut outputs) = open(&mut shop, "web", 700.0);
    let mut sent: Vec<Input> = Vec::new();
    let mut ends = 0;
    while outcome(&outputs).is_none() {
        for stray in [
            Input::Answers { message: MessageId(99), answers: vec![] },
            Input::Bids { message: MessageId(1), bids: Err("what?".into()) },
            Input::Scores { message: MessageId(1), scores: Ok(vec![1.0]) },
        ] {
            let faults = step(&shop, &mut session, stray);
            assert!(matches!(faults.as_slice(), [Output::Fault(_)]));
        }
        let input = outputs.iter().find_map(|output| answer(&mut shop, output)).unwrap();
        outputs = step(&shop, &mut session, input.clone());
        ends += usize::from(outcome(&outputs).is_some());
        sent.push(input);
        for earlier in &sent {
            let faults = step(&shop, &mut session, earlier.clone());
            assert!(matches!(faults.as_slice(), [Output::Fault(_)]), "{faults:?}");
        }
        assert!(step(&shop, &mut session, Input::Tick).is_empty());
    }
    assert_eq!((ends, shop.agreed("web", "db")), (1, 700.0));
}

#[test]
fn a_lost_confirmation_counts_if_the_ledger_has_it() {
    for arrived in [true, false] {
        let mut shop = Fixture::new(PAIR);
        let (mut session, outputs) = open(&mut shop, "web", 700.0);
        let outputs = until_hold(&mut shop, &mut session, outputs);
        let held = answer(&mut shop, &outputs[0]).unwrap();
        let outputs = step(&shop, &mut session, held);
        if arrived {
            answer(&mut shop, &outputs[0]);
        }
        shop.now = 3600;
        let end = step(&shop, &mut session, Input::Tick);
        assert_eq!(outcome(&end).unwrap().agreement().is_some(), arrived);
        for output in &end {
            answer(&mut shop, output);
        }
        let late = outputs.iter().find_map(|output| answer(&mut shop, output)).unwrap();
        let confirmed = shop.ledger.leases().filter(|l| l.state == LeaseState::Confirmed).count();
        assert_eq!(confirmed, usize::from(arrived), "a late confirmation brings nothing back");
        assert!(matches!(step(&shop, &mut session, late).as_slice(), [Output::Fault(_)]));
    }
}

#[test]
fn a_hold_that_is_said_to_have_failed_is_given_back() {
    let mut shop = Fixture::new(PAIR);
    let (mut session, outputs) = open(&mut shop, "web", 400.0);
    let outputs = until_hold(&mut shop, &mut session, outputs);
    let Some(Input::Held { message, .. }) = answer(&mut shop, &outputs[0]) else { panic!() };
    let lost = Input::Held { message, result: Err("timed out".into()) };
    let outputs = step(&shop, &mut session, lost);
    let end = finish(&mut shop, &mut session, outputs);
    assert_eq!(end.agreement().unwrap().fraction, 1.0);
    assert_eq!(shop.ledger.leases().count(), 1);
}

#[test]
fn a_cancelled_session_gives_everything_back() {
    let mut shop = Fixture::new(PAIR);
    let (mut session, outputs) = open(&mut shop, "web", 700.0);
    let outputs = until_hold(&mut shop, &mut session, outputs);
    answer(&mut shop, &outputs[0]);
    assert_eq!(shop.ledger.leases().count(), 1);
    let end = step(&shop, &mut session, Input::Cancel("the service was deleted".into()));
    for output in &end {
        answer(&mut shop, output);
    }
    assert_eq!(shop.ledger.leases().count(), 0);
    let reasons = outcome(&end).unwrap().reasons();
    assert!(reasons[0].to_string().contains("the service was deleted"));
}

#[test]
fn the_wrong_number_of_answers_is_a_refusal() {
    let mut shop = Fixture::new(PAIR);
    let (mut session, outputs) = open(&mut shop, "web", 700.0);
    let [Output::Ask { message, .. }] = outputs.as_slice() else { panic!("{outputs:?}") };
    let answers = vec![Ok(Answer::Accept), Ok(Answer::Accept)];
    let end = step(&shop, &mut session, Input::Answers { message: *message, answers });
    assert!(matches!(outcome(&end), Some(Outcome::Failed { .. })));
}

#[test]
fn a_thousand_services_take_one_session() {
    let names: Vec<String> = (0..1000).map(|i| format!("s{i}")).collect();
    let edges: Vec<_> = (1..1000)
        .map(|i| (names[i / 3].as_str(), names[i].as_str(), 0.5, Mandatory))
        .filter(|(from, to, ..)| from != to)
        .collect();
    let mut shop = Fixture::new(&edges);
    shop.provider("alder", 10_000, 1.0);
    let demand = shop.demand("s0", 300.0);
    let done = shop.run(demand);
    let agreement = done.outcome.agreement().unwrap();
    assert_eq!((agreement.fraction, agreement.services.len()), (1.0, 1000));
    assert_eq!(shop.agreed("s0", "s1"), rps(150.0).get(haggle_model::Resource::RequestsPerSecond));
}

#[test]
fn what_is_leased_while_providers_bid_counts_toward_the_budget() {
    let mut shop = Fixture::new(&[]);
    shop.service("web", 10);
    shop.provider("alder", 4, 1.0);
    let mut demand = Demand { budget_per_hour: Some(4.0), ..shop.demand("web", 400.0) };
    demand.policy.max_rounds = 1;
    let world = shop.world();
    let cx = Context { world: &world, ledger: &shop.ledger, now: at(0) };
    let (mut first, outputs) = Session::new(demand, &cx).unwrap();
    assert!(outputs.iter().any(|output| matches!(output, Output::CallForBids { .. })));
    let later = shop.demand("web", 300.0);
    shop.run(Demand { window: window(300, 900), ..later });
    let end = finish(&mut shop, &mut first, outputs);
    assert_eq!(end.agreement().unwrap().fraction, 0.25);
    let price = |second| {
        let leases = shop.ledger.leases().filter(|lease| lease.window.contains(at(second)));
        leases.map(|lease| lease.price_per_hour).sum::<f64>()
    };
    assert_eq!([0, 299, 300, 599, 600].map(price), [1.0, 1.0, 4.0, 4.0, 3.0]);
}
