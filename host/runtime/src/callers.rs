//! The callers that wait for an answer of the core.

use std::collections::BTreeMap;

use haggle_control::{Answer, Caller, ControlError, State};
use haggle_store::StoreError;
use tokio::sync::oneshot;

use crate::HostError;

/// The answer to a caller.
pub(crate) type Answered = Result<Box<Answer>, HostError>;

/// The callers that have no answer yet.
#[derive(Default)]
pub(crate) struct Callers {
    waiting: BTreeMap<Caller, oneshot::Sender<Answered>>,
    last: u64,
}

impl Callers {
    /// Adds a caller.
    pub(crate) fn add(&mut self, reply: oneshot::Sender<Answered>) -> Caller {
        self.last += 1;
        let caller = Caller(self.last);
        self.waiting.insert(caller, reply);
        caller
    }

    /// Delivers the core's answer. If a commit failed, the caller gets the store's error, which says whether
    /// to retry.
    pub(crate) fn answer(
        &mut self,
        caller: Caller,
        answer: Result<Box<Answer>, ControlError>,
        failed: Option<&StoreError>,
    ) {
        let answer = answer.map_err(|error| match (error, failed) {
            (ControlError::Store(_), Some(cause)) => cause.clone().into(),
            (error, _) => error.into(),
        });
        self.reply(caller, answer);
    }

    /// Answers all callers that wait for the verdict of a durable request with [`HostError::Stopped`].
    pub(crate) fn release(&mut self, durable: &State) {
        for (request, caller) in durable.waiting() {
            self.reply(caller, Err(HostError::Stopped { request: request.to_owned() }));
        }
    }

    fn reply(&mut self, caller: Caller, answer: Answered) {
        if let Some(reply) = self.waiting.remove(&caller) {
            // The caller may have disconnected.
            drop(reply.send(answer));
        }
    }
}
