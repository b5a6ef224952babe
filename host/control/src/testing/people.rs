//! Remote parties, which answer for themselves.

use haggle_negotiate::{Call, Content, Information, Message, Offer, Proposed};

/// The behaviour of a remote party.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Script {
    /// Agrees to everything.
    Agreeable,
    /// Offers this fraction of the request.
    Offers(f64),
    /// Accepts, and then does not hold what it accepted.
    Faithless,
    /// Cannot be reached.
    Unreachable,
    /// Never answers.
    Silent,
}

/// The immediate response of the party, if any.
pub(crate) fn said(script: Script, message: &Message) -> Option<Result<Content, String>> {
    Some(Ok(match (script, &message.content) {
        (Script::Silent, _) => return None,
        (Script::Unreachable, _) => return Some(Err("connection refused".to_owned())),
        (Script::Offers(part), Content::CallForProposals(Call::Load(inquiry))) => {
            let quantities = inquiry.asks.requested.scaled(part);
            Content::Counter(Offer { quantities, reason: "it is all there is".to_owned() })
        }
        (Script::Faithless, Content::Accept { .. }) => {
            Content::Refuse { reason: "changed its mind".to_owned() }
        }
        (_, Content::CallForProposals(Call::Load(_))) => Content::Propose(Proposed::All),
        (_, Content::CallForProposals(_)) => super::plugins::fair(message),
        (_, Content::Accept { .. }) => Content::Confirm { leases: Vec::new() },
        _ => Content::Inform(Information::Received),
    }))
}
