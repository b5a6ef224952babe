use std::time::Duration;

use haggle_model::Name;
use haggle_sandbox::{CallError, Cause, types::Fault};

use crate::registry::Who;

/// Why nobody decides.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unanswered {
    /// A fault for this item of a batch.
    #[error("{by}, {function}: {fault}")]
    Item {
        /// Who was asked.
        by: Who,
        /// What was called.
        function: &'static str,
        /// What it says.
        fault: Fault,
    },
    /// The call has no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The circuit breaker holds calls back.
    #[error("{by} is not asked for another {left:?}: it failed several times in a row{last}")]
    Paused {
        /// Who would be asked.
        by: Who,
        /// How long that will last.
        left: Duration,
        /// The last error, after `; the last error: `, or nothing.
        last: String,
    },
    /// An earlier call goes on although its time is up.
    #[error("{0} is not asked: an earlier call of it is overdue and goes on")]
    Overdue(Who),
    /// The calls before it take too long.
    #[error("{0} was not asked: calls of it wait for their turn for too long")]
    Crowded(Who),
    /// Nobody plays the role.
    #[error("plugin {0} has no generation that decides this, and no built-in plugin does")]
    Nobody(Name),
    /// The caller's time is up.
    #[error("{0} was not asked: the time for an answer is up")]
    Late(Who),
}

impl Unanswered {
    /// The fault, where the plugin answered one.
    #[must_use]
    pub const fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Item { fault, .. } | Self::Call(CallError { cause: Cause::Fault(fault), .. }) => {
                Some(fault)
            }
            _ => None,
        }
    }

    /// Whether the generation was not asked at all.
    pub(crate) const fn was_not_asked(&self) -> bool {
        matches!(self, Self::Paused { .. } | Self::Overdue(_) | Self::Crowded(_) | Self::Late(_))
    }

    /// Whether the plugin only says that it has too little to go on, which is no failure.
    pub(crate) const fn is_lack_of_data(&self) -> bool {
        matches!(self.fault(), Some(Fault::InsufficientData(_)))
    }

    /// Whether the plugin cannot read a model: whoever asked is to fit anew, and nobody else is asked.
    pub(crate) const fn is_foreign_model(&self) -> bool {
        matches!(self, Self::Item { fault: Fault::IncompatibleModel(_), .. })
    }
}
