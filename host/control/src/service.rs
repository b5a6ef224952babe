//! What the core knows of a service and has decided for it.

use std::sync::Arc;

use haggle_model::{Quantities, Service, Span, Tier, Timestamp, Window};
use haggle_plan::{Compliance, Recent};
use serde::{Deserialize, Serialize};

use crate::observation::Forecast;

/// What the core knows of a service and has decided for it.
#[derive(Clone, Debug)]
pub struct ServiceState {
    /// How many replicas were decided last.
    pub replicas: u32,
    /// The place of that decision in the journal; 0 before the first.
    pub sequence: u64,
    /// How many replicas the driver sees: (desired, ready).
    pub seen: Option<(u32, u32)>,
    /// Its tier as of now.
    pub tier: Tier,
    /// Since when it has that.
    pub tier_since: Timestamp,
    /// The share of the pool that the tier plugin gives it, 0 to 1.
    pub share: f64,
    /// The latest forecast of its load.
    pub forecast: Option<Arc<Forecast>>,
    /// The load that was measured last, and when.
    pub observed: Option<(Timestamp, f64)>,
    /// The probability that it fails soon, 0 to 1.
    pub risk: Option<f64>,
    /// Whether it counts as likely to fail.
    pub alarm: Alarm,
    /// How well its objective was kept.
    pub compliance: Compliance,
    /// The load that it plans for by itself.
    pub planned: Quantities,
    /// The highest targets of the stabilization window.
    pub(crate) recent: Recent,
    /// What was last agreed for it.
    pub(crate) agreed: Option<Agreed>,
    /// Loads that scaling requests claim now.
    pub(crate) claims: Vec<Claim>,
    /// What was agreed for later.
    pub(crate) scheduled: Vec<Scheduled>,
    /// How many replicas it had before a claim that has ended. It returns to that, or to what it needs by
    /// now, whatever else keeps it from being scaled in.
    pub(crate) return_to: Option<u32>,
    /// One of its leases ends before its agreement: it has to negotiate for another.
    pub(crate) lost: bool,
    /// What was last asked for in vain, at least in part.
    pub(crate) refusal: Option<Refusal>,
}

/// Whether a service counts as likely to fail. It stays so until the risk has been clearly below the
/// threshold for a while, so that a risk which crosses the threshold back and forth changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alarm {
    /// Since when the alarm is raised.
    pub raised: Option<Timestamp>,
    /// Since when the risk has been clearly below the threshold.
    pub(crate) calm_since: Option<Timestamp>,
}

/// The alarm is lowered once the risk stays below this part of the threshold.
const CALM: f64 = 0.8;

/// A load beyond what the service has promised to others, and until when it is agreed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Agreed {
    pub(crate) load: Quantities,
    pub(crate) until: Timestamp,
    /// How long before `until` it is negotiated again.
    pub(crate) renew_before: Span,
}

/// A load beyond what the service has promised to others that a scaling request was granted. The service
/// plans for no less within the window. Where it carries a promise for the requester, the load is zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// The scaling request.
    pub(crate) request: String,
    /// Which of its windows.
    pub(crate) part: usize,
    /// The negotiation in which it was agreed last.
    pub(crate) session: String,
    pub(crate) load: Quantities,
    pub(crate) window: Window,
    /// It goes on beyond the window as long as nothing else says what the service needs.
    pub(crate) open_ended: bool,
    /// How many replicas the service had before.
    pub(crate) before: u32,
}

/// A load that was asked for in vain, and until when it is not asked for again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) load: Quantities,
    pub(crate) until: Timestamp,
}

/// What an agreement about a later window means for one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scheduled {
    pub(crate) at: Timestamp,
    /// When it is over, where that is known.
    pub(crate) until: Option<Timestamp>,
    pub(crate) replicas: u32,
    /// How many replicas had a lease throughout when most of it was agreed.
    pub(crate) leased: u32,
    pub(crate) load: Quantities,
    /// The negotiation in which it was agreed last.
    pub(crate) session: String,
    /// Until then it is not negotiated again. A restart tries at once.
    #[serde(skip)]
    pub(crate) again: Timestamp,
    /// What holds for the requester from then on; none for a service that has promised something to it.
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
        let StoredService { recent, agreed, claims, scheduled, .. } = stored;
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
            ..Self::new(service, now)
        };
        // The clock may have gone back meanwhile.
        state.forget_after(now);
        state
    }

    /// Drops what was noted for a time that lies ahead, after the clock went back to `now`.
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
        }
    }

    /// Whether its load is measured or forecast.
    pub(crate) fn is_observed(&self) -> bool {
        self.observed.is_some() || self.forecast.as_ref().is_some_and(|f| f.outlook.is_ok())
    }

    /// A lease ends before its time: the service negotiates for another at once.
    pub(crate) fn lose(&mut self) {
        self.lost = true;
        self.refusal = None;
    }

    /// When what was agreed for later begins next.
    pub(crate) fn next_begin(&self, now: Timestamp) -> Option<Timestamp> {
        self.scheduled.iter().map(|later| later.at).filter(|at| *at > now).min()
    }

    /// The window as far as nothing begins in it that was agreed for later.
    pub(crate) fn until_next_begin(&self, window: Window) -> Window {
        let end = self.next_begin(window.start).map_or(window.end, |at| at.min(window.end));
        Window { end, ..window }
    }

    /// How many replicas it has without the claims that end at a certain time.
    pub(crate) fn underlying(&self) -> u32 {
        let definite = self.claims.iter().filter(|claim| !claim.open_ended);
        definite.map(|claim| claim.before).fold(self.replicas, u32::min)
    }

    /// When all claims are over, where that is certain.
    pub(crate) fn claims_end(&self) -> Option<Timestamp> {
        let definite = self.claims.iter().all(|claim| !claim.open_ended);
        self.claims.iter().map(|claim| claim.window.end).max().filter(|_| definite)
    }

    /// The load that the claims come to: the highest of them.
    pub(crate) fn claimed(&self) -> Option<Quantities> {
        let loads = self.claims.iter().map(|claim| claim.load.clone());
        loads.reduce(|most, load| most.max(&load))
    }

    /// Adds a claim that begins now. It takes the place of earlier claims, but for those that last longer and
    /// ask for no more.
    pub(crate) fn claim(&mut self, mut new: Claim) {
        let replaced = |old: &mut Claim| {
            let beyond = !old.open_ended && old.window.end > new.window.end;
            !(old.load.is_zero() || beyond && new.load.covers(&old.load))
        };
        let replaced: Vec<Claim> = self.claims.extract_if(.., replaced).collect();
        new.before = replaced.iter().map(|old| old.before).fold(new.before, u32::min);
        self.claims.push(new);
    }

    /// Drops claims that are over or cancelled; whether there were any.
    pub(crate) fn end_claims(&mut self, is_over: impl Fn(&Claim) -> bool) -> bool {
        let before = self.underlying();
        let ended: Vec<Claim> = self.claims.extract_if(.., |claim| is_over(claim)).collect();
        if ended.is_empty() {
            return false;
        }
        self.return_to = Some(ended.iter().map(|claim| claim.before).fold(before, u32::min));
        true
    }

    /// Takes in a risk: raises the alarm at the threshold, lowers it once the risk has been clearly below for
    /// `calm`. Returns whether the alarm was raised just now.
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
    /// Whether it counts, given whether anything else says what the service needs.
    pub(crate) fn counts(&self, now: Timestamp, is_known: bool) -> bool {
        now < self.window.end || (self.open_ended && !is_known)
    }

    /// Whether it is of that window of that request.
    pub(crate) fn is_of(&self, request: &str, part: usize) -> bool {
        self.request == request && self.part == part
    }
}

impl Agreed {
    /// Whether it ends so soon that it is negotiated again.
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
