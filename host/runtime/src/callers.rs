//! Who waits for an answer of the core.

use std::collections::BTreeMap;

use haggle_control::{Answer, Caller, ControlError, State};
use haggle_store::StoreError;
use tokio::sync::oneshot;

use crate::HostError;

/// What a caller gets.
pub(crate) type Answered = Result<Box<Answer>, HostError>;

/// The callers that have no answer yet.
#[derive(Default)]
pub(crate) struct Callers {
    waiting: BTreeMap<Caller, oneshot::Sender<Answered>>,
    last: u64,
}

impl Callers {
    /// Another one waits.
    pub(crate) fn add(&mut self, reply: oneshot::Sender<Answered>) -> Caller {
        self.last += 1;
        let caller = Caller(self.last);
        self.waiting.insert(caller, reply);
        caller
    }

    /// Passes on what the core answers. Where a commit has failed, whoever waited for it is told what the store
    /// says, and with it whether to try again.
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

    /// Answers everybody who waits for the verdict of a request that is durable.
    pub(crate) fn release(&mut self, durable: &State) {
        for (request, caller) in durable.waiting() {
            self.reply(caller, Err(HostError::Stopped { request: request.to_owned() }));
        }
    }

    fn reply(&mut self, caller: Caller, answer: Answered) {
        if let Some(reply) = self.waiting.remove(&caller) {
            // Whoever asked may have gone away.
            drop(reply.send(answer));
        }
    }
}
