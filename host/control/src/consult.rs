//! Parties in this process: the messages that the core acknowledges itself, and the plugin that answers the
//! others.

use std::collections::BTreeMap;

use haggle_model::{Name, Owner, Span, Timestamp};
use haggle_negotiate::{Call, Content, Guarantees, Information, Message, Party, Proposed};

use crate::{effect::Consultation, step::Step};

/// The maximum number of inquiries in one plugin call.
const MOST_INQUIRIES: usize = 256;

/// The time that a session has left when a question is sent, divided by this number, is the time for a
/// plugin and its fallbacks. The engine waits at least as long, so an answer in time still counts. A plugin
/// that never answers leaves its session time for all other questions.
const SHARE: u64 = 4;

/// The acknowledgement of a party in this process, without a plugin: the ledger holds everything for it.
pub(crate) fn local_reply(message: &Message) -> Option<Content> {
    match &message.content {
        Content::Accept { .. } => Some(Content::Confirm { leases: Vec::new() }),
        Content::Confirm { .. } | Content::Release { .. } => {
            Some(Content::Inform(Information::Received))
        }
        _ => None,
    }
}

/// Checks that the content has only finite numbers, because others cannot be written and read again.
pub(crate) fn check_finite(content: &Content) -> Result<(), String> {
    let numbers: Vec<f64> = match content {
        Content::Propose(Proposed::Scores(scores)) => scores.clone(),
        Content::Propose(Proposed::Bids(bids)) => bids
            .iter()
            .flat_map(|bid| {
                let Guarantees { availability, interruption_rate, .. } = bid.guarantees;
                [bid.price_per_hour, bid.performance, availability, interruption_rate]
            })
            .collect(),
        _ => return Ok(()),
    };
    match numbers.iter().find(|number| !number.is_finite()) {
        Some(number) => Err(format!("it says {number} where a finite number is needed")),
        None => Ok(()),
    }
}

/// The party that answers for the capacity of an owner.
pub(crate) fn party(owner: &Owner) -> Party {
    match owner {
        Owner::Service(name) => Party::Service(name.clone()),
        Owner::Unit { provider, .. } => Party::Provider(provider.clone()),
    }
}

impl Step<'_> {
    /// The questions of this step, grouped by plugin. Inquiries about loads with the same due time share a
    /// call.
    pub(crate) fn consultations(&mut self) -> Vec<Consultation> {
        let mut loads: BTreeMap<(Name, Timestamp), Vec<Message>> = BTreeMap::new();
        let mut all = Vec::new();
        for message in std::mem::take(&mut self.questions) {
            // A party that no longer exists does not answer; its question times out.
            let Some(plugin) = self.plugin_for(&message) else { continue };
            let by = self.answered_by(&message);
            match &message.content {
                Content::CallForProposals(Call::Load(_)) => {
                    loads.entry((plugin, by)).or_default().push(message);
                }
                _ => all.push(consultation(plugin, by, vec![message])),
            }
        }
        for ((plugin, by), messages) in loads {
            for some in messages.chunks(MOST_INQUIRIES) {
                all.push(consultation(plugin.clone(), by, some.to_vec()));
            }
        }
        all
    }

    /// The time after which an answer is too late, counted from the first attempt of the question.
    fn answered_by(&self, message: &Message) -> Timestamp {
        let Some(demand) = self.state.open_session(&message.session) else { return self.now };
        let asked = message.at.min(self.now);
        let left = (demand.started_at + demand.policy.deadline).since(asked);
        asked + Span::from_millis(left.as_millis() / SHARE)
    }

    /// The plugin that decides for a party.
    fn plugin_for(&self, message: &Message) -> Option<Name> {
        let catalog = &self.state.catalog;
        let Content::CallForProposals(call) = &message.content else { return None };
        match (&message.to, call) {
            (Party::Service(name), Call::Load(_)) => {
                let policy = catalog.policy_of(catalog.services.get(name)?);
                Some(policy.answering.plugin.clone())
            }
            (Party::Service(name), Call::Scores { .. }) => {
                let policy = catalog.policy_of(catalog.services.get(name)?);
                Some(policy.ranking.plugin.clone())
            }
            (Party::Provider(name), Call::Bids { .. }) => {
                Some(catalog.providers.get(name)?.selling.clone())
            }
            _ => None,
        }
    }
}

fn consultation(plugin: Name, by: Timestamp, messages: Vec<Message>) -> Consultation {
    let seed = messages.first().map_or(0, |message| seed(&message.session, message.message.0));
    Consultation { plugin, by, seed, messages }
}

/// A deterministic seed for a question, so that a decision can be reproduced (FNV-1a, 64 bits).
fn seed(session: &str, message: u64) -> u64 {
    let bytes = session.bytes().chain(message.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl Consultation {
    /// The time that the plugin and its fallbacks have left at `now`.
    #[must_use]
    pub fn patience(&self, now: Timestamp) -> Span {
        self.by.since(now)
    }
}
