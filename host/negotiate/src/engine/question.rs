use std::hash::{DefaultHasher, Hash, Hasher};

use haggle_model::{Span, Strength, Timestamp};

use super::Retry;
use crate::{Call, Content, Effect, Message, MessageId, Party, Session};

/// Something that was said and is to be answered.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// As it is sent, every time.
    pub(super) message: Message,
    pub(super) kind: Kind,
    attempts: u32,
    /// When it is asked again, or given up.
    pub(super) due: Timestamp,
    /// When it is given up; without that, after so many attempts.
    until: Option<Timestamp>,
    /// Why the last attempt brought nothing that counts, as far as that is known.
    pub(super) trouble: Option<String>,
}

/// What the answer is for. Those of the session name the output that it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One of a wave, by its place in it.
    Ask(usize),
    Bids(MessageId),
    Scores(MessageId),
    Accept,
    /// An end that is told until it is acknowledged.
    Notice,
}

/// A question that is not waited for any more.
#[derive(Clone, Debug)]
pub(super) struct Closed {
    pub(super) asked: Party,
    /// Of the answer that counted.
    pub(super) answer: Option<u64>,
}

impl Question {
    /// It is asked for the first time.
    pub(super) fn new(
        message: Message,
        kind: Kind,
        session: Option<&Session>,
        retry: Retry,
        now: Timestamp,
    ) -> Self {
        // Nothing waits for whoever is told of an end.
        let waits = session.filter(|_| kind != Kind::Notice);
        let until = waits.map(|session| now + patience(&message.content, session, now));
        let mut question = Self { message, kind, attempts: 1, due: now, until, trouble: None };
        question.due = question.next(retry, now);
        question
    }

    /// What is sent to ask once more; none where it is given up.
    pub(super) fn again(&mut self, retry: Retry, now: Timestamp) -> Option<Effect> {
        let goes_on = self.until.map_or(self.attempts < retry.attempts, |until| now < until);
        if !goes_on {
            return None;
        }
        self.attempts = self.attempts.saturating_add(1);
        self.due = self.next(retry, now);
        Some(Effect::Deliver(self.message.clone()))
    }

    fn next(&self, retry: Retry, now: Timestamp) -> Timestamp {
        let again = now + retry.wait(self.attempts);
        self.until.map_or(again, |until| until.min(again))
    }

    /// Why it is given up.
    pub(super) fn given_up(&self) -> String {
        let attempts = match self.attempts {
            1 => "1 attempt".to_owned(),
            attempts => format!("{attempts} attempts"),
        };
        match &self.trouble {
            Some(trouble) => format!("no answer that counts after {attempts}: {trouble}"),
            None => format!("no answer after {attempts}"),
        }
    }

    /// Who has not answered.
    pub(super) fn silent(&self) -> String {
        match &self.trouble {
            Some(trouble) => format!("{} ({trouble})", self.message.to),
            None => self.message.to.to_string(),
        }
    }
}

/// How long an answer is waited for: a share of what is left until the deadline, so that whoever is silent
/// leaves time for those who are not, whatever the order. Without a service that the requester cannot do
/// without there is nothing to agree on, so it gets half. Of all else each round that is left and the rest of
/// this one could do with as much, but few sessions need all their rounds.
fn patience(content: &Content, session: &Session, now: Timestamp) -> Span {
    let rounds = u64::from(session.demand().policy.max_rounds.saturating_sub(session.round()));
    let parts = match content {
        Content::CallForProposals(Call::Load(inquiry))
            if inquiry.strength == Strength::Mandatory =>
        {
            2
        }
        // Nothing follows it in this round.
        Content::Accept { .. } => (rounds + 1).min(MOST_PARTS),
        _ => (rounds + 2).min(MOST_PARTS),
    };
    Span::from_millis(session.deadline().since(now).as_millis() / parts)
}

/// At least this part of what is left is waited for an answer.
const MOST_PARTS: u64 = 4;

impl Kind {
    /// What answers it.
    pub(super) const fn wanted(self) -> &'static str {
        match self {
            Self::Ask(_) => "a propose of all, a counter or a refuse",
            Self::Bids(_) => "a propose of bids or a refuse",
            Self::Scores(_) => "a propose of scores or a refuse",
            Self::Accept => "a confirm or a refuse",
            Self::Notice => "an inform that it was received",
        }
    }
}

/// Tells two answers apart; of no meaning outside this process.
pub(super) fn digest(content: &Content) -> u64 {
    let mut hasher = DefaultHasher::new();
    match serde_json::to_vec(content) {
        Ok(bytes) => bytes.hash(&mut hasher),
        Err(_) => content.kind().hash(&mut hasher),
    }
    hasher.finish()
}
