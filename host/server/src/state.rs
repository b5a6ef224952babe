use haggle_model::{Quantities, Service, Span, Tier, Timestamp, Window};
use haggle_plan::{Accuracy, Compliance, Recent};
use serde::{Deserialize, Serialize};

use crate::{models::Model, views::ForecastView};

/// What the host has found out about a service and decided for it.
#[derive(Clone, Debug)]
pub(crate) struct ServiceState {
    /// How many replicas were decided last; the order may still be on its way to the disk.
    pub(crate) replicas: u32,
    /// The newest order that is durable, where there was one since the host started.
    pub(crate) order: Option<Order>,
    pub(crate) tier: Tier,
    pub(crate) tier_since: Timestamp,
    /// The share of the pool that the tier policy gives it.
    pub(crate) share: f64,
    pub(crate) forecast: Option<ForecastView>,
    pub(crate) accuracy: Accuracy,
    pub(crate) model: Option<Model>,
    /// The probability that it fails soon.
    pub(crate) risk: Option<f64>,
    pub(crate) recent: Recent,
    pub(crate) compliance: Compliance,
    /// The load it plans for by itself.
    pub(crate) planned: Quantities,
    /// What was last agreed for it, and until when.
    pub(crate) agreed: Option<Agreed>,
    /// What was asked for from outside, and agreed.
    pub(crate) requested: Option<Requested>,
    /// A lease of it ends before the agreement: it has to negotiate for another.
    pub(crate) lost: bool,
    /// Replicas that were agreed for later, by when.
    pub(crate) scheduled: Vec<Scheduled>,
    /// What was last asked for in vain, at least in part, and until when it is not asked for again.
    pub(crate) refused: Option<Refused>,
}

/// An order to scale.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    /// How many replicas.
    pub(crate) to: u32,
    /// The place of its decision in the journal.
    pub(crate) sequence: u64,
}

/// A load beyond what the service has promised to others, until when it is agreed, and how long before that
/// it is negotiated for again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Agreed {
    pub(crate) load: Quantities,
    pub(crate) until: Timestamp,
    #[serde(default)]
    pub(crate) renew_before: Span,
}

/// A load beyond what the service has promised to others that somebody asked for: it plans for no less within
/// the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Requested {
    pub(crate) load: Quantities,
    pub(crate) window: Window,
    /// It goes on beyond the window as long as nothing else says what the service needs. Whoever asks for a
    /// certain time wants it for that time.
    pub(crate) goes_on: bool,
}

/// A load that was asked for in vain, and until when it is not asked for again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) load: Quantities,
    pub(crate) until: Timestamp,
}

/// What an agreement about a later window comes to for one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scheduled {
    pub(crate) at: Timestamp,
    pub(crate) replicas: u32,
    pub(crate) load: Quantities,
    pub(crate) negotiation: String,
    /// What holds for whoever negotiated it from then on; none for what others have promised to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agreed: Option<Agreed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) requested: Option<Requested>,
}

/// The part of the state that outlives the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredStanding {
    pub(crate) replicas: u32,
    pub(crate) tier: Tier,
    pub(crate) tier_since: Timestamp,
    pub(crate) planned: Quantities,
    pub(crate) agreed: Option<Agreed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) requested: Option<Requested>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) scheduled: Vec<Scheduled>,
}

impl ServiceState {
    pub(crate) fn new(service: &Service, now: Timestamp) -> Self {
        Self {
            replicas: service.replicas.min,
            order: None,
            tier: service.tier,
            tier_since: now,
            share: 0.0,
            forecast: None,
            accuracy: Accuracy::default(),
            model: None,
            risk: None,
            recent: Recent::default(),
            compliance: Compliance::default(),
            planned: Quantities::new(),
            agreed: None,
            requested: None,
            lost: false,
            scheduled: Vec::new(),
            refused: None,
        }
    }

    pub(crate) fn restored(
        service: &Service,
        standing: Option<StoredStanding>,
        now: Timestamp,
    ) -> Self {
        let new = Self::new(service, now);
        let Some(standing) = standing else { return new };
        let StoredStanding { replicas, tier, tier_since, planned, .. } = standing;
        let StoredStanding { agreed, requested, scheduled, .. } = standing;
        Self { replicas, tier, tier_since, planned, agreed, requested, scheduled, ..new }
    }

    /// A lease of it ends before its time: it negotiates for another at the next turn.
    pub(crate) fn lose(&mut self) {
        self.lost = true;
        self.refused = None;
    }

    pub(crate) fn stored(&self) -> StoredStanding {
        StoredStanding {
            replicas: self.replicas,
            tier: self.tier,
            tier_since: self.tier_since,
            planned: self.planned.clone(),
            agreed: self.agreed.clone(),
            requested: self.requested.clone(),
            scheduled: self.scheduled.clone(),
        }
    }
}

impl Agreed {
    /// Whether it ends so soon that it is negotiated for again.
    pub(crate) fn is_ending(&self, now: Timestamp) -> bool {
        self.until.before(self.renew_before) <= now
    }
}

impl Requested {
    /// Whether it counts, given whether anything else says what the service needs.
    pub(crate) fn counts(&self, now: Timestamp, is_known: bool) -> bool {
        now < self.window.end || (self.goes_on && !is_known)
    }
}
