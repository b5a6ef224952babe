//! Decides when to fit a panel.

use haggle_model::{Name, Span, Timestamp};

use crate::models::Model;

/// The properties of a service that determine whether it is fitted.
pub(crate) struct Fitness<'a> {
    pub(crate) service: &'a Name,
    pub(crate) model: Option<&'a Model>,
    /// Whether the model no longer fits the load.
    pub(crate) has_drifted: bool,
}

/// Whether the panel must be fitted: a model is missing, is too old, was not fitted by the intended
/// generation (retried after a quarter of the interval), or has drifted (fitted after a sixteenth of the
/// interval at the earliest). The interval varies slightly between panels, so that panels that were created
/// together are not fitted together forever.
pub(crate) fn is_due(panel: &[Fitness<'_>], refit: Span, now: Timestamp) -> bool {
    let Some(first) = panel.first() else { return false };
    let name = first.service.as_str().bytes();
    let spread =
        name.fold(7_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte))) % 64;
    let age = refit.as_millis() - refit.as_millis() / 4 * spread / 64;
    panel.iter().any(|one| {
        let Some(model) = one.model else { return true };
        let age = if one.has_drifted {
            age / 16
        } else if model.is_makeshift() {
            age / 4
        } else {
            age
        };
        model.is_outdated() || now.since(model.fitted_at).as_millis() >= age
    })
}

/// Returns when the oldest model of the panel was fitted; `None` if a model is missing.
pub(crate) fn oldest(panel: &[Fitness<'_>]) -> Option<Timestamp> {
    panel.iter().map(|one| one.model.map(|model| model.fitted_at)).min().flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use haggle_model::{Name, Span, Timestamp};
    use haggle_sandbox::Digest;

    use super::{Fitness, is_due};
    use crate::models::Model;

    #[test]
    fn a_model_that_is_missing_old_makeshift_or_has_drifted_is_due() {
        let service = Name::new("web").unwrap();
        let fitted = Timestamp::from_millis(1_000_000_000);
        let digest = Digest::of(b"component");
        let good = Model { bytes: Some(Arc::new(vec![1])), ..Model::unfitted(digest, fitted) };
        let makeshift = Model { component: Digest::of(b"another"), ..good.clone() };
        let unfitted = Model::unfitted(digest, fitted);
        let mut outdated = good.clone();
        outdated.outdate();
        let refit = Span::from_mins(64);
        let due_after = |model: Option<&Model>, has_drifted: bool| {
            (0..=64).find(|minutes| {
                let one = [Fitness { service: &service, model, has_drifted }];
                is_due(&one, refit, fitted + Span::from_mins(*minutes))
            })
        };
        assert_eq!(due_after(None, false), Some(0));
        assert_eq!(due_after(Some(&outdated), false), Some(0));
        let whole = due_after(Some(&good), false).unwrap();
        assert!((48..=64).contains(&whole), "{whole}");
        assert_eq!(due_after(Some(&makeshift), false), Some(whole.div_ceil(4)));
        assert_eq!(due_after(Some(&unfitted), false), Some(whole.div_ceil(4)));
        assert_eq!(due_after(Some(&good), true), Some(whole.div_ceil(16)));
    }
}
