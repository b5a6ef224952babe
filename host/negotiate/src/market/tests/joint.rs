//! Compares the joint clearing of several requests with an exact solver.

use std::collections::BTreeMap;

use haggle_model::Resource;
use microlp::{ComparisonOp, Error, OptimizationDirection, Problem, SolveOutcome};
use proptest::prelude::*;

use super::{request, scored, unit};
use crate::{
    Clearing, InventoryUnit, Order, ScoredBid, clear_in_turn, clear_together, testing::cores,
};

const UNITS: [&str; 3] = ["k", "l", "m"];

/// A request for `count` replicas of `size` cores on a budget, with its bids.
#[derive(Clone, Debug)]
struct Wish {
    count: u32,
    size: f64,
    budget: Option<f64>,
    bids: Vec<ScoredBid>,
}

fn wish(count: u32, bids: Vec<ScoredBid>) -> Wish {
    Wish { count, size: 4.0, budget: None, bids }
}

fn orders(wishes: &[Wish], stock: &[InventoryUnit]) -> Vec<Order> {
    let order = |wish: &Wish| {
        let mut request = request(wish.count, wish.budget);
        request.resources = cores(wish.size);
        Order::new(request, &wish.bids, stock)
    };
    wishes.iter().map(order).collect()
}

fn counts(clearings: &[Clearing]) -> Vec<u32> {
    clearings.iter().map(|clearing| clearing.count).collect()
}

#[test]
fn who_can_do_with_something_else_leaves_the_rest_to_who_cannot() {
    let stock = [unit("alder", "k", 2), unit("alder", "l", 2), unit("alder", "m", 2)];
    // The first order prefers units that the second and third partly need.
    let wishes = [
        wish(
            3,
            vec![
                scored("alder", "k", 2, 1.0, 0.9),
                scored("alder", "l", 2, 1.0, 0.8),
                scored("alder", "m", 2, 1.0, 0.1),
            ],
        ),
        wish(2, vec![scored("alder", "k", 1, 1.0, 0.9), scored("alder", "l", 1, 1.0, 0.9)]),
        wish(1, vec![scored("alder", "k", 1, 1.0, 0.5), scored("alder", "m", 1, 1.0, 0.4)]),
    ];
    let orders = orders(&wishes, &stock);
    assert_eq!(counts(&clear_in_turn(&orders)), [3, 1, 1], "one after the other");
    let all = clear_together(&orders).unwrap();
    assert_eq!(counts(&all), [3, 2, 1]);
    let more = [&wishes[..], &[wish(1, wishes[0].bids.clone())]].concat();
    assert_eq!(clear_together(&self::orders(&more, &stock)), None, "seven replicas on six units");
}

#[test]
fn what_is_dear_to_one_goes_to_it_though_another_comes_first() {
    let stock = [unit("alder", "k", 1), unit("alder", "l", 1)];
    let on = |k: f64, l: f64| {
        wish(1, vec![scored("alder", "k", 1, 1.0, k), scored("alder", "l", 1, 1.0, l)])
    };
    let wishes = [on(0.6, 0.5), on(0.9, 0.1)];
    let all = clear_together(&orders(&wishes, &stock)).unwrap();
    let units: Vec<&str> = all.iter().map(|c| c.allocations[0].unit.as_str()).collect();
    assert_eq!(units, ["l", "k"], "1.4 together, and not 0.7");
}

/// The highest total score at which all requests are met in full.
fn optimum(wishes: &[Wish], stock: &[InventoryUnit]) -> Option<f64> {
    let mut problem = Problem::new(OptimizationDirection::Maximize);
    let mut used: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for wish in wishes {
        let (mut all, mut cost) = (Vec::new(), Vec::new());
        for scored in &wish.bids {
            let most = i32::try_from(scored.bid.count).unwrap();
            let n = problem.add_integer_var(scored.score, (0, most));
            all.push((n, 1.0));
            cost.push((n, scored.bid.price_per_hour));
            used.entry(&scored.bid.unit).or_default().push((n, wish.size));
        }
        problem.add_constraint(all, ComparisonOp::Eq, f64::from(wish.count));
        if let Some(budget) = wish.budget {
            problem.add_constraint(cost, ComparisonOp::Le, budget);
        }
    }
    for unit in stock {
        let here = used.remove(unit.unit.id.as_str()).unwrap_or_default();
        let free = unit.free.get(Resource::CpuCores);
        problem.add_constraint(here, ComparisonOp::Le, free);
    }
    match problem.solve() {
        Ok(SolveOutcome::Solution(solution)) => Some(solution.objective()),
        Err(Error::Infeasible) => None,
        other => panic!("{:?}", other.map(|_| "interrupted")),
    }
}

/// All prices differ, so that a bid can be identified by its price.
fn a_wish() -> impl Strategy<Value = Wish> {
    let bids = prop::collection::vec((0_usize..3, 1_u32..4, 0_u8..6, 1_u8..50), 1..6);
    (0_u32..5, prop::bool::ANY, prop::option::of(0_u8..30), bids).prop_map(
        |(count, small, budget, bids)| Wish {
            count,
            size: if small { 1.0 } else { 2.0 },
            budget: budget.map(f64::from),
            bids: bids
                .into_iter()
                .enumerate()
                .map(|(i, (unit, count, price, score))| {
                    let price = f64::from(price) + i as f64 / 64.0;
                    scored("alder", UNITS[unit], count, price, f64::from(score))
                })
                .collect(),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// The clearing succeeds exactly if that is possible, and is within one percent of the optimum. It
    /// never exceeds the bids, the budgets or the capacity.
    #[test]
    fn is_the_optimum_of_all_requests(
        wishes in prop::collection::vec(a_wish(), 2..5),
        free in prop::array::uniform3(0_u8..9),
        turn in 0_usize..5,
    ) {
        let stock: Vec<InventoryUnit> = UNITS
            .iter()
            .zip(free)
            .map(|(id, free)| InventoryUnit { free: cores(f64::from(free)), ..unit("alder", id, 4) })
            .collect();
        let all = clear_together(&orders(&wishes, &stock));
        let mut turned = wishes.clone();
        for wish in &mut turned {
            let places = wish.bids.len();
            wish.bids.rotate_left(turn % places);
        }
        prop_assert_eq!(&all, &clear_together(&orders(&turned, &stock)));
        let best = optimum(&wishes, &stock);
        prop_assert_eq!(all.is_some(), best.is_some(), "{:?} of {:?}", all, best);
        let (Some(all), Some(best)) = (all, best) else { return Ok(()) };
        let (mut score, mut used) = (0.0, BTreeMap::<&str, f64>::new());
        for (wish, clearing) in wishes.iter().zip(&all) {
            prop_assert_eq!(clearing.count, wish.count);
            prop_assert!(clearing.price_per_hour <= wish.budget.unwrap_or(f64::INFINITY) + 1e-6);
            for won in &clearing.allocations {
                let bid = wish.bids.iter().find(|b| b.bid.price_per_hour == won.price_per_hour);
                let bid = bid.unwrap();
                prop_assert!(bid.bid.unit == won.unit.as_str() && won.count <= bid.bid.count);
                score += f64::from(won.count) * bid.score;
                *used.entry(won.unit.as_str()).or_default() += f64::from(won.count) * wish.size;
            }
        }
        for unit in &stock {
            let used = used.get(unit.unit.id.as_str()).copied().unwrap_or_default();
            prop_assert!(used <= unit.free.get(Resource::CpuCores) + 1e-6);
        }
        prop_assert!(score >= best * 0.99 - 1e-6, "{} of {}", score, best);
    }
}
