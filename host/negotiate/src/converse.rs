//! Parties that live in this process answer messages at once.

use haggle_model::Timestamp;

use crate::{
    Answer, Call, Content, Counterparties, Effect, Engine, Information, Inquiry, Message, Party,
    Proposed, Setting,
};

/// Delivers messages to parties in this process, and their answers to the engine, until nothing more is
/// said; returns what else is to be done, in its order. `is_here` says which parties are in this process:
/// messages to others are among what is returned. A party that fails, or answers what makes no sense, is
/// not asked again: that is a refusal.
pub fn converse(
    engine: &mut Engine,
    setting: &mut Setting<'_>,
    effects: Vec<Effect>,
    parties: &mut dyn Counterparties,
    is_here: &dyn Fn(&Party) -> bool,
) -> Vec<Effect> {
    let mut rest = Vec::new();
    let mut effects = effects;
    while !effects.is_empty() {
        let mut messages = Vec::new();
        for effect in effects.drain(..) {
            match effect {
                Effect::Deliver(message) if is_here(&message.to) => messages.push(message),
                other => rest.push(other),
            }
        }
        let answers = answer_all(&messages, parties, setting.now);
        for (message, answer) in messages.iter().zip(answers) {
            let heard = match answer {
                None => continue,
                Some(Ok(reply)) => {
                    engine.receive(reply, setting).map_err(|error| error.to_string())
                }
                Some(Err(why)) => Err(why),
            };
            effects.extend(heard.unwrap_or_else(|why| engine.undeliverable(message, why, setting)));
        }
    }
    rest
}

/// What each message is answered, in their order; none where nobody waits for an answer. All services are
/// asked in one call.
pub fn answer_all(
    messages: &[Message],
    parties: &mut dyn Counterparties,
    now: Timestamp,
) -> Vec<Option<Result<Message, String>>> {
    let inquiries: Vec<Inquiry> = messages.iter().filter_map(inquiry).cloned().collect();
    let mut answers = match inquiries.is_empty() {
        true => Vec::new(),
        false => parties.respond(&inquiries),
    }
    .into_iter();
    let mut answer = |message: &Message| match &message.content {
        Content::CallForProposals(Call::Load(_)) => {
            let answer = answers.next().unwrap_or_else(|| Err("it gave no answer".into()));
            Some(answer.map(|answer| match answer {
                Answer::Accept => Content::Propose(Proposed::All),
                Answer::Reject(reason) => Content::Refuse { reason },
                Answer::Counter(offer) => Content::Counter(offer),
            }))
        }
        Content::CallForProposals(Call::Bids { request, inventory }) => {
            let Party::Provider(provider) = &message.to else { return None };
            let bids = parties.bid(provider, request, inventory);
            Some(bids.map(|bids| Content::Propose(Proposed::Bids(bids))))
        }
        Content::CallForProposals(Call::Scores { request, bids }) => {
            let scores = parties.rank(request, bids);
            Some(scores.map(|scores| Content::Propose(Proposed::Scores(scores))))
        }
        // The ledger holds it for them.
        Content::Accept { .. } => Some(Ok(Content::Confirm { leases: Vec::new() })),
        Content::Confirm { .. } | Content::Release { .. } => {
            Some(Ok(Content::Inform(Information::Received)))
        }
        Content::Inform(Information::Load(inquiry)) => {
            parties.inform(std::slice::from_ref(inquiry));
            None
        }
        _ => None,
    };
    messages
        .iter()
        .map(|message| answer(message).map(|said| said.map(|content| message.reply(content, now))))
        .collect()
}

const fn inquiry(message: &Message) -> Option<&Inquiry> {
    match &message.content {
        Content::CallForProposals(Call::Load(inquiry)) => Some(inquiry),
        _ => None,
    }
}
