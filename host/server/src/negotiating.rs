//! From a need to an agreement.

use std::collections::BTreeMap;

use haggle_model::{Name, Quantities, ScalingPolicy, Service, Timestamp, Window};
use haggle_negotiate::{Demand, Ledger, Negotiated, Outcome, Purpose, Transcript, negotiate};
use serde::Serialize;
use serde_json::json;

use crate::{
    documents::catalog::Catalog,
    error::HostError,
    events::EventKind,
    host::Host,
    negotiating::counterparties::{InProcess, WorldView},
    persistence::{
        committing::{News, Pending},
        keep_leases, negotiation_id,
    },
    state::ServiceState,
    views::{ScalingVerdict, Verdict},
};

pub(crate) mod applying;
pub(crate) mod complaints;
pub(crate) mod counterparties;
pub(crate) mod courier;
pub(crate) mod exchange;
pub(crate) mod reclaiming;

/// A negotiation that has ended.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) number: u64,
    pub(crate) window: Window,
    pub(crate) negotiated: Negotiated,
    pub(crate) demand: Demand,
    /// Whether its leases are written already. To write them later could bring back what another session
    /// has ended in the meantime.
    written: bool,
}

/// What is kept of a negotiation.
#[derive(Serialize)]
struct Record<'a> {
    id: &'a str,
    at: Timestamp,
    outcome: &'static str,
    demand: &'a Demand,
    result: &'a Outcome,
    verdict: &'a ScalingVerdict,
    transcript: &'a Transcript,
}

/// What a service wants to carry, on top of what it has promised to others.
pub(crate) struct Wish<'a> {
    pub(crate) service: &'a Service,
    pub(crate) policy: &'a ScalingPolicy,
    pub(crate) load: Quantities,
    pub(crate) purpose: Purpose,
    pub(crate) window: Window,
}

impl Wish<'_> {
    fn demand(self, session: String, started_at: Timestamp) -> Demand {
        let Self { service, policy, load, purpose, window } = self;
        Demand {
            session,
            requester: service.name.clone(),
            load,
            purpose,
            window,
            policy: policy.negotiation.clone(),
            target_utilization: policy.scaling.target_utilization,
            budget_per_hour: policy.bidding.budget_per_hour,
            started_at,
            dry_run: false,
        }
    }
}

impl Host {
    /// The demand of a wish, with its number. Its deadline counts from here, however long the turn has
    /// taken so far.
    pub(crate) fn demand(
        &self,
        wish: Wish<'_>,
        now: Timestamp,
    ) -> Result<(u64, Demand), HostError> {
        let number = self.persistence.next_negotiation()?;
        Ok((number, wish.demand(negotiation_id(&self.id, number), self.present(now))))
    }

    /// Negotiates with parties that are all answered for here, on the ledger that it is given.
    pub(crate) fn negotiate(
        &self,
        catalog: &Catalog,
        states: &BTreeMap<Name, ServiceState>,
        ledger: &mut Ledger,
        (number, demand): (u64, Demand),
        now: Timestamp,
    ) -> Result<Session, HostError> {
        let world = WorldView { catalog, states };
        // Sessions with others run at the same time, on the same ledger. A dry run leaves nothing.
        let written = catalog.has_endpoints() && !demand.dry_run;
        let mut counterparties = InProcess {
            decider: &self.decider,
            catalog,
            now,
            seed: number,
            writes_to: written.then_some(self.persistence.as_ref()),
        };
        // A plugin that is slow uses up the session's time.
        let mut clock = || self.present(now);
        let negotiated =
            negotiate(demand.clone(), &world, ledger, &mut counterparties, &mut clock)?;
        Ok(Session::new(demand, number, negotiated, written))
    }

    /// Writes a negotiation and the leases it changed into a batch, and counts it; it is told once that
    /// is durable.
    pub(crate) fn keep_session(
        &self,
        pending: &mut Pending,
        session: &Session,
        now: Timestamp,
        verdict: &ScalingVerdict,
    ) -> Result<(), HostError> {
        if !session.written {
            keep_leases(&mut pending.batch, &session.negotiated.changes)?;
        }
        let record = session.record(now, verdict);
        let Session { id, number, .. } = session;
        self.persistence.keep_negotiation(&mut pending.batch, &self.id, id, *number, &record)?;
        let outcome = session.outcome();
        self.metrics.negotiation(outcome);
        let failed = session.negotiated.outcome.agreement().is_none();
        pending.news.push(News {
            kind: if failed { EventKind::Alert } else { EventKind::Negotiation },
            subject: session.demand.requester.to_string(),
            message: session.describe(),
            detail: json!({ "negotiation": session.id, "outcome": outcome }),
        });
        Ok(())
    }
}

impl Session {
    pub(crate) fn new(demand: Demand, number: u64, negotiated: Negotiated, written: bool) -> Self {
        let id = demand.session.clone();
        let agreed = negotiated.outcome.agreement().and_then(|agreement| agreement.window);
        let window = agreed.unwrap_or(demand.window);
        Self { id, number, window, negotiated, demand, written }
    }

    /// What it comes to for its requester, which had `from` replicas.
    pub(crate) fn verdict(&self, from: u32) -> ScalingVerdict {
        let outcome = &self.negotiated.outcome;
        let service = &self.demand.requester;
        let agreed = outcome.agreement().and_then(|agreement| agreement.services.get(service));
        ScalingVerdict {
            verdict: match outcome {
                Outcome::Agreed(agreement) if agreement.reduced => Verdict::Reduced,
                Outcome::Agreed(_) => Verdict::Approved,
                Outcome::Failed { .. } => Verdict::Denied,
            },
            negotiation: self.id.clone(),
            service: service.clone(),
            from,
            to: agreed.map_or(from, |agreed| agreed.replicas),
            window: self.window,
            dry_run: self.demand.dry_run,
            agreement: outcome.agreement().cloned(),
            reasons: outcome.reasons().to_vec(),
            windows: Vec::new(),
        }
    }

    /// `won`, `reduced` or `failed`.
    pub(crate) const fn outcome(&self) -> &'static str {
        match &self.negotiated.outcome {
            Outcome::Agreed(agreement) if agreement.reduced => "reduced",
            Outcome::Agreed(_) => "won",
            Outcome::Failed { .. } => "failed",
        }
    }

    fn describe(&self) -> String {
        let Demand { requester, load, .. } = &self.demand;
        let reasons = self.negotiated.outcome.reasons();
        let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        let because =
            if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
        match &self.negotiated.outcome {
            Outcome::Agreed(agreement) => format!(
                "{requester} carries {} with {} service(s), {} round(s), {:.2} per hour{}{because}",
                if agreement.reduced {
                    format!("{:.0}% of {load}", agreement.fraction * 100.0)
                } else {
                    load.to_string()
                },
                agreement.services.len(),
                agreement.rounds,
                agreement.price_per_hour,
                if agreement.degraded.is_empty() { "" } else { ", degraded" },
            ),
            Outcome::Failed { rounds, .. } => {
                format!("{requester} cannot carry {load} after {rounds} round(s){because}")
            }
        }
    }

    fn record<'a>(&'a self, at: Timestamp, verdict: &'a ScalingVerdict) -> Record<'a> {
        let Self { id, negotiated, demand, .. } = self;
        let Negotiated { outcome: result, transcript, .. } = negotiated;
        Record { id, at, outcome: self.outcome(), demand, result, verdict, transcript }
    }
}
