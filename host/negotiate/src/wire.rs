//! The one vocabulary that negotiations are held in, in process and over the network: that of the FIPA
//! iterated contract net (SC00030H) with counter-offers.

use haggle_model::{Lease, LeaseId, Name, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Bid, Inquiry, Inventory, InventoryUnit, Offer, Outcome, Request};

/// Identifies a message within its session. An answer carries the id of what it answers.
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

/// One message. As JSON: `{"session": "n1", "message": 3, "at": "2026-01-31T12:00:00Z", "from":
/// "session", "to": {"service": "cart"}, "type": "call_for_proposals", "data": {…}}`. Whoever gets one
/// may get it again: repetitions carry the same `message`, and are to be answered the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Message {
    /// The negotiation.
    pub session: String,
    /// Its id, unique among what this sender says in this negotiation.
    pub message: MessageId,
    /// What it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<MessageId>,
    /// When it was first said.
    #[serde(default)]
    pub at: Timestamp,
    /// Who says it.
    pub from: Party,
    /// To whom.
    #[serde(default = "session")]
    pub to: Party,
    /// What is said.
    #[serde(flatten)]
    pub content: Content,
}

/// Who takes part.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The negotiation itself, on behalf of the requester.
    Session,
    /// The keeper of all capacity.
    Ledger,
    /// A service.
    Service(Name),
    /// A provider.
    Provider(Name),
}

/// What a message says. As JSON: its `type` and `data`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum Content {
    /// What would you do? Answered by `propose`, `counter` or `refuse`.
    CallForProposals(Call),
    /// I would do this.
    Propose(Proposed),
    /// I would not do that, but less.
    Counter(Offer),
    /// I will not, or no longer.
    Refuse {
        /// A sentence that a person can act on.
        reason: String,
    },
    /// Do what you proposed: hold this until it is confirmed or released, or its `held_until` has
    /// passed. Answered by `confirm` or `refuse`.
    Accept {
        /// What is held.
        leases: Vec<Lease>,
    },
    /// What you proposed is not needed; nobody waits for an answer.
    Reject {
        /// Why.
        reason: String,
    },
    /// To a party: it is agreed; answered by `inform`. From a party: what was accepted is held.
    Confirm {
        /// What is confirmed; empty in an answer.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        leases: Vec<Lease>,
    },
    /// What you hold is needed no longer; answered by `inform`.
    Release {
        /// What is given back.
        leases: Vec<LeaseId>,
    },
    /// End the negotiation: from its requester only.
    Cancel {
        /// Why.
        reason: String,
    },
    /// For your information.
    Inform(Information),
}

/// What is called for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// A service is asked to carry a load.
    Load(Box<Inquiry>),
    /// A provider is asked for bids.
    Bids {
        /// What is wanted.
        request: Request,
        /// What the provider has of it.
        #[schema(value_type = Vec<InventoryUnit>)]
        inventory: Inventory,
    },
    /// The buyer, which is the service of the request, is asked to score bids.
    Scores {
        /// What is wanted.
        request: Request,
        /// What is offered; never empty.
        bids: Vec<Bid>,
    },
}

/// What is proposed, by the kind of the call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proposed {
    /// To carry all of the load.
    All,
    /// These bids.
    Bids(Vec<Bid>),
    /// A finite number for each bid, in their order; higher is better.
    Scores(Vec<f64>),
}

/// What somebody is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Information {
    /// A load that will come, over a best-effort dependency.
    Load(Box<Inquiry>),
    /// How it ended.
    Outcome(Outcome),
    /// A `confirm` or `release` has arrived.
    Received,
    /// Something that the other has done wrong, and what became of it.
    Fault(String),
}

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Longer than anybody needs.
    #[error("the message has {0} bytes: {most} are allowed", most = Message::MOST_BYTES)]
    TooLong(usize),
    /// Not JSON, or not a message, or a number out of its range.
    #[error("not a message: {0}")]
    Malformed(String),
}

impl Message {
    /// The longest message that is read.
    pub const MOST_BYTES: usize = 1 << 20;

    /// Reads JSON. Amounts that are negative, not finite or absurd are not read at all.
    ///
    /// # Errors
    /// [`DecodeError`] with the place of the mistake.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > Self::MOST_BYTES {
            return Err(DecodeError::TooLong(bytes.len()));
        }
        serde_json::from_slice(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))
    }

    /// The JSON.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] where a number in it is not finite, which JSON has no word for.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        serde_json::to_vec(self).map_err(|error| DecodeError::Malformed(error.to_string()))
    }

    /// An answer to this message, from whom it was sent to. It carries the id of the question: one
    /// question has one answer.
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
