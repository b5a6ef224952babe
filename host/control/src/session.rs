//! Opens negotiations and applies their results.

use std::sync::Arc;

use haggle_model::{Name, Quantities, ScalingPolicy, Service, Span, Timestamp, Window};
use haggle_negotiate::{Demand, DemandError, Ending, OpenError, Outcome, Purpose as Aim};
use serde_json::json;

use crate::{
    EventKind,
    purpose::{Asked, Origin, Purpose},
    record::{NegotiationRecord, Record},
    request::{Request, Status},
    step::Step,
    verdict::{ScalingVerdict, Verdict, WindowVerdict},
};

/// The input for opening a negotiation.
pub(crate) struct Draft<'a> {
    pub(crate) service: &'a Service,
    pub(crate) policy: &'a ScalingPolicy,
    /// The load beyond the promises to others.
    pub(crate) load: Quantities,
    pub(crate) aim: Aim,
    pub(crate) window: Window,
    pub(crate) started_at: Timestamp,
    pub(crate) dry_run: bool,
    /// The negotiations whose agreements the new one replaces.
    pub(crate) replaces: &'a [String],
}

/// A negotiation that has ended.
pub(crate) struct Ended {
    pub(crate) id: String,
    pub(crate) demand: Demand,
    pub(crate) window: Window,
    pub(crate) outcome: Outcome,
}

/// The number of passes before a refused request is retried.
const RETRY: u64 = 5;

/// The number of ids that are reserved at once. A crash skips the unused ones.
const NUMBERS: u64 = 1024;

/// The maximum number of open negotiations.
pub(crate) const MOST_OPEN: usize = 10_000;

impl Ended {
    /// The verdict for the requester, which had `from` replicas.
    pub(crate) fn verdict(&self, from: u32) -> WindowVerdict {
        let agreement = self.outcome.agreement();
        let agreed = agreement.and_then(|all| all.services.get(&self.demand.requester));
        WindowVerdict {
            verdict: Verdict::of(&self.outcome),
            negotiation: Some(self.id.clone()),
            to: agreed.map_or(from, |agreed| agreed.replicas),
            window: self.window,
            agreement: agreement.cloned(),
            reasons: self.outcome.reasons().to_vec(),
        }
    }

    fn describe(&self) -> String {
        let Demand { requester, load, .. } = &self.demand;
        let reasons: Vec<String> = self.outcome.reasons().iter().map(ToString::to_string).collect();
        let because =
            if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
        match &self.outcome {
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
                if agreement.without_optional.is_empty() { "" } else { ", degraded" },
            ),
            Outcome::Failed { rounds, .. } => {
                format!("{requester} cannot carry {load} after {rounds} round(s){because}")
            }
        }
    }
}

impl Step<'_> {
    /// The next number of a negotiation or request.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.state.number += 1;
        if self.state.number > self.state.reserved {
            self.state.reserved = self.state.number + NUMBERS;
            self.put(Record::Numbers(self.state.reserved));
        }
        self.state.number
    }

    /// The id for a number. Ids sort by number.
    pub(crate) fn id_of(&self, number: u64) -> String {
        format!("{}-{number:012}", self.options.host)
    }

    /// Opens a negotiation and asks its parties. Returns its id.
    pub(crate) fn open(
        &mut self,
        draft: Draft<'_>,
        asked: Asked,
        origin: Origin,
    ) -> Result<String, DemandError> {
        let number = self.next_number();
        self.open_numbered(number, draft, asked, origin)
    }

    /// Opens a negotiation with a given number.
    pub(crate) fn open_numbered(
        &mut self,
        number: u64,
        draft: Draft<'_>,
        asked: Asked,
        origin: Origin,
    ) -> Result<String, DemandError> {
        let Draft { service, policy, load, aim, window, started_at, dry_run, replaces } = draft;
        let id = self.id_of(number);
        let demand = Demand {
            session: id.clone(),
            requester: service.name.clone(),
            load,
            purpose: aim,
            window,
            policy: policy.negotiation.clone(),
            target_utilization: policy.scaling.target_utilization,
            budget_per_hour: policy.ranking.budget_per_hour,
            started_at,
            dry_run,
        };
        let counts = !dry_run || matches!(origin, Origin::Trial { .. });
        let purpose = Purpose { number, demand: demand.clone(), asked, origin };
        self.state.open_windows += usize::from(purpose.origin.request().is_some());
        self.state.sessions.insert(id.clone(), Arc::new(purpose));
        if counts {
            self.opened.insert(service.name.clone());
            *self.state.negotiating.entry(service.name.clone()).or_default() += 1;
        }
        let opened =
            self.with_engine(|engine, setting| engine.open_in_place_of(replaces, demand, setting));
        match opened {
            Ok(effects) => {
                self.state.report.opened += 1;
                self.carry_out(effects);
                Ok(id)
            }
            Err(error) => {
                self.forget_session(&id);
                Err(match error {
                    OpenError::Demand(error) => error,
                    // Each number is used only once, so this cannot happen.
                    _ => DemandError::Window { window, now: self.now },
                })
            }
        }
    }

    /// Opens a negotiation for the core itself. If the demand is invalid, publishes an alert.
    pub(crate) fn open_or_alert(
        &mut self,
        draft: Draft<'_>,
        asked: Asked,
        origin: Origin,
    ) -> Option<String> {
        let service = draft.service.name.clone();
        match self.attempt(|step| step.open(draft, asked, origin)) {
            Ok(id) => Some(id),
            Err(error) => {
                let message = format!("cannot be negotiated for: {error}");
                self.publish(EventKind::Alert, service.as_str(), message, json!({}));
                None
            }
        }
    }

    fn forget_session(&mut self, id: &str) -> Option<Arc<Purpose>> {
        let purpose = self.state.sessions.remove(id)?;
        let window = usize::from(purpose.origin.request().is_some());
        self.state.open_windows = self.state.open_windows.saturating_sub(window);
        let counts = !purpose.demand.dry_run || matches!(purpose.origin, Origin::Trial { .. });
        let requester = &purpose.demand.requester;
        if counts && let Some(open) = self.state.negotiating.get_mut(requester) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                self.state.negotiating.remove(requester);
            }
        }
        Some(purpose)
    }

    /// Applies the end of a negotiation.
    pub(crate) fn finish(&mut self, ending: Ending) {
        let Ending { session: id, outcome, transcript, .. } = ending;
        let Some(purpose) = self.forget_session(&id) else { return };
        let Purpose { number, demand, asked, origin } = purpose.as_ref().clone();
        let agreed = outcome.agreement().and_then(|agreement| agreement.window);
        let ended = Ended { id, window: agreed.unwrap_or(demand.window), demand, outcome };
        let verdict = ended.verdict(asked.from);
        match &origin {
            Origin::Trial { load, lost_until } => {
                return self.after_trial(&ended, &verdict, asked, load.clone(), *lost_until);
            }
            Origin::Target { load } => self.note_refusal(&ended, &verdict, load.clone()),
            _ => {}
        }
        if !ended.demand.dry_run {
            self.keep_negotiation(number, &ended, &verdict, asked.from, transcript);
            // A request counts as fully granted in the decision.
            let wanted = if origin.request().is_some() { verdict.to } else { asked.wanted };
            self.settle(&ended, &Asked { wanted, ..asked }, &origin);
        }
        let requester = ended.demand.requester.clone();
        match &origin {
            Origin::Request { id, part } => self.close_part(id, *part, verdict),
            Origin::Amendment { id, part } => self.close_amendment(id, *part, &ended, verdict),
            _ => {}
        }
        self.vacate(&requester, crate::leasing::LOST);
        // The renewal of a reservation had to wait for this negotiation.
        self.reserve_again(Some(&requester));
    }

    /// Records a refusal, so that the core does not retry the same load at once.
    fn note_refusal(&mut self, ended: &Ended, verdict: &WindowVerdict, load: Quantities) {
        let retry = Span::from_millis(self.options.interval.as_millis().saturating_mul(RETRY));
        let until = self.now + retry;
        if let Some(state) = self.state.service_mut(&ended.demand.requester) {
            let refused = verdict.verdict != Verdict::Approved;
            state.refusal = refused.then_some(crate::service::Refusal { load, until });
        }
    }

    fn keep_negotiation(
        &mut self,
        number: u64,
        ended: &Ended,
        verdict: &WindowVerdict,
        from: u32,
        transcript: haggle_negotiate::Transcript,
    ) {
        let outcome = verdict.verdict.outcome();
        let kind = match verdict.verdict {
            Verdict::Denied => EventKind::Alert,
            _ => EventKind::Negotiation,
        };
        let WindowVerdict { verdict, to, window, agreement, reasons, .. } = verdict.clone();
        let (negotiation, service) = (ended.id.clone(), ended.demand.requester.clone());
        let detail = json!({ "negotiation": ended.id, "outcome": outcome });
        self.publish(kind, service.as_str(), ended.describe(), detail);
        let (dry_run, windows) = (false, Vec::new());
        let record = NegotiationRecord {
            id: ended.id.clone(),
            at: self.now,
            outcome: outcome.to_owned(),
            demand: ended.demand.clone(),
            rounds: ended.outcome.rounds(),
            verdict: ScalingVerdict {
                verdict,
                negotiation,
                service,
                from,
                to,
                window,
                dry_run,
                agreement,
                reasons,
                windows,
            },
            transcript,
        };
        self.state.kept.insert(number);
        self.put(Record::Negotiation(Box::new(record)));
    }

    /// Records the verdict of a window of a request. The caller is answered once all windows have one.
    pub(crate) fn close_part(&mut self, id: &str, part: usize, verdict: WindowVerdict) {
        let Some(request) = self.state.requests.get_mut(id).map(Arc::make_mut) else { return };
        if let Some(part) = request.parts.get_mut(part)
            && part.status == Status::Open
        {
            part.status = Status::Done(Box::new(verdict));
        }
        self.conclude(id);
    }

    /// Writes the current state of a request. Answers the caller once no window is pending.
    pub(crate) fn conclude(&mut self, id: &str) {
        let Some(request) = self.state.requests.get(id).cloned() else { return };
        self.keep_request(&request);
        if request.is_pending() {
            return;
        }
        if let Some(caller) = self.state.waiting.remove(id) {
            self.answer(caller, Ok(crate::Answer::Verdict(request.verdict())));
        }
        if request.dry_run {
            self.state.requests.remove(id);
        }
    }

    pub(crate) fn keep_request(&mut self, request: &Arc<Request>) {
        if !request.dry_run {
            self.state.kept.insert(request.number);
            self.put(Record::Request(Arc::clone(request)));
        }
    }

    /// The service of that name and its policy, if it exists.
    pub(crate) fn described(&self, name: &Name) -> Option<(Arc<Service>, Arc<ScalingPolicy>)> {
        let service = self.state.catalog.services.get(name)?;
        Some((Arc::clone(service), self.state.catalog.policy_of(service)))
    }
}
