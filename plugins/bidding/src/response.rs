use haggle_sdk::{
    Fault,
    bidding::{Answer, Inquiry, Offer},
    types::{Purpose, Quantity},
};

use crate::{
    Configuration,
    amounts::{amount, name, validate},
};

/// Shortfalls below this share of what was asked are rounding errors of whoever asked.
const ROUNDING: f64 = 1e-9;

/// What a service can carry of one resource, and what keeps it from more.
struct Limit<'a> {
    asked: &'a Quantity,
    carries: f64,
    because: String,
}

/// Answers one inquiry. A service promises what is left of its capacity after its commitments to others
/// and its reserve, and no more than its own dependencies sustain; what the requester holds already
/// stays his. A strategy that withholds concedes from round to round, by the polynomial time-dependent
/// tactic of Faratin, Sierra & Jennings ("Negotiation decision functions for autonomous agents", 1998). It carries all resources in the proportion that was asked for, because a part of one is
/// of no use without the others.
///
/// # Errors
/// [`Fault::InvalidInput`] when an amount is negative or not finite.
pub fn answer(inquiry: &Inquiry, configuration: &Configuration) -> Result<Answer, Fault> {
    let (proposal, position) = (&inquiry.proposal, &inquiry.position);
    for (what, quantities) in [
        ("proposal.asks", &proposal.asks),
        ("position.capacity", &position.capacity),
        ("position.committed", &position.committed),
        ("position.agreed", &position.agreed),
        ("position.sustainable", &position.sustainable),
    ] {
        validate(what, quantities)?;
    }
    let limits = proposal.asks.iter().filter(|asked| asked.amount > 0.0);
    let limits = limits.map(|asked| limit(inquiry, asked, configuration));
    let share = |limit: &Limit<'_>| limit.carries / limit.asked.amount;
    let Some(tightest) = limits.min_by(|a, b| share(a).total_cmp(&share(b))) else {
        return Ok(Answer::Accept);
    };
    let part = share(&tightest).min(1.0);
    if part >= 1.0 - ROUNDING {
        return Ok(Answer::Accept);
    }
    let holds_some = position.agreed.iter().any(|agreed| agreed.amount > 0.0);
    if part <= 0.0 || (part < configuration.smallest_offer && !holds_some) {
        return Ok(Answer::Reject(format!(
            "{} can carry {} of {} {}, which is not worth an agreement: {}",
            proposal.service,
            rounded(tightest.carries),
            rounded(tightest.asked.amount),
            name(tightest.asked.resource),
            tightest.because
        )));
    }
    let scaled = |asked: &Quantity| Quantity {
        resource: asked.resource,
        amount: (asked.amount * part).min(asked.amount),
    };
    Ok(Answer::Counter(Offer {
        quantities: proposal.asks.iter().map(scaled).collect(),
        reason: format!(
            "{} can carry {} of {} {}: {}",
            proposal.service,
            rounded(tightest.carries),
            rounded(tightest.asked.amount),
            name(tightest.asked.resource),
            tightest.because
        ),
    }))
}

fn limit<'a>(
    inquiry: &'a Inquiry,
    asked: &'a Quantity,
    configuration: &Configuration,
) -> Limit<'a> {
    let position = &inquiry.position;
    let resource = asked.resource;
    let capacity = amount(&position.capacity, resource).unwrap_or(0.0);
    let committed = amount(&position.committed, resource).unwrap_or(0.0);
    let agreed = amount(&position.agreed, resource).unwrap_or(0.0);
    let reserve = match inquiry.proposal.purpose {
        Purpose::FailureAvoidance => 0.0,
        _ => capacity * configuration.reserve.of(position.tier),
    };
    let left = (capacity - committed).max(0.0);
    let free = (left - reserve).max(0.0) * (1.0 - withheld(inquiry, configuration));
    let own = free.max(agreed.min(left)).max(0.0);
    // Who says nothing about a resource's dependencies has none for it.
    match amount(&position.sustainable, resource) {
        Some(sustainable) if sustainable < own => Limit {
            asked,
            carries: sustainable,
            because: format!("its dependencies sustain {}", rounded(sustainable)),
        },
        _ => Limit {
            asked,
            carries: own,
            because: format!(
                "of a capacity of {}, {} are committed to others and {} held back",
                rounded(capacity),
                rounded(committed),
                rounded((left - own).max(0.0))
            ),
        },
    }
}

/// The share of what could be promised that is not promised yet in this round. What keeps a failure away
/// is not haggled over.
fn withheld(inquiry: &Inquiry, configuration: &Configuration) -> f64 {
    if inquiry.proposal.purpose == Purpose::FailureAvoidance {
        return 0.0;
    }
    let passed = f64::from(inquiry.proposal.round.max(1) - 1);
    let rounds = (configuration.last_round - 1.0).max(f64::MIN_POSITIVE);
    let conceded = (passed / rounds).min(1.0).powf(1.0 / configuration.eagerness);
    let conceded = if configuration.last_round <= 1.0 { 1.0 } else { conceded };
    configuration.withhold * (1.0 - conceded)
}

/// Enough digits for a person.
fn rounded(amount: f64) -> String {
    let digits = if amount < 10.0 { 2 } else { 0 };
    format!("{amount:.digits$}")
}
