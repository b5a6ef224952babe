//! Sends messages, tracks questions and keeps the transcript.

use std::sync::Arc;

use haggle_model::Timestamp;

use super::{Running, Step};
use crate::{
    Content, Effect, Fault, Information, Message, MessageError, MessageId, Outcome, Party,
    Proposed, Said, Transcript,
    engine::question::{Closed, Kind, Question},
};

/// The number of list entries that a transcript keeps of a message: at first, and once a quarter of the
/// transcript is full.
const MOST_ENTRIES: usize = 8;
const FEWEST_ENTRIES: usize = 1;

/// The maximum number of refused messages that a session keeps.
const MOST_REFUSED: usize = 1000;

impl Running {
    pub(in crate::engine) fn fault(&mut self, fault: Fault, step: &mut Step<'_, '_>) {
        let content = Content::Inform(Information::Fault(fault.text.clone()));
        let message =
            self.message(fault.message, fault.participant.clone(), content, step.setting.now);
        self.note(&message);
        step.effects.push(Effect::Fault { session: self.id.clone(), fault });
    }

    /// Adds a remark about how a question was answered, while the session is open.
    pub(in crate::engine) fn remark(&mut self, question: &Message, text: String, now: Timestamp) {
        if self.session.is_none() {
            return;
        }
        let content = Content::Inform(Information::Fault(text));
        let message = self.message(question.message, question.to.clone(), content, now);
        self.note(&message);
    }

    /// Records a refused message. The question stays open.
    pub(in crate::engine) fn refuse(
        &mut self,
        error: &MessageError,
        from: &Party,
        about: MessageId,
        now: Timestamp,
    ) {
        let text = error.to_string();
        let flooded = self.is_flooded();
        self.refused = self.refused.saturating_add(1);
        if let Some(question) = self.questions.get_mut(&about).filter(|q| q.message.to == *from) {
            Arc::make_mut(question).trouble = Some(text.clone());
        }
        if flooded {
            return;
        }
        let content = Content::Inform(Information::Fault(text));
        let message = self.message(about, from.clone(), content, now);
        self.note(&message);
    }

    /// Whether the session has refused so many messages that it no longer keeps messages of parties.
    pub(in crate::engine) const fn is_flooded(&self) -> bool {
        self.refused >= MOST_REFUSED
    }

    /// Adds a message to the transcript.
    pub(in crate::engine) fn note(&mut self, message: &Message) {
        if !self.keeps_transcript {
            return;
        }
        let short = self.said_bytes > Transcript::MOST_BYTES / 4;
        let said = legible(message, if short { FEWEST_ENTRIES } else { MOST_ENTRIES });
        let bytes = size(&said);
        if self.said_bytes + bytes > Transcript::MOST_BYTES {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        self.said_bytes += bytes;
        self.said.push_back(Arc::new(said));
    }

    /// Adds the outcome to the transcript.
    pub(super) fn note_outcome(&mut self, outcome: &Outcome, now: Timestamp) {
        if self.keeps_transcript {
            let content = Content::Inform(Information::Outcome(outcome.clone()));
            let to = Party::Service(self.requester.clone());
            let end = self.message(MessageId(self.last_message), to, content, now);
            self.said.push_back(Arc::new(legible(&end, MOST_ENTRIES)));
        }
    }

    /// Takes the transcript out of the session.
    pub(super) fn transcript(&mut self) -> Transcript {
        let said = std::mem::take(&mut self.said);
        let messages = said.into_iter().map(Arc::unwrap_or_clone).collect();
        Transcript { messages, left_out: self.left_out }
    }

    pub(in crate::engine) fn close(
        &mut self,
        id: MessageId,
        answer: Option<u64>,
    ) -> Option<Arc<Question>> {
        let question = self.questions.remove(&id)?;
        let asked = question.message.to.clone();
        self.closed.insert(id, Closed { asked, answer });
        Some(question)
    }

    pub(super) fn close_all(&mut self, which: impl Fn(Kind) -> bool) {
        let ids: Vec<MessageId> =
            self.questions.iter().filter(|(_, q)| which(q.kind)).map(|(id, _)| *id).collect();
        for id in ids {
            self.close(id, None);
        }
    }

    pub(super) fn ask(&mut self, to: Party, content: Content, kind: Kind, step: &mut Step<'_, '_>) {
        let message = self.say(to, content, step);
        let session = self.session.as_deref();
        let question = Question::new(message, kind, session, step.retry, step.setting.now);
        self.due_by(question.due);
        self.questions.insert(question.message.message, Arc::new(question));
    }

    pub(super) fn say(&mut self, to: Party, content: Content, step: &mut Step<'_, '_>) -> Message {
        self.last_message += 1;
        let message = self.message(MessageId(self.last_message), to, content, step.setting.now);
        self.note(&message);
        step.effects.push(Effect::Deliver(message.clone()));
        message
    }

    pub(super) fn message(
        &self,
        id: MessageId,
        to: Party,
        content: Content,
        at: Timestamp,
    ) -> Message {
        Message {
            session: self.id.clone(),
            message: id,
            in_reply_to: None,
            at,
            from: Party::Session,
            to,
            content,
        }
    }
}

/// The transcript entry of a message.
fn legible(message: &Message, entries: usize) -> Said {
    let mut said = Said::abridged(message, entries);
    make_legible(&mut said.message.content);
    said
}

/// The length of the entry as JSON, in bytes.
fn size(said: &Said) -> usize {
    serde_json::to_vec(said).map_or(0, |json| json.len())
}

/// Replaces numbers that are not finite by 0, because JSON cannot represent them. Such a number was
/// refused, and the transcript records the refusal.
fn make_legible(content: &mut Content) {
    let finite = |number: &mut f64| {
        if !number.is_finite() {
            *number = 0.0;
        }
    };
    match content {
        Content::Propose(Proposed::Scores(scores)) => scores.iter_mut().for_each(finite),
        Content::Propose(Proposed::Bids(bids)) => {
            for bid in bids {
                finite(&mut bid.price_per_hour);
                finite(&mut bid.performance);
                finite(&mut bid.guarantees.availability);
                finite(&mut bid.guarantees.interruption_rate);
            }
        }
        _ => {}
    }
}
