use std::fmt;

use haggle_model::{Lease, LeaseId, Name};
use serde::{Deserialize, Serialize};

use crate::{
    Agreement, Answer, Bid, Commitment, Hold, Inquiry, Inventory, MessageId, Outcome, Party,
    Request,
};

/// An action that a session requests. Each has its own id. `Ask`, `CallForBids`, `Rank`, `Hold` and
/// `Confirm` wait for the [`Input`] with the same id.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Ask all services of one wave. [`Input::Answers`] returns the answers in the same order.
    Ask {
        /// The id of the message.
        message: MessageId,
        /// The inquiries.
        inquiries: Vec<Inquiry>,
    },
    /// Inform services of an expected load. They do not answer.
    Inform {
        /// The id of the message.
        message: MessageId,
        /// The expected loads.
        inquiries: Vec<Inquiry>,
    },
    /// Ask a provider for bids; [`Input::Bids`] answers it.
    CallForBids {
        /// The id of the message.
        message: MessageId,
        /// The provider.
        provider: Name,
        /// The request.
        request: Request,
        /// The provider's relevant inventory.
        inventory: Inventory,
    },
    /// Ask the buyer, the service of the request, to score bids; [`Input::Scores`] answers it.
    Rank {
        /// The id of the message.
        message: MessageId,
        /// The request.
        request: Request,
        /// The bids; never empty.
        bids: Vec<Bid>,
    },
    /// Hold all of these leases or none; [`Input::Held`] answers it.
    Hold {
        /// The id of the message.
        message: MessageId,
        /// The holds; never empty.
        holds: Vec<Hold>,
    },
    /// Confirm the commitment as a whole or not at all; [`Input::Confirmed`] answers it.
    Confirm {
        /// The id of the message.
        message: MessageId,
        /// The leases to confirm and to end.
        commitment: Commitment,
        /// The resulting agreement.
        agreement: Box<Agreement>,
    },
    /// Release these leases, if they are held.
    Release {
        /// The id of the message.
        message: MessageId,
        /// The leases; never empty.
        leases: Vec<LeaseId>,
    },
    /// A party broke the protocol. Its message had no effect or counted as a refusal.
    Fault(Fault),
    /// The session has ended.
    Finished(Outcome),
}

/// An event for a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The answers of the services of a wave, or the reasons for which they are missing.
    Answers {
        /// The id of the output that this answers.
        message: MessageId,
        /// One answer per inquiry, in order.
        answers: Vec<Result<Answer, String>>,
    },
    /// The bids of a provider, or the reason for which there are none.
    Bids {
        /// The id of the output that this answers.
        message: MessageId,
        /// The bids; empty if the provider does not want to bid.
        bids: Result<Vec<Bid>, String>,
    },
    /// The scores of the buyer, or the reason for which there are none.
    Scores {
        /// The id of the output that this answers.
        message: MessageId,
        /// A finite number per bid, in order; higher is better.
        scores: Result<Vec<f64>, String>,
    },
    /// Whether all leases are held.
    Held {
        /// The id of the output that this answers.
        message: MessageId,
        /// The error if nothing is held.
        result: Result<(), String>,
    },
    /// Whether the commitment is confirmed.
    Confirmed {
        /// The id of the output that this answers.
        message: MessageId,
        /// The changed leases, or the reason for which nothing is confirmed.
        result: Result<Vec<Lease>, String>,
    },
    /// A party does not hold its proposal; [`Input::Held`] follows.
    Unreliable(Party),
    /// Time has passed.
    Tick,
    /// The deadline has passed; the text lists the silent parties.
    Overdue(String),
    /// The requester cancels the session; the text gives the reason.
    Cancel(String),
}

/// A protocol violation by a party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Fault {
    /// The id of the message concerned.
    pub message: MessageId,
    /// The party, or the session itself if the sender is unknown.
    pub participant: Party,
    /// The violation and its consequence.
    pub text: String,
}

impl Input {
    /// The id of the output that this answers, if there is one.
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
