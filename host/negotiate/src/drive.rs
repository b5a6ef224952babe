use std::collections::{BTreeMap, VecDeque};

use haggle_model::{Lease, LeaseId, Name, Timestamp};

use crate::{
    Answer, Bid, Commitment, Context, Demand, DemandError, Input, Inquiry, InventoryUnit, Ledger,
    Outcome, Output, Request, Session, Transcript, World, transcript::Clerk,
};

/// Everybody that a negotiation talks to, where they answer at once. A party that fails says why: that
/// counts as a refusal.
pub trait Counterparties {
    /// Asks services, all of one wave: one answer for each inquiry, in their order.
    fn respond(&mut self, inquiries: &[Inquiry]) -> Vec<Result<Answer, String>>;

    /// Asks a provider for bids from its inventory.
    ///
    /// # Errors
    /// Why it does not bid.
    fn bid(
        &mut self,
        provider: &Name,
        request: &Request,
        inventory: &[InventoryUnit],
    ) -> Result<Vec<Bid>, String>;

    /// Asks the buyer, which is `request.service`, to score bids: one finite number for each, in their
    /// order, higher is better.
    ///
    /// # Errors
    /// Why it does not; the cheapest bids win then.
    fn rank(&mut self, request: &Request, bids: &[Bid]) -> Result<Vec<f64>, String>;

    /// Makes leases durable before their confirmation counts: all of them or none.
    ///
    /// # Errors
    /// Why it cannot; nothing is confirmed then.
    fn persist(&mut self, leases: &[Lease]) -> Result<(), String>;

    /// Tells services what is coming, without an answer.
    fn inform(&mut self, inquiries: &[Inquiry]) {
        let _ = inquiries;
    }
}

/// A negotiation that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Negotiated {
    /// How.
    pub outcome: Outcome,
    /// Every lease that it made or changed, as it is now, by id.
    pub changes: Vec<Lease>,
    /// What was said.
    pub transcript: Transcript,
}

/// Runs a negotiation from its demand to its end. Whatever the outcome is, nothing stays held.
///
/// # Errors
/// [`DemandError`] where the demand makes no sense in this world; nobody was asked then.
pub fn negotiate(
    demand: Demand,
    world: &dyn World,
    ledger: &mut Ledger,
    counterparties: &mut dyn Counterparties,
    clock: &mut dyn FnMut() -> Timestamp,
) -> Result<Negotiated, DemandError> {
    let now = clock();
    let mut clerk = Clerk::new(&demand.session, &demand.requester);
    let (mut session, outputs) = Session::new(demand, &Context { world, ledger, now })?;
    let mut driver = Driver { ledger, counterparties, changes: BTreeMap::new() };
    let mut outcome = None;
    let mut queue = VecDeque::from(outputs);
    loop {
        while let Some(output) = queue.pop_front() {
            clerk.output(&output, clock());
            if let Output::Finished(end) = output {
                outcome = Some(end);
                continue;
            }
            let Some(input) = driver.carry_out(&output, clock) else { continue };
            let now = clock();
            clerk.input(&output, &input, now);
            let cx = Context { world, ledger: driver.ledger, now };
            queue.extend(session.step(input, &cx));
        }
        if let Some(outcome) = outcome {
            let changes = driver.changes.into_values().collect();
            return Ok(Negotiated { outcome, changes, transcript: clerk.close() });
        }
        // Every question above is answered, so a session that still waits would wait forever.
        let cx = Context { world, ledger: driver.ledger, now: clock() };
        let why = match session.is_waiting() {
            true => "another agreement about the same is on its way to disk: negotiate again",
            false => "nothing is left to wait for",
        };
        queue.extend(session.step(Input::Cancel(why.into()), &cx));
    }
}

struct Driver<'a> {
    ledger: &'a mut Ledger,
    counterparties: &'a mut dyn Counterparties,
    changes: BTreeMap<LeaseId, Lease>,
}

impl Driver<'_> {
    /// Does what the session wants; what it is told then, if it waits for that.
    fn carry_out(
        &mut self,
        output: &Output,
        clock: &mut dyn FnMut() -> Timestamp,
    ) -> Option<Input> {
        match output {
            Output::Ask { message, inquiries } => {
                let answers = self.counterparties.respond(inquiries);
                Some(Input::Answers { message: *message, answers })
            }
            Output::Inform { inquiries, .. } => {
                self.counterparties.inform(inquiries);
                None
            }
            Output::CallForBids { message, provider, request, inventory } => {
                let bids = self.counterparties.bid(provider, request, inventory);
                Some(Input::Bids { message: *message, bids })
            }
            Output::Rank { message, request, bids } => {
                let scores = self.counterparties.rank(request, bids);
                Some(Input::Scores { message: *message, scores })
            }
            Output::Hold { message, holds } => {
                let now = clock();
                self.note(|ledger| ledger.expire(now));
                let held = self.ledger.hold(holds, now).map_err(|error| error.to_string());
                let result = held.map(|leases| self.keep(leases));
                Some(Input::Held { message: *message, result })
            }
            Output::Confirm { message, commitment, .. } => {
                let result = self.confirm(commitment, clock());
                Some(Input::Confirmed { message: *message, result })
            }
            Output::Release { leases, .. } => {
                self.note(|ledger| ledger.release(leases));
                None
            }
            Output::Fault(_) | Output::Finished(_) => None,
        }
    }

    fn confirm(&mut self, commitment: &Commitment, now: Timestamp) -> Result<Vec<Lease>, String> {
        let changed = self.ledger.prepare(commitment, now).map_err(|error| error.to_string())?;
        if changed.is_empty() {
            return Ok(changed);
        }
        self.counterparties
            .persist(&changed)
            .map_err(|why| format!("it could not be made durable: {why}"))?;
        let changed = self.ledger.confirm(commitment, now).map_err(|error| error.to_string())?;
        self.keep(changed.clone());
        Ok(changed)
    }

    fn note(&mut self, change: impl FnOnce(&mut Ledger) -> Vec<Lease>) {
        let changed = change(self.ledger);
        self.keep(changed);
    }

    fn keep(&mut self, leases: Vec<Lease>) {
        self.changes.extend(leases.into_iter().map(|lease| (lease.id.clone(), lease)));
    }
}

#[cfg(test)]
mod tests;
