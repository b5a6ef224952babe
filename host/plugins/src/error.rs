use std::time::Duration;

use haggle_model::Name;
use haggle_sandbox::{CallError, Cause, types::Fault};

use crate::registry::Who;

/// The reason why no candidate answers.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unanswered {
    /// The plugin returned a fault for this item of a batch.
    #[error("{by}, {function}: {fault}")]
    Item {
        /// The generation that was called.
        by: Who,
        /// The function that was called.
        function: &'static str,
        /// The fault.
        fault: Fault,
    },
    /// The call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The circuit breaker holds calls back.
    #[error("{by} is not asked for another {left:?}: it failed several times in a row{last}")]
    Paused {
        /// The generation that was not called.
        by: Who,
        /// The remaining pause.
        left: Duration,
        /// The last error, after `; the last error: `, or nothing.
        last: String,
    },
    /// An earlier call is still running after its deadline.
    #[error("{0} is not asked: an earlier call of it is overdue and goes on")]
    Overdue(Who),
    /// The generation was not called, because earlier calls of it take too long.
    #[error("{0} was not asked: calls of it wait for their turn for too long")]
    Crowded(Who),
    /// No generation has the role.
    #[error("plugin {0} has no generation that decides this, and no built-in plugin does")]
    Nobody(Name),
    /// The caller's time is up.
    #[error("{0} was not asked: the time for an answer is up")]
    Late(Who),
}

impl Unanswered {
    /// Returns the plugin's fault, if it returned one.
    #[must_use]
    pub const fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Item { fault, .. } | Self::Call(CallError { cause: Cause::Fault(fault), .. }) => {
                Some(fault)
            }
            _ => None,
        }
    }

    /// Whether the generation was not called at all.
    pub(crate) const fn was_not_asked(&self) -> bool {
        matches!(self, Self::Paused { .. } | Self::Overdue(_) | Self::Crowded(_) | Self::Late(_))
    }

    /// Whether the plugin reports too little data, which is not a failure.
    pub(crate) const fn is_lack_of_data(&self) -> bool {
        matches!(self.fault(), Some(Fault::InsufficientData(_)))
    }

    /// Whether the plugin cannot read a model: the caller must fit again, and no other candidate is called.
    pub(crate) const fn is_foreign_model(&self) -> bool {
        matches!(self, Self::Item { fault: Fault::IncompatibleModel(_), .. })
    }
}
