//! When a panel is fitted.

use haggle_model::{Span, Timestamp};

use super::Job;

/// Whether a model of the panel is missing or old, or could not be fitted (it is tried again after a quarter of
/// the time) or has drifted: that takes a number of steps to tell, and is not acted on more than sixteen times
/// as often as models are fitted anyway. Ages differ a little from panel to panel, so that those that came
/// together are not all fitted together for ever.
pub(super) fn is_due(panel: &[Job], refit: Span, now: Timestamp) -> bool {
    let Some(first) = panel.first() else { return false };
    let name = first.service.name.as_str().bytes();
    let spread =
        name.fold(7_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte))) % 64;
    let age = refit.as_millis() - refit.as_millis() / 4 * spread / 64;
    panel.iter().any(|job| {
        let unfitted = job.model.as_ref().is_some_and(|model| model.bytes.is_none());
        let age = if job.drifted {
            age / 16
        } else if unfitted {
            age / 4
        } else {
            age
        };
        fitted_at(job).is_none_or(|at| now.since(at).as_millis() >= age)
    })
}

pub(super) fn fitted_at(job: &Job) -> Option<Timestamp> {
    job.model.as_ref().map(|model| model.fitted_at)
}
