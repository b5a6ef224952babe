//! Parties in this process: what they acknowledge by themselves, and which plugin is asked for the rest.

use std::collections::BTreeMap;

use haggle_model::{Name, Owner, Span, Timestamp};
use haggle_negotiate::{Call, Content, Guarantees, Information, Message, Party, Proposed};

use crate::{effect::Consultation, step::Step};

/// So many inquiries go into one call of a plugin at most.
const MOST_INQUIRIES: usize = 256;

/// A plugin and those who stand in for it get this part of the time that a session has left when a question is
/// asked. The engine waits for at least as much, so an answer in time still counts, and a plugin that never
/// answers leaves its session time for all other questions.
const SHARE: u64 = 4;

/// What a party in this process says without being asked: the ledger holds everything for it.
pub(crate) fn local_reply(message: &Message) -> Option<Content> {
    match &message.content {
        Content::Accept { .. } => Some(Content::Confirm { leases: Vec::new() }),
        Content::Confirm { .. } | Content::Release { .. } => {
            Some(Content::Inform(Information::Received))
        }
        _ => None,
    }
}

/// Checks that what a party says can be written and read again: numbers that are not finite cannot.
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

/// Who answers for the capacity of an owner.
pub(crate) fn party(owner: &Owner) -> Party {
    match owner {
        Owner::Service(name) => Party::Service(name.clone()),
        Owner::Unit { provider, .. } => Party::Provider(provider.clone()),
    }
}

impl Step<'_> {
    /// The questions of this step, by plugin. Inquiries about loads that are due at the same time are put
    /// together.
    pub(crate) fn consultations(&mut self) -> Vec<Consultation> {
        let mut loads: BTreeMap<(Name, Timestamp), Vec<Message>> = BTreeMap::new();
        let mut all = Vec::new();
        for message in std::mem::take(&mut self.questions) {
            // A party that is gone says nothing: its question is given up in time.
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

    /// When an answer comes too late, counted from when the question was first asked.
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

/// The same for the same question, so that a decision can be repeated (FNV-1a, 64 bits).
fn seed(session: &str, message: u64) -> u64 {
    let bytes = session.bytes().chain(message.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl Consultation {
    /// How long the plugin, and whoever stands in for it, may take from `now` on.
    #[must_use]
    pub fn patience(&self, now: Timestamp) -> Span {
        self.by.since(now)
    }
}
