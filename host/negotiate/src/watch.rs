//! When an agreement no longer fits, and what is to be negotiated then.

use haggle_model::{
    Lease, LeaseId, LeaseState, NegotiationPolicy, Quantities, Resource, Timestamp, Window,
};
use serde::{Deserialize, Serialize};

use crate::{Demand, Purpose};

/// What is known of a service whose demand was agreed to.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched<'a> {
    /// What was negotiated for.
    pub demand: &'a Demand,
    /// The load that was agreed.
    pub agreed: &'a Quantities,
    /// The leases behind it as they are now.
    pub leases: &'a [Lease],
    /// The load that it carries, or will as far as is known: the larger of both.
    pub used: &'a Quantities,
    /// The probability that it fails soon, where that is assessed.
    pub risk: Option<f64>,
    /// The risk from which on something is done about it.
    pub risk_threshold: f64,
    /// How fast its error budget is spent: 1 spends all of it in just the window of its objective.
    pub burn_rate: Option<f64>,
}

/// Why an agreement is negotiated again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A lease ends before the agreement: its owner took it back, or a higher tier needs it.
    Lost {
        /// The lease.
        lease: LeaseId,
        /// When it ends.
        at: Timestamp,
    },
    /// A failure has become likely.
    Risk {
        /// Its probability.
        risk: f64,
    },
    /// The error budget is spent too fast.
    Burn {
        /// How many times as fast as it may be.
        rate: f64,
    },
    /// More or less is used than was agreed, by more than the band.
    Deviation {
        /// Of what.
        resource: Resource,
        /// How much is used.
        used: f64,
        /// How much was agreed.
        agreed: f64,
    },
    /// The agreement ends soon.
    Ending {
        /// When.
        at: Timestamp,
    },
}

/// Why this agreement is to be negotiated again now, the most urgent reason first; nothing where it is
/// fine. A lease that is over or was given back on purpose is no reason.
#[must_use]
pub fn watch(watched: &Watched<'_>, now: Timestamp) -> Vec<Trigger> {
    let policy = &watched.demand.policy;
    let end = watched.demand.window.end;
    let mut triggers = Vec::new();
    let mut lost: Vec<&Lease> = watched
        .leases
        .iter()
        .filter(|lease| lease.state == LeaseState::Confirmed)
        .filter(|lease| now < lease.window.end && lease.window.end < end)
        .collect();
    lost.sort_by_key(|lease| (lease.window.end, lease.id.clone()));
    triggers.extend(
        lost.into_iter()
            .map(|lease| Trigger::Lost { lease: lease.id.clone(), at: lease.window.end }),
    );
    if let Some(risk) = watched.risk.filter(|risk| *risk >= watched.risk_threshold) {
        triggers.push(Trigger::Risk { risk });
    }
    if let Some(rate) = watched.burn_rate.filter(|rate| *rate >= policy.burn_rate) {
        triggers.push(Trigger::Burn { rate });
    }
    triggers.extend(deviations(watched.agreed, watched.used, policy));
    if now + policy.renew_before >= end {
        triggers.push(Trigger::Ending { at: end });
    }
    triggers
}

/// What is used of each agreed resource outside the band around what was agreed.
fn deviations<'a>(
    agreed: &'a Quantities,
    used: &'a Quantities,
    policy: &'a NegotiationPolicy,
) -> impl Iterator<Item = Trigger> + 'a {
    agreed.iter().filter_map(|(resource, agreed)| {
        let used = used.get(resource);
        let outside = (used - agreed).abs() > policy.band * agreed.max(f64::MIN_POSITIVE);
        outside.then_some(Trigger::Deviation { resource, used, agreed })
    })
}

impl Trigger {
    /// What is negotiated then: the same service, for what it uses now and `headroom` more (as a share of
    /// that) where it is in trouble, over a lease that begins now. Its old agreement is its position: the
    /// ledger knows it, counts it as replaced, and keeps it if nothing better is found.
    #[must_use]
    pub fn renegotiate(
        &self,
        watched: &Watched<'_>,
        session: String,
        headroom: f64,
        now: Timestamp,
    ) -> Demand {
        let old = watched.demand;
        let (purpose, load) = match self {
            Self::Risk { .. } | Self::Burn { .. } => {
                let needed = watched.used.max(watched.agreed).scaled(1.0 + headroom.max(0.0));
                (Purpose::FailureAvoidance, needed)
            }
            Self::Deviation { .. } => (Purpose::Renegotiation, watched.used.clone()),
            Self::Lost { .. } | Self::Ending { .. } => {
                (Purpose::Renegotiation, watched.used.max(watched.agreed))
            }
        };
        // Only what was negotiated for; the service may be measured by more.
        let asked = load.iter().filter(|(resource, _)| old.load.names(*resource));
        Demand {
            session,
            load: Quantities::from_pairs(asked).unwrap_or_default(),
            purpose,
            window: Window::new(now, old.policy.lease),
            started_at: now,
            ..old.clone()
        }
    }

    /// When it must be settled: the notice of a lease that is lost, or the end of the agreement.
    #[must_use]
    pub const fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Lost { at, .. } | Self::Ending { at } => Some(*at),
            Self::Risk { .. } | Self::Burn { .. } | Self::Deviation { .. } => None,
        }
    }
}

/// How fast an error budget is spent: the share of requests that were bad over the share that may be
/// (Beyer et al., The Site Reliability Workbook, chapter 5). None without requests, or where `target`,
/// the share that must be good, leaves no budget.
#[must_use]
pub fn burn_rate(bad: f64, all: f64, target: f64) -> Option<f64> {
    let budget = 1.0 - target;
    let valid = all > 0.0 && budget > 0.0 && bad >= 0.0;
    valid.then(|| (bad / all) / budget).filter(|rate| rate.is_finite())
}

#[cfg(test)]
mod tests;
