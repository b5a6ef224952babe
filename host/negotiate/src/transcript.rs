use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::{Call, Content, Message, Proposed};

/// The messages of a negotiation, in order, limited to about [`Transcript::MOST_BYTES`] of JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Transcript {
    /// The messages.
    pub messages: Vec<Said>,
    /// The number of further messages that did not fit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

/// A message in a transcript.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Said {
    /// The message. It keeps only the first entries of a long list of units, bids, scores or leases.
    #[serde(flatten)]
    pub message: Message,
    /// The original length of that list, if it was shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<usize>,
}

impl Transcript {
    /// The JSON size, in bytes, above which only the end of the negotiation is added.
    pub const MOST_BYTES: usize = 512 * 1024;
}

impl Deref for Said {
    type Target = Message;

    fn deref(&self) -> &Self::Target {
        &self.message
    }
}

impl Said {
    /// Copies a message with at most `most` entries of its list.
    pub(crate) fn abridged(message: &Message, most: usize) -> Self {
        let (content, entries) = match &message.content {
            Content::CallForProposals(Call::Bids { request, inventory }) => {
                let (request, first) = (request.clone(), first(inventory, most).into());
                let call = Call::Bids { request, inventory: first };
                (Content::CallForProposals(call), inventory.len())
            }
            Content::CallForProposals(Call::Scores { request, bids }) => {
                let call = Call::Scores { request: request.clone(), bids: first(bids, most) };
                (Content::CallForProposals(call), bids.len())
            }
            Content::Propose(Proposed::Bids(bids)) => {
                (Content::Propose(Proposed::Bids(first(bids, most))), bids.len())
            }
            Content::Propose(Proposed::Scores(scores)) => {
                (Content::Propose(Proposed::Scores(first(scores, most))), scores.len())
            }
            Content::Accept { leases } => {
                (Content::Accept { leases: first(leases, most) }, leases.len())
            }
            Content::Confirm { leases } => {
                (Content::Confirm { leases: first(leases, most) }, leases.len())
            }
            Content::Release { leases } => {
                (Content::Release { leases: first(leases, most) }, leases.len())
            }
            other => (other.clone(), 0),
        };
        let message = Message {
            session: message.session.clone(),
            from: message.from.clone(),
            to: message.to.clone(),
            content,
            ..*message
        };
        Self { message, entries: (entries > most).then_some(entries) }
    }
}

fn first<T: Clone>(all: &[T], most: usize) -> Vec<T> {
    all.iter().take(most).cloned().collect()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use haggle_model::Timestamp;

    use super::Said;
    use crate::{Content, Message, MessageId, Party, Proposed};

    fn said(scores: usize, most: usize) -> Said {
        let message = Message {
            session: "n1".to_owned(),
            message: MessageId(1),
            in_reply_to: Some(MessageId(1)),
            at: Timestamp::default(),
            from: Party::Session,
            to: Party::Session,
            content: Content::Propose(Proposed::Scores(vec![0.5; scores])),
        };
        Said::abridged(&message, most)
    }

    #[test]
    fn keeps_the_first_entries_of_a_long_list_and_how_many_there_were() {
        let long = said(200, 8);
        assert_eq!(long.content, said(8, 8).content);
        assert_eq!((long.entries, said(8, 8).entries), (Some(200), None));
        let json = serde_json::to_value(&long).unwrap();
        assert_eq!((&json["entries"], &json["type"]), (&200.into(), &"propose".into()));
        assert_eq!(serde_json::from_value::<Said>(json).unwrap(), long);
    }
}
