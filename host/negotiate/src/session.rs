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
mod conflict;
mod deal;
mod drafting;
mod later;
mod message;
mod offered;
mod overlap;
mod placing;
mod settling;

pub use message::{Fault, Input, Output};

use alternatives::Terms;
use asking::Asking;
use buying::Buying;
use deal::Deal;

/// One negotiation, from a demand to an agreement that is confirmed as a whole or to nothing at all.
///
/// It does nothing itself: [`Session::step`] takes what has happened and returns what is to be done. It
/// sees services and dependencies as they were when it began, and providers and the ledger as they are
/// at each step. It ends at its deadline at the latest, whatever is lost or repeated on the way.
///
/// A round asks the services leaves first, then buys what must grow. Where somebody offers less than it has,
/// the next round asks for the same again, as long as that brings more each time and leaves a round for
/// whatever else may be tried. Whoever can do less than was asked sends it to the policy's alternatives in
/// their order; the one that is always at hand lowers the fraction of the demand that the next round asks
/// for, and in the last round that fraction is taken as it is. What flows over best-effort dependencies is told to those that only they lead to, and
/// asked of nobody. The protocol is an iterated contract net (FIPA SC00030H).
///
/// A clone copies little: what grows with the number of services is shared until it changes.
#[derive(Clone, Debug)]
pub struct Session {
    demand: Demand,
    /// Agreements of the requester that this one is to take the place of.
    replaces: Arc<[String]>,
    deadline: Timestamp,
    snapshots: Arc<BTreeMap<Name, Snapshot>>,
    /// Over all dependencies.
    whole: Arc<Spread>,
    /// Over those that are waited for, without what was dropped.
    firm: Arc<Spread>,
    /// Over mandatory ones alone: what has to be carried in any case.
    core: Arc<Spread>,
    dropped: Arc<BTreeSet<Edge>>,
    /// How much of the demand this round is about.
    fraction: f64,
    terms: Terms,
    /// From 1.
    round: u32,
    /// What each service can be counted on for, as far as it is known in this round.
    granted: OrdMap<Name, Quantities>,
    /// What those said in this round that gave less than was asked.
    said: OrdMap<Name, Arc<str>>,
    /// Whether somebody offered less in this round than it has.
    withheld: bool,
    /// Providers that did not hold what they proposed.
    unreliable: BTreeSet<Name>,
    reasons: Arc<Vec<Reason>>,
    last_message: u64,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Services of one wave are asked.
    Asking(Asking),
    /// Providers bid, or buyers rank.
    Buying(Buying),
    /// The ledger is to hold everything.
    Holding(Deal),
    /// Another agreement about the same is on its way to disk. Everything is held, or could not be because of
    /// that.
    Waiting(Deal, Result<(), String>),
    /// The ledger is to confirm everything.
    Confirming(Deal),
    Finished,
}

/// What follows from the fraction that the parties can agree to.
enum Next {
    Proceed,
    AnotherRound,
    Fail,
}

/// Fractions that differ by less are the same; a smaller one is nothing.
const CLOSE: f64 = 1e-9;

impl Session {
    /// Opens a session and says what is to be done first.
    ///
    /// # Errors
    /// [`DemandError`] where the demand makes no sense in this world.
    pub fn new(demand: Demand, cx: &Context<'_>) -> Result<(Self, Vec<Output>), DemandError> {
        Self::in_place_of(&[], demand, cx)
    }

    /// Opens a session whose agreement takes the place of what the requester leased in earlier ones, even of
    /// what lasts longer or begins later. Should it fail, those stand.
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

    /// Takes in what has happened and says what is to be done. An answer that nobody waits for, because
    /// it is late, repeated or of an unknown message, changes nothing.
    pub fn step(&mut self, input: Input, cx: &Context<'_>) -> Vec<Output> {
        let mut out = Vec::new();
        let state = std::mem::replace(&mut self.state, State::Finished);
        self.state = self.next_state(state, input, cx, &mut out);
        out
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished)
    }

    /// Whether it goes on, at an [`Input::Tick`], once agreements have come from their way to disk.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(..))
    }

    /// When it ends at the latest.
    #[must_use]
    pub const fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// What it is about.
    #[must_use]
    pub const fn demand(&self) -> &Demand {
        &self.demand
    }

    /// The round it is in, from 1.
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

    /// Best-effort services are told; the bounds of the requester itself limit the first round.
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

    /// What a service has to carry for the whole demand, in the resources that it serves.
    fn share(&self, spread: &Spread, name: &Name) -> Quantities {
        let load = spread.shares().get(name).map(|share| &share.load);
        let capacity = self.snapshots.get(name).map(|snapshot| &snapshot.service.replica.capacity);
        let Some((load, capacity)) = load.zip(capacity) else { return Quantities::new() };
        let served = load.iter().filter(|(resource, _)| capacity.get(*resource) > 0.0);
        Quantities::from_pairs(served).unwrap_or_default()
    }

    /// Ends whatever is under way. A confirmation whose answer got lost counts if the ledger has it.
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

/// What is left with dependencies of at least this strength.
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
