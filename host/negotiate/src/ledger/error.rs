use haggle_model::{LeaseId, LeaseState, Owner, Resource, Timestamp};

/// Why the ledger refuses.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The owner has no account.
    #[error("{0} has no capacity in the ledger: it does not exist, or was removed")]
    UnknownOwner(Owner),
    /// More than there is.
    #[error("{owner} has {free} {resource} free at {at}, and lease {id} needs {more} more")]
    Exceeds {
        /// The lease.
        id: LeaseId,
        /// Whose capacity.
        owner: Owner,
        /// What is short.
        resource: Resource,
        /// When.
        at: Timestamp,
        /// How much would be added.
        more: f64,
        /// How much is left.
        free: f64,
    },
    /// The id was used for something else.
    #[error("lease {0} exists with other terms: a new lease needs a new id")]
    Different(LeaseId),
    /// The hold or its window is over before it began.
    #[error("lease {0} cannot be held: its hold or its window is over, or empty")]
    TooLate(LeaseId),
    /// Confirmed after its end.
    #[error("lease {id} is {state:?} and cannot be held or confirmed: negotiate again")]
    Over {
        /// The lease.
        id: LeaseId,
        /// Where it stands; a hold that has run out still says `held`.
        state: LeaseState,
    },
    /// Never held, or long over.
    #[error("there is no lease {0}: hold it first")]
    Unknown(LeaseId),
    /// Another commitment is on its way to disk.
    #[error("lease {0} is being changed by another negotiation: try again")]
    Busy(LeaseId),
    /// The lease to be replaced is not one that can be.
    #[error("lease {new} cannot replace {old}: {rule}")]
    CannotReplace {
        /// The new lease.
        new: LeaseId,
        /// The old one.
        old: LeaseId,
        /// Why.
        rule: &'static str,
    },
}
