use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use haggle_model::{Name, Owner, Quantities, Strength, Timestamp};
use imbl::OrdMap;

use crate::{
    Context, Demand, DemandError, Edge, MessageId, Outcome, Party, Reason, Snapshot, Spread,
    SpreadError,
};

mod alternatives;
mod asking;
mod buying;
mod carried_fraction;
mod conflict;
mod deal;
mod delayed_window;
mod drafting;
mod message;
mod offered;
mod overlap;
mod placing;

pub use message::{Fault, Input, Output};

use alternatives::Terms;
use asking::Asking;
use buying::Buying;
use deal::Deal;

/// One negotiation: a demand leads to an agreement that is confirmed as a whole, or to no change.
///
/// The session performs no I/O. [`Session::step`] takes an input and returns the outputs to carry out. The
/// session uses the services and dependencies as they were at its start, but the providers and the ledger
/// as they are at each step. It ends at its deadline at the latest, even if messages are lost or repeated.
///
/// A round first asks the services, leaves first, and then buys the replicas that must be added. If a
/// service offers less than it has, the next round repeats the same request, as long as the offers increase
/// and a round is left for the alternatives. If a service cannot carry the requested load, the session
/// tries the alternatives of the policy in order. The alternative that is always available lowers the
/// fraction of the demand for the next round; in the last round, the session accepts the available
/// fraction. Services that only best-effort dependencies lead to are informed of their load, and not asked.
/// The protocol is an iterated contract net (FIPA SC00030H).
///
/// A clone copies little: structures that grow with the number of services are shared until they change.
#[derive(Clone, Debug)]
pub struct Session {
    demand: Demand,
    /// The earlier agreements of the requester that this session replaces.
    replaces: Arc<[String]>,
    deadline: Timestamp,
    snapshots: Arc<BTreeMap<Name, Snapshot>>,
    /// The load over all dependencies.
    whole: Arc<Spread>,
    /// The load over the mandatory and optional dependencies, without the dropped ones.
    firm: Arc<Spread>,
    /// The load over the mandatory dependencies alone.
    core: Arc<Spread>,
    dropped: Arc<BTreeSet<Edge>>,
    /// The fraction of the demand that this round requests.
    fraction: f64,
    terms: Terms,
    /// The current round, from 1.
    round: u32,
    /// The load that each service can carry, as far as known in this round.
    granted: OrdMap<Name, Quantities>,
    /// The reasons of the services that granted less than was requested in this round.
    said: OrdMap<Name, Arc<str>>,
    /// Whether a service offered less than it has in this round.
    withheld: bool,
    /// Providers that did not hold their proposals.
    unreliable: BTreeSet<Name>,
    reasons: Arc<Vec<Reason>>,
    last_message: u64,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// The session waits for the services of one wave.
    Asking(Asking),
    /// The session waits for bids of providers or scores of buyers.
    Buying(Buying),
    /// The session waits until the ledger holds everything.
    Holding(Deal),
    /// Another agreement on the same capacity is being committed. The hold of this session has succeeded,
    /// or failed because of that commit.
    Waiting(Deal, Result<(), String>),
    /// The session waits until the ledger has confirmed everything.
    Confirming(Deal),
    Finished,
}

/// The next step, given the fraction that the parties can agree to.
enum Next {
    Proceed,
    AnotherRound,
    Fail,
}

/// Fractions that differ by less than this are equal, and a smaller fraction counts as zero.
const CLOSE: f64 = 1e-9;

impl Session {
    /// Opens a session. Returns it with its first outputs.
    ///
    /// # Errors
    /// [`DemandError`] if the demand is invalid.
    pub fn new(demand: Demand, cx: &Context<'_>) -> Result<(Self, Vec<Output>), DemandError> {
        Self::in_place_of(&[], demand, cx)
    }

    /// Opens a session whose agreement replaces the leases of the requester from earlier sessions,
    /// including leases that last longer or begin later. If the session fails, those leases stay.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn in_place_of(
        sessions: &[String],
        demand: Demand,
        cx: &Context<'_>,
    ) -> Result<(Self, Vec<Output>), DemandError> {
        let utilization = demand.target_utilization;
        check("target_utilization", utilization, utilization > 0.0 && utilization <= 1.0)?;
        if let Some(budget) = demand.budget_per_hour {
            check("budget_per_hour", budget, (0.0..=1e12).contains(&budget))?;
        }
        let window = demand.window;
        if window.start >= window.end || window.end <= cx.now {
            return Err(DemandError::Window { window, now: cx.now });
        }
        let whole = Arc::new(Spread::new(cx.world.graph(), &demand.requester, &demand.load)?);
        let firm = part(&whole, Strength::Optional)?;
        let core = part(&firm, Strength::Mandatory)?;
        let mut snapshots = BTreeMap::new();
        for name in whole.shares().keys() {
            let unknown = || DemandError::UnknownService(name.clone());
            let mut snapshot = cx.world.snapshot(name).ok_or_else(unknown)?;
            if *name == demand.requester {
                snapshot.target_utilization = demand.target_utilization;
                snapshot.budget_per_hour = demand.budget_per_hour;
                let capacity = &snapshot.service.replica.capacity;
                if !demand.load.iter().any(|(resource, _)| capacity.get(resource) > 0.0) {
                    return Err(DemandError::NotServed {
                        service: name.clone(),
                        load: Box::new(demand.load.clone()),
                        capacity: Box::new(capacity.clone()),
                    });
                }
            }
            snapshots.insert(name.clone(), snapshot);
        }
        let terms = Terms::new(&demand);
        let mut session = Self {
            deadline: demand.started_at + demand.policy.deadline,
            demand,
            replaces: sessions.into(),
            snapshots: Arc::new(snapshots),
            whole,
            firm,
            core,
            dropped: Arc::default(),
            fraction: 1.0,
            terms,
            round: 0,
            granted: OrdMap::new(),
            said: OrdMap::new(),
            withheld: false,
            unreliable: BTreeSet::new(),
            reasons: Arc::default(),
            last_message: 0,
            state: State::Finished,
        };
        let mut out = Vec::new();
        session.state = session.begin(cx, &mut out);
        Ok((session, out))
    }

    /// Applies an input and returns the outputs to carry out. An answer that the session does not wait for,
    /// because it is late, repeated or refers to an unknown message, has no effect.
    pub fn step(&mut self, input: Input, cx: &Context<'_>) -> Vec<Output> {
        let mut out = Vec::new();
        let state = std::mem::replace(&mut self.state, State::Finished);
        self.state = self.next_state(state, input, cx, &mut out);
        out
    }

    /// Whether the session has ended.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished)
    }

    /// Whether the session waits for another commit; it continues with an [`Input::Tick`] once that is
    /// durable.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(..))
    }

    /// The latest end of the session.
    #[must_use]
    pub const fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// The demand of the session.
    #[must_use]
    pub const fn demand(&self) -> &Demand {
        &self.demand
    }

    /// The current round, from 1.
    #[must_use]
    pub const fn round(&self) -> u32 {
        self.round
    }

    fn next_state(
        &mut self,
        state: State,
        input: Input,
        cx: &Context<'_>,
        out: &mut Vec<Output>,
    ) -> State {
        if matches!(state, State::Finished) {
            return self.unexpected(state, &input, out);
        }
        if let Input::Cancel(why) = input {
            return self.give_up(state, format!("cancelled: {why}"), cx, out);
        }
        if cx.now >= self.deadline {
            let mut why = format!("no agreement by the deadline, {}", self.deadline);
            if let Input::Overdue(silent) = &input
                && !silent.is_empty()
            {
                why = format!("{why}: no answer from {silent}");
            }
            return self.give_up(state, why, cx, out);
        }
        match (state, input) {
            (State::Asking(asking), Input::Answers { message, answers })
                if asking.message == message =>
            {
                self.answered(asking, answers, cx, out)
            }
            (State::Buying(buying), Input::Bids { message, bids }) if buying.bids_due(message) => {
                self.bid(buying, message, bids, cx, out)
            }
            (State::Buying(buying), Input::Scores { message, scores })
                if buying.scores_due(message) =>
            {
                self.scored(buying, message, scores, cx, out)
            }
            (state @ State::Holding(_), Input::Unreliable(party)) => {
                self.do_without(party);
                state
            }
            (State::Holding(deal), Input::Held { message, result }) if deal.message == message => {
                self.held(deal, result, cx, out)
            }
            (State::Waiting(deal, held), Input::Tick) => self.held(deal, held, cx, out),
            (State::Confirming(deal), Input::Confirmed { message, result })
                if deal.message == message =>
            {
                self.confirmed(deal, result.map(|_| ()), out)
            }
            (state, input) => self.unexpected(state, &input, out),
        }
    }

    /// Informs the best-effort services, and starts the first round within the bounds of the requester
    /// itself.
    fn begin(&mut self, cx: &Context<'_>, out: &mut Vec<Output>) -> State {
        let told: Vec<Name> = self
            .whole
            .shares()
            .keys()
            .filter(|name| !self.firm.shares().contains_key(*name))
            .cloned()
            .collect();
        let inquiries: Vec<_> =
            told.iter().filter_map(|name| self.inquiry(&self.whole, name, cx)).collect();
        if !inquiries.is_empty() {
            out.push(Output::Inform { message: self.next_message(), inquiries });
        }
        if !self.bound_by_requester() {
            return self.fail(out);
        }
        self.next_round(cx, out)
    }

    /// The load that a service carries for the whole demand, in the resources that it serves.
    fn share(&self, spread: &Spread, name: &Name) -> Quantities {
        let load = spread.shares().get(name).map(|share| &share.load);
        let capacity = self.snapshots.get(name).map(|snapshot| &snapshot.service.replica.capacity);
        let Some((load, capacity)) = load.zip(capacity) else { return Quantities::new() };
        let served = load.iter().filter(|(resource, _)| capacity.get(*resource) > 0.0);
        Quantities::from_pairs(served).unwrap_or_default()
    }

    /// Aborts the current state. If the ledger has already carried out a confirmation whose answer was
    /// lost, the confirmation counts.
    fn give_up(
        &mut self,
        state: State,
        why: String,
        cx: &Context<'_>,
        out: &mut Vec<Output>,
    ) -> State {
        let deal = match state {
            State::Confirming(deal) if deal.is_committed(cx.ledger) => {
                return self.confirmed(deal, Ok(()), out);
            }
            State::Holding(deal) | State::Waiting(deal, _) | State::Confirming(deal) => Some(deal),
            State::Asking(_) | State::Buying(_) | State::Finished => None,
        };
        if let Some(deal) = deal {
            self.release(&deal, out);
        }
        let root = self.demand.requester.clone();
        self.reason(&root, why);
        self.fail(out)
    }

    fn fail(&mut self, out: &mut Vec<Output>) -> State {
        let outcome = Outcome::Failed { reasons: self.reasons.to_vec(), rounds: self.round };
        out.push(Output::Finished(outcome));
        State::Finished
    }

    fn unexpected(&mut self, state: State, input: &Input, out: &mut Vec<Output>) -> State {
        if let Some(message) = input.message() {
            let text = match state {
                State::Finished => "came after the end, and changed nothing",
                _ => "answers nothing that is waited for, and changed nothing",
            };
            self.fault(message, Party::Session, text.into(), out);
        }
        state
    }

    fn fault(&self, message: MessageId, participant: Party, text: String, out: &mut Vec<Output>) {
        out.push(Output::Fault(Fault { message, participant, text }));
    }

    fn say_why(&mut self, name: &Name) {
        if let Some(text) = self.said.get(name).cloned() {
            self.reason(name, text.to_string());
        }
    }

    fn reason(&mut self, participant: &Name, text: String) {
        let reason = Reason { participant: participant.clone(), text };
        if !self.reasons.contains(&reason) {
            Arc::make_mut(&mut self.reasons).push(reason);
        }
    }

    fn next_message(&mut self) -> MessageId {
        self.last_message += 1;
        MessageId(self.last_message)
    }

    fn owner(name: &Name) -> Owner {
        Owner::Service(name.clone())
    }
}

/// The spread without dependencies weaker than `least`.
fn part(spread: &Arc<Spread>, least: Strength) -> Result<Arc<Spread>, SpreadError> {
    let mut all = spread.shares().keys().flat_map(|name| spread.dependencies_of(name));
    match all.all(|(_, dependency)| dependency.strength >= least) {
        true => Ok(Arc::clone(spread)),
        false => spread.without(|_, _, dependency| dependency.strength < least).map(Arc::new),
    }
}

fn check(field: &'static str, value: f64, valid: bool) -> Result<(), DemandError> {
    let range = match field {
        "target_utilization" => "above 0 and at most 1",
        _ => "between 0 and 1e12",
    };
    if valid { Ok(()) } else { Err(DemandError::Range { field, value, range }) }
}

#[cfg(test)]
mod tests;
