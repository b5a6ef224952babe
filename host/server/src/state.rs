use haggle_model::{Quantities, Service, Span, Tier, Timestamp, Window};
use haggle_plan::{Accuracy, Compliance, Recent};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{persistence::models::Model, views::ForecastView};

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
    /// What was asked for from outside, agreed, and has begun.
    pub(crate) requested: Vec<Requested>,
    /// How many replicas it had before something was asked for that is over. It goes back to that, or to what
    /// it needs by now, whatever keeps it from being scaled in otherwise.
    pub(crate) back_to: Option<u32>,
    /// A lease of it ends before the agreement: it has to negotiate for another.
    pub(crate) lost: bool,
    /// What was agreed for later.
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
/// the window. Where somebody asked for what the service has promised, that load is zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Requested {
    /// Which negotiation it was agreed in.
    #[serde(default)]
    pub(crate) negotiation: String,
    /// Those in which it was agreed before, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) earlier: Vec<String>,
    pub(crate) load: Quantities,
    pub(crate) window: Window,
    /// It goes on beyond the window as long as nothing else says what the service needs. Whoever asks for a
    /// certain time wants it for that time.
    pub(crate) goes_on: bool,
    /// How many replicas the service had before.
    #[serde(default)]
    pub(crate) before: u32,
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
    /// When it is over, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Timestamp>,
    pub(crate) replicas: u32,
    /// How many had a lease throughout when most of it was agreed.
    #[serde(default)]
    pub(crate) leased: u32,
    pub(crate) load: Quantities,
    pub(crate) negotiation: String,
    /// Until then it is not negotiated for again.
    #[serde(default)]
    pub(crate) again: Timestamp,
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
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_several")]
    pub(crate) requested: Vec<Requested>,
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
            requested: Vec::new(),
            back_to: None,
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

    /// When what was agreed for later begins next.
    pub(crate) fn next_begin(&self, now: Timestamp) -> Option<Timestamp> {
        self.scheduled.iter().map(|scheduled| scheduled.at).filter(|at| *at > now).min()
    }

    /// The window as far as nothing begins in it that was agreed for later.
    pub(crate) fn until_next_begin(&self, window: Window) -> Window {
        let end = self.next_begin(window.start).map_or(window.end, |at| at.min(window.end));
        Window { end, ..window }
    }

    /// How many replicas it has but for what was asked for until a certain time.
    pub(crate) fn underlying(&self) -> u32 {
        let definite = self.requested.iter().filter(|requested| !requested.goes_on);
        definite.map(|requested| requested.before).fold(self.replicas, u32::min)
    }

    /// When all that was asked for is over, where that is certain.
    pub(crate) fn requests_end(&self) -> Option<Timestamp> {
        let definite = self.requested.iter().all(|requested| !requested.goes_on);
        let ends = self.requested.iter().map(|requested| requested.window.end);
        ends.max().filter(|_| definite)
    }

    /// What was asked for and counts, at most.
    pub(crate) fn requested_load(&self) -> Option<Quantities> {
        let loads = self.requested.iter().map(|requested| requested.load.clone());
        loads.reduce(|most, load| most.max(&load))
    }

    /// What was asked for now takes the place of what has begun, but for what is asked for beyond its window
    /// and is no more than that.
    pub(crate) fn request(&mut self, new: Requested) {
        let stays = |old: &Requested| {
            let beyond = !old.goes_on && old.window.end > new.window.end;
            old.load.is_zero() || (beyond && new.load.covers(&old.load))
        };
        self.requested.retain(stays);
        self.requested.push(new);
    }

    /// Forgets what was asked for where that is over, or was given up; whether there was any.
    pub(crate) fn end_requests(&mut self, is_over: impl Fn(&Requested) -> bool) -> bool {
        let before = self.underlying();
        let count = self.requested.len();
        self.requested.retain(|requested| !is_over(requested));
        let ended = self.requested.len() < count;
        if ended {
            self.back_to = Some(before);
        }
        ended
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

/// Standings used to hold one request at most.
fn one_or_several<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Requested>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Several(Vec<Requested>),
        One(Option<Requested>),
    }
    Ok(match Either::deserialize(from)? {
        Either::Several(all) => all,
        Either::One(one) => one.into_iter().collect(),
    })
}

impl Requested {
    /// The request's own id: the first of its negotiations.
    pub(crate) fn request(&self) -> &str {
        self.earlier.first().unwrap_or(&self.negotiation)
    }

    /// All negotiations that it was agreed in, oldest first.
    pub(crate) fn negotiations(&self) -> Vec<String> {
        self.earlier.iter().chain([&self.negotiation]).cloned().collect()
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
