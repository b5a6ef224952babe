//! Checks the invariants at every step. It computes its own sums and trusts no total of the core.

use std::collections::BTreeSet;

use haggle_control::{Action, Answer, Caller, ControlError, State, Write};
use haggle_model::{Decision, LeaseId, LeaseState, Name, ScalingReason, Timestamp};

use crate::{books::Books, disk::Disk, report::Rule};

mod accounts;
mod callers;
mod flapping;
mod leased;
mod requests;

use accounts::Accounts;
use callers::Callers;
use flapping::Flapping;
use leased::Leased;
use requests::Requests;

pub(crate) use flapping::dependencies;

/// The result of a check; the error is the violated rule and a description.
pub(crate) type Check = Result<(), (Rule, String)>;

/// The complete state of the checker.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    pub(crate) books: Books,
    pub(crate) callers: Callers,
    pub(crate) requests: Requests,
    pub(crate) flapping: Flapping,
    memory: Accounts,
    on_disk: Accounts,
    leased: Leased,
    /// Leases that were on disk and have been deleted.
    ended: BTreeSet<LeaseId>,
    /// The leases on disk at the last check.
    written: BTreeSet<LeaseId>,
    /// By service: the journal sequence of its last action.
    acted: std::collections::BTreeMap<Name, u64>,
}

impl Checker {
    /// Checks the state after a step of the core.
    pub(crate) fn stepped(&mut self, newest: &State, writes: &[Write]) -> Check {
        self.memory.check(
            newest.ledger().leases(),
            Some(newest.ledger()),
            &self.books,
            newest.now(),
        )?;
        self.flapping.leases(newest);
        for write in writes {
            if let Write::Put(haggle_control::Record::Negotiation(record)) = write {
                self.leased.agreed(record, newest)?;
                self.flapping.ended(record, newest);
            }
        }
        self.leased.look(newest);
        let decisions = writes.iter().filter_map(|write| match write {
            Write::Append(decision) => Some(decision),
            _ => None,
        });
        let decisions: Vec<&Decision> = decisions.collect();
        for decision in &decisions {
            let is_last = !decisions.iter().any(|other| {
                other.service == decision.service && other.sequence > decision.sequence
            });
            if is_last {
                leased::raised(decision, newest)?;
            }
            let service = self.books.services.get(&decision.service);
            let policy = service.and_then(|service| self.books.policies.get(&service.policy));
            self.flapping.decided(decision, policy)?;
            if decision.reason == ScalingReason::LeaseEnded {
                self.flapping.lost(&decision.service, newest);
            }
        }
        Ok(())
    }

    /// Checks the state after a pass.
    pub(crate) fn passed(&mut self, newest: &State, snapshot: &State, disk: &Disk) -> Check {
        if let Err(text) = self.books.same_reclaims(newest) {
            return fail(Rule::Reclaims, text);
        }
        let accepted = self.requests.check(newest, snapshot, disk)?;
        accepted.iter().for_each(|verdict| self.note_edges(Some(verdict)));
        self.leased.check(newest)
    }

    /// Checks the disk after a write.
    pub(crate) fn written(&mut self, disk: &Disk, now: Timestamp) -> Check {
        let leases: BTreeSet<LeaseId> = disk.leases.keys().cloned().collect();
        if let Some(id) = leases.iter().find(|id| self.ended.contains(*id)) {
            return fail(Rule::Ended, format!("{id} is on disk again"));
        }
        if let Some(lease) = disk.leases.values().find(|l| l.state != LeaseState::Confirmed) {
            return fail(Rule::Durability, format!("{} is on disk as {:?}", lease.id, lease.state));
        }
        self.ended.extend(self.written.difference(&leases).cloned());
        self.written = leases;
        self.on_disk.check(disk.leases.values(), None, &self.books, now)
    }

    /// Checks that the durable state equals the disk after an acknowledged commit, with no other write
    /// pending.
    pub(crate) fn settled(&self, snapshot: &State, disk: &Disk) -> Check {
        let confirmed = |lease: &&haggle_model::Lease| lease.state == LeaseState::Confirmed;
        let leases = snapshot.ledger().leases().filter(confirmed);
        let mut count = 0;
        for lease in leases {
            count += 1;
            if disk.leases.get(&lease.id) != Some(lease) {
                let found = disk.leases.get(&lease.id);
                return fail(
                    Rule::Durability,
                    format!("{lease:?} counts, and on disk is {found:?}"),
                );
            }
        }
        if count < disk.leases.len() {
            let known = |id: &LeaseId| {
                let lease = snapshot.ledger().lease(id);
                lease.is_some_and(|lease| lease.state == LeaseState::Confirmed)
            };
            let lost = disk.leases.values().find(|lease| !known(&lease.id));
            return fail(Rule::Durability, format!("on disk is {lost:?}, which does not count"));
        }
        Ok(())
    }

    /// Checks an answer to a caller.
    pub(crate) fn answered(
        &mut self,
        caller: Caller,
        answer: &Result<Box<Answer>, ControlError>,
        disk: &Disk,
        now: Timestamp,
    ) -> Check {
        self.callers.answered(caller.0, now)?;
        self.books.answered(caller.0, answer.is_ok());
        let verdict = match answer.as_deref() {
            Ok(Answer::Verdict(verdict)) => Some(verdict),
            Ok(Answer::Accepted(progress)) => progress.verdict.as_ref(),
            _ => None,
        };
        self.note_edges(verdict);
        self.requests.answered(caller.0, answer, disk)
    }

    fn note_edges(&mut self, verdict: Option<&haggle_control::ScalingVerdict>) {
        if let Some(verdict) = verdict {
            self.flapping.edges(verdict.window);
            verdict.windows.iter().for_each(|window| self.flapping.edges(window.window));
        }
    }

    /// Checks an action of the driver.
    pub(crate) fn acted(&mut self, action: &Action, disk: &Disk) -> Check {
        let Action { service, replicas, sequence, .. } = action;
        let last = self.acted.entry(service.name.clone()).or_default();
        if sequence < last {
            let text = format!("{} acts on decision {sequence} after {last}", service.name);
            return fail(Rule::Journal, text);
        }
        *last = *sequence;
        if *sequence == 0 {
            return Ok(());
        }
        let place = usize::try_from(*sequence - 1).unwrap_or(usize::MAX);
        match disk.log.get(place) {
            None => {
                let text = format!("{} acts on decision {sequence}, not on disk", service.name);
                fail(Rule::Durability, text)
            }
            Some(decision) if decision.service != service.name => {
                fail(Rule::Journal, format!("{} acts on {decision:?}", service.name))
            }
            // The bounds of the service may have changed since.
            Some(decision) if *replicas > decision.to.max(self.books.floor(&service.name)) => {
                let text = format!("{} is to have {replicas}: {decision:?}", service.name);
                fail(Rule::Leased, text)
            }
            Some(_) => Ok(()),
        }
    }

    /// Forgets a service. A later service of that name starts anew.
    pub(crate) fn forgotten(&mut self, service: &Name) {
        self.acted.remove(service);
    }

    /// Resets everything that is measured over time, after the clock has jumped.
    pub(crate) fn jumped(&mut self) {
        self.leased = Leased::default();
        self.flapping.everybody();
    }

    /// Resets the state to the one on disk, after a failed commit.
    pub(crate) fn undone(&mut self, disk: &Disk) {
        self.memory.reset(disk.leases.values());
        self.leased = Leased::default();
    }

    /// Resets the checker after a crash. `state` is the state on disk.
    pub(crate) fn crashed(&mut self, state: &State, disk: &Disk) {
        self.books.crashed(state);
        self.callers.crashed();
        self.requests.crashed();
        self.undone(disk);
    }
}

pub(crate) fn fail(rule: Rule, text: String) -> Check {
    Err((rule, text))
}
