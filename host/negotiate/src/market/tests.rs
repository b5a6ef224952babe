use haggle_model::{ComputeUnit, Quantities, Span, Tier};
use proptest::prelude::*;

use super::{Clearing, ScoredBid, admit, clear, room};
use crate::{
    Bid, Guarantees, InventoryUnit, Request,
    testing::{cores, name, window},
};

mod joint;
mod planted;

fn unit(provider: &str, id: &str, count: u32) -> InventoryUnit {
    let unit = ComputeUnit {
        id: name(id),
        count,
        resources: cores(4.0),
        gpu_type: None,
        cost_per_hour: 1.0,
        performance: 1.0,
        interruption_rate: 0.0,
        interruption_notice: Span::ZERO,
    };
    let free = unit.total();
    InventoryUnit {
        provider: name(provider),
        location: "here".into(),
        unit,
        free,
        available: count,
    }
}

fn request(count: u32, budget: Option<f64>) -> Request {
    Request {
        id: "r".into(),
        service: name("web"),
        tier: Tier::Gold,
        resources: cores(4.0),
        count,
        window: window(0, 3600),
        budget_per_hour: budget,
        location: None,
        gpu_type: None,
    }
}

fn bid(provider: &str, unit: &str, count: u32, price: f64) -> Bid {
    Bid {
        unit: unit.into(),
        provider: provider.into(),
        location: "here".into(),
        count,
        price_per_hour: price,
        performance: 1.0,
        guarantees: Guarantees {
            availability: 1.0,
            interruption_rate: 0.0,
            interruption_notice: Span::ZERO,
        },
    }
}

fn scored(provider: &str, unit: &str, count: u32, price: f64, score: f64) -> ScoredBid {
    ScoredBid { bid: bid(provider, unit, count, price), score }
}

fn won(clearing: &Clearing) -> Vec<(&str, &str, u32)> {
    clearing.allocations.iter().map(|a| (a.provider.as_str(), a.unit.as_str(), a.count)).collect()
}

#[test]
fn several_share_and_the_best_comes_first() {
    let stock = [unit("alder", "m", 3), unit("birch", "m", 9)];
    let bids = [scored("birch", "m", 9, 1.0, 0.5), scored("alder", "m", 9, 2.0, 0.9)];
    let all = clear(&request(5, None), &bids, &stock);
    assert_eq!(won(&all), [("alder", "m", 3), ("birch", "m", 2)]);
    assert_eq!((all.count, all.price_per_hour), (5, 8.0));
    let partial = clear(&request(50, None), &bids, &stock);
    assert_eq!(partial.count, 12);
}

#[test]
fn a_tight_budget_buys_all_replicas_before_good_ones() {
    let stock = [unit("alder", "m", 9), unit("birch", "m", 9)];
    let bids = [scored("alder", "m", 9, 3.0, 0.9), scored("birch", "m", 9, 1.0, 0.5)];
    let tight = clear(&request(4, Some(8.5)), &bids, &stock);
    assert_eq!(won(&tight), [("alder", "m", 2), ("birch", "m", 2)]);
    let tighter = clear(&request(4, Some(3.0)), &bids, &stock);
    assert_eq!((won(&tighter), tighter.count), (vec![("birch", "m", 3)], 3));
    assert_eq!(clear(&request(4, Some(0.0)), &bids, &stock), Clearing::default());
}

#[test]
fn ties_go_by_price_and_then_by_name() {
    let stock = [unit("birch", "m", 2), unit("alder", "n", 2), unit("alder", "m", 2)];
    let bids = [
        scored("birch", "m", 2, 1.0, 0.5),
        scored("alder", "n", 2, 1.0, 0.5),
        scored("alder", "m", 2, 1.5, 0.5),
    ];
    let all = clear(&request(3, None), &bids, &stock);
    assert_eq!(won(&all), [("alder", "n", 2), ("birch", "m", 1)]);
}

#[test]
fn bids_that_make_no_sense_are_refused_with_the_reason() {
    let stock = [unit("alder", "m", 2)];
    let mut nan = bid("alder", "m", 1, f64::NAN);
    nan.performance = 1.0;
    let mut sure = bid("alder", "m", 1, 1.0);
    sure.guarantees.availability = 1.5;
    let bids = vec![
        bid("alder", "m", 7, 1.0),
        bid("alder", "x", 1, 1.0),
        bid("birch", "m", 1, 1.0),
        bid("alder", "m", 0, 1.0),
        bid("alder", "m", 1, -1.0),
        nan,
        sure,
    ];
    let (admitted, refused) = admit(&request(9, None), bids, &stock);
    assert_eq!(admitted, [bid("alder", "m", 2, 1.0)]);
    let reasons: Vec<&str> = refused.iter().map(|r| r.reason.as_str()).collect();
    let parts = [
        "no unit x",
        "no unit m",
        "count is 0",
        "price_per_hour",
        "price_per_hour",
        "availability",
    ];
    assert_eq!(reasons.len(), parts.len());
    for (reason, part) in reasons.iter().zip(parts) {
        assert!(reason.contains(part), "{reason}");
    }
    let mut elsewhere = request(1, None);
    elsewhere.location = Some("there".into());
    assert!(admit(&elsewhere, vec![bid("alder", "m", 1, 1.0)], &stock).0.is_empty());
    elsewhere.location = None;
    elsewhere.gpu_type = Some("h100".into());
    assert!(admit(&elsewhere, vec![bid("alder", "m", 1, 1.0)], &stock).0.is_empty());
}

#[test]
fn replicas_share_units_but_each_fits_into_one() {
    let mut two = unit("alder", "m", 2);
    assert_eq!(room(&two, &cores(0.5)), 16);
    assert_eq!(room(&two, &cores(3.0)), 2, "not two and two thirds");
    assert_eq!(room(&two, &cores(5.0)), 0);
    two.free = cores(1.2);
    assert_eq!(room(&two, &cores(0.5)), 2);
    assert_eq!(room(&two, &Quantities::new()), u32::MAX);
}

/// The best selection of `count` replicas within the budget, found by exhaustive search, as (replicas,
/// score).
fn exhaustive(bids: &[ScoredBid], left: [u32; 2], count: u32, money: f64) -> (u32, f64) {
    let Some((first, rest)) = bids.split_first() else { return (0, 0.0) };
    let unit = usize::from(first.bid.unit == "n");
    let most = first.bid.count.min(left[unit]).min(count);
    (0..=most)
        .filter(|n| f64::from(*n) * first.bid.price_per_hour <= money + 1e-9)
        .map(|n| {
            let mut left = left;
            left[unit] -= n;
            let money = money - f64::from(n) * first.bid.price_per_hour;
            let (count, score) = exhaustive(rest, left, count - n, money);
            (count + n, score + f64::from(n) * first.score)
        })
        .fold((0, 0.0), |best, this| {
            let better = this.0 > best.0 || (this.0 == best.0 && this.1 > best.1);
            if better { this } else { best }
        })
}

proptest! {
    #[test]
    fn keeps_its_promises(
        offers in prop::collection::vec((any::<bool>(), 1_u32..4, 0_u8..40, 0_u8..5), 1..7),
        units in (0_u32..5, 0_u32..5),
        count in 0_u32..7,
        budget in prop::option::of(0_u8..120),
        turn in 0_usize..5,
    ) {
        let stock = [unit("alder", "m", units.0), unit("alder", "n", units.1)];
        let mut bids: Vec<ScoredBid> = offers
            .iter()
            .map(|(other, count, price, score)| {
                let unit = if *other { "n" } else { "m" };
                scored("alder", unit, *count, f64::from(*price), f64::from(*score))
            })
            .collect();
        let budget = budget.map(f64::from);
        let request = request(count, budget);
        let clearing = clear(&request, &bids, &stock);
        let places = bids.len();
        bids.rotate_left(turn % places);
        prop_assert_eq!(&clearing, &clear(&request, &bids, &stock));
        prop_assert!(clearing.price_per_hour <= budget.unwrap_or(f64::INFINITY) + 1e-6);
        for (id, most) in [("m", units.0), ("n", units.1)] {
            let won = clearing.allocations.iter().filter(|a| a.unit.as_str() == id);
            prop_assert!(won.clone().map(|a| a.count).sum::<u32>() <= most);
            for allocation in won {
                let offered: u32 = bids
                    .iter()
                    .filter(|b| b.bid.unit == id && b.bid.price_per_hour == allocation.price_per_hour)
                    .map(|b| b.bid.count)
                    .sum();
                prop_assert!(allocation.count <= offered);
            }
        }
        let money = budget.unwrap_or(f64::INFINITY);
        let best = exhaustive(&bids, [units.0, units.1], count, money);
        prop_assert_eq!(clearing.count, best.0, "as many as can be had");
        {
            let free = bids.iter().map(|b| (b.bid.price_per_hour, b.score));
            let unambiguous: std::collections::BTreeMap<u64, f64> =
                free.map(|(price, score)| (price.to_bits(), score)).collect();
            if unambiguous.len() == bids.len() {
                let score = |a: &crate::Allocation| unambiguous[&a.price_per_hour.to_bits()];
                let total: f64 =
                    clearing.allocations.iter().map(|a| f64::from(a.count) * score(a)).sum();
                prop_assert!((total - best.1).abs() < 1e-9, "the best of them: {} of {}", total, best.1);
            }
        }
    }
}
