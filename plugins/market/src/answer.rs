use haggle_sdk::{
    Fault,
    answering::{Answer, Ask, Inquiry, Offer},
    types::{Purpose, Quantity},
};

use crate::{
    Configuration,
    amounts::{check, name},
};

/// Shortfalls below this share of what was requested are rounding errors of the requester.
const ROUNDING: f64 = 1e-9;

/// How much of one ask a service can carry, and why it cannot carry more.
struct Limit<'a> {
    ask: &'a Ask,
    carries: f64,
    because: String,
}

/// Answers one inquiry. A service promises at most its capacity minus its commitments to others and its reserve,
/// and at most what its own dependencies sustain. The requester keeps what is already agreed. If the configuration
/// withholds a share, the service concedes it from round to round, by the polynomial time-dependent tactic of
/// Faratin, Sierra & Jennings ("Negotiation decision functions for autonomous agents", 1998). A counter-offer keeps
/// the proportion of the requested resources, because a part of one is of no use without the others.
///
/// # Errors
/// [`Fault::InvalidInput`] when an amount is negative or not finite.
pub fn answer(inquiry: &Inquiry, configuration: &Configuration) -> Result<Answer, Fault> {
    for ask in &inquiry.asks {
        for (field, amount) in [
            ("requested", ask.requested),
            ("capacity", ask.capacity),
            ("committed", ask.committed),
            ("agreed", ask.agreed),
            ("sustainable", ask.sustainable),
        ] {
            check(&format!("asks.{field}"), ask.kind, amount)?;
        }
    }
    let limits = inquiry.asks.iter().filter(|ask| ask.requested > 0.0);
    let limits = limits.map(|ask| limit(inquiry, ask, configuration));
    let share = |limit: &Limit<'_>| limit.carries / limit.ask.requested;
    let Some(tightest) = limits.min_by(|a, b| share(a).total_cmp(&share(b))) else {
        return Ok(Answer::Accept);
    };
    let part = share(&tightest).min(1.0);
    if part >= 1.0 - ROUNDING {
        return Ok(Answer::Accept);
    }
    let can = format!(
        "{} can carry {} of {} {}",
        inquiry.service,
        rounded(tightest.carries),
        rounded(tightest.ask.requested),
        name(tightest.ask.kind)
    );
    let because = tightest.because;
    let holds_some = inquiry.asks.iter().any(|ask| ask.agreed > 0.0);
    if part <= 0.0 || (part < configuration.smallest_offer && !holds_some) {
        return Ok(Answer::Reject(format!("{can}, which is not worth an agreement: {because}")));
    }
    let scaled =
        |ask: &Ask| Quantity { kind: ask.kind, amount: (ask.requested * part).min(ask.requested) };
    Ok(Answer::Counter(Offer {
        quantities: inquiry.asks.iter().map(scaled).collect(),
        reason: format!("{can}: {because}"),
    }))
}

fn limit<'a>(inquiry: &Inquiry, ask: &'a Ask, configuration: &Configuration) -> Limit<'a> {
    let reserve = match inquiry.purpose {
        Purpose::FailureAvoidance => 0.0,
        _ => ask.capacity * configuration.reserve.of(inquiry.tier),
    };
    let left = (ask.capacity - ask.committed).max(0.0);
    let free = (left - reserve).max(0.0) * (1.0 - withheld(inquiry, configuration));
    let own = free.max(ask.agreed.min(left)).max(0.0);
    if ask.sustainable < own {
        let because = format!("its dependencies sustain {}", rounded(ask.sustainable));
        return Limit { ask, carries: ask.sustainable, because };
    }
    let because = format!(
        "of a capacity of {}, {} are committed to others and {} held back",
        rounded(ask.capacity),
        rounded(ask.committed),
        rounded((left - own).max(0.0))
    );
    Limit { ask, carries: own, because }
}

/// The share of its free capacity that the service withholds in this round. It withholds nothing from a request
/// that is to avoid a failure.
fn withheld(inquiry: &Inquiry, configuration: &Configuration) -> f64 {
    if inquiry.purpose == Purpose::FailureAvoidance {
        return 0.0;
    }
    let passed = f64::from(inquiry.round.max(1) - 1);
    let rounds = (configuration.last_round - 1.0).max(f64::MIN_POSITIVE);
    let conceded = (passed / rounds).min(1.0).powf(1.0 / configuration.eagerness);
    let conceded = if configuration.last_round <= 1.0 { 1.0 } else { conceded };
    configuration.withhold * (1.0 - conceded)
}

/// The amount with as many digits as a reader needs.
fn rounded(amount: f64) -> String {
    let digits = if amount < 10.0 { 2 } else { 0 };
    format!("{amount:.digits$}")
}
