use haggle_model::{Lease, Name, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Answer, Bid, Commitment, Hold, Inquiry, InventoryUnit, MessageId, Outcome, Request,
    session::{Fault, Input, Output},
};

/// Everything that was said in a negotiation, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Transcript {
    /// The messages.
    pub messages: Vec<Message>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Message {
    /// Its id within the negotiation; an answer has that of the question.
    pub id: MessageId,
    /// When.
    pub at: Timestamp,
    /// Who says it.
    pub from: Party,
    /// To whom.
    pub to: Party,
    /// What kind of speech act it is.
    pub performative: Performative,
    /// What is said.
    pub body: Body,
}

/// Who takes part.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The negotiation itself, on behalf of the requester.
    Session,
    /// The keeper of all capacity.
    Ledger,
    /// A service.
    Service(Name),
    /// A provider.
    Provider(Name),
}

/// The communicative acts of FIPA (SC00037J) that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Performative {
    /// Call for proposals.
    Cfp,
    /// This is what I would do.
    Propose,
    /// I will not.
    Refuse,
    /// Do what you proposed.
    AcceptProposal,
    /// I do not want what you proposed.
    RejectProposal,
    /// Please do.
    Request,
    /// That is so.
    Confirm,
    /// It could not be done.
    Failure,
    /// What you said makes no sense here.
    NotUnderstood,
    /// For your information.
    Inform,
    /// Do it no longer.
    Cancel,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// What a service is asked or told.
    Inquiry(Inquiry),
    /// What it answers.
    Answer(Answer),
    /// What a provider is asked for.
    Request {
        /// What is wanted.
        request: Request,
        /// What it has of it.
        inventory: Vec<InventoryUnit>,
    },
    /// What it bids, or what the buyer is to score.
    Bids(Vec<Bid>),
    /// How the buyer scores them.
    Scores(Vec<f64>),
    /// What is to be held.
    Holds(Vec<Hold>),
    /// What is to be confirmed.
    Commitment(Commitment),
    /// What has changed.
    Leases(Vec<Lease>),
    /// How it ended.
    Outcome(Outcome),
    /// Anything else.
    Text(String),
}

impl Transcript {
    pub(crate) fn add(
        &mut self,
        (id, at): (MessageId, Timestamp),
        (from, to): (Party, Party),
        performative: Performative,
        body: Body,
    ) {
        self.messages.push(Message { id, at, from, to, performative, body });
    }

    /// What a session wants done.
    pub(crate) fn output(&mut self, output: &Output, requester: &Name, at: Timestamp) {
        use Performative as P;
        let session = |to| (Party::Session, to);
        match output {
            Output::Ask { message, inquiries } | Output::Inform { message, inquiries } => {
                let asked = matches!(output, Output::Ask { .. });
                let performative = if asked { P::Cfp } else { P::Inform };
                for inquiry in inquiries {
                    let to = Party::Service(inquiry.proposal.service.clone());
                    let body = Body::Inquiry(inquiry.clone());
                    self.add((*message, at), session(to), performative, body);
                }
            }
            Output::CallForBids { message, provider, request, inventory } => {
                let body = Body::Request { request: request.clone(), inventory: inventory.clone() };
                self.add((*message, at), session(Party::Provider(provider.clone())), P::Cfp, body);
            }
            Output::Rank { message, request, bids } => {
                let to = Party::Service(request.service.clone());
                self.add((*message, at), session(to), P::Request, Body::Bids(bids.clone()));
            }
            Output::Hold { message, holds } => {
                let body = Body::Holds(holds.clone());
                self.add((*message, at), session(Party::Ledger), P::AcceptProposal, body);
            }
            Output::Confirm { message, commitment } => {
                let body = Body::Commitment(commitment.clone());
                self.add((*message, at), session(Party::Ledger), P::Confirm, body);
            }
            Output::Release { message, leases } => {
                let ids: Vec<&str> = leases.iter().map(|id| id.0.as_str()).collect();
                let body = Body::Text(format!("release {}", ids.join(", ")));
                self.add((*message, at), session(Party::Ledger), P::Cancel, body);
            }
            Output::Fault(Fault { message, participant, text }) => {
                let body = Body::Text(text.clone());
                self.add((*message, at), session(participant.clone()), P::NotUnderstood, body);
            }
            Output::Finished(outcome) => {
                let last = self.messages.last().map_or(MessageId(0), |message| message.id);
                let performative =
                    if outcome.agreement().is_some() { P::Inform } else { P::Failure };
                let to = Party::Service(requester.clone());
                self.add((last, at), session(to), performative, Body::Outcome(outcome.clone()));
            }
        }
    }

    /// What was answered to an output.
    pub(crate) fn input(&mut self, question: &Output, input: &Input, at: Timestamp) {
        use Performative as P;
        let reply = |from| (from, Party::Session);
        match (question, input) {
            (Output::Ask { inquiries, .. }, Input::Answers { message, answers }) => {
                for (inquiry, answer) in inquiries.iter().zip(answers) {
                    let (performative, body) = match answer {
                        Ok(answer @ Answer::Reject(_)) => (P::Refuse, Body::Answer(answer.clone())),
                        Ok(answer) => (P::Propose, Body::Answer(answer.clone())),
                        Err(why) => (P::Failure, Body::Text(why.clone())),
                    };
                    let from = Party::Service(inquiry.proposal.service.clone());
                    self.add((*message, at), reply(from), performative, body);
                }
            }
            (Output::CallForBids { provider, .. }, Input::Bids { message, bids }) => {
                let (performative, body) = match bids {
                    Ok(bids) if bids.is_empty() => (P::Refuse, Body::Bids(Vec::new())),
                    Ok(bids) => (P::Propose, Body::Bids(bids.clone())),
                    Err(why) => (P::Failure, Body::Text(why.clone())),
                };
                let from = Party::Provider(provider.clone());
                self.add((*message, at), reply(from), performative, body);
            }
            (Output::Rank { request, .. }, Input::Scores { message, scores }) => {
                let (performative, body) = match scores {
                    Ok(scores) => (P::Inform, Body::Scores(finite(scores))),
                    Err(why) => (P::Failure, Body::Text(why.clone())),
                };
                let from = Party::Service(request.service.clone());
                self.add((*message, at), reply(from), performative, body);
            }
            (_, Input::Held { message, result }) => {
                let (performative, text) = match result {
                    Ok(()) => (P::Confirm, "held".to_owned()),
                    Err(why) => (P::Refuse, why.clone()),
                };
                self.add((*message, at), reply(Party::Ledger), performative, Body::Text(text));
            }
            (_, Input::Confirmed { message, result }) => {
                let (performative, body) = match result {
                    Ok(leases) => (P::Confirm, Body::Leases(leases.clone())),
                    Err(why) => (P::Refuse, Body::Text(why.clone())),
                };
                self.add((*message, at), reply(Party::Ledger), performative, body);
            }
            _ => {}
        }
    }
}

/// JSON has no word for what is not finite, and would not read it back.
fn finite(scores: &[f64]) -> Vec<f64> {
    scores.iter().map(|score| if score.is_finite() { *score } else { 0.0 }).collect()
}
