//! Checks what was acknowledged about scaling requests.

use std::collections::BTreeMap;

use haggle_control::{Answer, ControlError, ScalingVerdict, State, Verdict};
use haggle_model::{Name, Timestamp, Window};

use super::{Check, fail};
use crate::{disk::Disk, report::Rule, script::Asking};

#[derive(Debug, Default)]
pub(crate) struct Requests {
    /// By caller: the request that is not yet answered.
    asked: BTreeMap<u64, Asked>,
    /// The acknowledged requests by id.
    known: BTreeMap<String, Known>,
    /// The ids by the numbers in the script.
    pub(crate) ids: BTreeMap<usize, String>,
}

#[derive(Clone, Debug)]
enum Asked {
    Request { number: usize, windows: usize, several: bool, definite: Vec<bool>, dry_run: bool },
    Amend(String),
    Cancel(String),
}

#[derive(Clone, Debug)]
struct Known {
    windows: usize,
    several: bool,
    definite: Vec<bool>,
    /// The windows that are certainly reserved, by index.
    reserved: BTreeMap<usize, Window>,
    /// Whether it has no verdict yet.
    is_pending: bool,
    /// Whether nothing is certain, because a change or cancellation is in progress or its service may have
    /// been deleted.
    is_open: bool,
    is_cancelled: bool,
}

impl Requests {
    pub(crate) fn asks(&mut self, caller: u64, asking: &Asking) {
        // A window without a length is open-ended, whenever it begins.
        let definite = asking.windows.iter().map(|(_, lease, _)| lease.is_some());
        let request = Asked::Request {
            number: asking.number,
            windows: asking.windows.len(),
            several: asking.several,
            definite: definite.collect(),
            dry_run: asking.dry_run,
        };
        self.asked.insert(caller, request);
    }

    pub(crate) fn amends(&mut self, caller: u64, id: &str) {
        self.asked.insert(caller, Asked::Amend(id.to_owned()));
        if let Some(known) = self.known.get_mut(id) {
            known.is_open = true;
        }
    }

    pub(crate) fn cancels(&mut self, caller: u64, id: &str) {
        self.asked.insert(caller, Asked::Cancel(id.to_owned()));
        if let Some(known) = self.known.get_mut(id) {
            known.is_open = true;
        }
    }

    /// Marks the requests of a service that may be deleted.
    pub(crate) fn deletes(&mut self, service: &Name, state: &State) {
        let all: Vec<String> =
            state.reservations(Some(service)).into_iter().map(|r| r.request).collect();
        for (id, known) in &mut self.known {
            known.is_open |= all.contains(id);
        }
        for (id, known) in &mut self.known {
            let of = state.request(id).and_then(|progress| progress.verdict);
            known.is_open |= of.is_none_or(|verdict| verdict.service == *service);
        }
    }

    pub(crate) fn answered(
        &mut self,
        caller: u64,
        answer: &Result<Box<Answer>, ControlError>,
        disk: &Disk,
    ) -> Check {
        let Some(asked) = self.asked.remove(&caller) else { return Ok(()) };
        match (asked, answer.as_deref()) {
            (Asked::Request { number, windows, several, definite, dry_run }, Ok(answer)) => {
                let (id, verdict) = match answer {
                    Answer::Verdict(verdict) => (verdict.negotiation.clone(), Some(verdict)),
                    Answer::Accepted(progress) => {
                        (progress.negotiation.clone(), progress.verdict.as_ref())
                    }
                    other => {
                        return fail(Rule::Answer, format!("a request is answered {other:?}"));
                    }
                };
                if dry_run {
                    return Ok(());
                }
                self.ids.insert(number, id.clone());
                if disk.request(&id).is_none() {
                    return fail(Rule::Acknowledged, format!("{id} is answered, and not on disk"));
                }
                let mut known = Known {
                    windows,
                    several,
                    definite,
                    reserved: BTreeMap::new(),
                    is_pending: verdict.is_none(),
                    is_open: false,
                    is_cancelled: false,
                };
                if let Some(verdict) = verdict {
                    known.take(verdict);
                }
                self.known.insert(id, known);
            }
            (Asked::Amend(id), Ok(Answer::Verdict(verdict))) => {
                if let Some(known) = self.known.get_mut(&id)
                    && verdict.verdict != Verdict::Denied
                    && !known.is_cancelled
                {
                    // Other changes may be in progress.
                    known.reserved.clear();
                }
            }
            (Asked::Cancel(id), Ok(_)) => {
                if let Some(known) = self.known.get_mut(&id) {
                    known.is_cancelled = true;
                    known.reserved.clear();
                }
                if disk.request(&id).is_none() {
                    return fail(Rule::Acknowledged, format!("{id} is cancelled, not on disk"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks at each pass that acknowledged requests are known, granted windows are reserved, and
    /// cancelled requests stay cancelled. Returns the verdicts that are new.
    ///
    /// # Errors
    /// The violated rule with a description.
    pub(crate) fn check(
        &mut self,
        newest: &State,
        snapshot: &State,
        disk: &Disk,
    ) -> Result<Vec<ScalingVerdict>, (Rule, String)> {
        let mut verdicts = Vec::new();
        let reserved = newest.reservations(None);
        for (id, known) in &mut self.known {
            let on_disk = disk.request(id).map(haggle_control::Request::progress);
            let Some(progress) = snapshot.request(id).or(on_disk) else {
                return Err((Rule::Acknowledged, format!("{id} was acknowledged and is lost")));
            };
            if let Some(verdict) = &progress.verdict {
                if known.several && verdict.windows.len() != known.windows {
                    let text = format!("{id} has {} windows left", verdict.windows.len());
                    return Err((Rule::Acknowledged, text));
                }
                if std::mem::take(&mut known.is_pending) {
                    known.take(verdict);
                    verdicts.push(verdict.clone());
                }
            }
            if known.is_cancelled && reserved.iter().any(|one| one.request == *id) {
                return Err((Rule::Ended, format!("{id} is cancelled and reserved again")));
            }
            known.reserved.retain(|_, window| window.end > newest.now());
            if known.is_open {
                continue;
            }
            for (place, window) in &known.reserved {
                let is_there =
                    reserved.iter().any(|one| one.request == *id && one.window_number == *place);
                if !is_there {
                    let text = format!(
                        "{id}, window {place} was granted until {} and is not reserved",
                        window.end
                    );
                    return Err((Rule::Reserved, text));
                }
            }
        }
        Ok(verdicts)
    }

    /// Drops windows that have ended, after the clock has jumped.
    pub(crate) fn over(&mut self, now: Timestamp) {
        for known in self.known.values_mut() {
            known.reserved.retain(|_, window| window.end > now);
        }
    }

    /// After a crash, unanswered requests need not be kept.
    pub(crate) fn crashed(&mut self) {
        self.asked.clear();
        self.known.values_mut().for_each(|known| {
            known.is_pending = false;
        });
    }
}

impl Known {
    /// Records the granted windows that have a fixed end.
    fn take(&mut self, verdict: &ScalingVerdict) {
        let mut grant = |place: usize, verdict: Verdict, window: Window| {
            let definite = self.definite.get(place).copied().unwrap_or(false);
            if definite && verdict != Verdict::Denied {
                self.reserved.insert(place, window);
            }
        };
        if verdict.windows.is_empty() {
            grant(0, verdict.verdict, verdict.window);
        }
        for (place, window) in verdict.windows.iter().enumerate() {
            grant(place, window.verdict, window.window);
        }
    }
}
