//! Automatic replies of parties in this process.

use crate::{Content, Information, Message};

/// The reply of a party whose capacity is in the ledger of this process, if no policy is needed. The ledger
/// holds the party's leases, so the party confirms the hold and acknowledges its end. Returns `None` for
/// [`Content::CallForProposals`], which a policy answers, and for messages that need no reply.
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
