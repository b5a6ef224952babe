//! Clears many requests together and compares the score with an upper bound.

use std::{
    collections::BTreeMap,
    io::Write,
    time::{Duration, Instant},
};

use haggle_model::{Name, Quantities, Resource, Span, Tier, Timestamp, Window};
use haggle_negotiate::{InventoryUnit, Order, Request, ScoredBid, clear_together};
use microlp::{ComparisonOp, OptimizationDirection, Problem, SolveOutcome};

use super::{Draw, Failure, bid, unit};

/// Clears 100 requests of different sizes, a third of them with budgets that bind, with 1,000 bids in total for the
/// same 10 units. The upper bound is the score of the linear relaxation.
pub(super) fn together(out: &mut impl Write) -> Result<(), Failure> {
    const INSTANCES: u64 = 10;
    const REQUESTS: usize = 100;
    const UNITS: usize = 10;
    let (mut time, mut worst, mut total) = (Duration::ZERO, 0.0_f64, 0.0);
    for number in 0..INSTANCES {
        let mut draw = Draw(number + 1);
        let mut requests: Vec<(Request, Vec<ScoredBid>)> = Vec::new();
        let mut wanted = Quantities::new();
        for place in 0..REQUESTS {
            let bids: Vec<ScoredBid> = (0..10)
                .map(|_| {
                    let mut scored = bid((draw.unit() * UNITS as f64) as usize, &mut draw);
                    scored.bid.count *= 5;
                    scored
                })
                .collect();
            let offered: u32 = bids.iter().map(|scored| scored.bid.count).sum();
            let count = 1 + (draw.unit() * f64::from(offered) / 3.0) as u32;
            let mean = bids.iter().map(|scored| scored.bid.price_per_hour).sum::<f64>() / 10.0;
            let mut size = |most: f64| (draw.unit() * most).ceil();
            let resources = Quantities::from_pairs([
                (Resource::CpuCores, size(8.0) / 2.0),
                (Resource::MemoryBytes, size(8.0) * 1e9),
            ])?;
            wanted = wanted.plus(&resources.scaled(f64::from(count)));
            let request = Request {
                id: "r".into(),
                service: Name::new(&format!("s{place}"))?,
                tier: Tier::Silver,
                resources,
                count,
                window: Window::new(Timestamp::from_millis(0), Span::from_mins(10)),
                budget_per_hour: (place % 3 == 0).then_some(f64::from(count) * mean),
                location: None,
                gpu_type: None,
            };
            requests.push((request, bids));
        }
        let stock: Vec<InventoryUnit> = (0..UNITS)
            .map(|place| {
                let mut unit = unit(place, &mut draw)?;
                unit.unit.resources = wanted.scaled((1.0 + 0.3 * draw.unit()) / UNITS as f64);
                Ok(InventoryUnit { free: unit.unit.resources.clone(), ..unit })
            })
            .collect::<Result<_, Failure>>()?;
        let orders: Vec<Order> = requests
            .iter()
            .map(|(request, bids)| Order::new(request.clone(), bids, &stock))
            .collect();
        let start = Instant::now();
        let clearings = clear_together(&orders).ok_or("nothing found")?;
        time += start.elapsed();
        let scores = requests.iter().zip(&clearings).flat_map(|((_, bids), clearing)| {
            clearing.allocations.iter().filter_map(|won| {
                let mut bids = bids.iter();
                let bid = bids.find(|b| b.bid.price_per_hour == won.price_per_hour)?;
                Some(f64::from(won.count) * bid.score)
            })
        });
        let score: f64 = scores.sum();
        let gap = 1.0 - score / relaxed(&requests, &stock)?;
        worst = worst.max(gap);
        total += gap;
    }
    let instances = INSTANCES as f64;
    writeln!(
        out,
        "{REQUESTS} requests together, {} bids, {INSTANCES} times: {:.1} ms each; gap to the linear relaxation {:.3}% on average, {:.3}% at worst",
        10 * REQUESTS,
        time.as_secs_f64() * 1e3 / instances,
        100.0 * total / instances,
        100.0 * worst,
    )?;
    if worst > 0.02 { Err("more than 2% from the bound".into()) } else { Ok(()) }
}

/// The highest total score of all requests if replicas could be split.
fn relaxed(
    requests: &[(Request, Vec<ScoredBid>)],
    stock: &[InventoryUnit],
) -> Result<f64, Failure> {
    let mut problem = Problem::new(OptimizationDirection::Maximize);
    let mut used: BTreeMap<(&str, Resource), Vec<_>> = BTreeMap::new();
    for (request, bids) in requests {
        let (mut all, mut cost) = (Vec::new(), Vec::new());
        for b in bids {
            let n = problem.add_var(b.score, (0.0, f64::from(b.bid.count)));
            all.push((n, 1.0));
            cost.push((n, b.bid.price_per_hour));
            for (resource, each) in request.resources.iter() {
                used.entry((&b.bid.unit, resource)).or_default().push((n, each));
            }
        }
        problem.add_constraint(all, ComparisonOp::Eq, f64::from(request.count));
        if let Some(budget) = request.budget_per_hour {
            problem.add_constraint(cost, ComparisonOp::Le, budget);
        }
    }
    for unit in stock {
        for (resource, free) in unit.free.iter() {
            let here = used.remove(&(unit.unit.id.as_str(), resource)).unwrap_or_default();
            let here: Vec<_> = here.into_iter().map(|(n, each)| (n, each / free)).collect();
            problem.add_constraint(here, ComparisonOp::Le, 1.0);
        }
    }
    match problem.solve()? {
        SolveOutcome::Solution(solution) => Ok(solution.objective()),
        SolveOutcome::Interrupted(_) => Err("interrupted".into()),
    }
}
