//! The asking part of a round: asks the services, leaves first.

use std::sync::Arc;

use haggle_model::{LeaseId, LeaseState, Name, Quantities, Strength};

use super::{CLOSE, Next, Output, Session, State};
use crate::{Answer, Asks, Context, Inquiry, MessageId, Party, Spread};

/// A wave that was asked.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) message: MessageId,
    wave: usize,
    inquiries: Arc<[Inquiry]>,
}

impl Session {
    pub(super) fn next_round(&mut self, cx: &Context<'_>, out: &mut Vec<Output>) -> State {
        self.round += 1;
        self.granted.clear();
        self.said.clear();
        self.withheld = false;
        self.ask_from(0, cx, out)
    }

    /// Asks the first wave, from `first` on, in which any service must be asked.
    fn ask_from(&mut self, first: usize, cx: &Context<'_>, out: &mut Vec<Output>) -> State {
        let mut wave = first;
        while let Some(names) = self.firm.waves().get(wave).cloned() {
            let mut inquiries = Vec::new();
            for name in names.iter().filter(|name| **name != self.demand.requester) {
                let Some(inquiry) = self.inquiry(&self.firm, name, cx) else { continue };
                let Asks { requested, agreed, .. } = &inquiry.asks;
                if agreed.covers(requested) {
                    // An existing agreement that covers the request needs no inquiry. It may exceed the
                    // request.
                    self.granted.insert(name.clone(), agreed.clone());
                } else {
                    inquiries.push(inquiry);
                }
            }
            if !inquiries.is_empty() {
                let message = self.next_message();
                out.push(Output::Ask { message, inquiries: inquiries.clone() });
                let inquiries = inquiries.into();
                return State::Asking(Asking { message, wave, inquiries });
            }
            wave += 1;
        }
        self.settle_answers(cx, out)
    }

    /// The inquiry to a service in this round.
    pub(super) fn inquiry(
        &self,
        spread: &Spread,
        name: &Name,
        cx: &Context<'_>,
    ) -> Option<Inquiry> {
        let snapshot = self.snapshots.get(name)?;
        let strength = spread.shares().get(name)?.strength;
        let requested = self.share(spread, name).scaled(self.fraction);
        let owner = Self::owner(name);
        let Self { demand, .. } = self;
        let (requester, window) = (&demand.requester, demand.window);
        let capacity = cx.ledger.capacity(&owner).unwrap_or_default();
        let mut without = self.promises(name, cx);
        without.extend(self.lower(&owner, cx));
        let committed = cx.ledger.committed(&owner, window, &without);
        let agreed = cx.ledger.agreed(requester, &owner, window);
        let asks = Asks {
            capacity: like(&requested, &capacity),
            committed: like(&requested, &committed),
            agreed: like(&requested, &agreed),
            sustainable: requested.scaled(self.sustained(name)),
            requested,
        };
        Some(Inquiry {
            session: demand.session.clone(),
            round: self.round.max(1),
            service: name.clone(),
            tier: snapshot.tier,
            requester: requester.clone(),
            purpose: demand.purpose,
            strength,
            window,
            asks,
        })
    }

    /// The confirmed leases that the requester holds on a service in the window.
    pub(super) fn promises(&self, service: &Name, cx: &Context<'_>) -> Vec<LeaseId> {
        cx.ledger
            .leases_between(&self.demand.requester, &Self::owner(service))
            .filter(|l| l.state == LeaseState::Confirmed && l.window.overlaps(&self.demand.window))
            .map(|lease| lease.id.clone())
            .collect()
    }

    /// The share of the requested load that the mandatory dependencies of a service sustain.
    fn sustained(&self, name: &Name) -> f64 {
        self.firm
            .dependencies_of(name)
            .filter(|(_, dependency)| dependency.strength == Strength::Mandatory)
            .filter_map(|(to, _)| {
                let asked = self.share(&self.firm, to).scaled(self.fraction);
                Some(self.granted.get(to)?.share_of(&asked))
            })
            .fold(1.0, f64::min)
    }

    pub(super) fn answered(
        &mut self,
        asking: Asking,
        answers: Vec<Result<Answer, String>>,
        cx: &Context<'_>,
        out: &mut Vec<Output>,
    ) -> State {
        let Asking { message, wave, inquiries } = asking;
        let complete = answers.len() == inquiries.len();
        let mut answers = answers.into_iter();
        for inquiry in &*inquiries {
            let answer = match answers.next() {
                Some(answer) if complete => answer,
                _ => Err("the number of answers is not that of the questions".to_owned()),
            };
            self.note_answer(message, inquiry, answer, out);
        }
        self.ask_from(wave + 1, cx, out)
    }

    /// Records the load that one service can carry. The service stays bound to earlier agreements, whatever
    /// it answers now. It cannot promise capacity that the ledger has promised to others.
    fn note_answer(
        &mut self,
        message: MessageId,
        inquiry: &Inquiry,
        answer: Result<Answer, String>,
        out: &mut Vec<Output>,
    ) {
        let Inquiry { service, asks, .. } = inquiry;
        let requested = &asks.requested;
        let party = || Party::Service(service.clone());
        let (offered, mut said) = match answer {
            Ok(Answer::Accept) => (requested.clone(), None),
            Ok(Answer::Counter(offer)) if requested.covers(&offer.quantities) => {
                let quantities = like(requested, &offer.quantities);
                let said =
                    format!("offers {quantities} of the {requested} requested: {}", offer.reason);
                (quantities, Some(said))
            }
            Ok(Answer::Counter(offer)) => {
                let said = format!("offered {} where {requested} was requested", offer.quantities);
                self.fault(message, party(), format!("{said}; that is a refusal"), out);
                (Quantities::new(), Some(said))
            }
            Ok(Answer::Reject(why)) => {
                (Quantities::new(), Some(format!("refuses {requested}: {why}")))
            }
            Err(why) => {
                self.fault(message, party(), format!("{why}; that is a refusal"), out);
                (Quantities::new(), Some(format!("gave no answer to {requested}: {why}")))
            }
        };
        let free = asks.free();
        let possible = least(&offered, &free);
        if !possible.covers(&offered) {
            let text = format!("offers {offered} but has only {free} that is not promised");
            self.fault(message, party(), text.clone(), out);
            said = Some(text);
        }
        let able = least(&least(requested, &free), &asks.sustainable);
        self.withheld |= !offered.is_zero() && offered.share_of(&able) < 1.0 - CLOSE;
        let bound = least(requested, &asks.agreed);
        self.granted.insert(service.clone(), possible.max(&bound));
        self.said.extend(said.map(|said| (service.clone(), Arc::from(said))));
    }

    fn settle_answers(&mut self, cx: &Context<'_>, out: &mut Vec<Output>) -> State {
        let fraction = self.settle_granted();
        match self.decide(fraction, cx) {
            Next::Proceed => self.call_for_bids(cx, out),
            Next::AnotherRound => self.next_round(cx, out),
            Next::Fail => self.fail(out),
        }
    }
}

/// The amounts of `all` for the resources that `asks` names.
fn like(asks: &Quantities, all: &Quantities) -> Quantities {
    Quantities::from_pairs(asks.iter().map(|(r, _)| (r, all.get(r)))).unwrap_or_default()
}

/// The smaller amount of each resource in `asks`.
fn least(asks: &Quantities, all: &Quantities) -> Quantities {
    let pairs = asks.iter().map(|(r, amount)| (r, amount.min(all.get(r))));
    Quantities::from_pairs(pairs).unwrap_or_default()
}
