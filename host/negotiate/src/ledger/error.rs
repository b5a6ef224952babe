use haggle_model::{LeaseId, LeaseState, Owner, Resource, Timestamp};

/// The reasons for which the ledger rejects an operation.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The owner has no account.
    #[error("{0} has no capacity in the ledger: it does not exist, or was removed")]
    UnknownOwner(Owner),
    /// The lease exceeds the free capacity.
    #[error("{owner} has {free} {resource} free at {at}, and lease {id} needs {more} more")]
    Exceeds {
        /// The lease.
        id: LeaseId,
        /// The owner of the capacity.
        owner: Owner,
        /// The resource that is short.
        resource: Resource,
        /// The moment.
        at: Timestamp,
        /// The amount that the lease would add.
        more: f64,
        /// The free amount.
        free: f64,
    },
    /// The id belongs to a lease with other terms.
    #[error("lease {0} exists with other terms: a new lease needs a new id")]
    Different(LeaseId),
    /// The hold or its window has already ended, or the window is empty.
    #[error("lease {0} cannot be held: its hold or its window is over, or empty")]
    TooLate(LeaseId),
    /// The lease has ended and cannot be confirmed.
    #[error("lease {id} is {state:?} and cannot be held or confirmed: negotiate again")]
    Over {
        /// The lease.
        id: LeaseId,
        /// The state of the lease; a hold that has run out is still `held`.
        state: LeaseState,
    },
    /// The lease was never held, or the ledger has forgotten it.
    #[error("there is no lease {0}: hold it first")]
    Unknown(LeaseId),
    /// Another commit of this lease is in progress.
    #[error("lease {0} is being changed by another negotiation: try again")]
    Busy(LeaseId),
    /// The old lease cannot be replaced.
    #[error("lease {new} cannot replace {old}: {rule}")]
    CannotReplace {
        /// The new lease.
        new: LeaseId,
        /// The old lease.
        old: LeaseId,
        /// The violated rule.
        rule: &'static str,
    },
}
