use haggle_model::Resource;

use crate::{DemandError, MessageId, Party};

/// Why a session does not begin.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The demand makes no sense.
    #[error(transparent)]
    Demand(#[from] DemandError),
    /// The id is taken.
    #[error("negotiation {0} exists already: a new one needs a new id")]
    Taken(String),
}

/// Why a message changes nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// No such session.
    #[error("there is no negotiation {0}")]
    UnknownSession(String),
    /// It is over.
    #[error("negotiation {0} is over: what comes now changes nothing")]
    Finished(String),
    /// Neither an answer nor anything else that is listened to.
    #[error("a {0} that answers nothing: say in in_reply_to which message it answers")]
    Unprompted(&'static str),
    /// It answers what was never asked.
    #[error("there was no message {0} in this negotiation that it could answer")]
    UnknownQuestion(MessageId),
    /// Somebody else was asked.
    #[error("{from} answers message {message}, which went to {asked}")]
    WrongParty {
        /// The question.
        message: MessageId,
        /// Who answers.
        from: Party,
        /// Who was asked.
        asked: Party,
    },
    /// The negotiation has gone on without it.
    #[error("message {0} is not waited for any more: the answer came too late")]
    Late(MessageId),
    /// A second answer that is not the first.
    #[error("message {0} was answered before, and otherwise: the first answer counts")]
    Contradiction(MessageId),
    /// Nobody can tell what it says.
    #[error("the answer to message {message} cannot be read: {why}")]
    Unreadable {
        /// The question.
        message: MessageId,
        /// What is wrong.
        why: String,
    },
    /// Not an answer to this kind of question.
    #[error("a {got} does not answer message {message}: {wanted} would")]
    WrongKind {
        /// The question.
        message: MessageId,
        /// What came.
        got: &'static str,
        /// What would do.
        wanted: &'static str,
    },
    /// An offer of what was not asked.
    #[error("{0} is offered, which was not asked for")]
    NotAsked(Resource),
    /// An offer of more than was asked.
    #[error("{offered} {resource} are offered where {asked} were asked for")]
    TooMuch {
        /// Of what.
        resource: Resource,
        /// How much is offered.
        offered: f64,
        /// How much was asked for.
        asked: f64,
    },
    /// A bid that cannot be.
    #[error("a bid is refused: {0}")]
    Bid(String),
    /// Scores that cannot be.
    #[error("the scores are refused: {0}")]
    Scores(String),
    /// Only the requester may cancel.
    #[error("{0} cannot cancel: only the requester can")]
    NotTheRequester(Party),
    /// The agreement is on its way to disk.
    #[error("negotiation {0} is being confirmed: it cannot be cancelled any more")]
    Confirming(String),
}
