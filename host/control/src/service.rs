//! The state of a service in the core.

use std::sync::Arc;

use haggle_model::{Quantities, Service, Span, Tier, Timestamp, Window};
use haggle_plan::{Compliance, Recent};
use serde::{Deserialize, Serialize};

use crate::observation::Forecast;

/// The state of a service: observations and decisions.
#[derive(Clone, Debug)]
pub struct ServiceState {
    /// The decided number of replicas.
    pub replicas: u32,
    /// The sequence of that decision in the journal; 0 before the first.
    pub sequence: u64,
    /// The replicas that the driver reports, as (desired, ready).
    pub seen: Option<(u32, u32)>,
    /// The current tier.
    pub tier: Tier,
    /// The time at which it got that tier.
    pub tier_since: Timestamp,
    /// The share of the pool that the tier plugin assigns, 0 to 1.
    pub share: f64,
    /// The latest forecast of its load.
    pub forecast: Option<Arc<Forecast>>,
    /// The measured load of the last step, with the time of its newest sample.
    pub observed: Option<(Timestamp, f64)>,
    /// The number of steps of the policy that the load is known for.
    pub known_steps: usize,
    /// The probability of a failure soon, 0 to 1.
    pub risk: Option<f64>,
    /// The failure alarm.
    pub alarm: Alarm,
    /// The compliance with its objective.
    pub compliance: Compliance,
    /// The load that the service plans for.
    pub planned: Quantities,
    /// The highest targets within the stabilization window.
    pub(crate) recent: Recent,
    /// The latest agreement of the service.
    pub(crate) agreed: Option<Agreed>,
    /// The current claims of scaling requests.
    pub(crate) claims: Vec<Claim>,
    /// The changes that were agreed for later.
    pub(crate) scheduled: Vec<Scheduled>,
    /// The number of replicas before a claim that has ended. The service returns to that number, or to its
    /// current need, even if another rule would prevent scaling in.
    pub(crate) return_to: Option<u32>,
    /// Whether a lease ends before its agreement, so that the service must negotiate for another.
    pub(crate) lost: bool,
    /// The latest request that was refused, at least in part.
    pub(crate) refusal: Option<Refusal>,
}

/// The failure alarm of a service. It stays raised until the risk has been clearly below the threshold for
/// a while, so that a risk which oscillates around the threshold has no effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alarm {
    /// The time at which the alarm was raised.
    pub raised: Option<Timestamp>,
    /// The time since which the risk has been clearly below the threshold.
    pub(crate) calm_since: Option<Timestamp>,
}

/// The alarm clears once the risk stays below this fraction of the threshold.
const CALM: f64 = 0.8;

/// An agreed load beyond the promises to others, and its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Agreed {
    pub(crate) load: Quantities,
    pub(crate) until: Timestamp,
    /// The time before `until` at which the load is negotiated again.
    pub(crate) renew_before: Span,
}

/// A load beyond the promises to others that a scaling request was granted. Within the window, the service
/// plans for no less. For a service that carries a promise for the requester, the load is zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// The scaling request.
    pub(crate) request: String,
    /// The index of the window.
    pub(crate) part: usize,
    /// The latest negotiation that agreed to it.
    pub(crate) session: String,
    pub(crate) load: Quantities,
    pub(crate) window: Window,
    /// Whether the claim continues after the window while the need of the service is unknown.
    pub(crate) open_ended: bool,
    /// The number of replicas before the claim.
    pub(crate) before: u32,
}

/// A refused load, and the time before which it is not requested again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) load: Quantities,
    pub(crate) until: Timestamp,
}

/// The scheduled effect of an agreement on one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scheduled {
    pub(crate) at: Timestamp,
    /// The end, if it is known.
    pub(crate) until: Option<Timestamp>,
    pub(crate) replicas: u32,
    /// The number of replicas that had a lease throughout the window when the largest amount was agreed.
    pub(crate) leased: u32,
    pub(crate) load: Quantities,
    /// The latest negotiation that agreed to it.
    pub(crate) session: String,
    /// The time before which it is not negotiated again. A restart retries at once.
    #[serde(skip)]
    pub(crate) again: Timestamp,
    /// The agreed load of the requester from then on; `None` for a service that promised something to the
    /// requester.
    pub(crate) agreed: Option<Agreed>,
    pub(crate) claim: Option<Claim>,
}

/// The part of a service's state that outlives the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredService {
    pub(crate) replicas: u32,
    pub(crate) sequence: u64,
    pub(crate) tier: Tier,
    pub(crate) tier_since: Timestamp,
    pub(crate) planned: Quantities,
    pub(crate) recent: Recent,
    pub(crate) agreed: Option<Agreed>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) claims: Vec<Claim>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) scheduled: Vec<Scheduled>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) return_to: Option<u32>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) lost: bool,
}

impl ServiceState {
    pub(crate) fn new(service: &Service, now: Timestamp) -> Self {
        Self {
            replicas: service.replicas.min,
            sequence: 0,
            seen: None,
            tier: service.tier,
            tier_since: now,
            share: 0.0,
            forecast: None,
            observed: None,
            known_steps: 0,
            risk: None,
            alarm: Alarm::default(),
            compliance: Compliance::default(),
            planned: Quantities::new(),
            recent: Recent::default(),
            agreed: None,
            claims: Vec::new(),
            scheduled: Vec::new(),
            return_to: None,
            lost: false,
            refusal: None,
        }
    }

    pub(crate) fn restored(service: &Service, stored: StoredService, now: Timestamp) -> Self {
        let StoredService { replicas, sequence, tier, tier_since, planned, .. } = stored;
        let StoredService { recent, agreed, claims, scheduled, return_to, lost, .. } = stored;
        let mut state = Self {
            replicas: replicas.clamp(service.replicas.min, service.replicas.max),
            sequence,
            tier,
            tier_since,
            planned,
            recent,
            agreed,
            claims,
            scheduled,
            return_to,
            lost,
            ..Self::new(service, now)
        };
        // The clock may have gone back in the meantime.
        state.forget_after(now);
        state
    }

    /// Drops what was noted for a future time after the clock went back to `now`.
    pub(crate) fn forget_after(&mut self, now: Timestamp) {
        self.recent.forget_after(now);
        self.refusal = None;
        self.tier_since = self.tier_since.min(now);
        self.alarm.raised = self.alarm.raised.map(|at| at.min(now));
        self.alarm.calm_since = self.alarm.calm_since.map(|at| at.min(now));
        self.observed = self.observed.filter(|(at, _)| *at <= now);
        self.forecast = self.forecast.take().filter(|forecast| forecast.at <= now);
        for later in &mut self.scheduled {
            later.again = later.again.min(now);
        }
    }

    pub(crate) fn stored(&self) -> StoredService {
        StoredService {
            replicas: self.replicas,
            sequence: self.sequence,
            tier: self.tier,
            tier_since: self.tier_since,
            planned: self.planned.clone(),
            recent: self.recent.clone(),
            agreed: self.agreed.clone(),
            claims: self.claims.clone(),
            scheduled: self.scheduled.clone(),
            return_to: self.return_to,
            lost: self.lost,
        }
    }

    /// Whether its load is measured or forecast.
    pub(crate) fn is_observed(&self) -> bool {
        self.observed.is_some() || self.forecast.as_ref().is_some_and(|f| f.outlook.is_ok())
    }

    /// Marks that a lease ends early; the service negotiates for another at once.
    pub(crate) fn lose(&mut self) {
        self.lost = true;
        self.refusal = None;
    }

    /// The time at which the next scheduled change begins.
    pub(crate) fn next_begin(&self, now: Timestamp) -> Option<Timestamp> {
        self.scheduled.iter().map(|later| later.at).filter(|at| *at > now).min()
    }

    /// The window up to the beginning of the next scheduled change.
    pub(crate) fn until_next_begin(&self, window: Window) -> Window {
        let end = self.next_begin(window.start).map_or(window.end, |at| at.min(window.end));
        Window { end, ..window }
    }

    /// The number of replicas without the claims that have a fixed end.
    pub(crate) fn underlying(&self) -> u32 {
        let definite = self.claims.iter().filter(|claim| !claim.open_ended);
        definite.map(|claim| claim.before).fold(self.replicas, u32::min)
    }

    /// The end of all claims, if every claim has a fixed end.
    pub(crate) fn claims_end(&self) -> Option<Timestamp> {
        let definite = self.claims.iter().all(|claim| !claim.open_ended);
        self.claims.iter().map(|claim| claim.window.end).max().filter(|_| definite)
    }

    /// The maximum over the loads of all claims.
    pub(crate) fn claimed(&self) -> Option<Quantities> {
        let loads = self.claims.iter().map(|claim| claim.load.clone());
        loads.reduce(|most, load| most.max(&load))
    }

    /// Adds a claim that begins now. It replaces earlier claims, except those that last longer and request
    /// no more.
    pub(crate) fn claim(&mut self, mut new: Claim) {
        let replaced = |old: &mut Claim| {
            let beyond = !old.open_ended && old.window.end > new.window.end;
            !(old.load.is_zero() || beyond && new.load.covers(&old.load))
        };
        let replaced: Vec<Claim> = self.claims.extract_if(.., replaced).collect();
        new.before = replaced.iter().map(|old| old.before).fold(new.before, u32::min);
        self.claims.push(new);
    }

    /// Drops claims that are over or cancelled. Returns whether there were any.
    pub(crate) fn end_claims(&mut self, is_over: impl Fn(&Claim) -> bool) -> bool {
        let before = self.underlying();
        let ended: Vec<Claim> = self.claims.extract_if(.., |claim| is_over(claim)).collect();
        if ended.is_empty() {
            return false;
        }
        self.return_to = Some(ended.iter().map(|claim| claim.before).fold(before, u32::min));
        true
    }

    /// Records a risk. Raises the alarm at the threshold, and clears it once the risk has been clearly
    /// below for `calm`. Returns whether the alarm was raised just now.
    pub(crate) fn assess(
        &mut self,
        risk: Option<f64>,
        threshold: f64,
        calm: Span,
        now: Timestamp,
    ) -> bool {
        self.risk = risk;
        let risk = risk.unwrap_or(0.0);
        let Alarm { raised, calm_since } = &mut self.alarm;
        if risk >= threshold {
            *calm_since = None;
            return raised.replace(raised.unwrap_or(now)).is_none();
        }
        if raised.is_some() {
            if risk >= threshold * CALM {
                *calm_since = None;
            } else if now.since(*calm_since.get_or_insert(now)) >= calm {
                self.alarm = Alarm::default();
            }
        }
        false
    }
}

impl Claim {
    /// Whether the claim counts, given whether the need of the service is otherwise known.
    pub(crate) fn counts(&self, now: Timestamp, is_known: bool) -> bool {
        now < self.window.end || (self.open_ended && !is_known)
    }

    /// Whether the claim belongs to that window of that request.
    pub(crate) fn is_of(&self, request: &str, part: usize) -> bool {
        self.request == request && self.part == part
    }
}

impl Agreed {
    /// Whether the agreement ends so soon that it must be negotiated again.
    pub(crate) fn is_ending(&self, now: Timestamp) -> bool {
        self.until.before(self.renew_before) <= now
    }
}

#[cfg(test)]
mod tests {
    use haggle_model::{Span, Timestamp};

    use super::ServiceState;
    use crate::testing::service;

    #[test]
    fn an_alarm_outlasts_a_risk_that_crosses_its_threshold_back_and_forth() {
        let mut state = ServiceState::new(&service("web"), Timestamp::default());
        let calm = Span::from_secs(60);
        let mut raised = 0;
        for second in 0..600_u64 {
            let risk = if second % 30 < 15 { 0.51 } else { 0.49 };
            let now = Timestamp::from_millis(second * 1000);
            raised += u32::from(state.assess(Some(risk), 0.5, calm, now));
        }
        assert_eq!((raised, state.alarm.raised), (1, Some(Timestamp::default())));
        for second in 600..660_u64 {
            state.assess(Some(0.1), 0.5, calm, Timestamp::from_millis(second * 1000));
            assert!(state.alarm.raised.is_some());
        }
        state.assess(Some(0.1), 0.5, calm, Timestamp::from_millis(660_000));
        assert_eq!(state.alarm.raised, None);
    }
}
