use haggle_sdk::{
    tiering::{Objective, ServiceState},
    types::Tier,
};

use crate::Configuration;

/// The tier that a service should have, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The tier.
    pub tier: Tier,
    /// The reason, as a text for people.
    pub reason: String,
}

/// The urgency of a service: its weight times the sum of two parts.
///
/// - Objective, 0 to 1: `b / (1 + b)` of the burn rate `b`, which is ½ where the error budget is used up
///   exactly at the end of its window; at least ½ where the objective is missed already.
/// - Growth, 0 to `growth`: the part of the forecast peak that the latest load does not reach.
#[must_use]
pub fn urgency(service: &ServiceState, configuration: &Configuration) -> f64 {
    let objective = match &service.objective {
        None => configuration.no_objective,
        Some(objective) => {
            let burnt = objective.burn_rate / (1.0 + objective.burn_rate);
            if is_missed(objective) { burnt.max(0.5) } else { burnt }
        }
    };
    let beyond = service.forecast_upper - service.load;
    let growth = if beyond > 0.0 { beyond / service.forecast_upper } else { 0.0 };
    (service.weight * (objective + configuration.growth * growth)).min(f64::MAX)
}

/// Decides the tier of a service at `now_ms`, in milliseconds since the epoch. The service keeps each tier for a
/// minimum time, and is lowered only when its urgency falls clearly below the threshold, so that it does not flap.
#[must_use]
pub fn decide(service: &ServiceState, now_ms: u64, configuration: &Configuration) -> Decision {
    let urgency = urgency(service, configuration);
    let current = service.tier;
    let dwelt_s = now_ms.saturating_sub(service.since_ms) / 1000;
    let why = explain(service, urgency);
    let keep = |because: String| Decision { tier: current, reason: format!("{why}; {because}") };

    let raised = tier_at(urgency, configuration);
    if rank(raised) > rank(current) {
        let burning = service.objective.iter().any(|o| o.burn_rate >= configuration.fast_burn);
        if dwelt_s < configuration.raise_after_s && !burning {
            let wait = configuration.raise_after_s - dwelt_s;
            return keep(format!("{} in {wait} s if it lasts", name(raised)));
        }
        return Decision { tier: raised, reason: format!("{why}; raised from {}", name(current)) };
    }
    let lowered = tier_at(urgency + configuration.margin, configuration);
    if rank(lowered) < rank(current) {
        if dwelt_s < configuration.lower_after_s {
            let wait = configuration.lower_after_s - dwelt_s;
            return keep(format!("{} in {wait} s if it lasts", name(lowered)));
        }
        return Decision {
            tier: lowered,
            reason: format!("{why}; lowered from {}", name(current)),
        };
    }
    keep(format!("stays {}", name(current)))
}

fn is_missed(objective: &Objective) -> bool {
    objective.compliance < objective.target
}

fn tier_at(urgency: f64, configuration: &Configuration) -> Tier {
    if urgency >= configuration.gold {
        Tier::Gold
    } else if urgency >= configuration.silver {
        Tier::Silver
    } else {
        Tier::Bronze
    }
}

fn rank(tier: Tier) -> u8 {
    match tier {
        Tier::Gold => 2,
        Tier::Silver => 1,
        Tier::Bronze => 0,
    }
}

fn name(tier: Tier) -> &'static str {
    match tier {
        Tier::Gold => "gold",
        Tier::Silver => "silver",
        Tier::Bronze => "bronze",
    }
}

fn explain(service: &ServiceState, urgency: f64) -> String {
    let objective = match &service.objective {
        None => "no objective".to_owned(),
        Some(objective) => format!(
            "{} of {:.4} ({:.4}), burn rate {:.2}",
            if is_missed(objective) { "misses its objective" } else { "keeps its objective" },
            objective.target,
            objective.compliance,
            objective.burn_rate
        ),
    };
    format!("{objective}, weight {}: urgency {urgency:.2}", service.weight)
}
