//! Decides whether a session accepts a message.

use std::sync::Arc;

use super::{
    check::{Reply, check},
    question::{Question, digest},
    running::Running,
};
use crate::{Content, Message, MessageError, MessageId, Party};

pub(super) enum Admitted {
    Nothing,
    Cancel(String),
    Reply(Box<(Arc<Question>, Reply)>),
}

/// Checks that this session accepts the message, and closes the question that the message answers.
pub(super) fn admit(running: &mut Running, message: Message) -> Result<Admitted, MessageError> {
    if let Content::Cancel { reason } = message.content {
        let requester = Party::Service(running.requester.clone());
        return match message.from == requester {
            true => Ok(Admitted::Cancel(reason)),
            false => Err(MessageError::NotTheRequester(message.from)),
        };
    }
    let unprompted = MessageError::Unprompted(message.content.kind());
    let id = message.in_reply_to.ok_or(unprompted)?;
    was_asked(running, id, &message.from)?;
    let said = digest(&message.content);
    let Some(question) = running.questions.get(&id) else {
        let before = running.closed.get(&id).and_then(|closed| closed.answer);
        return match before {
            Some(before) if before == said => Ok(Admitted::Nothing),
            Some(_) => Err(MessageError::Contradiction(id)),
            None => Err(MessageError::Late(id)),
        };
    };
    let reply = check(question, message.content)?;
    let question = running.close(id, Some(said)).ok_or(MessageError::UnknownQuestion(id))?;
    Ok(Admitted::Reply(Box::new((question, reply))))
}

/// Checks that this question went to this party.
pub(super) fn was_asked(
    running: &Running,
    id: MessageId,
    from: &Party,
) -> Result<(), MessageError> {
    let asked = running.questions.get(&id).map(|question| &question.message.to);
    let asked = asked.or_else(|| running.closed.get(&id).map(|closed| &closed.asked));
    match asked {
        Some(asked) if asked == from => Ok(()),
        Some(asked) => {
            let (from, asked) = (from.clone(), asked.clone());
            Err(MessageError::WrongParty { message: id, from, asked })
        }
        None => Err(MessageError::UnknownQuestion(id)),
    }
}
