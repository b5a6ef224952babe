//! Parties in this process: what they acknowledge by themselves, and which plugin is asked for the rest.

use std::collections::BTreeMap;

use haggle_model::{Name, Owner, Timestamp};
use haggle_negotiate::{Call, Content, Guarantees, Information, Message, Party, Proposed};

use crate::{effect::Consultation, step::Step};

/// So many inquiries go into one call of a plugin at most.
const MOST_INQUIRIES: usize = 256;

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
    /// The questions of this step, by plugin. Inquiries about loads are put together.
    pub(crate) fn consultations(&mut self) -> Vec<Consultation> {
        let mut loads: BTreeMap<Name, Vec<Message>> = BTreeMap::new();
        let mut all = Vec::new();
        for message in std::mem::take(&mut self.questions) {
            // A party that is gone says nothing: its question is given up in time.
            let Some(plugin) = self.plugin_for(&message) else { continue };
            match &message.content {
                Content::CallForProposals(Call::Load(_)) => {
                    loads.entry(plugin).or_default().push(message);
                }
                _ => all.push(self.consultation(plugin, vec![message])),
            }
        }
        for (plugin, messages) in loads {
            for some in messages.chunks(MOST_INQUIRIES) {
                all.push(self.consultation(plugin.clone(), some.to_vec()));
            }
        }
        all
    }

    fn consultation(&self, plugin: Name, messages: Vec<Message>) -> Consultation {
        let deadlines = messages.iter().filter_map(|message| {
            let demand = self.state.open_session(&message.session)?;
            Some(demand.started_at + demand.policy.deadline)
        });
        // Half of what is left: whoever does not answer leaves time for those who do.
        let left = deadlines.max().unwrap_or(self.now).since(self.now);
        let by = self.now + haggle_model::Span::from_millis(left.as_millis() / 2);
        let seed = messages.first().map_or(0, |message| seed(&message.session, message.message.0));
        Consultation { plugin, by, seed, messages }
    }

    /// The plugin that decides for a party. Providers bid by their own plugin, or else by that of the buyer.
    fn plugin_for(&self, message: &Message) -> Option<Name> {
        let bidding = |service: &Name| {
            let service = self.state.catalog.services.get(service)?;
            Some(self.state.catalog.policy_of(service).bidding.plugin.clone())
        };
        match (&message.to, &message.content) {
            (Party::Service(name), _) => bidding(name),
            (Party::Provider(name), Content::CallForProposals(Call::Bids { request, .. })) => {
                let own = self.state.catalog.providers.get(name)?.bidding.clone();
                own.or_else(|| bidding(&request.service))
            }
            _ => None,
        }
    }
}

/// The same for the same question, so that a decision can be repeated (FNV-1a, 64 bits).
fn seed(session: &str, message: u64) -> u64 {
    let bytes = session.bytes().chain(message.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// When the next answer of a consultation comes too late.
impl Consultation {
    /// How long the plugin may take from `now` on.
    #[must_use]
    pub fn patience(&self, now: Timestamp) -> haggle_model::Span {
        self.by.since(now)
    }
}
