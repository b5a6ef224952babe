//! Answers of parties in this process, from plugins.

use std::time::Duration;

use haggle_control::Consultation;
use haggle_model::Timestamp;
use haggle_negotiate::{Answer, Call, Content, Message, Offer, Proposed};
use haggle_sandbox::{MakeBids, Rank, Respond, types::Context};

use crate::{complaints::cut, convert, decider::Decider, error::Unanswered};

/// What a party says, or why it says nothing; texts have at most 1 KiB.
type Said = Result<Content, String>;

impl Decider {
    /// Answers the questions of a consultation, each in its place, until it is too late for them. All
    /// inquiries about loads are one call; what a plugin fails to answer of them goes to whoever stands in
    /// for it. A rejection is an answer and goes nowhere else.
    #[must_use]
    pub fn consult(&self, now: Timestamp, consultation: Consultation) -> Vec<(Message, Said)> {
        let time = Duration::from_millis(consultation.patience(now).as_millis());
        let Consultation { plugin, seed, messages, .. } = consultation;
        let ends = self.elapsed().saturating_add(time);
        let left = || ends.saturating_sub(self.elapsed());
        let context = || context(now, seed);
        let inquiries: Vec<_> = messages.iter().filter_map(inquiry).collect();
        let mut loads = match inquiries.is_empty() {
            true => Vec::new(),
            false => self.each(now, &plugin, inquiries.len(), left(), |items, _| {
                let some = items.iter().filter_map(|item| inquiries.get(*item));
                Respond { context: context(), inquiries: some.cloned().collect() }
            }),
        }
        .into_iter();
        let mut answer = |message: &Message| match &message.content {
            Content::CallForProposals(Call::Load(_)) => {
                let answer = loads.next().ok_or_else(|| "it gave no answer".to_owned())?;
                load(convert::answer(answer.map_err(said)?.answer)?)
            }
            Content::CallForProposals(Call::Bids { request, inventory }) => {
                let bids = self.call(now, &plugin, left(), |_| MakeBids {
                    context: context(),
                    request: convert::request(request),
                    inventory: inventory.iter().map(convert::compute_unit).collect(),
                });
                let bids = bids.map_err(said)?.answer.into_iter().map(convert::bid_of);
                Ok(Content::Propose(Proposed::Bids(bids.collect())))
            }
            Content::CallForProposals(Call::Scores { request, bids }) => {
                let scores = self.call(now, &plugin, left(), |_| Rank {
                    context: context(),
                    request: convert::request(request),
                    bids: bids.iter().map(convert::bid).collect(),
                });
                Ok(Content::Propose(Proposed::Scores(scores.map_err(said)?.answer)))
            }
            other => Err(format!("a plugin has no answer to {}", other.kind())),
        };
        let said: Vec<Said> = messages.iter().map(&mut answer).collect();
        messages.into_iter().zip(said.into_iter().map(|said| said.map_err(cut))).collect()
    }
}

/// What a call is told of the world; the configuration is that of whoever is asked.
#[must_use]
pub const fn context(now: Timestamp, seed: u64) -> Context {
    Context { now: now.as_millis(), seed, configuration: String::new() }
}

fn inquiry(message: &Message) -> Option<haggle_sandbox::bidding::Inquiry> {
    match &message.content {
        Content::CallForProposals(Call::Load(inquiry)) => Some(convert::inquiry(inquiry)),
        _ => None,
    }
}

fn load(answer: Answer) -> Said {
    Ok(match answer {
        Answer::Accept => Content::Propose(Proposed::All),
        Answer::Reject(reason) => Content::Refuse { reason: cut(reason) },
        Answer::Counter(offer) => Content::Counter(Offer { reason: cut(offer.reason), ..offer }),
    })
}

fn said(error: Unanswered) -> String {
    error.to_string()
}
