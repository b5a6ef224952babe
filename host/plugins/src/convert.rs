//! Between the host's nouns and the contract's: the same words, generated twice.

use haggle_model::{
    CalendarEvent, EventKind, Quantities, Resource, Series, Strength, Tier, Window,
};
use haggle_negotiate::{
    Answer, Bid, Guarantees, Inquiry, InventoryUnit, Offer, Position, Proposal, Purpose, Request,
};
use haggle_plan::{Interval, Outlook};
use haggle_sandbox::{bidding, forecasting, types};

/// A resource in the contract.
#[must_use]
pub const fn resource(resource: Resource) -> types::Resource {
    match resource {
        Resource::CpuCores => types::Resource::CpuCores,
        Resource::MemoryBytes => types::Resource::MemoryBytes,
        Resource::GpuCount => types::Resource::GpuCount,
        Resource::NetworkBitsPerSecond => types::Resource::NetworkBitsPerSecond,
        Resource::DiskIops => types::Resource::DiskIops,
        Resource::StorageBytes => types::Resource::StorageBytes,
        Resource::RequestsPerSecond => types::Resource::RequestsPerSecond,
    }
}

const fn resource_of(resource: types::Resource) -> Resource {
    match resource {
        types::Resource::CpuCores => Resource::CpuCores,
        types::Resource::MemoryBytes => Resource::MemoryBytes,
        types::Resource::GpuCount => Resource::GpuCount,
        types::Resource::NetworkBitsPerSecond => Resource::NetworkBitsPerSecond,
        types::Resource::DiskIops => Resource::DiskIops,
        types::Resource::StorageBytes => Resource::StorageBytes,
        types::Resource::RequestsPerSecond => Resource::RequestsPerSecond,
    }
}

/// Quantities in the contract.
#[must_use]
pub fn quantities(all: &Quantities) -> Vec<types::Quantity> {
    all.iter().map(|(r, amount)| types::Quantity { resource: resource(r), amount }).collect()
}

/// A window in the contract.
#[must_use]
pub const fn window(window: Window) -> types::Window {
    types::Window { start: window.start.as_millis(), end: window.end.as_millis() }
}

/// A tier in the contract.
#[must_use]
pub const fn tier(tier: Tier) -> types::Tier {
    match tier {
        Tier::Gold => types::Tier::Gold,
        Tier::Silver => types::Tier::Silver,
        Tier::Bronze => types::Tier::Bronze,
    }
}

/// A tier of the contract.
#[must_use]
pub const fn tier_of(tier: types::Tier) -> Tier {
    match tier {
        types::Tier::Gold => Tier::Gold,
        types::Tier::Silver => Tier::Silver,
        types::Tier::Bronze => Tier::Bronze,
    }
}

const fn purpose(purpose: Purpose) -> types::Purpose {
    match purpose {
        Purpose::Growth => types::Purpose::Growth,
        Purpose::FailureAvoidance => types::Purpose::FailureAvoidance,
        Purpose::TierChange => types::Purpose::TierChange,
        Purpose::Renegotiation => types::Purpose::Renegotiation,
    }
}

const fn strength(strength: Strength) -> bidding::Strength {
    match strength {
        Strength::Mandatory => bidding::Strength::Mandatory,
        Strength::Optional => bidding::Strength::Optional,
        Strength::BestEffort => bidding::Strength::BestEffort,
    }
}

/// Loads are never negative, so neither is what is forecast of them. NaNs are made one and the same, so
/// that a plugin cannot tell them apart and a replay sees the same bits.
#[must_use]
pub fn series(id: &str, series: &Series) -> forecasting::Series {
    let canonical = |value: &f64| if value.is_finite() { *value } else { f64::NAN };
    forecasting::Series {
        id: id.to_owned(),
        start: series.start.as_millis(),
        step: series.step.as_millis(),
        values: series.values.iter().map(canonical).collect(),
        non_negative: true,
    }
}

/// What a plugin is told of calendar events: those of their times that touch the window.
#[must_use]
pub fn events_within<'a>(
    all: impl Iterator<Item = &'a CalendarEvent>,
    within: Window,
) -> Vec<types::Event> {
    let times = |event: &'a CalendarEvent| {
        let touching = event.windows().filter(move |time| time.overlaps(&within));
        touching.map(|time| types::Event {
            kind: event_kind(event.event),
            name: event.name.to_string(),
            window: window(time),
        })
    };
    all.flat_map(times).collect()
}

const fn event_kind(kind: EventKind) -> types::EventKind {
    match kind {
        EventKind::Campaign => types::EventKind::Campaign,
        EventKind::Backup => types::EventKind::Backup,
        EventKind::Release => types::EventKind::Release,
        EventKind::Incident => types::EventKind::Incident,
        EventKind::Holiday => types::EventKind::Holiday,
        EventKind::Other => types::EventKind::Other,
    }
}

/// The outlook that a plugin gives a series: it begins where the series ends.
#[must_use]
pub fn outlook(series: &Series, outlook: forecasting::Outlook) -> Outlook {
    let interval = |interval: forecasting::Interval| Interval {
        level: interval.level,
        lower: interval.lower,
        upper: interval.upper,
    };
    Outlook {
        start: series.end(),
        step: series.step,
        mean: outlook.mean,
        intervals: outlook.intervals.into_iter().map(interval).collect(),
        confidence: outlook.confidence,
    }
}

/// An inquiry in the contract.
#[must_use]
pub fn inquiry(inquiry: &Inquiry) -> bidding::Inquiry {
    let Inquiry { proposal, position } = inquiry;
    bidding::Inquiry { proposal: self::proposal(proposal), position: self::position(position) }
}

fn proposal(proposal: &Proposal) -> bidding::Proposal {
    bidding::Proposal {
        session: proposal.session.clone(),
        round: proposal.round,
        service: proposal.service.to_string(),
        requester: proposal.requester.to_string(),
        purpose: purpose(proposal.purpose),
        strength: strength(proposal.strength),
        window: window(proposal.window),
        asks: quantities(&proposal.asks),
    }
}

fn position(position: &Position) -> bidding::Position {
    bidding::Position {
        tier: tier(position.tier),
        capacity: quantities(&position.capacity),
        committed: quantities(&position.committed),
        agreed: quantities(&position.agreed),
        sustainable: quantities(&position.sustainable),
    }
}

/// An answer of the contract; the sandbox has checked its amounts.
///
/// # Errors
/// A text saying which amount is none.
pub fn answer(answer: bidding::Answer) -> Result<Answer, String> {
    Ok(match answer {
        bidding::Answer::Accept => Answer::Accept,
        bidding::Answer::Reject(reason) => Answer::Reject(reason),
        bidding::Answer::Counter(offer) => {
            let pairs = offer.quantities.iter().map(|q| (resource_of(q.resource), q.amount));
            let quantities = Quantities::from_pairs(pairs).map_err(|error| error.to_string())?;
            Answer::Counter(Offer { quantities, reason: offer.reason })
        }
    })
}

/// A request in the contract.
#[must_use]
pub fn request(request: &Request) -> bidding::Request {
    bidding::Request {
        id: request.id.clone(),
        service: request.service.to_string(),
        tier: tier(request.tier),
        resources: quantities(&request.resources),
        count: request.count,
        window: window(request.window),
        budget_per_hour: request.budget_per_hour,
        location: request.location.clone(),
        gpu_type: request.gpu_type.clone(),
    }
}

/// What a provider has of a unit, in the contract.
#[must_use]
pub fn compute_unit(inventory: &InventoryUnit) -> bidding::ComputeUnit {
    let InventoryUnit { provider, location, unit, free, .. } = inventory;
    bidding::ComputeUnit {
        id: unit.id.to_string(),
        provider: provider.to_string(),
        location: location.clone(),
        has: quantities(&unit.resources),
        free: quantities(free),
        count: unit.count,
        gpu_type: unit.gpu_type.clone(),
        cost_per_hour: unit.cost_per_hour,
        performance: unit.performance,
        interruption_rate: unit.interruption_rate,
        interruption_notice: unit.interruption_notice.as_millis(),
    }
}

/// A bid in the contract.
#[must_use]
pub fn bid(bid: &Bid) -> bidding::Bid {
    bidding::Bid {
        unit: bid.unit.clone(),
        provider: bid.provider.clone(),
        location: bid.location.clone(),
        count: bid.count,
        price_per_hour: bid.price_per_hour,
        performance: bid.performance,
        guarantees: bidding::Guarantees {
            availability: bid.guarantees.availability,
            interruption_rate: bid.guarantees.interruption_rate,
            interruption_notice: bid.guarantees.interruption_notice.as_millis(),
        },
    }
}

/// A bid of the contract.
#[must_use]
pub fn bid_of(bid: bidding::Bid) -> Bid {
    Bid {
        unit: bid.unit,
        provider: bid.provider,
        location: bid.location,
        count: bid.count,
        price_per_hour: bid.price_per_hour,
        performance: bid.performance,
        guarantees: Guarantees {
            availability: bid.guarantees.availability,
            interruption_rate: bid.guarantees.interruption_rate,
            interruption_notice: haggle_model::Span::from_millis(
                bid.guarantees.interruption_notice,
            ),
        },
    }
}
