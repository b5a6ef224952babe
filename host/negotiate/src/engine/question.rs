use std::hash::{DefaultHasher, Hash, Hasher};

use haggle_model::{Span, Strength, Timestamp};

use super::Retry;
use crate::{Call, Content, Effect, Message, MessageId, Party, Session};

/// A message that needs an answer.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// The message; every attempt sends it unchanged.
    pub(super) message: Message,
    pub(super) kind: Kind,
    attempts: u32,
    /// The time of the next attempt, or of the timeout.
    pub(super) due: Timestamp,
    /// The time at which the question times out. If `None`, the number of attempts is limited instead.
    until: Option<Timestamp>,
    /// The reason for which the last attempt brought no valid answer, if known.
    pub(super) trouble: Option<String>,
}

/// The use of the answer. Variants with a message id name the session output that waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One inquiry of a wave, by its index.
    Ask(usize),
    Bids(MessageId),
    Scores(MessageId),
    Accept,
    /// The notification of an end, repeated until the party acknowledges it.
    Notice,
}

/// A question that no longer waits for an answer.
#[derive(Clone, Debug)]
pub(super) struct Closed {
    pub(super) asked: Party,
    /// The digest of the answer that counted.
    pub(super) answer: Option<u64>,
}

impl Question {
    /// Creates a question for its first attempt.
    pub(super) fn new(
        message: Message,
        kind: Kind,
        session: Option<&Session>,
        retry: Retry,
        now: Timestamp,
    ) -> Self {
        // No session waits for the acknowledgement of an end.
        let waits = session.filter(|_| kind != Kind::Notice);
        let until = waits.map(|session| now + patience(&message.content, session, now));
        let mut question = Self { message, kind, attempts: 1, due: now, until, trouble: None };
        question.due = question.next(retry, now);
        question
    }

    /// The effect of the next attempt; `None` if the question times out.
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

    /// A description of the timeout.
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

    /// The party that has not answered, with the last trouble.
    pub(super) fn silent(&self) -> String {
        match &self.trouble {
            Some(trouble) => format!("{} ({trouble})", self.message.to),
            None => self.message.to.to_string(),
        }
    }
}

/// The time to wait for an answer: a share of the time until the deadline, so that a silent party leaves
/// time for the others in any order. A mandatory dependency gets half, because no agreement is possible
/// without it. The rest is divided between this round and the remaining rounds, but into at most
/// [`MOST_PARTS`], because few sessions need all their rounds.
fn patience(content: &Content, session: &Session, now: Timestamp) -> Span {
    let rounds = u64::from(session.demand().policy.max_rounds.saturating_sub(session.round()));
    let parts = match content {
        Content::CallForProposals(Call::Load(inquiry))
            if inquiry.strength == Strength::Mandatory =>
        {
            2
        }
        // This is the last question of a round.
        Content::Accept { .. } => (rounds + 1).min(MOST_PARTS),
        _ => (rounds + 2).min(MOST_PARTS),
    };
    Span::from_millis(session.deadline().since(now).as_millis() / parts)
}

/// The minimum wait is the remaining time divided by this number.
const MOST_PARTS: u64 = 4;

impl Kind {
    /// A description of the valid answers.
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

/// A digest that distinguishes two answers; valid only within this process.
pub(super) fn digest(content: &Content) -> u64 {
    let mut hasher = DefaultHasher::new();
    match serde_json::to_vec(content) {
        Ok(bytes) => bytes.hash(&mut hasher),
        Err(_) => content.kind().hash(&mut hasher),
    }
    hasher.finish()
}
