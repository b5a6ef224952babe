//! Joint clearings too large for an exact solver. The test first draws allocations, and then sets capacity
//! and budgets to the amounts that these take, so that a solution exists.

use std::collections::BTreeMap;

use haggle_model::{Quantities, Resource};
use microlp::{ComparisonOp, OptimizationDirection, Problem, SolveOutcome};
use proptest::prelude::*;

use super::{request, scored, unit};
use crate::{Clearing, InventoryUnit, Order, ScoredBid, clear_together, testing::name};

const RESOURCES: [Resource; 3] = [Resource::CpuCores, Resource::MemoryBytes, Resource::GpuCount];

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Draw(u64);

impl Draw {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, most: usize) -> usize {
        (self.unit() * most as f64) as usize
    }
}

#[derive(Clone, Copy, Debug)]
struct Kind {
    orders: usize,
    bids_each: usize,
    units: usize,
    most_replicas: usize,
    /// Whether all replicas need the same resources.
    alike: bool,
    /// The capacity beyond the planted allocation, as a share of it.
    slack: f64,
    /// The same for budgets; `None` for no budgets.
    change: Option<f64>,
}

struct Wish {
    count: u32,
    resources: Quantities,
    budget: Option<f64>,
    bids: Vec<ScoredBid>,
}

fn provider(unit: usize) -> &'static str {
    ["alder", "birch", "cedar"][unit % 3]
}

fn planted(seed: u64, kind: Kind) -> (Vec<Wish>, Vec<InventoryUnit>) {
    let draw = &mut Draw(seed);
    let mut used = vec![[0.0; 3]; kind.units];
    let mut wishes = Vec::new();
    for _ in 0..kind.orders {
        let mut pick = |of: [f64; 4]| of[draw.below(4)];
        let size = match kind.alike {
            true => [2.0, 4e9, 0.0],
            false => {
                [pick([0.5, 1.0, 2.0, 4.0]), pick([1e9, 2e9, 4e9, 8e9]), pick([0.0, 0.0, 0.0, 1.0])]
            }
        };
        let mut bids: Vec<(usize, u32, f64, f64)> = (0..kind.bids_each)
            .map(|_| {
                let (unit, most) = (draw.below(kind.units), 1 + draw.below(kind.most_replicas));
                let price = 0.2 + draw.unit();
                (unit, most as u32, price, price * (0.5 + draw.unit()))
            })
            .collect();
        let count = 1 + draw.below(kind.most_replicas) as u32;
        let (mut left, mut cost, mut won) = (count, 0.0, vec![0; bids.len()]);
        while left > 0 {
            let place = draw.below(bids.len());
            let n = 1 + draw.below(left as usize) as u32;
            let bid = &mut bids[place];
            won[place] += n;
            bid.1 = bid.1.max(won[place]);
            left -= n;
            cost += f64::from(n) * bid.2;
            (0..3).for_each(|r| used[bid.0][r] += f64::from(n) * size[r]);
        }
        let named = RESOURCES.into_iter().zip(size).filter(|(_, amount)| *amount > 0.0);
        let bid = |(unit, most, price, score): (usize, u32, f64, f64)| {
            scored(provider(unit), &format!("u{unit}"), most, price, score)
        };
        wishes.push(Wish {
            count,
            resources: Quantities::from_pairs(named).unwrap(),
            budget: kind.change.map(|change| cost * (1.0 + change)),
            bids: bids.into_iter().map(bid).collect(),
        });
    }
    let stock = used.iter().enumerate().map(|(place, used)| {
        let amounts = used.map(|used| used * (1.0 + kind.slack));
        let free = Quantities::from_pairs(RESOURCES.into_iter().zip(amounts)).unwrap();
        let mut unit = unit(provider(place), &format!("u{place}"), 1);
        unit.unit.resources = Quantities::from_pairs(RESOURCES.map(|r| (r, 1e14))).unwrap();
        InventoryUnit { free, ..unit }
    });
    let stock = stock.collect();
    (wishes, stock)
}

fn orders(wishes: &[Wish], stock: &[InventoryUnit]) -> Vec<Order> {
    let order = |wish: &Wish| {
        let mut request = request(wish.count, wish.budget);
        request.resources = wish.resources.clone();
        Order::new(request, &wish.bids, stock)
    };
    wishes.iter().map(order).collect()
}

/// The total score, after a check that the clearings are a solution. All prices differ, so that a bid can
/// be identified by its price.
fn score(wishes: &[Wish], stock: &[InventoryUnit], all: &[Clearing]) -> f64 {
    let (mut score, mut used) = (0.0, BTreeMap::<&str, Quantities>::new());
    for (wish, clearing) in wishes.iter().zip(all) {
        assert_eq!(clearing.count, wish.count);
        assert!(clearing.price_per_hour <= wish.budget.unwrap_or(f64::INFINITY) + 1e-6);
        for won in &clearing.allocations {
            let mut bids = wish.bids.iter();
            let bid = bids.find(|b| b.bid.price_per_hour == won.price_per_hour).unwrap();
            assert!(bid.bid.unit == won.unit.as_str() && won.count <= bid.bid.count);
            score += f64::from(won.count) * bid.score;
            let used = used.entry(won.unit.as_str()).or_default();
            *used = used.plus(&wish.resources.scaled(f64::from(won.count)));
        }
    }
    for unit in stock {
        if let Some(used) = used.get(unit.unit.id.as_str()) {
            assert!(unit.free.covers(used), "{used} of {}", unit.free);
        }
    }
    score
}

/// The number of planted allocations that are found.
fn found(kind: Kind, seeds: u64) -> u64 {
    let is_found = |seed: &u64| {
        let (wishes, stock) = planted(*seed, kind);
        let all = clear_together(&orders(&wishes, &stock));
        all.is_some_and(|all| score(&wishes, &stock, &all).is_finite())
    };
    (0..seeds).filter(is_found).count() as u64
}

const SMALL: Kind = Kind {
    orders: 10,
    bids_each: 6,
    units: 6,
    most_replicas: 8,
    alike: false,
    slack: 0.0,
    change: Some(0.0),
};
const LARGE: Kind = Kind { orders: 40, bids_each: 10, units: 20, ..SMALL };

#[test]
fn what_was_planted_is_found() {
    for kind in [SMALL, Kind { orders: 20, bids_each: 10, units: 12, ..SMALL }, LARGE] {
        for change in [None, Some(0.0), Some(0.02)] {
            let alike = Kind { alike: true, change, ..kind };
            assert_eq!(found(alike, 10), 10, "not a core is left over: {alike:?}");
            let loose = Kind { slack: 0.1, change, ..kind };
            assert_eq!(found(loose, 10), 10, "{loose:?}");
        }
    }
}

#[test]
fn a_puzzle_without_gaps_is_solved_where_it_is_small() {
    assert!(found(SMALL, 20) >= 19, "{}", found(SMALL, 20));
}

/// The optimum if replicas could be split; an upper bound on the real optimum.
fn relaxed(wishes: &[Wish], stock: &[InventoryUnit]) -> f64 {
    let mut problem = Problem::new(OptimizationDirection::Maximize);
    let mut used: BTreeMap<(&str, Resource), Vec<_>> = BTreeMap::new();
    for wish in wishes {
        let (mut all, mut cost) = (Vec::new(), Vec::new());
        for scored in &wish.bids {
            let n = problem.add_var(scored.score, (0.0, f64::from(scored.bid.count)));
            all.push((n, 1.0));
            cost.push((n, scored.bid.price_per_hour));
            for (resource, each) in wish.resources.iter() {
                used.entry((&scored.bid.unit, resource)).or_default().push((n, each));
            }
        }
        problem.add_constraint(all, ComparisonOp::Eq, f64::from(wish.count));
        if let Some(budget) = wish.budget {
            problem.add_constraint(cost, ComparisonOp::Le, budget);
        }
    }
    for unit in stock {
        for (resource, free) in unit.free.iter() {
            let here = used.remove(&(unit.unit.id.as_str(), resource)).unwrap_or_default();
            let scale = free.max(1.0);
            let here: Vec<_> = here.into_iter().map(|(n, each)| (n, each / scale)).collect();
            problem.add_constraint(here, ComparisonOp::Le, free / scale);
        }
    }
    match problem.solve() {
        Ok(SolveOutcome::Solution(solution)) => solution.objective(),
        other => panic!("{:?}", other.map(|_| "interrupted")),
    }
}

#[test]
fn is_close_to_the_bound_where_units_are_large() {
    let kind = Kind { most_replicas: 40, units: 10, slack: 0.1, change: None, ..LARGE };
    for seed in 0..5 {
        let (wishes, stock) = planted(seed, kind);
        let all = clear_together(&orders(&wishes, &stock)).unwrap();
        let (score, bound) = (score(&wishes, &stock, &all), relaxed(&wishes, &stock));
        assert!(score <= bound * (1.0 + 1e-6) && score >= 0.99 * bound, "{score} of {bound}");
    }
}

/// Capacity that an order holds is available only to it, in addition to the shared capacity.
#[test]
fn what_is_held_is_given_back_to_whom_it_was_taken_from() {
    let (wishes, stock) = planted(1, Kind { alike: true, change: None, ..LARGE });
    let planted = clear_together(&orders(&wishes, &stock)).unwrap();
    // Every order holds what it has won, and nothing else is free.
    let mut holding = orders(&wishes, &[]);
    let mut stocks = Vec::new();
    for ((order, clearing), wish) in holding.iter_mut().zip(&planted).zip(&wishes) {
        let mut own = stock.clone();
        own.iter_mut().for_each(|unit| unit.free = unit.free.scaled(0.0));
        for won in &clearing.allocations {
            let held =
                order.held.entry((name(won.provider.as_str()), won.unit.clone())).or_default();
            *held = held.plus(&wish.resources.scaled(f64::from(won.count)));
            let mut units = own.iter_mut();
            let unit = units.find(|unit| unit.unit.id == won.unit).unwrap();
            unit.free = held.clone();
        }
        stocks.push(own);
    }
    for ((order, stock), wish) in holding.iter_mut().zip(&stocks).zip(&wishes) {
        order.book = Order::new(order.request.clone(), &wish.bids, stock).book;
    }
    let again = clear_together(&holding).unwrap();
    let counts = |all: &[Clearing]| all.iter().map(|c| c.count).collect::<Vec<_>>();
    assert_eq!(counts(&again), counts(&planted));
    holding[0].request.count += 1;
    assert_eq!(clear_together(&holding), None, "there is nothing but what is held");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// The same orders have the same result for any order of the bids, and that result is a solution.
    #[test]
    fn the_order_of_bids_does_not_matter(
        seed in any::<u64>(),
        orders_ in 5_usize..15,
        slack in 0.0_f64..0.2,
        change in prop::option::of(0.0_f64..0.1),
        turn in 0_usize..10,
    ) {
        let (mut wishes, stock) =
            planted(seed, Kind { orders: orders_, bids_each: 10, slack, change, ..SMALL });
        let all = clear_together(&orders(&wishes, &stock));
        if let Some(all) = &all {
            prop_assert!(score(&wishes, &stock, all).is_finite());
        }
        wishes.iter_mut().for_each(|wish| wish.bids.rotate_left(turn));
        prop_assert_eq!(all, clear_together(&orders(&wishes, &stock)));
    }
}
