//! Reports on calls: failures, fallbacks, and the journal.

use std::collections::BTreeSet;

use haggle_control::EventKind;
use haggle_model::{Name, Timestamp};
use haggle_sandbox::{CallError, CallOutcome, Function};
use haggle_store::CallRecord;
use serde_json::json;

use super::{Decided, Decider, Terms, nobody};
use crate::{
    complaints::cut,
    error::Unanswered,
    fallback::{Outcome, Placed},
    registry::{Loaded, Who},
};

/// A candidate that did not answer some items.
pub(super) struct Failure {
    pub(super) place: usize,
    pub(super) error: Unanswered,
    /// The indices of the items.
    pub(super) items: Vec<usize>,
    /// Number of items that the candidate was asked for.
    pub(super) of: usize,
}

impl Decider {
    pub(super) fn journal<F: Function>(
        &self,
        now: Timestamp,
        by: &Who,
        function: &F,
        result: &Result<CallOutcome<F::Answer>, CallError>,
    ) {
        let Some(journal) = &self.journal else { return };
        // A timeout depends on real time, so there is nothing to repeat.
        if result.as_ref().is_err_and(|error| !error.cause.is_deterministic()) {
            return;
        }
        let input = postcard::to_stdvec(function);
        let outcome = match result {
            Ok(called) => postcard::to_stdvec(&called.answer).map(Ok),
            Err(error) => Ok(Err(error.cause.to_string())),
        };
        let (Ok(input), Ok(outcome)) = (input, outcome) else {
            tracing::error!(function = F::NAME, "a call could not be encoded for the journal");
            return;
        };
        journal.record(CallRecord {
            sequence: 0,
            at: now,
            plugin: by.plugin.clone(),
            generation: by.generation,
            digest: haggle_store::Digest::from_bytes(*by.digest.as_bytes()),
            function: F::NAME.to_owned(),
            input,
            blobs: Vec::new(),
            outcome,
            fuel_used: result.as_ref().map_or(0, |called| called.fuel),
        });
    }

    /// Reports which items went on to the next candidate and which candidate answered them. It only counts
    /// the cases where a candidate has too little data, which is not an error, or was not called because of
    /// an earlier report.
    pub(super) fn complain<F: Function, T>(
        &self,
        terms: Terms<'_>,
        candidates: &[Loaded],
        failures: &[Failure],
        answers: &[Option<Outcome<T>>],
    ) {
        for Failure { place, error, items, of } in failures {
            let Some(loaded) = candidates.get(*place) else { continue };
            if !items.is_empty() {
                self.observer.fallback(terms.plugin, F::NAME, items.len());
            }
            let is_crowded = matches!(error, Unanswered::Crowded(_));
            if (error.was_not_asked() && !is_crowded) || error.is_lack_of_data() {
                continue;
            }
            let mut message = error.to_string();
            if *of > 1 {
                message = format!("{} of {of} items: {message}", items.len());
            }
            // An omitted part needs no other candidate.
            if !items.is_empty() {
                let by =
                    items.iter().filter_map(|item| answers.get(*item)?.as_ref()?.as_ref().ok());
                let by: BTreeSet<usize> = by.map(|answer| answer.place).collect();
                let by = by.iter().filter_map(|place| candidates.get(*place));
                let by: Vec<String> = by.map(|loaded| self.registry.title(loaded)).collect();
                let by = if by.is_empty() { "nobody".to_owned() } else { by.join(" and ") };
                // The guest's output may be long; the name of the fallback must not be cut off.
                message = format!("{}; {by} answered instead", short(message));
            }
            let by = &loaded.who;
            let elapsed = self.clock.elapsed();
            let due = self.complaints.note(by, F::NAME, terms.now, &message, elapsed);
            if let Some(unsaid) = due {
                let detail = json!({
                    "plugin": by.plugin, "generation": by.generation, "function": F::NAME,
                    "items": items.len(), "of": of, "unreported": unsaid,
                });
                let subject = terms.plugin.as_str();
                self.observer.event(EventKind::Fallback, subject, cut(message), detail);
            }
        }
    }

    pub(super) fn decided<T>(
        &self,
        plugin: &Name,
        candidates: &[Loaded],
        answer: Option<Outcome<T>>,
    ) -> Result<Decided<T>, Unanswered> {
        let Placed { place, answer, instead_of } = answer.unwrap_or_else(|| Err(nobody(plugin)))?;
        let loaded = candidates.get(place).ok_or_else(|| nobody(plugin))?;
        let remark = instead_of.map(|why| {
            format!("{}; {} answered instead", short(why.to_string()), self.registry.title(loaded))
        });
        Ok(Decided { answer, by: loaded.who.clone(), remark })
    }
}

/// The items for which a candidate has too little data, and those that it fails to answer for another reason.
pub(super) fn failures_of_items<T>(
    place: usize,
    asked: &[usize],
    answers: &[Result<T, Unanswered>],
) -> impl Iterator<Item = Failure> {
    let errors =
        asked.iter().zip(answers).filter_map(|(item, it)| Some((*item, it.as_ref().err()?)));
    let (lacking, others): (Vec<_>, Vec<_>) = errors
        .filter(|(_, error)| !error.is_foreign_model())
        .partition(|(_, error)| error.is_lack_of_data());
    let of = answers.len();
    let failure = move |errors: Vec<(usize, &Unanswered)>| {
        let error = errors.first()?.1.clone();
        let items = errors.into_iter().map(|(item, _)| item).collect();
        Some(Failure { place, error, items, of })
    };
    [failure(lacking), failure(others)].into_iter().flatten()
}

/// Shortens a message to leave room for an addition within the limit of [`cut`].
fn short(mut text: String) -> String {
    const MOST: usize = 700;
    if text.len() > MOST {
        text.truncate(text.floor_char_boundary(MOST));
        text.push('…');
    }
    text
}
