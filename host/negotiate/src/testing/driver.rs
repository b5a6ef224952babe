//! Runs a demand to its end with parties that answer at once.

use haggle_model::Timestamp;

use super::Parties;
use crate::{
    Answer, Call, Content, Demand, Effect, Ending, Engine, Information, Inquiry, Ledger, Message,
    OpenError, Party, Proposed, Setting, World, local_reply,
};

/// Runs until all parties have acknowledged the end.
pub(crate) fn drive(
    demand: Demand,
    world: &dyn World,
    ledger: &mut Ledger,
    parties: &mut Parties,
    clock: &mut dyn FnMut() -> Timestamp,
) -> Result<Ending, OpenError> {
    let mut engine = Engine::default();
    let mut end = None;
    let mut effects = engine.open(demand, &mut Setting { world, ledger, now: clock() })?;
    while !effects.is_empty() {
        let mut messages = Vec::new();
        let mut next = Vec::new();
        for effect in effects {
            match effect {
                Effect::Deliver(message) => messages.push(message),
                Effect::Persist(write) if write.awaited => {
                    let written = parties.persist(&write.leases);
                    let mut setting = Setting { world, ledger, now: clock() };
                    next.extend(engine.persisted(&write.session, written, &mut setting));
                }
                Effect::Finished(ending) => assert!(end.replace(ending).is_none(), "one end"),
                _ => {}
            }
        }
        let answers = parties.answer_all(&messages);
        for (message, answer) in messages.iter().zip(answers) {
            let mut setting = Setting { world, ledger, now: clock() };
            let heard = match answer {
                None => continue,
                Some(Ok(content)) => {
                    let reply = message.reply(content, setting.now);
                    engine.receive(reply, &mut setting).map_err(|error| error.to_string())
                }
                Some(Err(why)) => Err(why),
            };
            next.extend(
                heard.unwrap_or_else(|why| engine.undeliverable(message, why, &mut setting)),
            );
        }
        next.extend(engine.tick(&mut Setting { world, ledger, now: clock() }));
        effects = next;
    }
    assert!(engine.is_empty(), "everybody knows");
    Ok(end.unwrap())
}

impl Parties {
    /// The replies of the parties to these messages; the services of one wave answer together. `None` means
    /// that no answer is needed, an error that the party refuses or fails.
    fn answer_all(&mut self, messages: &[Message]) -> Vec<Option<Result<Content, String>>> {
        let inquiries: Vec<Inquiry> = messages.iter().filter_map(inquiry).cloned().collect();
        let mut answers = match inquiries.is_empty() {
            true => Vec::new(),
            false => self.respond(&inquiries),
        }
        .into_iter();
        let mut answer = |message: &Message| match &message.content {
            Content::CallForProposals(Call::Load(_)) => {
                Some(answers.next().unwrap().map(|answer| match answer {
                    Answer::Accept => Content::Propose(Proposed::All),
                    Answer::Reject(reason) => Content::Refuse { reason },
                    Answer::Counter(offer) => Content::Counter(offer),
                }))
            }
            Content::CallForProposals(Call::Bids { request, inventory }) => {
                let Party::Provider(provider) = &message.to else { panic!("not a provider") };
                let bids = self.bid(provider, request, inventory);
                Some(bids.map(|bids| Content::Propose(Proposed::Bids(bids))))
            }
            Content::CallForProposals(Call::Scores { request, bids }) => {
                let scores = self.rank(request, bids);
                Some(scores.map(|scores| Content::Propose(Proposed::Scores(scores))))
            }
            Content::Inform(Information::Load(inquiry)) => {
                self.inform(std::slice::from_ref(inquiry));
                None
            }
            _ => local_reply(message).map(Ok),
        };
        messages.iter().map(&mut answer).collect()
    }
}

const fn inquiry(message: &Message) -> Option<&Inquiry> {
    match &message.content {
        Content::CallForProposals(Call::Load(inquiry)) => Some(inquiry),
        _ => None,
    }
}
