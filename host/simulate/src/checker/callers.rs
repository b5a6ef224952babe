//! Checks that every caller gets one answer in time.

use std::collections::{BTreeMap, BTreeSet};

use haggle_model::Timestamp;

use super::{Check, fail};
use crate::report::Rule;

#[derive(Debug, Default)]
pub(crate) struct Callers {
    /// By caller: the latest time for its answer, in simulation time.
    waiting: BTreeMap<u64, Timestamp>,
    due: BTreeSet<(Timestamp, u64)>,
    answered: BTreeSet<u64>,
}

impl Callers {
    pub(crate) fn asks(&mut self, caller: u64, by: Timestamp) {
        self.waiting.insert(caller, by);
        self.due.insert((by, caller));
    }

    pub(crate) fn answered(&mut self, caller: u64, now: Timestamp) -> Check {
        if !self.answered.insert(caller) {
            return fail(Rule::Answer, format!("caller {caller} is answered twice"));
        }
        let Some(by) = self.waiting.remove(&caller) else {
            return fail(Rule::Answer, format!("caller {caller} is answered and does not wait"));
        };
        self.due.remove(&(by, caller));
        match now > by {
            true => fail(Rule::Answer, format!("caller {caller} is answered after {by}")),
            false => Ok(()),
        }
    }

    pub(crate) fn check(&self, now: Timestamp) -> Check {
        match self.due.first() {
            Some((by, caller)) if *by < now => {
                fail(Rule::Answer, format!("caller {caller} is not answered by {by}"))
            }
            _ => Ok(()),
        }
    }

    /// A crash closes all connections, so no caller waits any more.
    pub(crate) fn crashed(&mut self) {
        self.waiting.clear();
        self.due.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
