//! Minimal negotiation plugins.

use haggle_model::{Quantities, Resource};
use haggle_negotiate::{
    Bid, Call, Content, Guarantees, Inquiry, InventoryUnit, Message, Offer, Proposed, Request,
};

use crate::Consultation;

/// The behaviour of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Promises the free capacity, bids every unit that fits at cost, and ranks by price.
    Fair,
    /// Refuses everything.
    Refusing,
    /// Never answers.
    Silent,
    /// Fails.
    Failing,
    /// Offers more than the request, bids with capacity that it does not have, and returns too few scores.
    Absurd,
}

/// The answers to a consultation; `None` if the plugin does not answer.
pub(crate) fn consulted(
    consultation: &Consultation,
    manner: Manner,
) -> Option<Vec<(Message, Result<Content, String>)>> {
    let answer = |message: &Message| match manner {
        Manner::Fair => Ok(fair(message)),
        Manner::Refusing => Ok(Content::Refuse { reason: "no".to_owned() }),
        Manner::Failing => Err("it trapped".to_owned()),
        Manner::Absurd => Ok(absurd(message)),
        Manner::Silent => Err(String::new()),
    };
    let answers = consultation.messages.iter().map(|message| (message.clone(), answer(message)));
    (manner != Manner::Silent).then(|| answers.collect())
}

/// The answer of a fair plugin.
pub(crate) fn fair(message: &Message) -> Content {
    let Content::CallForProposals(call) = &message.content else {
        panic!("plugins are asked for proposals only: {message:?}")
    };
    match call {
        Call::Load(inquiry) => load(inquiry),
        Call::Bids { request, inventory } => {
            let bids = inventory.iter().filter_map(|unit| bid(request, unit)).collect();
            Content::Propose(Proposed::Bids(bids))
        }
        Call::Scores { bids, .. } => {
            let scores = bids.iter().map(|bid| 1.0 / (1.0 + bid.price_per_hour)).collect();
            Content::Propose(Proposed::Scores(scores))
        }
    }
}

fn load(inquiry: &Inquiry) -> Content {
    let Inquiry { asks, .. } = inquiry;
    let (requested, free) = (&asks.requested, asks.free());
    let part = free.share_of(requested).min(asks.sustainable.share_of(requested));
    if part >= 1.0 - 1e-9 {
        return Content::Propose(Proposed::All);
    }
    if part <= 0.0 {
        return Content::Refuse { reason: format!("{free} is free") };
    }
    let reason = format!("{free} is free");
    Content::Counter(Offer { quantities: requested.scaled(part), reason })
}

fn bid(request: &Request, unit: &InventoryUnit) -> Option<Bid> {
    let elsewhere = request.location.as_ref().is_some_and(|place| *place != unit.location);
    let other =
        request.gpu_type.as_ref().is_some_and(|gpu| unit.unit.gpu_type.as_ref() != Some(gpu));
    let fits = |(resource, amount): (Resource, f64)| unit.free.get(resource) / amount + 1e-9;
    let room = request.resources.iter().filter(|(_, amount)| *amount > 0.0);
    let room = room.map(fits).fold(f64::INFINITY, f64::min).floor() as u32;
    let room = room.min(unit.available.saturating_mul(unit.unit.fits(&request.resources)));
    let count = room.min(request.count);
    (count > 0 && !elsewhere && !other).then(|| Bid {
        unit: unit.unit.id.to_string(),
        provider: unit.provider.to_string(),
        location: unit.location.clone(),
        count,
        price_per_hour: unit.unit.cost_per_hour * unit.unit.dominant_share(&request.resources),
        performance: unit.unit.performance,
        guarantees: Guarantees {
            availability: 1.0,
            interruption_rate: unit.unit.interruption_rate,
            interruption_notice: unit.unit.interruption_notice,
        },
    })
}

fn absurd(message: &Message) -> Content {
    match &message.content {
        Content::CallForProposals(Call::Load(inquiry)) => Content::Counter(Offer {
            quantities: inquiry.asks.requested.scaled(1000.0),
            reason: "why not".to_owned(),
        }),
        Content::CallForProposals(Call::Bids { request, inventory }) => {
            let mut bids: Vec<Bid> =
                inventory.iter().filter_map(|unit| bid(request, unit)).collect();
            for bid in &mut bids {
                bid.count = u32::MAX;
                bid.price_per_hour = f64::NAN;
            }
            Content::Propose(Proposed::Bids(bids))
        }
        _ => Content::Propose(Proposed::Scores(vec![1.0])),
    }
}

/// A load of this many requests per second.
pub(crate) fn rps(amount: f64) -> Quantities {
    Quantities::of(Resource::RequestsPerSecond, amount).unwrap()
}
