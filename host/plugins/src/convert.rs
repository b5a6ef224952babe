//! Converts between the host's types and the contract's, which have the same structure.

use haggle_model::{
    CalendarEvent, EventKind, Quantities, Resource, Series, Strength, Tier, Window,
};
use haggle_negotiate::{
    Answer, Ask, Bid, Guarantees, Inquiry, InventoryUnit, Offer, Purpose, Request,
};
use haggle_plan::{Interval, Outlook};
use haggle_sandbox::{answering, forecasting, market, selling, types};

/// Converts a resource to the contract.
#[must_use]
pub const fn resource(resource: Resource) -> types::ResourceKind {
    match resource {
        Resource::CpuCores => types::ResourceKind::CpuCores,
        Resource::MemoryBytes => types::ResourceKind::MemoryBytes,
        Resource::GpuCount => types::ResourceKind::GpuCount,
        Resource::NetworkBitsPerSecond => types::ResourceKind::NetworkBitsPerSecond,
        Resource::DiskIops => types::ResourceKind::DiskIops,
        Resource::StorageBytes => types::ResourceKind::StorageBytes,
        Resource::RequestsPerSecond => types::ResourceKind::RequestsPerSecond,
    }
}

const fn resource_of(kind: types::ResourceKind) -> Resource {
    match kind {
        types::ResourceKind::CpuCores => Resource::CpuCores,
        types::ResourceKind::MemoryBytes => Resource::MemoryBytes,
        types::ResourceKind::GpuCount => Resource::GpuCount,
        types::ResourceKind::NetworkBitsPerSecond => Resource::NetworkBitsPerSecond,
        types::ResourceKind::DiskIops => Resource::DiskIops,
        types::ResourceKind::StorageBytes => Resource::StorageBytes,
        types::ResourceKind::RequestsPerSecond => Resource::RequestsPerSecond,
    }
}

/// Converts quantities to the contract.
#[must_use]
pub fn quantities(all: &Quantities) -> Vec<types::Quantity> {
    all.iter().map(|(r, amount)| types::Quantity { kind: resource(r), amount }).collect()
}

/// Converts a window to the contract.
#[must_use]
pub const fn window(window: Window) -> types::Window {
    types::Window { start_ms: window.start.as_millis(), end_ms: window.end.as_millis() }
}

/// Converts a tier to the contract.
#[must_use]
pub const fn tier(tier: Tier) -> types::Tier {
    match tier {
        Tier::Gold => types::Tier::Gold,
        Tier::Silver => types::Tier::Silver,
        Tier::Bronze => types::Tier::Bronze,
    }
}

/// Converts a tier from the contract.
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

const fn strength(strength: Strength) -> answering::Strength {
    match strength {
        Strength::Mandatory => answering::Strength::Mandatory,
        Strength::Optional => answering::Strength::Optional,
        Strength::BestEffort => answering::Strength::BestEffort,
    }
}

/// Converts a series to the contract. Loads are never negative, and neither are their forecasts. All NaNs
/// become the same bits, so that a plugin cannot distinguish them and a replay sees the same input.
#[must_use]
pub fn series(id: &str, series: &Series) -> types::Series {
    let canonical = |value: &f64| if value.is_finite() { *value } else { f64::NAN };
    let end = series.end().as_millis();
    types::Series {
        id: id.to_owned(),
        last_at_ms: end.saturating_sub(series.step.as_millis()),
        step_ms: series.step.as_millis(),
        values: series.values.iter().map(canonical).collect(),
        non_negative: true,
    }
}

/// Converts calendar events to the contract, with the occurrences that overlap the window.
#[must_use]
pub fn events_within<'a>(
    all: impl Iterator<Item = &'a CalendarEvent>,
    within: Window,
) -> Vec<types::CalendarEvent> {
    let times = |event: &'a CalendarEvent| {
        let touching = event.windows().filter(move |time| time.overlaps(&within));
        touching.map(|time| types::CalendarEvent {
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

/// Converts a plugin's outlook for a series; the outlook begins where the series ends.
#[must_use]
pub fn outlook(series: &Series, outlook: forecasting::Outlook) -> Outlook {
    let interval = |interval: forecasting::Interval| Interval {
        level: interval.level,
        lower: interval.bounds.iter().map(|bounds| bounds.lower).collect(),
        upper: interval.bounds.iter().map(|bounds| bounds.upper).collect(),
    };
    Outlook {
        start: series.end(),
        step: series.step,
        mean: outlook.mean,
        intervals: outlook.intervals.into_iter().map(interval).collect(),
        confidence: outlook.confidence,
    }
}

/// Converts an inquiry to the contract.
#[must_use]
pub fn inquiry(inquiry: &Inquiry) -> answering::Inquiry {
    let ask = |(kind, ask): (Resource, Ask)| answering::Ask {
        kind: resource(kind),
        requested: ask.requested,
        capacity: ask.capacity,
        committed: ask.committed,
        agreed: ask.agreed,
        sustainable: ask.sustainable,
    };
    answering::Inquiry {
        session: inquiry.session.clone(),
        round: inquiry.round,
        service: inquiry.service.to_string(),
        tier: tier(inquiry.tier),
        requester: inquiry.requester.to_string(),
        purpose: purpose(inquiry.purpose),
        strength: strength(inquiry.strength),
        window: window(inquiry.window),
        asks: inquiry.asks.iter().map(ask).collect(),
    }
}

/// Converts an answer from the contract; the sandbox has checked its amounts.
///
/// # Errors
/// A text that names an invalid amount.
pub fn answer(answer: answering::Answer) -> Result<Answer, String> {
    Ok(match answer {
        answering::Answer::Accept => Answer::Accept,
        answering::Answer::Reject(reason) => Answer::Reject(reason),
        answering::Answer::Counter(offer) => {
            let pairs = offer.quantities.iter().map(|q| (resource_of(q.kind), q.amount));
            let quantities = Quantities::from_pairs(pairs).map_err(|error| error.to_string())?;
            Answer::Counter(Offer { quantities, reason: offer.reason })
        }
    })
}

/// Converts a request to the contract.
#[must_use]
pub fn request(request: &Request) -> market::Request {
    market::Request {
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

/// Converts a provider's inventory of a unit to the contract.
#[must_use]
pub fn compute_unit(inventory: &InventoryUnit) -> selling::ComputeUnit {
    let InventoryUnit { provider, location, unit, free, .. } = inventory;
    let of_one = |(kind, amount): (Resource, f64)| selling::UnitResource {
        kind: resource(kind),
        amount,
        free: free.get(kind),
    };
    selling::ComputeUnit {
        id: unit.id.to_string(),
        provider: provider.to_string(),
        location: location.clone(),
        resources: unit.resources.iter().map(of_one).collect(),
        count: unit.count,
        gpu_type: unit.gpu_type.clone(),
        cost_per_hour: unit.cost_per_hour,
        performance: unit.performance,
        interruption_rate: unit.interruption_rate,
        interruption_notice_ms: unit.interruption_notice.as_millis(),
    }
}

/// Converts a bid to the contract.
#[must_use]
pub fn bid(bid: &Bid) -> market::Bid {
    market::Bid {
        unit: bid.unit.clone(),
        provider: bid.provider.clone(),
        location: bid.location.clone(),
        count: bid.count,
        price_per_hour: bid.price_per_hour,
        performance: bid.performance,
        guarantees: market::Guarantees {
            availability: bid.guarantees.availability,
            interruption_rate: bid.guarantees.interruption_rate,
            interruption_notice_ms: bid.guarantees.interruption_notice.as_millis(),
        },
    }
}

/// Converts a bid from the contract.
#[must_use]
pub fn bid_of(bid: market::Bid) -> Bid {
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
                bid.guarantees.interruption_notice_ms,
            ),
        },
    }
}
