//! The messages of negotiations, in process and over the network: those of the FIPA iterated contract net
//! (SC00030H) with counter-offers.

use haggle_model::{Lease, LeaseId, Name, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Bid, Inquiry, Inventory, InventoryUnit, Offer, Outcome, Request};

/// Identifies a message within its session. An answer carries the id of its question.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct MessageId(pub u64);

/// One message. As JSON: `{"session": "n1", "message": 3, "at": "2026-01-31T12:00:00Z", "from": "session",
/// "to": {"service": "cart"}, "type": "call_for_proposals", "data": {…}}`. A party may receive a message
/// several times. Repetitions carry the same `message` and must get the same answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Message {
    /// The id of the negotiation.
    pub session: String,
    /// The id of the message, unique among the messages of its sender in this negotiation.
    pub message: MessageId,
    /// The id of the message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<MessageId>,
    /// The time at which it was first sent.
    #[serde(default)]
    pub at: Timestamp,
    /// The sender.
    pub from: Party,
    /// The recipient.
    #[serde(default = "session")]
    pub to: Party,
    /// The content.
    #[serde(flatten)]
    pub content: Content,
}

/// A participant of a negotiation.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The negotiation itself, on behalf of the requester.
    Session,
    /// The ledger, which records all capacity.
    Ledger,
    /// A service.
    Service(Name),
    /// A provider.
    Provider(Name),
}

/// The content of a message. As JSON: its `type` and `data`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum Content {
    /// Asks the recipient for a proposal. The answer is `propose`, `counter` or `refuse`.
    CallForProposals(Call),
    /// Proposes to fulfil a call for proposals.
    Propose(Proposed),
    /// Offers less than requested.
    Counter(Offer),
    /// Refuses a call, or the acceptance of an earlier proposal.
    Refuse {
        /// A sentence that a person can act on.
        reason: String,
    },
    /// Accepts a proposal: the recipient holds these leases until they are confirmed or released, or until
    /// their `held_until` has passed. The answer is `confirm` or `refuse`.
    Accept {
        /// The leases to hold.
        leases: Vec<Lease>,
    },
    /// Declines a proposal. No answer is needed.
    Reject {
        /// The reason.
        reason: String,
    },
    /// To a party: the leases are agreed; the answer is `inform`. From a party: it holds what it accepted.
    Confirm {
        /// The confirmed leases; empty in an answer.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        leases: Vec<Lease>,
    },
    /// Releases held leases; the answer is `inform`.
    Release {
        /// The released leases.
        leases: Vec<LeaseId>,
    },
    /// Ends the negotiation. Only the requester may send it.
    Cancel {
        /// The reason.
        reason: String,
    },
    /// Informs the recipient.
    Inform(Information),
}

/// The subject of a call for proposals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Asks a service to carry a load.
    Load(Box<Inquiry>),
    /// Asks a provider for bids.
    Bids {
        /// The request.
        request: Request,
        /// The provider's relevant inventory.
        #[schema(value_type = Vec<InventoryUnit>)]
        inventory: Inventory,
    },
    /// Asks the buyer, which is the service of the request, to score bids.
    Scores {
        /// The request.
        request: Request,
        /// The bids; never empty.
        bids: Vec<Bid>,
    },
}

/// A proposal, by the kind of the call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proposed {
    /// The service carries the full load.
    All,
    /// The bids of the provider.
    Bids(Vec<Bid>),
    /// The scores of the buyer: a finite number per bid, in order; higher is better.
    Scores(Vec<f64>),
}

/// A piece of information.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Information {
    /// An expected load over a best-effort dependency.
    Load(Box<Inquiry>),
    /// The outcome of the negotiation.
    Outcome(Outcome),
    /// The acknowledgement of a `confirm` or `release`.
    Received,
    /// A protocol violation by the recipient, and its consequence.
    Fault(String),
}

/// The reasons for which bytes are not a valid message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The message is too long.
    #[error("the message has {0} bytes: {most} are allowed", most = Message::MOST_BYTES)]
    TooLong(usize),
    /// The bytes are not JSON or not a message, or a number is out of range.
    #[error("not a message: {0}")]
    Malformed(String),
}

impl Message {
    /// The maximum length of a message, in bytes.
    pub const MOST_BYTES: usize = 1 << 20;

    /// Parses JSON. Rejects amounts that are negative, not finite or too large.
    ///
    /// # Errors
    /// [`DecodeError`] with the position of the error.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > Self::MOST_BYTES {
            return Err(DecodeError::TooLong(bytes.len()));
        }
        serde_json::from_slice(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))
    }

    /// Serialises the message as JSON.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] if it contains a number that is not finite, because JSON cannot represent
    /// it.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        serde_json::to_vec(self).map_err(|error| DecodeError::Malformed(error.to_string()))
    }

    /// Creates an answer to this message, from its recipient to its sender. It carries the id of the
    /// question, so one question has one answer.
    #[must_use]
    pub fn reply(&self, content: Content, at: Timestamp) -> Self {
        Self {
            session: self.session.clone(),
            message: self.message,
            in_reply_to: Some(self.message),
            at,
            from: self.to.clone(),
            to: self.from.clone(),
            content,
        }
    }
}

impl Content {
    /// The `type` in JSON.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::CallForProposals(_) => "call_for_proposals",
            Self::Propose(_) => "propose",
            Self::Counter(_) => "counter",
            Self::Refuse { .. } => "refuse",
            Self::Accept { .. } => "accept",
            Self::Reject { .. } => "reject",
            Self::Confirm { .. } => "confirm",
            Self::Release { .. } => "release",
            Self::Cancel { .. } => "cancel",
            Self::Inform(_) => "inform",
        }
    }
}

impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Session => f.write_str("the negotiation"),
            Self::Ledger => f.write_str("the ledger"),
            Self::Service(name) => write!(f, "service {name}"),
            Self::Provider(name) => write!(f, "provider {name}"),
        }
    }
}

const fn session() -> Party {
    Party::Session
}

#[cfg(test)]
mod tests;
