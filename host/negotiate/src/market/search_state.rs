//! The state of the local search: the current choices and the exceeded constraints.

use super::problem::{Offer, Problem};

/// Every order always has all its replicas. Exceeding a pool or budget costs a penalty.
pub(super) struct SearchState<'a> {
    pub(super) problem: &'a Problem,
    /// The number of replicas by offer.
    pub(super) won: Vec<u32>,
    pub(super) score: f64,
    /// The number of replicas by site.
    at: Vec<u32>,
    /// The excess of each constraint, and the penalty per unit of excess: pools first, then budgets.
    over: Vec<f64>,
    weights: Vec<f64>,
    /// The exceeded constraints, unordered.
    pub(super) broken: Vec<usize>,
    /// The index of each constraint in `broken`.
    places: Vec<Option<usize>>,
}

/// A move of replicas of one order from one offer to another.
#[derive(Clone, Copy)]
pub(super) struct Move {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) count: u32,
    /// The change of penalties minus score; negative is better.
    pub(super) change: f64,
}

/// The rounding tolerance for sums of many steps.
const ROUNDING: f64 = 1e-9;

impl<'a> SearchState<'a> {
    pub(super) fn new(problem: &'a Problem, won: &[u32], weights: Vec<f64>) -> Self {
        let pools = problem.pools.iter().map(|pool| -pool.free);
        // An unlimited budget is never exceeded.
        let money = problem.sides.iter().map(|side| -side.money.unwrap_or(f64::INFINITY));
        let over: Vec<f64> = pools.chain(money).collect();
        let mut state = Self {
            problem,
            won: vec![0; won.len()],
            score: 0.0,
            at: vec![0; problem.sites.len()],
            weights,
            broken: Vec::new(),
            places: vec![None; over.len()],
            over,
        };
        for (place, count) in won.iter().enumerate() {
            state.shift(place, i64::from(*count));
        }
        state
    }

    pub(super) fn has(&self, offer: usize) -> u32 {
        self.won.get(offer).copied().unwrap_or(0)
    }

    pub(super) fn at(&self, site: usize) -> u32 {
        self.at.get(site).copied().unwrap_or(0)
    }

    /// Whether the offer allows one more replica.
    pub(super) fn is_open(&self, place: usize, offer: &Offer) -> bool {
        self.has(place) < offer.most
    }

    /// Whether the site would have room for one more replica if only its order used the unit.
    pub(super) fn has_room(&self, site: usize) -> bool {
        self.problem.sites.get(site).is_some_and(|here| self.at(site) < here.most)
    }

    /// The excess of a pool or budget.
    pub(super) fn over(&self, which: usize) -> f64 {
        get(&self.over, which)
    }

    /// The penalty of a pool or budget, if it is exceeded.
    pub(super) fn cost(&self, which: usize) -> f64 {
        get(&self.weights, which) * self.over(which)
    }

    /// The change of the penalty if `more` is taken.
    fn dearer_by(&self, which: usize, more: f64) -> f64 {
        let over = self.over(which);
        get(&self.weights, which) * ((over + more).max(0.0) - over.max(0.0))
    }

    /// The constraint index of a budget.
    pub(super) fn budget(&self, side: usize) -> usize {
        self.problem.pools.len() + side
    }

    /// The order of a budget constraint; `None` for a pool.
    pub(super) fn whose(&self, broken: usize) -> Option<usize> {
        broken.checked_sub(self.problem.pools.len())
    }

    pub(super) fn is_broken(&self, place: usize) -> bool {
        self.places.get(place).is_some_and(Option::is_some)
    }

    /// The change of the penalties at a site if the number of replicas changes by `by`.
    pub(super) fn penalty(&self, site: usize, by: i64) -> f64 {
        let now = self.at(site);
        let then = moved(now, by);
        let mut penalty = 0.0;
        for take in self.problem.takes(site) {
            penalty += self.dearer_by(take.pool, take.of(then) - take.of(now));
        }
        penalty
    }

    /// The change of the penalty of an order's budget if it spends `more`.
    pub(super) fn dearer(&self, side: usize, more: f64) -> f64 {
        self.dearer_by(self.budget(side), more)
    }

    /// The move of `count` replicas from one offer to another.
    pub(super) fn moving(&self, from: usize, to: usize, count: u32) -> Option<Move> {
        let (a, b) = (self.problem.offers.get(from)?, self.problem.offers.get(to)?);
        let n = f64::from(count);
        let side = self.problem.sites.get(a.site)?.side;
        let mut change = n * (a.score - b.score) + self.dearer(side, n * (b.price - a.price));
        if a.site != b.site {
            let by = i64::from(count);
            change += self.penalty(a.site, -by) + self.penalty(b.site, by);
        }
        Some(Move { from, to, count, change })
    }

    /// The same move with more replicas, if that is better.
    pub(super) fn enlarged(&self, way: Move, most: u32) -> Move {
        let (Some(a), Some(b)) =
            (self.problem.offers.get(way.from), self.problem.offers.get(way.to))
        else {
            return way;
        };
        let mut count = most.min(self.has(way.from)).min(b.most.saturating_sub(self.has(way.to)));
        if a.site != b.site {
            let room = self.problem.sites.get(b.site).map_or(0, |site| site.most);
            count = count.min(room.saturating_sub(self.at(b.site)));
        }
        let larger = self.moving(way.from, way.to, count).filter(|_| count > way.count);
        larger.filter(|larger| larger.change < way.change).unwrap_or(way)
    }

    pub(super) fn apply(&mut self, way: Move) {
        self.shift(way.from, -i64::from(way.count));
        self.shift(way.to, i64::from(way.count));
    }

    pub(super) fn undo(&mut self, way: Move) {
        self.apply(Move { from: way.to, to: way.from, ..way });
    }

    /// Raises the weights of all broken constraints.
    pub(super) fn raise(&mut self, by: f64) {
        for which in &self.broken {
            self.weights.get_mut(*which).into_iter().for_each(|weight| *weight += by);
        }
    }

    /// Lowers all weights.
    pub(super) fn lower(&mut self, factor: f64) {
        self.weights.iter_mut().for_each(|weight| *weight *= factor);
    }

    fn shift(&mut self, place: usize, by: i64) {
        let problem = self.problem;
        let Some(offer) = problem.offers.get(place) else { return };
        let Some(site) = problem.sites.get(offer.site) else { return };
        let (Some(won), Some(at)) = (self.won.get_mut(place), self.at.get_mut(offer.site)) else {
            return;
        };
        let before = *at;
        (*won, *at) = (moved(*won, by), moved(*at, by));
        let now = *at;
        self.score += by as f64 * offer.score;
        for take in problem.takes(offer.site) {
            let free = problem.pools.get(take.pool).map_or(0.0, |pool| pool.free);
            self.take(take.pool, take.of(now) - take.of(before), ROUNDING * free.max(1.0));
        }
        if let Some(money) = problem.sides.get(site.side).and_then(|side| side.money) {
            let rounding = 1e-3 * ROUNDING * money.max(1.0);
            self.take(self.budget(site.side), by as f64 * offer.price, rounding);
        }
    }

    fn take(&mut self, which: usize, more: f64, rounding: f64) {
        let Some(over) = self.over.get_mut(which) else { return };
        *over += more;
        let broken = *over > rounding;
        self.list(which, broken);
    }

    /// Updates the list of broken constraints.
    fn list(&mut self, which: usize, broken: bool) {
        let Some(place) = self.places.get_mut(which) else { return };
        match (*place, broken) {
            (None, true) => {
                *place = Some(self.broken.len());
                self.broken.push(which);
            }
            (Some(here), false) => {
                *place = None;
                self.broken.swap_remove(here);
                let last = self.broken.get(here).and_then(|last| self.places.get_mut(*last));
                last.into_iter().for_each(|place| *place = Some(here));
            }
            _ => {}
        }
    }
}

fn moved(count: u32, by: i64) -> u32 {
    u32::try_from(i64::from(count) + by).unwrap_or(0)
}

fn get(values: &[f64], place: usize) -> f64 {
    values.get(place).copied().unwrap_or(0.0)
}
