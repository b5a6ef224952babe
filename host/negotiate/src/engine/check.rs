//! Checks that an answer matches its question, and converts it.

use super::question::{Kind, Question};
use crate::{
    Answer, Bid, Call, Content, Information, Inquiry, MessageError, Offer, Proposed, admit,
    market::most_bids,
};

/// A checked answer. An error here is a refusal by the party, not a malformed message.
#[derive(Debug)]
pub(super) enum Reply {
    Answer(Result<Answer, String>),
    Bids(Result<Vec<Bid>, String>),
    Scores(Result<Vec<f64>, String>),
    Held(Result<(), String>),
    Received,
}

/// Two amounts within this distance are equal, up to rounding.
const CLOSE: f64 = 1e-9;

pub(super) fn check(question: &Question, content: Content) -> Result<Reply, MessageError> {
    let wrong = |content: &Content| MessageError::WrongKind {
        message: question.message.message,
        got: content.kind(),
        wanted: question.kind.wanted(),
    };
    let reply = match (question.kind, &question.message.content, content) {
        (Kind::Ask(_), _, Content::Propose(Proposed::All)) => Reply::Answer(Ok(Answer::Accept)),
        (Kind::Ask(_), _, Content::Refuse { reason }) => Reply::Answer(Ok(Answer::Reject(reason))),
        (Kind::Ask(_), Content::CallForProposals(Call::Load(inquiry)), Content::Counter(offer)) => {
            check_offer(inquiry, &offer)?;
            Reply::Answer(Ok(Answer::Counter(offer)))
        }
        (Kind::Bids(_), _, Content::Refuse { reason }) => Reply::Bids(Err(reason)),
        (
            Kind::Bids(_),
            Content::CallForProposals(Call::Bids { request, inventory }),
            Content::Propose(Proposed::Bids(bids)),
        ) => {
            let most = most_bids(inventory.len());
            if bids.len() > most {
                let text = format!("there are {} bids: {most} are allowed", bids.len());
                return Err(MessageError::Bid(text));
            }
            let (_, refused) = admit(request, bids.clone(), inventory);
            if let Some(refused) = refused.into_iter().next() {
                return Err(MessageError::Bid(refused.reason));
            }
            Reply::Bids(Ok(bids))
        }
        (Kind::Scores(_), _, Content::Refuse { reason }) => Reply::Scores(Err(reason)),
        (
            Kind::Scores(_),
            Content::CallForProposals(Call::Scores { bids, .. }),
            Content::Propose(Proposed::Scores(scores)),
        ) => {
            if scores.len() != bids.len() {
                let text = format!("there are {} for {} bids", scores.len(), bids.len());
                return Err(MessageError::Scores(text));
            }
            if !scores.iter().all(|score| score.is_finite()) {
                return Err(MessageError::Scores("one of them is not finite".into()));
            }
            Reply::Scores(Ok(scores))
        }
        (Kind::Accept, _, Content::Confirm { .. }) => Reply::Held(Ok(())),
        (Kind::Accept, _, Content::Refuse { reason }) => Reply::Held(Err(reason)),
        (Kind::Notice, _, Content::Inform(Information::Received)) => Reply::Received,
        (_, _, content) => return Err(wrong(&content)),
    };
    Ok(reply)
}

fn check_offer(inquiry: &Inquiry, offer: &Offer) -> Result<(), MessageError> {
    let asks = &inquiry.asks.requested;
    for (resource, offered) in offer.quantities.iter() {
        if !asks.names(resource) {
            return Err(MessageError::NotAsked(resource));
        }
        let asked = asks.get(resource);
        if offered > asked * (1.0 + CLOSE) {
            return Err(MessageError::TooMuch { resource, offered, asked });
        }
    }
    Ok(())
}

/// The reply that the engine assumes for a party that does not answer.
pub(super) fn silence(kind: Kind, why: String) -> Reply {
    match kind {
        Kind::Ask(_) => Reply::Answer(Err(why)),
        Kind::Bids(_) => Reply::Bids(Err(why)),
        Kind::Scores(_) => Reply::Scores(Err(why)),
        Kind::Accept => Reply::Held(Err(why)),
        Kind::Notice => Reply::Received,
    }
}
