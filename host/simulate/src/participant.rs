//! Remote services and providers; each is a separate node.

use std::collections::BTreeMap;

use haggle_model::{Quantities, Span, Timestamp};
use haggle_negotiate::{
    Bid, Call, Content, Guarantees, Information, Inquiry, InventoryUnit, Message, MessageId, Offer,
    Proposed, Request,
};

use crate::chance::Chance;

/// One remote service or provider.
#[derive(Debug, Default)]
pub(crate) struct Participant {
    /// The answers so far; a repeated question gets the same answer.
    answered: BTreeMap<(String, MessageId), Content>,
}

impl Participant {
    /// The replies to a message: usually one answer, sometimes none, sometimes an invalid one.
    pub(crate) fn receive(
        &mut self,
        message: &Message,
        chance: Chance,
        faults: bool,
        now: Timestamp,
    ) -> Vec<Message> {
        let key = (message.session.clone(), message.message);
        if let Some(before) = self.answered.get(&key) {
            return vec![message.reply(before.clone(), now)];
        }
        let mut rng = chance.rng(&format!("{} {}", message.session, message.to), message.message.0);
        let content = match &message.content {
            Content::CallForProposals(call) => propose(call, &mut rng),
            Content::Accept { .. } if faults && rng.u8(0..50) == 0 => {
                Content::Refuse { reason: "it is gone".into() }
            }
            Content::Accept { .. } => Content::Confirm { leases: Vec::new() },
            Content::Confirm { .. } | Content::Release { .. } => {
                Content::Inform(Information::Received)
            }
            _ => return Vec::new(),
        };
        let mut said = Vec::new();
        match rng.u8(0..60) {
            _ if !faults => {}
            // It never answers this question.
            0 => return said,
            1 => said.push(message.reply(absurd(&mut rng), now)),
            _ => {}
        }
        said.push(message.reply(content.clone(), now));
        if faults && rng.u8(0..60) == 0 {
            said.push(message.reply(Content::Refuse { reason: "on second thoughts".into() }, now));
        }
        self.answered.insert(key, content);
        said
    }
}

pub(crate) fn propose(call: &Call, rng: &mut fastrand::Rng) -> Content {
    match call {
        Call::Load(inquiry) => respond(inquiry, rng),
        Call::Bids { request, inventory } => {
            Content::Propose(Proposed::Bids(inventory.iter().map(|u| bid(u, request)).collect()))
        }
        Call::Scores { bids, .. } => {
            let scores = bids.iter().map(|bid| bid.performance - bid.price_per_hour).collect();
            Content::Propose(Proposed::Scores(scores))
        }
    }
}

fn respond(inquiry: &Inquiry, rng: &mut fastrand::Rng) -> Content {
    let requested = &inquiry.asks.requested;
    let willing = match rng.u8(0..12) {
        0 => 0.0,
        1 => 0.5,
        _ => 1.0,
    };
    match inquiry.asks.free().share_of(requested).min(willing) {
        0.0 => Content::Refuse { reason: "full".into() },
        share if share < 1.0 => {
            let quantities = requested.scaled(share);
            Content::Counter(Offer { quantities, reason: "that is all".into() })
        }
        _ => Content::Propose(Proposed::All),
    }
}

fn bid(unit: &InventoryUnit, request: &Request) -> Bid {
    Bid {
        unit: unit.unit.id.to_string(),
        provider: unit.provider.to_string(),
        location: unit.location.clone(),
        count: request.count,
        price_per_hour: unit.unit.cost_per_hour,
        performance: unit.unit.performance,
        guarantees: Guarantees {
            availability: 1.0,
            interruption_rate: 0.0,
            interruption_notice: Span::ZERO,
        },
    }
}

pub(crate) fn absurd(rng: &mut fastrand::Rng) -> Content {
    let most = haggle_model::Resource::ALL.map(|resource| (resource, Quantities::MAX));
    let offer = |count, price_per_hour| Bid {
        unit: "u0".into(),
        provider: "p0".into(),
        location: "nowhere".into(),
        count,
        price_per_hour,
        performance: f64::INFINITY,
        guarantees: Guarantees {
            availability: 7.0,
            interruption_rate: -1.0,
            interruption_notice: Span::ZERO,
        },
    };
    match rng.u8(0..7) {
        0 => {
            let quantities = Quantities::from_pairs(most).unwrap_or_default();
            Content::Counter(Offer { quantities, reason: "all there is".into() })
        }
        1 => Content::Propose(Proposed::Scores(vec![f64::NAN])),
        2 => Content::Inform(Information::Received),
        3 => Content::Cancel { reason: "who asks?".into() },
        4 => Content::Propose(Proposed::Bids(vec![offer(1, 0.1); 300])),
        5 => Content::Propose(Proposed::Bids(vec![offer(u32::MAX, f64::NAN), offer(0, -1.0)])),
        _ => Content::Propose(Proposed::All),
    }
}
