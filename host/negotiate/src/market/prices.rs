//! Prices for contested capacity: the Lagrangian relaxation of capacity and budgets. At given prices, every
//! order makes its own best choice. These choices bound the total score, and the prices move to minimise
//! that bound.

use super::problem::{Offer, Problem, Site};

/// The price per unit of each pool, and of the money of each order. The type also holds the excess of each.
#[derive(Clone)]
pub(super) struct Prices {
    pub(super) pools: Vec<f64>,
    pub(super) money: Vec<f64>,
}

/// The choices of all orders at some prices.
pub(super) struct Choice {
    /// An upper bound on the score of every solution.
    pub(super) bound: f64,
    /// The number of replicas by offer.
    pub(super) won: Vec<u32>,
    excess: Prices,
}

/// The number of price updates.
const ROUNDS: usize = 150;

/// The initial distance of the target below the best bound, per replica.
const HOPE: f64 = 0.1;

/// The number of rounds without improvement after which that distance is halved.
const PATIENCE: u32 = 5;

impl Prices {
    fn all(problem: &Problem, pools: f64, money: f64) -> Self {
        Self { pools: vec![pools; problem.pools.len()], money: vec![money; problem.sides.len()] }
    }

    /// The value of a replica of each offer to its order at these prices.
    pub(super) fn values(&self, problem: &Problem) -> Vec<f64> {
        let price = |prices: &[f64], place: usize| prices.get(place).copied().unwrap_or(0.0);
        let rent = |site: &Site| -> f64 {
            site.takes.iter().map(|take| take.each * price(&self.pools, take.pool)).sum()
        };
        let rents: Vec<(f64, f64)> =
            problem.sites.iter().map(|site| (rent(site), price(&self.money, site.side))).collect();
        let value = |offer: &Offer| {
            let (rent, money) = rents.get(offer.site).copied().unwrap_or_default();
            offer.score - rent - money * offer.price
        };
        problem.offers.iter().map(value).collect()
    }

    /// Finds prices with a low bound, and the choices at these prices. Returns `None` if the bound proves
    /// that there is no solution. The prices of pools follow Polyak's steps towards a target that moves
    /// closer when it is out of reach (Bertsekas, Nonlinear Programming, section 6.3.1). The price of an
    /// order's money concerns only that order, so it has its own step size. The step grows while its
    /// direction stays the same and shrinks when it reverses (Riedmiller and Braun, RPROP, 1993).
    pub(super) fn find(problem: &Problem) -> Option<(Self, Choice)> {
        let mut ranking: Vec<Vec<usize>> =
            problem.sides.iter().map(|side| side.offers.clone().collect()).collect();
        let mut prices = Self::all(problem, 0.0, 0.0);
        let (mut steps, mut ways) = (Self::all(problem, 0.0, 0.2), Self::all(problem, 0.0, 0.0));
        let mut choice = Choice::at(&prices, problem, &mut ranking);
        let mut best = prices.clone();
        let mut lowest = choice.bound;
        let count: f64 = problem.sides.iter().map(|side| f64::from(side.count)).sum();
        let (mut hope, mut idle) = (HOPE * count, 0);
        for _ in 0..ROUNDS {
            if lowest < problem.least_score - 1e-3 * (1.0 + problem.least_score.abs()) {
                return None;
            }
            let square = prices.square(&choice.excess);
            let length = if square > 1e-12 { (choice.bound - lowest + hope) / square } else { 0.0 };
            for (price, excess) in prices.pools.iter_mut().zip(&choice.excess.pools) {
                *price = (*price + length * excess).max(0.0);
            }
            let money = prices.money.iter_mut().zip(&choice.excess.money);
            for ((price, excess), (step, way)) in
                money.zip(steps.money.iter_mut().zip(&mut ways.money))
            {
                let now = if *excess == 0.0 { 0.0 } else { excess.signum() };
                *step = (*step * if now * *way < 0.0 { 0.5 } else { 1.2 }).clamp(1e-5, 1.0);
                *way = now;
                *price = (*price + now * *step).max(0.0);
            }
            choice = Choice::at(&prices, problem, &mut ranking);
            idle += 1;
            if choice.bound < lowest - 0.2 * hope {
                (hope, idle) = (1.5 * hope, 0);
            } else if idle == PATIENCE {
                (hope, idle) = (0.5 * hope, 0);
            }
            if choice.bound < lowest {
                best.clone_from(&prices);
                lowest = choice.bound;
            }
        }
        let choice = Choice::at(&best, problem, &mut ranking);
        Some((best, choice))
    }

    /// The squared length of the excess of pools, limited to pools whose price can still change.
    fn square(&self, excess: &Self) -> f64 {
        let all = self.pools.iter().zip(&excess.pools);
        all.filter(|(price, excess)| **price > 0.0 || **excess > 0.0).map(|(_, e)| e * e).sum()
    }
}

impl Choice {
    /// Computes the choices at these prices. `ranking` contains the offers of each order, best first at the
    /// previous prices, so that little sorting is needed.
    fn at(prices: &Prices, problem: &Problem, ranking: &mut [Vec<usize>]) -> Self {
        let mut excess = Prices {
            pools: problem.pools.iter().map(|pool| -pool.most).collect(),
            money: problem.sides.iter().map(|side| -side.money.unwrap_or(0.0)).collect(),
        };
        let owed = |prices: &[f64], excess: &[f64]| -> f64 {
            prices.iter().zip(excess).map(|(price, excess)| -price * excess).sum()
        };
        let mut bound = owed(&prices.pools, &excess.pools) + owed(&prices.money, &excess.money);
        let values = prices.values(problem);
        let value = |place: &usize| values.get(*place).copied().unwrap_or(0.0);
        let mut won = vec![0; problem.offers.len()];
        let mut room: Vec<u32> = problem.sites.iter().map(|site| site.most).collect();
        for ((side, ranking), money) in problem.sides.iter().zip(ranking).zip(&mut excess.money) {
            ranking.sort_by(|a, b| value(b).total_cmp(&value(a)).then(a.cmp(b)));
            let mut wanted = side.count;
            for place in ranking {
                let (Some(offer), Some(won)) = (problem.offers.get(*place), won.get_mut(*place))
                else {
                    continue;
                };
                let Some(room) = room.get_mut(offer.site) else { continue };
                *won = wanted.min(offer.most).min(*room);
                *room -= *won;
                wanted -= *won;
                bound += f64::from(*won) * value(place);
                if side.money.is_some() {
                    *money += f64::from(*won) * offer.price;
                }
                for take in problem.takes(offer.site).iter().filter(|_| *won > 0) {
                    if let Some(excess) = excess.pools.get_mut(take.pool) {
                        *excess += f64::from(*won) * take.each;
                    }
                }
                if wanted == 0 {
                    break;
                }
            }
        }
        Self { bound, won, excess }
    }
}
