//! Carries out the outputs of a session.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use haggle_model::LeaseState;

use super::{Committing, Gathering, Running, Step, by_party};
use crate::{
    Agreed, Call, Content, Effect, Ending, Information, Input, Outcome, Output, Party, Persist,
    engine::question::Kind,
};

impl Running {
    /// Carries out one output. Returns an input for the session if the result is known at once.
    pub(super) fn carry_out(&mut self, output: Output, step: &mut Step<'_, '_>) -> Option<Input> {
        match output {
            Output::Ask { message, inquiries } => {
                let missing = inquiries.len();
                let answers = std::iter::repeat_n(None, missing).collect();
                self.gathering = Some(Gathering::Wave { output: message, answers, missing });
                for (place, inquiry) in inquiries.into_iter().enumerate() {
                    let to = Party::Service(inquiry.service.clone());
                    let call = Content::CallForProposals(Call::Load(Box::new(inquiry)));
                    self.ask(to, call, Kind::Ask(place), step);
                }
                None
            }
            Output::Inform { inquiries, .. } => {
                for inquiry in inquiries {
                    let to = Party::Service(inquiry.service.clone());
                    self.say(to, Content::Inform(Information::Load(Box::new(inquiry))), step);
                }
                None
            }
            Output::CallForBids { message, provider, request, inventory } => {
                let call = Content::CallForProposals(Call::Bids { request, inventory });
                self.ask(Party::Provider(provider), call, Kind::Bids(message), step);
                None
            }
            Output::Rank { message, request, bids } => {
                let to = Party::Service(request.service.clone());
                let call = Content::CallForProposals(Call::Scores { request, bids });
                self.ask(to, call, Kind::Scores(message), step);
                None
            }
            Output::Hold { message, holds } if self.dry_run => {
                // A dry run checks on a copy of the ledger whether the leases can be held, and asks no
                // party.
                let held = step.setting.ledger.clone().hold(&holds, step.setting.now);
                let result = held.map(drop).map_err(|error| error.to_string());
                Some(Input::Held { message, result })
            }
            Output::Confirm { message, .. } if self.dry_run => {
                Some(Input::Confirmed { message, result: Ok(Vec::new()) })
            }
            Output::Hold { message, holds } => {
                let now = step.setting.now;
                if let Err(error) = step.setting.ledger.hold(&holds, now) {
                    let result = Err(error.to_string());
                    return Some(Input::Held { message, result });
                }
                self.accepted = Arc::new(by_party(holds.into_iter().map(|hold| hold.lease)));
                let missing = self.accepted.len();
                self.gathering = Some(Gathering::Accepts { output: message, missing });
                for (to, leases) in BTreeMap::clone(&self.accepted) {
                    self.ask(to, Content::Accept { leases }, Kind::Accept, step);
                }
                None
            }
            Output::Confirm { message, commitment, agreement } => {
                let begun = match step.setting.ledger.begin(&commitment, step.setting.now) {
                    Ok(begun) => begun,
                    Err(error) => {
                        let result = Err(error.to_string());
                        return Some(Input::Confirmed { message, result });
                    }
                };
                let agreed = Agreed {
                    agreement,
                    leases: begun.confirmed().cloned().collect(),
                    last_message: self.last_message,
                };
                step.effects.push(Effect::Persist(Persist {
                    session: self.id.clone(),
                    record: Some(self.record(Some(agreed))),
                    leases: begun.changes().to_vec(),
                    awaited: true,
                }));
                self.committing = Some(Committing { output: message, begun: Arc::new(begun) });
                None
            }
            Output::Release { leases, .. } => {
                step.setting.ledger.release(&leases);
                self.give_back(step);
                None
            }
            Output::Fault(fault) => {
                self.fault(fault, step);
                None
            }
            Output::Finished(outcome) => {
                self.finish(outcome, step);
                None
            }
        }
    }

    /// Notifies the parties of all accepted leases that these are released.
    pub(super) fn give_back(&mut self, step: &mut Step<'_, '_>) {
        self.close_all(|kind| kind != Kind::Notice);
        for (to, leases) in Arc::unwrap_or_clone(std::mem::take(&mut self.accepted)) {
            let leases = leases.into_iter().map(|lease| lease.id).collect();
            self.ask(to, Content::Release { leases }, Kind::Notice, step);
        }
    }

    pub(super) fn finish(&mut self, outcome: Outcome, step: &mut Step<'_, '_>) {
        self.session = None;
        self.gathering = None;
        self.close_all(|kind| kind != Kind::Notice);
        let agreed = outcome.agreement().is_some();
        let winners: BTreeSet<Party> = self.accepted.keys().cloned().collect();
        for (to, mut leases) in Arc::unwrap_or_clone(std::mem::take(&mut self.accepted)) {
            leases.iter_mut().for_each(|lease| lease.state = LeaseState::Confirmed);
            self.ask(to, Content::Confirm { leases }, Kind::Notice, step);
        }
        let reason = match (self.dry_run, agreed) {
            (true, _) => "it was a dry run: nothing is needed",
            (false, true) => "others were chosen",
            (false, false) => "no agreement was found",
        };
        for to in std::mem::take(&mut self.proposed) {
            if !winners.contains(&to) {
                self.say(to, Content::Reject { reason: reason.into() }, step);
            }
        }
        if !agreed {
            self.forget(step);
        }
        self.note_outcome(&outcome, step.setting.now);
        step.effects.push(Effect::Finished(Ending {
            session: self.id.clone(),
            outcome,
            changes: Arc::unwrap_or_clone(std::mem::take(&mut self.changes))
                .into_values()
                .collect(),
            transcript: self.transcript(),
        }));
    }

    /// Whether nothing is left to do. The record of a finished session is deleted.
    pub(in crate::engine) fn settle(&mut self, step: &mut Step<'_, '_>) -> bool {
        let over = self.session.is_none() && self.questions.is_empty();
        if over {
            self.forget(step);
        }
        over
    }

    pub(super) fn forget(&mut self, step: &mut Step<'_, '_>) {
        if std::mem::take(&mut self.recorded) {
            step.effects.push(Effect::Persist(Persist {
                session: self.id.clone(),
                record: None,
                leases: Vec::new(),
                awaited: false,
            }));
        }
    }
}
