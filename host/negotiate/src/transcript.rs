use haggle_model::{Name, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Answer, Call, Content, Information, Message, MessageId, Party, Proposed,
    session::{Fault, Input, Output},
};

/// Everything that was said in a negotiation, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Transcript {
    /// The messages.
    pub messages: Vec<Message>,
}

/// Writes down what a session wants and what it is told, where all parties answer at once.
pub(crate) struct Clerk {
    session: String,
    requester: Name,
    transcript: Transcript,
}

impl Clerk {
    pub(crate) fn new(session: &str, requester: &Name) -> Self {
        let transcript = Transcript::default();
        Self { session: session.to_owned(), requester: requester.clone(), transcript }
    }

    pub(crate) fn close(self) -> Transcript {
        self.transcript
    }

    fn say(&mut self, id: MessageId, at: Timestamp, to: Party, content: Content) {
        let from = Party::Session;
        self.add(Message {
            session: self.session.clone(),
            message: id,
            in_reply_to: None,
            at,
            from,
            to,
            content,
        });
    }

    fn hear(&mut self, id: MessageId, at: Timestamp, from: Party, content: Content) {
        let to = Party::Session;
        self.add(Message {
            session: self.session.clone(),
            message: id,
            in_reply_to: Some(id),
            at,
            from,
            to,
            content,
        });
    }

    fn add(&mut self, message: Message) {
        self.transcript.messages.push(message);
    }

    /// What a session wants done.
    pub(crate) fn output(&mut self, output: &Output, at: Timestamp) {
        match output {
            Output::Ask { message, inquiries } => {
                for inquiry in inquiries {
                    let to = Party::Service(inquiry.proposal.service.clone());
                    let call = Content::CallForProposals(Call::Load(Box::new(inquiry.clone())));
                    self.say(*message, at, to, call);
                }
            }
            Output::Inform { message, inquiries } => {
                for inquiry in inquiries {
                    let to = Party::Service(inquiry.proposal.service.clone());
                    let told = Content::Inform(Information::Load(Box::new(inquiry.clone())));
                    self.say(*message, at, to, told);
                }
            }
            Output::CallForBids { message, provider, request, inventory } => {
                let (request, inventory) = (request.clone(), inventory.clone());
                let call = Content::CallForProposals(Call::Bids { request, inventory });
                self.say(*message, at, Party::Provider(provider.clone()), call);
            }
            Output::Rank { message, request, bids } => {
                let to = Party::Service(request.service.clone());
                let (request, bids) = (request.clone(), bids.clone());
                let call = Content::CallForProposals(Call::Scores { request, bids });
                self.say(*message, at, to, call);
            }
            Output::Hold { message, holds } => {
                let leases = holds.iter().map(|hold| hold.lease.clone()).collect();
                self.say(*message, at, Party::Ledger, Content::Accept { leases });
            }
            Output::Confirm { message, .. } => {
                let content = Content::Confirm { leases: Vec::new() };
                self.say(*message, at, Party::Ledger, content);
            }
            Output::Release { message, leases } => {
                let content = Content::Release { leases: leases.clone() };
                self.say(*message, at, Party::Ledger, content);
            }
            Output::Fault(Fault { message, participant, text }) => {
                let content = Content::Inform(Information::Fault(text.clone()));
                self.say(*message, at, participant.clone(), content);
            }
            Output::Finished(outcome) => {
                let last = self.transcript.messages.last().map_or(MessageId(0), |m| m.message);
                let to = Party::Service(self.requester.clone());
                let content = Content::Inform(Information::Outcome(outcome.clone()));
                self.say(last, at, to, content);
            }
        }
    }

    /// What was answered to an output.
    pub(crate) fn input(&mut self, question: &Output, input: &Input, at: Timestamp) {
        let refuse = |reason: &String| Content::Refuse { reason: reason.clone() };
        match (question, input) {
            (Output::Ask { inquiries, .. }, Input::Answers { message, answers }) => {
                for (inquiry, answer) in inquiries.iter().zip(answers) {
                    let content = match answer {
                        Ok(Answer::Accept) => Content::Propose(Proposed::All),
                        Ok(Answer::Counter(offer)) => Content::Counter(offer.clone()),
                        Ok(Answer::Reject(why)) | Err(why) => refuse(why),
                    };
                    let from = Party::Service(inquiry.proposal.service.clone());
                    self.hear(*message, at, from, content);
                }
            }
            (Output::CallForBids { provider, .. }, Input::Bids { message, bids }) => {
                let content = match bids {
                    Ok(bids) if bids.is_empty() => refuse(&"it does not bid".to_owned()),
                    Ok(bids) => Content::Propose(Proposed::Bids(bids.clone())),
                    Err(why) => refuse(why),
                };
                self.hear(*message, at, Party::Provider(provider.clone()), content);
            }
            (Output::Rank { request, .. }, Input::Scores { message, scores }) => {
                let content = match scores {
                    Ok(scores) => Content::Propose(Proposed::Scores(finite(scores))),
                    Err(why) => refuse(why),
                };
                self.hear(*message, at, Party::Service(request.service.clone()), content);
            }
            (_, Input::Held { message, result }) => {
                let content = match result {
                    Ok(()) => Content::Confirm { leases: Vec::new() },
                    Err(why) => refuse(why),
                };
                self.hear(*message, at, Party::Ledger, content);
            }
            (_, Input::Confirmed { message, result }) => {
                let content = match result {
                    Ok(leases) => Content::Confirm { leases: leases.clone() },
                    Err(why) => refuse(why),
                };
                self.hear(*message, at, Party::Ledger, content);
            }
            _ => {}
        }
    }
}

/// JSON has no word for what is not finite, and would not read it back.
fn finite(scores: &[f64]) -> Vec<f64> {
    scores.iter().map(|score| if score.is_finite() { *score } else { 0.0 }).collect()
}
