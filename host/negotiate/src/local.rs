//! What parties in this process answer without being asked.

use crate::{Content, Information, Message};

/// What a party answers whose capacity is in the ledger of this process, where that takes no policy: the
/// ledger holds for it what it is to hold, so it confirms, and acknowledges how that ended. None for what a
/// policy has to answer, which is [`Content::CallForProposals`], and for what nobody waits for an answer to.
#[must_use]
pub const fn local_reply(message: &Message) -> Option<Content> {
    match &message.content {
        Content::Accept { .. } => Some(Content::Confirm { leases: Vec::new() }),
        Content::Confirm { .. } | Content::Release { .. } => {
            Some(Content::Inform(Information::Received))
        }
        _ => None,
    }
}
