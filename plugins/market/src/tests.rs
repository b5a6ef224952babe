use haggle_sdk::{
    Answering, Fault, Plugin,
    answering::{Answer, Ask, Inquiry, Strength},
    market::{Bid, Guarantees, Request},
    selling::{ComputeUnit, UnitResource},
    types::{Context, Purpose, Quantity, ResourceKind, Tier, Window},
};
use proptest::prelude::*;

use super::{ByTier, Configuration, Market, answer, bids, rank, utility};

fn whole() -> Configuration {
    Configuration { lots: 1.0, ..Configuration::default() }
}

fn ask(requested: f64, capacity: f64) -> Ask {
    Ask {
        kind: ResourceKind::RequestsPerSecond,
        requested,
        capacity,
        committed: 0.0,
        agreed: 0.0,
        sustainable: 1000.0,
    }
}

fn inquiry(requested: f64, tier: Tier, capacity: f64, committed: f64, agreed: f64) -> Inquiry {
    Inquiry {
        session: "s".into(),
        round: 1,
        service: "cart".into(),
        tier,
        requester: "web".into(),
        purpose: Purpose::Growth,
        strength: Strength::Mandatory,
        window: Window { start_ms: 0, end_ms: 3_600_000 },
        asks: vec![Ask { committed, agreed, ..ask(requested, capacity) }],
    }
}

fn respond(inquiry: &Inquiry) -> Answer {
    answer(inquiry, &Configuration::default()).unwrap()
}

fn offered(answer: &Answer) -> f64 {
    match answer {
        Answer::Counter(offer) => offer.quantities[0].amount,
        other => panic!("{other:?}"),
    }
}

#[test]
fn accepts_what_is_free_and_counters_with_it_above() {
    assert_eq!(respond(&inquiry(60.0, Tier::Gold, 100.0, 40.0, 0.0)), Answer::Accept);
    let counter = respond(&inquiry(80.0, Tier::Gold, 100.0, 40.0, 0.0));
    assert!((offered(&counter) - 60.0).abs() < 1e-9);
    let held = respond(&inquiry(60.0, Tier::Bronze, 100.0, 40.0, 0.0));
    assert!((offered(&held) - 50.0).abs() < 1e-9);
}

#[test]
fn the_reserve_neither_takes_back_what_is_agreed_nor_stands_before_a_failure() {
    assert_eq!(respond(&inquiry(60.0, Tier::Bronze, 100.0, 40.0, 60.0)), Answer::Accept);
    let mut failing = inquiry(60.0, Tier::Bronze, 100.0, 40.0, 0.0);
    failing.purpose = Purpose::FailureAvoidance;
    assert_eq!(respond(&failing), Answer::Accept);
}

#[test]
fn dependencies_bound_what_is_carried() {
    let mut bound = inquiry(80.0, Tier::Gold, 100.0, 0.0, 0.0);
    bound.asks[0].sustainable = 30.0;
    let counter = respond(&bound);
    assert!((offered(&counter) - 30.0).abs() < 1e-9);
    assert!(matches!(counter, Answer::Counter(offer) if offer.reason.contains("dependencies")));
}

#[test]
fn rejects_with_a_reason_what_it_can_hardly_carry() {
    for capacity in [40.0, 42.0] {
        let answer = respond(&inquiry(100.0, Tier::Gold, capacity, 40.0, 0.0));
        assert!(
            matches!(&answer, Answer::Reject(why) if why.contains("cart") && why.contains("40")),
            "{answer:?}"
        );
    }
}

#[test]
fn resources_shrink_together() {
    let mut both = inquiry(100.0, Tier::Gold, 50.0, 0.0, 0.0);
    both.asks.push(Ask { kind: ResourceKind::CpuCores, ..ask(8.0, 100.0) });
    let Answer::Counter(offer) = respond(&both) else { panic!() };
    let amounts: Vec<f64> = offer.quantities.iter().map(|q| q.amount).collect();
    assert_eq!(amounts, [50.0, 4.0]);
}

/// The resources of a unit; `free` times their amounts are free.
fn machine(cores: f64, memory: f64, free: f64) -> Vec<UnitResource> {
    let resource = |kind, amount| UnitResource { kind, amount, free: amount * free };
    vec![resource(ResourceKind::CpuCores, cores), resource(ResourceKind::MemoryBytes, memory)]
}

fn unit(id: &str, cores: f64, memory: f64, cost: f64) -> ComputeUnit {
    ComputeUnit {
        id: id.into(),
        provider: "p".into(),
        location: "eu".into(),
        resources: machine(cores, memory, 3.0),
        count: 3,
        gpu_type: None,
        cost_per_hour: cost,
        performance: 1.0,
        interruption_rate: 0.0,
        interruption_notice_ms: 0,
    }
}

fn request(cores: f64, memory: f64, count: u32) -> Request {
    Request {
        id: "r".into(),
        service: "web".into(),
        tier: Tier::Gold,
        resources: vec![
            Quantity { kind: ResourceKind::CpuCores, amount: cores },
            Quantity { kind: ResourceKind::MemoryBytes, amount: memory },
        ],
        count,
        window: Window { start_ms: 0, end_ms: 3_600_000 },
        budget_per_hour: None,
        location: None,
        gpu_type: None,
    }
}

#[test]
fn prices_by_the_dominant_share_and_counts_what_fits() {
    // Half of the memory and a quarter of the cores: two fit on a unit, at half its cost each.
    let inventory = [unit("big", 8.0, 16e9, 1.0), unit("small", 1.0, 2e9, 0.1)];
    let made = bids(&request(2.0, 8e9, 10), &inventory, &whole());
    assert_eq!(made.len(), 1);
    assert_eq!((made[0].unit.as_str(), made[0].count, made[0].price_per_hour), ("big", 6, 0.5));
    let few = bids(&request(2.0, 8e9, 2), &inventory, &whole());
    assert_eq!(few[0].count, 2);
    let mut taken = unit("big", 8.0, 16e9, 1.0);
    taken.resources = machine(8.0, 16e9, 1.3);
    let left = bids(&request(2.0, 8e9, 10), &[taken], &whole());
    assert_eq!(left[0].count, 2);
}

#[test]
fn offers_only_what_keeps_the_conditions() {
    let inventory = [unit("a", 8.0, 16e9, 1.0)];
    let none = |change: fn(&mut Request)| {
        let mut request = request(2.0, 8e9, 1);
        change(&mut request);
        bids(&request, &inventory, &Configuration::default()).is_empty()
    };
    assert!(!none(|_| ()));
    assert!(none(|r| r.location = Some("us".into())));
    assert!(none(|r| r.gpu_type = Some("a100".into())));
    assert!(none(|r| r.resources.push(Quantity { kind: ResourceKind::GpuCount, amount: 1.0 })));
    assert!(none(|r| r.budget_per_hour = Some(0.4)));
}

fn bid(price: f64, performance: f64, interruption_rate: f64) -> Bid {
    Bid {
        unit: "a".into(),
        provider: "p".into(),
        location: "eu".into(),
        count: 1,
        price_per_hour: price,
        performance,
        guarantees: Guarantees { availability: 1.0, interruption_rate, interruption_notice_ms: 0 },
    }
}

#[test]
fn ranks_by_performance_per_price_and_minds_interruptions_by_tier() {
    let defaults = Configuration::default();
    let mut request = request(1.0, 1e9, 1);
    let score = |request: &Request, bid: &Bid| utility(request, bid, &defaults);
    assert!(score(&request, &bid(1.0, 2.0, 0.0)) > score(&request, &bid(1.0, 1.0, 0.0)));
    assert!(score(&request, &bid(0.5, 1.0, 0.0)) > score(&request, &bid(1.0, 1.0, 0.0)));
    // e^(-4 · 0.3) = 0.30 for gold, e^(-0.3) = 0.74 for bronze, against half the price.
    let (spot, firm) = (bid(0.5, 1.0, 0.3), bid(1.0, 1.0, 0.0));
    assert!(score(&request, &spot) < score(&request, &firm));
    request.tier = Tier::Bronze;
    assert!(score(&request, &spot) > score(&request, &firm));
    request.location = Some("us".into());
    assert!(score(&request, &firm) < 0.0);
}

#[test]
fn says_which_part_of_the_configuration_is_wrong() {
    for (text, field) in [
        (r#"{"margin": -1}"#, "margin"),
        (r#"{"reserve": {"gold": 0, "silver": 2, "bronze": 0}}"#, "reserve.silver"),
        (r#"{"nope": 1}"#, "nope"),
    ] {
        let context = Context { now_ms: 0, seed: 0, configuration: text.into() };
        let answers = Market::respond(&context, &[inquiry(1.0, Tier::Gold, 1.0, 0.0, 0.0)]);
        assert!(matches!(&answers[0], Err(Fault::InvalidInput(why)) if why.contains(field)));
        assert!(Market::validate_configuration(text).unwrap_err().contains(field));
    }
}

#[test]
fn an_offer_comes_in_lots_that_add_up() {
    let inventory = [unit("big", 8.0, 16e9, 1.0)];
    let counts = |count| {
        let made = bids(&request(2.0, 8e9, count), &inventory, &Configuration::default());
        made.iter().map(|bid| bid.count).collect::<Vec<_>>()
    };
    assert_eq!(counts(10), [2, 2, 1, 1]);
    assert_eq!(counts(2), [1, 1]);
}

#[test]
fn a_buyer_who_spreads_ranks_another_provider_before_the_rest_of_the_best() {
    let from = |provider: &str, price, count| Bid {
        provider: provider.into(),
        count,
        ..bid(price, 1.0, 0.0)
    };
    let offered = [from("a", 1.0, 2), from("a", 1.0, 2), from("b", 1.2, 2), from("b", 1.2, 2)];
    let request = request(1.0, 1e9, 4);
    let order = |configuration: &Configuration| {
        let scores = rank(&request, &offered, configuration);
        let mut order: Vec<usize> = (0..offered.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        order
    };
    assert_eq!(order(&Configuration::default()), [0, 1, 2, 3]);
    let spreading = Configuration { spread: 0.9, ..Configuration::default() };
    assert_eq!(order(&spreading), [0, 2, 1, 3]);
}

#[test]
fn price_alone_decides_where_nothing_else_weighs() {
    let cheapest = Configuration {
        performance_weight: 0.0,
        aversion: ByTier::all(0.0),
        ..Configuration::default()
    };
    let request = request(1.0, 1e9, 1);
    let scores = rank(&request, &[bid(1.0, 9.0, 0.0), bid(0.9, 1.0, 0.9)], &cheapest);
    assert!(scores[1] > scores[0], "{scores:?}");
}

#[test]
fn concedes_from_round_to_round_and_never_takes_back() {
    let offered_in = |round, eagerness| {
        let conceding = Configuration { withhold: 0.5, eagerness, ..Configuration::default() };
        let mut inquiry = inquiry(100.0, Tier::Gold, 80.0, 0.0, 0.0);
        inquiry.round = round;
        offered(&answer(&inquiry, &conceding).unwrap())
    };
    let rounds = |eagerness| [1, 2, 3, 4].map(|round| offered_in(round, eagerness).round());
    assert_eq!(rounds(1.0), [40.0, 60.0, 80.0, 80.0]);
    // 0.5^(1/4) = 0.84 and 0.5^4 = 0.06 of the half that was withheld.
    assert_eq!(rounds(4.0), [40.0, 74.0, 80.0, 80.0]);
    assert_eq!(rounds(0.25), [40.0, 43.0, 80.0, 80.0]);
    let conceding = Configuration { withhold: 0.5, ..Configuration::default() };
    let mut urgent = inquiry(80.0, Tier::Gold, 80.0, 0.0, 0.0);
    urgent.purpose = Purpose::FailureAvoidance;
    assert_eq!(answer(&urgent, &conceding), Ok(Answer::Accept));
}

#[test]
fn the_schema_says_the_defaults() {
    let schema = Configuration::default().schema();
    assert!(schema.contains(r#""reserve": {"type": "object""#), "{schema}");
    assert!(schema.contains(r#""default": {"gold": 0, "silver": 0.05, "bronze": 0.1}"#));
    assert!(
        schema.contains(r#""lots": {"type": "number", "minimum": 1, "maximum": 16, "default": 4"#)
    );
    assert_eq!(schema.matches('{').count(), schema.matches('}').count());
}

fn amount() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.0..1000.0, 1 => any::<f64>(), 1 => Just(0.0)]
}

proptest! {
    #[test]
    fn an_offer_is_finite_and_never_above_what_can_be_carried(
        [asks, capacity, committed, agreed, sustainable] in prop::array::uniform5(amount()),
    ) {
        let mut inquiry = inquiry(asks, Tier::Silver, capacity, committed, agreed);
        inquiry.asks[0].sustainable = sustainable;
        let most = (capacity - committed).max(0.0).min(sustainable);
        match answer(&inquiry, &Configuration::default()) {
            Ok(Answer::Accept) => prop_assert!(asks <= most * (1.0 + 1e-8)),
            Ok(Answer::Counter(offer)) => {
                let offered = offer.quantities[0].amount;
                prop_assert!(offered.is_finite() && offered >= 0.0);
                prop_assert!(offered <= asks && offered <= most * (1.0 + 1e-12));
            }
            Ok(Answer::Reject(why)) => prop_assert!(!why.is_empty()),
            Err(_) => prop_assert!(
                [asks, capacity, committed, agreed, sustainable]
                    .iter()
                    .any(|x| !x.is_finite() || *x < 0.0)
            ),
        }
    }

    #[test]
    fn bids_and_scores_are_finite(
        [cores, memory, cost, performance, rate] in prop::array::uniform5(amount()),
        (wanted, count, units) in (amount(), any::<u32>(), any::<u32>()),
    ) {
        let mut unit = unit("a", cores, memory, cost);
        (unit.performance, unit.interruption_rate, unit.count) = (performance, rate, units);
        let request = request(wanted, wanted, count);
        for bid in bids(&request, &[unit], &Configuration::default()) {
            prop_assert!(bid.price_per_hour.is_finite() && bid.price_per_hour >= 0.0);
            prop_assert!(bid.count >= 1 && bid.count <= count);
            prop_assert!((0.0..=1.0).contains(&bid.guarantees.availability));
        }
        prop_assert!(utility(&request, &bid(cost, performance, rate), &Configuration::default()).is_finite());
    }
}
