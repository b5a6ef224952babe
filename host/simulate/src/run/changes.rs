//! What changes after an agreement: capacity is taken back, and leases come to their end.

use std::collections::BTreeSet;

use haggle_model::{Lease, LeaseState, Name, Span, Window};
use haggle_negotiate::{Ending, Purpose};

use super::{Event, Run, Write, text::millis};
use crate::{
    checker::Check,
    coordinator::{Coordinator, Reclaim},
    scene::{Notice, Wish},
};

/// How long a provider waits before it says again what is not on disk yet.
const AGAIN: Span = Span::from_millis(150);

impl<C: Coordinator> Run<'_, C> {
    /// A provider says that it takes capacity back, until that is on disk.
    pub(super) fn reclaim(&mut self, number: usize) -> Check {
        if self.announced.contains(&number) {
            return Ok(());
        }
        self.schedule(AGAIN, Event::Reclaim(number));
        if !self.up || !self.heard.insert(number) {
            return Ok(());
        }
        let Some(Notice { owner, left, notice, .. }) = self.notices.get(number).cloned() else {
            return Ok(());
        };
        let reclaim = Reclaim { owner, left, at: self.now + notice };
        self.tally.reclaims += 1;
        self.say(|| {
            let Reclaim { owner, left, at } = &reclaim;
            format!("host: {owner} has only {left} from {}", millis(*at))
        });
        let effects = self.host.reclaim(&reclaim, &self.scene, self.now);
        self.carry_out(effects)?;
        self.enqueue(Write::Reclaim(number, reclaim.clone()));
        self.schedule(notice, Event::TakeBack(reclaim));
        Ok(())
    }

    /// The notice is out. A host that is down finds that out when it starts.
    pub(super) fn take_back(&mut self, reclaim: &Reclaim) {
        if self.up && self.checker.reclaims.contains(reclaim) {
            self.host.take_back(reclaim);
        }
    }

    /// Leases end early: that is written, and their holders negotiate for others before it is so far.
    pub(super) fn lose(&mut self, leases: Vec<Lease>) {
        let lost = leases.iter().filter(|lease| lease.state == LeaseState::Confirmed);
        let mut holders: BTreeSet<Name> = BTreeSet::new();
        for lease in lost.filter(|lease| lease.replicas > 0) {
            self.tally.cut_short += 1;
            let session = format!("n{}", self.wishes.len());
            if lease.window.end > self.now
                && holders.insert(lease.holder.clone())
                && let Some(wish) = self.scene.replacement(session, lease)
            {
                self.follow(wish);
            }
        }
        self.enqueue(Write::Cut(leases));
    }

    /// What was agreed is negotiated anew when it comes to its end.
    pub(super) fn renew_in_time(&mut self, ending: &Ending) {
        let Some(agreement) = ending.outcome.agreement() else { return };
        let mine = |wish: &Wish| wish.demand.session == ending.session && wish.renewals > 0;
        let Some(number) = self.wishes.iter().position(mine) else { return };
        let Some(Wish { demand, .. }) = self.wishes.get(number) else { return };
        let end = agreement.window.unwrap_or(demand.window).end;
        if self.renewed.insert(ending.session.clone()) {
            let before = Span::from_millis(self.draw("renewal").u64(500..4000));
            self.schedule(end.before(before).since(self.now), Event::Renew(number));
        }
    }

    pub(super) fn renew(&mut self, number: usize) {
        let Some(wish) = self.wishes.get(number).cloned() else { return };
        let renews = Some(wish.demand.session.clone());
        let mut demand = wish.demand;
        demand.session = format!("n{}", self.wishes.len());
        demand.purpose = Purpose::Renegotiation;
        demand.window = Window::new(self.now, demand.window.length());
        let renewals = wish.renewals - 1;
        let wish = Wish { at: self.now, demand, cancel: None, by: None, renewals, renews };
        self.follow(wish);
    }

    /// A negotiation that follows from what has happened.
    fn follow(&mut self, wish: Wish) {
        self.wishes.push(wish);
        self.schedule(Span::ZERO, Event::Open(self.wishes.len() - 1));
    }
}
