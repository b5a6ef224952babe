use std::fmt;

use haggle_model::{Lease, LeaseId, Name};
use serde::{Deserialize, Serialize};

use crate::{
    Agreement, Answer, Bid, Commitment, Hold, Inquiry, Inventory, MessageId, Outcome, Party,
    Request,
};

/// What a session wants done. Each has an id of its own; `Ask`, `CallForBids`, `Rank`, `Hold` and
/// `Confirm` wait for the [`Input`] that carries it.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Ask services, all of one wave; [`Input::Answers`] has theirs in the same order.
    Ask {
        /// Its id.
        message: MessageId,
        /// What each is asked.
        inquiries: Vec<Inquiry>,
    },
    /// Tell services what is coming; nobody waits for an answer.
    Inform {
        /// Its id.
        message: MessageId,
        /// What each is told.
        inquiries: Vec<Inquiry>,
    },
    /// Ask a provider for bids; answered by [`Input::Bids`].
    CallForBids {
        /// Its id.
        message: MessageId,
        /// Who is asked.
        provider: Name,
        /// What is wanted.
        request: Request,
        /// What it has of that.
        inventory: Inventory,
    },
    /// Ask the buyer, the service of the request, to score bids; answered by [`Input::Scores`].
    Rank {
        /// Its id.
        message: MessageId,
        /// What is wanted.
        request: Request,
        /// Never empty.
        bids: Vec<Bid>,
    },
    /// Hold all of these or none; answered by [`Input::Held`].
    Hold {
        /// Its id.
        message: MessageId,
        /// Never empty.
        holds: Vec<Hold>,
    },
    /// Confirm as a whole or not at all; answered by [`Input::Confirmed`].
    Confirm {
        /// Its id.
        message: MessageId,
        /// What begins and what ends.
        commitment: Commitment,
        /// What is then agreed.
        agreement: Box<Agreement>,
    },
    /// Give these back, if they are held.
    Release {
        /// Its id.
        message: MessageId,
        /// Never empty.
        leases: Vec<LeaseId>,
    },
    /// Something came that should not have; it changed nothing, or counted as a refusal.
    Fault(Fault),
    /// The session has ended.
    Finished(Outcome),
}

/// What has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// What services answered, or why one did not.
    Answers {
        /// What is answered.
        message: MessageId,
        /// One for each inquiry, in their order.
        answers: Vec<Result<Answer, String>>,
    },
    /// What a provider bids, or why it does not.
    Bids {
        /// What is answered.
        message: MessageId,
        /// Empty where it does not want to.
        bids: Result<Vec<Bid>, String>,
    },
    /// How the buyer scores bids, or why it does not.
    Scores {
        /// What is answered.
        message: MessageId,
        /// A finite number for each bid, in their order; higher is better.
        scores: Result<Vec<f64>, String>,
    },
    /// Whether everything is held.
    Held {
        /// What is answered.
        message: MessageId,
        /// Why nothing is held.
        result: Result<(), String>,
    },
    /// Whether everything is confirmed.
    Confirmed {
        /// What is answered.
        message: MessageId,
        /// The leases that changed, or why nothing is confirmed.
        result: Result<Vec<Lease>, String>,
    },
    /// A party does not hold what it proposed; [`Input::Held`] follows.
    Unreliable(Party),
    /// Time has passed.
    Tick,
    /// The deadline has come; the text says who has not answered.
    Overdue(String),
    /// Whoever wanted it wants it no more; the text says why.
    Cancel(String),
}

/// Something that a party did wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Fault {
    /// What it belongs to.
    pub message: MessageId,
    /// Who, or the session itself where the sender is not known.
    pub participant: Party,
    /// What, and what became of it.
    pub text: String,
}

impl Input {
    /// The id of what is answered, if anything is.
    #[must_use]
    pub const fn message(&self) -> Option<MessageId> {
        match self {
            Self::Answers { message, .. }
            | Self::Bids { message, .. }
            | Self::Scores { message, .. }
            | Self::Held { message, .. }
            | Self::Confirmed { message, .. } => Some(*message),
            Self::Unreliable(_) | Self::Tick | Self::Overdue(_) | Self::Cancel(_) => None,
        }
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
