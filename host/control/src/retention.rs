//! Deletes unreferenced records, the oldest first.

use std::{collections::BTreeSet, sync::Arc};

use haggle_model::LeaseState;

use crate::{
    record::{Key, Record},
    request::{Request, Status},
    step::Step,
    verdict::Verdict,
};

/// Deletion starts once the records exceed the limit by the limit divided by this number, because the
/// search for unneeded records visits all leases.
const SLACK: usize = 10;

impl Step<'_> {
    /// Turns requests that are completely over into plain records.
    pub(crate) fn retire_requests(&mut self) {
        let over = self.state.requests.values().filter(|request| self.is_over(request));
        let over: Vec<Arc<Request>> = over.cloned().collect();
        for request in over {
            self.state.requests.remove(&request.id);
            let request = Request { over: true, ..request.as_ref().clone() };
            self.put(Record::Request(Arc::new(request)));
        }
    }

    fn is_over(&self, request: &Request) -> bool {
        let amended = self.state.waiting.contains_key(&request.id);
        let state = self.state.services.get(&request.service);
        let open = request.parts.iter().enumerate().any(|(place, part)| {
            let claimed = state.is_some_and(|state| {
                let later = state.scheduled.iter().filter_map(|later| later.claim.as_ref());
                let mut all = state.claims.iter().chain(later);
                all.any(|claim| claim.is_of(&request.id, place))
            });
            match &part.status {
                Status::Open => true,
                Status::Cancelled(_) => false,
                Status::Done(verdict) if verdict.verdict == Verdict::Denied => false,
                Status::Done(verdict) if part.definite => verdict.window.end > self.now,
                Status::Done(_) => claimed,
            }
        });
        !open && !amended
    }

    pub(crate) fn forget_records(&mut self) {
        let most = self.options.records;
        if self.state.kept.len() <= most + most / SLACK {
            return;
        }
        let mut needed: BTreeSet<&str> = BTreeSet::new();
        let confirmed = |lease: &&haggle_model::Lease| lease.state == LeaseState::Confirmed;
        needed.extend(self.state.ledger.leases().filter(confirmed).map(|l| l.negotiation.as_str()));
        for request in self.state.requests.values() {
            needed.insert(&request.id);
            let sessions = request.parts.iter().flat_map(|part| &part.sessions);
            needed.extend(sessions.map(String::as_str));
        }
        for state in self.state.services.values() {
            needed.extend(state.scheduled.iter().map(|later| later.session.as_str()));
        }
        needed.extend(self.state.sessions.keys().map(String::as_str));
        let spare = self.state.kept.len() - most;
        let numbers = self.state.kept.iter().copied();
        let named = numbers.map(|number| (number, self.id_of(number)));
        let unneeded = named.filter(|(_, id)| !needed.contains(id.as_str()));
        let forgotten: Vec<(u64, String)> = unneeded.take(spare).collect();
        for (number, id) in forgotten {
            self.state.kept.remove(&number);
            self.delete(Key::Negotiation(id.clone()));
            self.delete(Key::Request(id));
        }
    }
}
