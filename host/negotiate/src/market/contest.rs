//! Local search over the choices of all orders. It uses ejection chains: one order moves to a better offer,
//! and the orders it displaces move on (Yagiura, Ibaraki and Glover, An ejection chain approach for the
//! generalized assignment problem, 2004). Exceeding a pool or budget costs a penalty. The penalty grows
//! whenever no chain helps (Morris, The breakout method, 1993) and shrinks while nothing is exceeded. The
//! search therefore alternates between feasible solutions and slightly infeasible ones.

use super::{
    prices::{Choice, Prices},
    problem::{Offer, Problem},
    search_state::{Move, SearchState},
};

pub(super) struct Contest<'a> {
    state: SearchState<'a>,
    /// The value of each offer at the prices.
    values: Vec<f64>,
    /// By offer: the step until which no move may return to it.
    barred: Vec<usize>,
    step: usize,
    /// The remaining work, in examined offers.
    work: usize,
    random: Random,
    /// A reusable buffer for the possible targets of a move: (offer, cost, whether the site has room for
    /// one more replica than it has now).
    arrivals: Vec<(usize, f64, bool)>,
}

/// The maximum number of offers to examine: until the first solution, and after it.
const MOST_WORK: [usize; 2] = [1_500_000, 700_000];

/// The maximum number of times that each pair of offers is examined. A search among few offers ends early.
const MOST_PAIRS: usize = 30;

/// A score within this share of the bound is good enough.
const CLOSE: f64 = 1e-3;

/// Smaller changes are rounding errors.
const ROUNDING: f64 = 1e-9;

/// The number of chains tried for a broken constraint, the number tried for an improvement of an order, and
/// the maximum length of a chain.
const CHAINS: usize = 8;
const WISHES: usize = 3;
const LENGTH: usize = 4;

/// The increment of a weight, and the factor by which weights shrink.
const GROWTH: f64 = 1.0;
const DECAY: f64 = 0.8;

/// The minimum number of steps before an abandoned offer may be used again; the maximum is just under three
/// times this number.
const BARRED: usize = 6;

impl<'a> Contest<'a> {
    /// Starts from the choice of all orders at these prices.
    pub(super) fn new(problem: &'a Problem, prices: &Prices, choice: &Choice) -> Self {
        // The penalty must exceed the price; otherwise an excess would pay off.
        let prices_of = prices.pools.iter().chain(&prices.money);
        let weights = prices_of.map(|price| 1.5 * price + 0.5).collect();
        Self {
            state: SearchState::new(problem, &choice.won, weights),
            values: prices.values(problem),
            barred: vec![0; problem.offers.len()],
            step: 0,
            work: most_work(problem)[0],
            random: Random(0),
            arrivals: Vec::new(),
        }
    }

    /// The number of replicas that each offer wins in the best solution found.
    pub(super) fn run(mut self, bound: f64) -> Option<Vec<u32>> {
        let sides = self.state.problem.sides.len();
        let good = bound - CLOSE * bound.abs();
        let mut best: Option<(Vec<u32>, f64)> = None;
        let (mut turn, mut idle) = (0, 0);
        while self.work > 0 {
            self.step += 1;
            self.work -= 1;
            if !self.state.broken.is_empty() {
                idle = 0;
                self.mend();
                continue;
            }
            let score = self.state.score;
            if best.as_ref().is_none_or(|(_, highest)| score > highest + ROUNDING) {
                self.work =
                    if best.is_none() { most_work(self.state.problem)[1] } else { self.work };
                best = Some((self.state.won.clone(), score));
                if score >= good {
                    break;
                }
            }
            if idle >= sides {
                idle = 0;
                self.state.lower(DECAY);
            }
            turn = (turn + 1) % sides.max(1);
            idle = if self.improve(turn) { 0 } else { idle + 1 };
        }
        best.map(|(won, _)| won)
    }

    /// Moves an order to a better offer, directly or with a chain of other moves.
    fn improve(&mut self, side: usize) -> bool {
        match self.best_move(side, None, false) {
            Some(way) if way.change < -ROUNDING => {
                let way = self.state.enlarged(way, u32::MAX);
                self.state.apply(way);
                self.bar(way);
                true
            }
            _ => {
                let wishes = self.wishes(side);
                self.chain(&wishes)
            }
        }
    }

    /// Tries to repair one broken constraint. If no chain helps, raises the weights of all broken
    /// constraints.
    fn mend(&mut self) {
        let Some(broken) = self.random.pick(&self.state.broken) else { return };
        let mut ways = self.ways(broken);
        ways.sort_by(|a, b| a.change.total_cmp(&b.change));
        ways.truncate(CHAINS);
        if self.chain(&ways) {
            return;
        }
        self.state.raise(GROWTH);
        if let Some(way) = ways.first() {
            self.state.apply(*way);
            self.bar(*way);
        }
    }

    /// Extends each move to a chain until the chain as a whole is an improvement. Undoes every chain that
    /// is not.
    fn chain(&mut self, first: &[Move]) -> bool {
        for first in first {
            let mut chain: Vec<Move> = Vec::with_capacity(LENGTH);
            let (mut next, mut change) = (Some(*first), 0.0);
            while let Some(way) = next {
                self.state.apply(way);
                change += way.change;
                chain.push(way);
                if change < -ROUNDING {
                    chain.iter().for_each(|way| self.bar(*way));
                    return true;
                }
                next = if chain.len() < LENGTH { self.follow(way, &chain) } else { None };
            }
            chain.iter().rev().for_each(|way| self.state.undo(*way));
        }
        false
    }

    /// The best move that repairs what the last move has broken.
    fn follow(&mut self, after: Move, chain: &[Move]) -> Option<Move> {
        let problem = self.state.problem;
        let site = problem.offers.get(after.to)?.site;
        let pools = problem.takes(site).iter().map(|take| take.pool);
        let worst = pools.max_by(|a, b| self.state.cost(*a).total_cmp(&self.state.cost(*b)));
        let budget = self.state.budget(problem.sites.get(site)?.side);
        let broken = worst.filter(|pool| self.state.is_broken(*pool)).unwrap_or(budget);
        if !self.state.is_broken(broken) {
            return None;
        }
        let is_new =
            |way: &Move| chain.iter().all(|past| past.to != way.from && past.from != way.to);
        let ways = self.ways(broken).into_iter().filter(is_new);
        ways.min_by(|a, b| a.change.total_cmp(&b.change))
    }

    /// The moves that can repair a broken constraint: for a pool, the best move of each order out of it;
    /// for a budget, the best move to a cheaper offer.
    fn ways(&mut self, broken: usize) -> Vec<Move> {
        let problem = self.state.problem;
        if let Some(side) = self.state.whose(broken) {
            let way = self.best_move(side, None, true);
            return way.map(|way| self.state.enlarged(way, u32::MAX)).into_iter().collect();
        }
        let Some(pool) = problem.pools.get(broken) else { return Vec::new() };
        let over = self.state.over(broken);
        let mut ways = Vec::new();
        for site in &pool.sites {
            let takes = problem.takes(*site).iter().find(|take| take.pool == broken);
            let Some(take) = takes.filter(|take| take.of(self.state.at(*site)) > 0.0) else {
                continue;
            };
            let Some(side) = problem.sites.get(*site).map(|site| site.side) else { continue };
            if let Some(way) = self.best_move(side, Some(*site), false) {
                let most = (over / take.each).ceil().clamp(1.0, f64::from(u32::MAX)) as u32;
                ways.push(self.state.enlarged(way, most));
            }
        }
        ways
    }

    /// The best move of one replica of an order: away from the given site, or to a cheaper offer.
    fn best_move(&mut self, side: usize, from: Option<usize>, cheaper: bool) -> Option<Move> {
        let state = &self.state;
        let order = state.problem.sides.get(side)?;
        let mut arrivals = std::mem::take(&mut self.arrivals);
        arrivals.clear();
        for (place, offer) in state.problem.of(order) {
            let barred = self.barred.get(place).is_some_and(|until| *until > self.step);
            if !barred && state.is_open(place, offer) {
                let room = state.has_room(offer.site);
                arrivals.push((place, state.penalty(offer.site, 1) - offer.score, room));
            }
        }
        let mut work = order.offers.len();
        let mut best: Option<Move> = None;
        for (a, leaving) in state.problem.of(order) {
            if state.has(a) == 0 || from.is_some_and(|site| site != leaving.site) {
                continue;
            }
            work += arrivals.len();
            let relief = state.penalty(leaving.site, -1) + leaving.score;
            for (b, arrival, room) in &arrivals {
                let Some(joining) = state.problem.offers.get(*b) else { continue };
                let stays = leaving.site == joining.site;
                let allowed = if stays { from.is_none() && a != *b } else { *room };
                if !allowed || (cheaper && joining.price >= leaving.price) {
                    continue;
                }
                let moved = if stays { leaving.score - joining.score } else { relief + arrival };
                let change = moved + state.dearer(side, joining.price - leaving.price);
                if best.is_none_or(|best| change < best.change) {
                    best = Some(Move { from: a, to: *b, count: 1, change });
                }
            }
        }
        self.arrivals = arrivals;
        self.work = self.work.saturating_sub(work);
        best
    }

    /// The moves to offers with a higher score, regardless of the constraints they break; the largest gain
    /// at the prices first.
    fn wishes(&mut self, side: usize) -> Vec<Move> {
        let state = &self.state;
        let Some(side) = state.problem.sides.get(side) else { return Vec::new() };
        let offers = || state.problem.of(side);
        let value = |place: usize| self.values.get(place).copied().unwrap_or(0.0);
        let mut wishes = Vec::new();
        for (a, from) in offers().filter(|(a, _)| state.has(*a) > 0) {
            let better = |(b, to): &(usize, &Offer)| {
                to.score > from.score + ROUNDING
                    && state.is_open(*b, to)
                    && (to.site == from.site || state.has_room(to.site))
            };
            wishes.extend(offers().filter(better).map(|(b, _)| (value(b) - value(a), a, b)));
        }
        self.work = self.work.saturating_sub(wishes.len());
        wishes.sort_by(|a, b| b.0.total_cmp(&a.0));
        let wishes = wishes.into_iter().take(WISHES);
        wishes.filter_map(|(_, a, b)| state.moving(a, b, 1)).collect()
    }

    fn bar(&mut self, way: Move) {
        let until = self.step + BARRED + self.random.below(2 * BARRED);
        self.barred.get_mut(way.from).into_iter().for_each(|barred| *barred = until);
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014) with a fixed seed, so that the same orders give the same
/// result.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % most.max(1) as u64) as usize
    }

    fn pick(&mut self, all: &[usize]) -> Option<usize> {
        let place = self.below(all.len());
        all.get(place).copied()
    }
}

fn most_work(problem: &Problem) -> [usize; 2] {
    let offers = problem.offers.len();
    MOST_WORK.map(|most| most.min(MOST_PAIRS.saturating_mul(offers).saturating_mul(offers)))
}
