//! Answers questions for parties in this process, from plugins.

use std::time::Duration;

use haggle_control::Consultation;
use haggle_model::Timestamp;
use haggle_negotiate::{Answer, Call, Content, Message, Offer, Proposed};
use haggle_sandbox::{MakeBids, Rank, Respond, types::Context};

use crate::{
    complaints::cut,
    convert,
    decider::{Decided, Decider, Terms},
    error::Unanswered,
    timeliness::Timeliness,
};

/// The result of one question of a consultation.
#[derive(Clone, Debug, PartialEq)]
pub struct Consulted {
    /// The question.
    pub question: Message,
    /// The party's answer, or the reason why there is none. Texts have at most 1 KiB.
    pub answer: Result<Content, String>,
    /// If another candidate answered instead of the named plugin: which one, and why. At most 1 KiB.
    pub remark: Option<String>,
}

/// An answer with a remark about the candidate that gave it, or the reason why there is none.
type Said = Result<(Content, Option<String>), String>;

/// Minimum time for a candidate's answer to a late question; an answer that arrives too late does no harm.
const GRACE: Duration = Duration::from_millis(100);

impl Decider {
    /// Answers the questions of a consultation, each in its place, until their deadline. All inquiries about
    /// loads form one call; those that a plugin fails to answer go to its fallback. A rejection is an answer
    /// and is not passed on.
    #[must_use]
    pub fn consult(
        &self,
        now: Timestamp,
        consultation: Consultation,
        timeliness: Timeliness,
    ) -> Vec<Consulted> {
        let time = Duration::from_millis(consultation.patience(now).as_millis());
        let time = if timeliness == Timeliness::Late { time.max(GRACE) } else { time };
        let Consultation { plugin, seed, messages, .. } = consultation;
        let ends = self.elapsed().saturating_add(time);
        let terms = || Terms {
            now,
            plugin: &plugin,
            time: ends.saturating_sub(self.elapsed()),
            timeliness,
        };
        let context = || context(now, seed);
        let inquiries: Vec<_> = messages.iter().filter_map(inquiry).collect();
        let mut loads = match inquiries.is_empty() {
            true => Vec::new(),
            false => self.each_on(terms(), inquiries.len(), |items, _| {
                let some = items.iter().filter_map(|item| inquiries.get(*item));
                Respond { context: context(), inquiries: some.cloned().collect() }
            }),
        }
        .into_iter();
        let mut answer = |message: &Message| match &message.content {
            Content::CallForProposals(Call::Load(_)) => {
                let answer = loads.next().ok_or_else(|| "it gave no answer".to_owned())?;
                let (answer, remark) = said(answer)?;
                Ok((load(convert::answer(answer)?), remark))
            }
            Content::CallForProposals(Call::Bids { request, inventory }) => {
                let bids = self.call_on(terms(), |_| MakeBids {
                    context: context(),
                    request: convert::request(request),
                    inventory: inventory.iter().map(convert::compute_unit).collect(),
                });
                let (bids, remark) = said(bids)?;
                let bids = bids.into_iter().map(convert::bid_of).collect();
                Ok((Content::Propose(Proposed::Bids(bids)), remark))
            }
            Content::CallForProposals(Call::Scores { request, bids }) => {
                let scores = self.call_on(terms(), |_| Rank {
                    context: context(),
                    request: convert::request(request),
                    bids: bids.iter().map(convert::bid).collect(),
                });
                let (scores, remark) = said(scores)?;
                Ok((Content::Propose(Proposed::Scores(scores)), remark))
            }
            other => Err(format!("a plugin has no answer to {}", other.kind())),
        };
        let said: Vec<Said> = messages.iter().map(&mut answer).collect();
        let consulted = |(question, said): (Message, Said)| {
            let (answer, remark) = match said {
                Ok((content, remark)) => (Ok(content), remark.map(cut)),
                Err(why) => (Err(cut(why)), None),
            };
            Consulted { question, answer, remark }
        };
        messages.into_iter().zip(said).map(consulted).collect()
    }
}

/// The context of a call. The decider fills in the candidate's configuration.
#[must_use]
pub const fn context(now: Timestamp, seed: u64) -> Context {
    Context { now_ms: now.as_millis(), seed, configuration: String::new() }
}

fn said<T>(answer: Result<Decided<T>, Unanswered>) -> Result<(T, Option<String>), String> {
    let Decided { answer, remark, .. } = answer.map_err(|error| error.to_string())?;
    Ok((answer, remark))
}

fn inquiry(message: &Message) -> Option<haggle_sandbox::answering::Inquiry> {
    match &message.content {
        Content::CallForProposals(Call::Load(inquiry)) => Some(convert::inquiry(inquiry)),
        _ => None,
    }
}

fn load(answer: Answer) -> Content {
    match answer {
        Answer::Accept => Content::Propose(Proposed::All),
        Answer::Reject(reason) => Content::Refuse { reason: cut(reason) },
        Answer::Counter(offer) => Content::Counter(Offer { reason: cut(offer.reason), ..offer }),
    }
}
