use std::hash::{DefaultHasher, Hash, Hasher};

use haggle_model::Timestamp;

use crate::{Content, Message, MessageId, Party};

/// Something that was said and is to be answered.
#[derive(Debug)]
pub(super) struct Question {
    /// As it is sent, every time.
    pub(super) message: Message,
    pub(super) kind: Kind,
    pub(super) attempts: u32,
    /// When it is asked again, or given up.
    pub(super) due: Timestamp,
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
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) asked: Party,
    /// Of the answer that counted.
    pub(super) answer: Option<u64>,
}

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
