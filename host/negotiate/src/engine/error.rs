use haggle_model::Resource;

use crate::{DemandError, MessageId, Party};

/// The reasons for which a session does not open.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The demand is invalid.
    #[error(transparent)]
    Demand(#[from] DemandError),
    /// The id is already in use.
    #[error("negotiation {0} exists already: a new one needs a new id")]
    Taken(String),
}

/// The reasons for which a message has no effect.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The session does not exist.
    #[error("there is no negotiation {0}")]
    UnknownSession(String),
    /// The session has ended.
    #[error("negotiation {0} is over: what comes now changes nothing")]
    Finished(String),
    /// The message answers no question, and the session does not accept it without one.
    #[error("a {0} that answers nothing: say in in_reply_to which message it answers")]
    Unprompted(&'static str),
    /// The message answers a question that was never sent.
    #[error("there was no message {0} in this negotiation that it could answer")]
    UnknownQuestion(MessageId),
    /// The question went to another party.
    #[error("{from} answers message {message}, which went to {asked}")]
    WrongParty {
        /// The question.
        message: MessageId,
        /// The sender of the answer.
        from: Party,
        /// The party that received the question.
        asked: Party,
    },
    /// The session no longer waits for this answer.
    #[error("message {0} is not waited for any more: the answer came too late")]
    Late(MessageId),
    /// A second answer differs from the first.
    #[error("message {0} was answered before, and otherwise: the first answer counts")]
    Contradiction(MessageId),
    /// The answer cannot be parsed.
    #[error("the answer to message {message} cannot be read: {why}")]
    Unreadable {
        /// The question.
        message: MessageId,
        /// The parse error.
        why: String,
    },
    /// The answer does not match this kind of question.
    #[error("a {got} does not answer message {message}: {wanted} would")]
    WrongKind {
        /// The question.
        message: MessageId,
        /// The kind of the received message.
        got: &'static str,
        /// The kinds that would be valid.
        wanted: &'static str,
    },
    /// The offer names a resource that was not requested.
    #[error("{0} is offered, which was not asked for")]
    NotAsked(Resource),
    /// The offer exceeds the request.
    #[error("{offered} {resource} are offered where {asked} were asked for")]
    TooMuch {
        /// The resource.
        resource: Resource,
        /// The offered amount.
        offered: f64,
        /// The requested amount.
        asked: f64,
    },
    /// A bid is invalid.
    #[error("a bid is refused: {0}")]
    Bid(String),
    /// The scores are invalid.
    #[error("the scores are refused: {0}")]
    Scores(String),
    /// A party other than the requester sent a cancellation.
    #[error("{0} cannot cancel: only the requester can")]
    NotTheRequester(Party),
    /// The agreement is being committed.
    #[error("negotiation {0} is being confirmed: it cannot be cancelled any more")]
    Confirming(String),
}
