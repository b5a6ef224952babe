//! From a decision to its effect: written in the order in which it was decided, durable before anybody
//! hears of it, and only then carried out.
//!
//! Whoever decides hands its batch to the store while it still holds the turn, and waits for the disk after
//! it has let go of it. So the next one decides meanwhile, on what memory says, and all that wait share a
//! flush. The store writes in order and stops at its first failure: what was decided on top of something
//! that was lost is lost with it. Memory is ahead of the disk then, but nothing of that was acknowledged or
//! actuated, nothing more can be decided, and the host says that it is not ready until it is started again.

use haggle_actuate::{ActuateError, ScaleOrder};
use haggle_model::Decision;
use haggle_store::{Batch, Commit};
use serde_json::{Value, json};

use crate::{
    error::HostError, events::EventKind, host::Host, persistence::Standings, state::Order,
};

/// What was decided and is not yet handed to the store.
#[derive(Default)]
pub(crate) struct Pending {
    pub(crate) batch: Batch,
    pub(crate) decisions: Vec<Decision>,
    /// Sessions with others whose end is among it.
    pub(crate) ended: Vec<String>,
    /// What is to be told once it is durable.
    pub(crate) news: Vec<News>,
    /// How often was negotiated on a copy of the ledger.
    pub(crate) trials: usize,
}

/// An event that waits for the disk.
pub(crate) struct News {
    pub(crate) kind: EventKind,
    pub(crate) subject: String,
    pub(crate) message: String,
    pub(crate) detail: Value,
}

/// What was decided and is on its way to the disk.
#[must_use = "it has no effect until it is carried out"]
pub(crate) struct Submitted {
    commit: Option<Commit>,
    decisions: Vec<Decision>,
    ended: Vec<String>,
    news: Vec<News>,
}

impl Host {
    /// Hands what was decided to the store, behind all that was decided before. The turn must be held, so
    /// that it is written in the order in which it was decided.
    pub(crate) fn submit(&self, pending: Pending) -> Result<Submitted, HostError> {
        let Pending { mut batch, mut decisions, ended, news, .. } = pending;
        let states = self.states();
        for decision in &decisions {
            if let Some(state) = states.get(&decision.service) {
                batch.put::<Standings>(&decision.service, &state.stored())?;
            }
        }
        drop(states);
        self.persistence.flush_journal()?;
        let commit = match batch.is_empty() && decisions.is_empty() {
            true => None,
            false => self.persistence.decide(batch, &mut decisions)?,
        };
        Ok(Submitted { commit, decisions, ended, news })
    }

    /// Waits until it is durable, and only then tells of it and carries it out. Nothing needs to be held,
    /// and nothing should: others decide meanwhile.
    pub(crate) fn carry_out(&self, submitted: Submitted) -> Result<Vec<Decision>, HostError> {
        let Submitted { commit, mut decisions, ended, news } = submitted;
        if let Some(commit) = commit {
            let receipt = commit.wait()?;
            for (decision, sequence) in decisions.iter_mut().zip(receipt.sequences) {
                decision.sequence = sequence;
            }
        }
        self.forget_sessions(&ended)?;
        for News { kind, subject, message, detail } in news {
            self.emit(kind, &subject, message, detail);
        }
        let mut states = self.states();
        for Decision { service, to, sequence, .. } in &decisions {
            if let Some(state) = states.get_mut(service)
                && state.order.is_none_or(|order| order.sequence < *sequence)
            {
                state.order = Some(Order { to: *to, sequence: *sequence });
            }
        }
        drop(states);
        for decision in &decisions {
            let Decision { service, from, to, sequence, .. } = decision;
            let order =
                ScaleOrder { service: service.clone(), from: *from, to: *to, sequence: *sequence };
            self.metrics.decision();
            let message = format!("{from} -> {to} replicas: {}", decision.explanation);
            let detail = serde_json::to_value(decision).unwrap_or_default();
            self.emit(EventKind::Decision, service.as_str(), message, detail);
            self.actuate(&order);
        }
        Ok(decisions)
    }

    /// Repeats orders that were not carried out.
    pub(crate) fn repeat_orders(&self) {
        let states = self.states();
        let open: Vec<ScaleOrder> = states
            .iter()
            .filter_map(|(service, state)| {
                let Order { to, sequence } = state.order?;
                let from = self.status(service)?.desired;
                (from != to).then(|| ScaleOrder { service: service.clone(), from, to, sequence })
            })
            .collect();
        drop(states);
        open.iter().for_each(|order| self.actuate(order));
    }

    /// Carries out an order. One that fails is repeated at the next turn; one that a newer order has
    /// overtaken, as those that share a flush may, is done with.
    fn actuate(&self, order: &ScaleOrder) {
        let mut actuator = self.actuator();
        let result = actuator.scale(self.clock.now(), order);
        drop(actuator);
        match result {
            Ok(()) | Err(ActuateError::Superseded { .. }) => {}
            Err(error) => {
                let message = format!("not scaled to {}: {error}", order.to);
                self.emit(EventKind::Alert, order.service.as_str(), message, json!({}));
            }
        }
    }
}
