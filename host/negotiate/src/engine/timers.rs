//! Processes the timers of a session.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    check::silence,
    question::Kind,
    running::{Running, Step},
};
use crate::{Fault, Input, MessageId};

/// Repeats questions, times them out, and ends the session at its deadline.
pub(super) fn awake(running: &mut Running, step: &mut Step<'_, '_>) {
    let now = step.setting.now;
    if running.committing.is_none() && running.session.is_some() && now >= running.deadline {
        let silent: BTreeSet<String> = running
            .questions
            .values()
            .filter(|question| question.kind != Kind::Notice)
            .map(|question| question.silent())
            .collect();
        let silent = silent.into_iter().collect::<Vec<_>>().join(", ");
        running.tell(Input::Overdue(silent), step);
    }
    let due: Vec<MessageId> =
        running.questions.iter().filter(|(_, q)| q.due <= now).map(|(id, _)| *id).collect();
    for id in due {
        let Some(question) = running.questions.get_mut(&id).map(Arc::make_mut) else { continue };
        if let Some(message) = question.again(step.retry, now) {
            step.effects.push(message);
            continue;
        }
        let Some(question) = running.close(id, None) else { continue };
        let why = question.given_up();
        if question.kind == Kind::Notice {
            let participant = question.message.to.clone();
            let text = format!("{why} to acknowledge that it is over");
            running.fault(Fault { message: id, participant, text }, step);
        }
        running.heard(&question, silence(question.kind, why), step);
    }
    running.reschedule();
}
