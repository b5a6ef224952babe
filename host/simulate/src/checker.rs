//! Looks at every step whether what must hold does. It adds up leases by itself, moment by moment, and
//! believes nothing that ledger or engine have added up.

use std::collections::{BTreeMap, BTreeSet};

use haggle_model::{Lease, LeaseId, LeaseState, Owner, Quantities, Timestamp, Window};
use haggle_negotiate::{Agreement, Demand, Ending, Ledger, Message, Outcome, Persist};

use crate::{
    coordinator::{Coordinator, Reclaim},
    report::Rule,
};

/// What was seen, of which rule.
pub(crate) type Check = Result<(), (Rule, String)>;

#[derive(Debug, Default)]
pub(crate) struct Checker {
    capacities: BTreeMap<Owner, Quantities>,
    /// What was negotiated for, by session.
    demands: BTreeMap<String, Demand>,
    /// The leases in memory at the last step.
    seen: Vec<Lease>,
    /// The leases on disk.
    pub(crate) disk: BTreeMap<LeaseId, Lease>,
    /// Leases that were ever confirmed on disk.
    confirmed: BTreeSet<LeaseId>,
    /// Leases that were given up on disk.
    ended: BTreeSet<LeaseId>,
    /// The leases of agreements on disk.
    agreed: BTreeMap<String, Vec<LeaseId>>,
    outcomes: BTreeMap<String, Outcome>,
    /// What is taken back, on disk.
    pub(crate) reclaims: Vec<Reclaim>,
    /// Leases that end early because of that, and when.
    cut: BTreeMap<LeaseId, Timestamp>,
    /// What a session is to go on with: until when whose promises last.
    renewing: BTreeMap<String, BTreeMap<Owner, Timestamp>>,
}

/// What is under way between memory and disk.
pub(crate) struct Between<'a> {
    /// Sessions that wait for the disk, and the leases that they change.
    pub(crate) awaited: &'a BTreeMap<String, BTreeSet<LeaseId>>,
    /// Leases that are being written.
    pub(crate) written: &'a BTreeSet<LeaseId>,
}

impl Checker {
    pub(crate) fn new(capacities: BTreeMap<Owner, Quantities>) -> Self {
        Self { capacities, ..Self::default() }
    }

    pub(crate) fn opened(&mut self, demand: &Demand) {
        self.demands.insert(demand.session.clone(), demand.clone());
    }

    /// A session is to go on with what another has agreed.
    pub(crate) fn renewing(&mut self, demand: &Demand, old: &str, now: Timestamp) {
        let live = |lease: &&Lease| {
            lease.is_active(now)
                && lease.holder == demand.requester
                && matches!(lease.owner, Owner::Service(_))
                && !self.cut.contains_key(&lease.id)
        };
        let agreed = self.agreed.get(old).into_iter().flatten();
        let promises = agreed.filter_map(|id| self.disk.get(id)).filter(live);
        let lasts = promises.map(|lease| (lease.owner.clone(), lease.window.end)).collect();
        self.renewing.insert(demand.session.clone(), lasts);
    }

    /// Leases end early on disk.
    pub(crate) fn cut(&mut self, leases: &[Lease]) {
        for lease in leases {
            if lease.state == LeaseState::Confirmed {
                self.cut.insert(lease.id.clone(), lease.window.end);
                self.disk.insert(lease.id.clone(), lease.clone());
            } else {
                self.ended.insert(lease.id.clone());
                self.disk.remove(&lease.id);
            }
        }
    }

    pub(crate) fn outcome(&self, session: &str) -> Option<&Outcome> {
        self.outcomes.get(session)
    }

    /// The host has lost its memory.
    pub(crate) fn crashed(&mut self) {
        self.seen.clear();
    }

    /// Something is on disk now. `consented` are the leases that their parties said they hold.
    pub(crate) fn durable(
        &mut self,
        write: &Persist,
        consented: &BTreeSet<LeaseId>,
        now: Timestamp,
    ) -> Check {
        let mut owners = BTreeSet::new();
        for lease in &write.leases {
            owners.insert(lease.owner.clone());
            match lease.state {
                LeaseState::Confirmed => {
                    self.confirmed.insert(lease.id.clone());
                    self.disk.insert(lease.id.clone(), lease.clone());
                }
                LeaseState::Held => {
                    return fail(Rule::Durability, format!("the hold {} was written", lease.id));
                }
                LeaseState::Released | LeaseState::Expired => {
                    self.ended.insert(lease.id.clone());
                    self.disk.remove(&lease.id);
                }
            }
        }
        if let Some(agreed) = write.record.as_ref().and_then(|record| record.agreed.as_ref()) {
            let promised: BTreeSet<&LeaseId> = agreed.leases.iter().map(|l| &l.id).collect();
            let written: BTreeSet<&LeaseId> = write
                .leases
                .iter()
                .filter(|l| l.negotiation == write.session && l.state == LeaseState::Confirmed)
                .map(|l| &l.id)
                .collect();
            if promised != written {
                let text =
                    format!("{} agrees to {promised:?} and writes {written:?}", write.session);
                return fail(Rule::Whole, text);
            }
            if let Some(id) = promised.iter().find(|id| !consented.contains(**id)) {
                return fail(
                    Rule::Consent,
                    format!("{id} is confirmed, which its owner never held"),
                );
            }
            let ids = promised.into_iter().cloned().collect();
            self.agreed.insert(write.session.clone(), ids);
            self.replaced(&agreed.agreement, now)?;
        }
        let disk: Vec<&Lease> = self.disk.values().collect();
        owners.iter().try_for_each(|owner| self.fits(owner, &disk, None, now, "on disk"))
    }

    /// Whether its requester has nothing within its window that is no part of it.
    fn replaced(&self, agreement: &Agreement, now: Timestamp) -> Check {
        let Agreement { session, requester, services, leases, .. } = agreement;
        let demanded = self.demands.get(session).map(|demand| demand.window);
        let Some(window) = agreement.window.or(demanded) else { return Ok(()) };
        let concerns = |owner: &Owner| match owner {
            Owner::Service(name) => services.contains_key(name),
            Owner::Unit { .. } => true,
        };
        let left = self.disk.values().find(|lease| {
            lease.holder == *requester
                && lease.is_active(now)
                && lease.window.overlaps(&window)
                && concerns(&lease.owner)
                && !leases.contains(&lease.id)
        });
        match left {
            Some(lease) => {
                let text =
                    format!("{session} is agreed, and {requester} has {} beside it", lease.id);
                fail(Rule::Replaced, text)
            }
            None => Ok(()),
        }
    }

    /// Leases are forgotten on disk.
    pub(crate) fn expired(&mut self, leases: &[Lease]) {
        for lease in leases {
            self.ended.insert(lease.id.clone());
            self.disk.remove(&lease.id);
        }
    }

    /// A session has ended, perhaps once more after a restart.
    pub(crate) fn ended(&mut self, ending: &Ending) -> Check {
        let Ending { session, outcome, .. } = ending;
        let (rounds, agreed) = match outcome {
            Outcome::Agreed(agreement) => (agreement.rounds, true),
            Outcome::Failed { rounds, .. } => (*rounds, false),
        };
        if let Some(before) = self.outcomes.get(session)
            && (before.agreement() != outcome.agreement())
        {
            return fail(Rule::End, format!("{session} ended as {before:?} and as {outcome:?}"));
        }
        let demand = self.demands.get(session);
        if demand.is_none_or(|demand| rounds > demand.policy.max_rounds) {
            return fail(Rule::End, format!("{session} took {rounds} rounds"));
        }
        if let Outcome::Agreed(agreement) = outcome {
            if !(agreement.fraction > 0.0 && agreement.fraction <= 1.0) {
                return fail(Rule::End, format!("{session} agreed on {}", agreement.fraction));
            }
            if let Some(id) = agreement.leases.iter().find(|id| !self.confirmed.contains(*id)) {
                return fail(Rule::Durability, format!("{session} agreed on {id}, not on disk"));
            }
            self.goes_on(agreement)?;
        }
        if !agreed && self.agreed.contains_key(session) {
            return fail(Rule::Whole, format!("{session} failed, but its agreement is on disk"));
        }
        self.outcomes.insert(session.clone(), outcome.clone());
        Ok(())
    }

    /// What was renewed, when it was wanted, begins before what was there has ended.
    fn goes_on(&self, agreement: &Agreement) -> Check {
        let renewed = self.renewing.get(&agreement.session).filter(|_| agreement.window.is_none());
        for (owner, end) in renewed.into_iter().flatten() {
            let new = agreement
                .leases
                .iter()
                .filter_map(|id| self.disk.get(id))
                .find(|lease| lease.owner == *owner && lease.negotiation == agreement.session);
            if let Some(lease) = new.filter(|lease| lease.window.start > *end) {
                let text = format!("{} begins after what it renews ended at {end}", lease.id);
                return fail(Rule::Renewal, text);
            }
        }
        Ok(())
    }

    /// A party is told that leases are confirmed.
    pub(crate) fn told(&self, message: &Message, leases: &[Lease]) -> Check {
        match leases.iter().find(|lease| !self.confirmed.contains(&lease.id)) {
            Some(lease) => {
                let text = format!("{} is told of {}, not on disk", message.to, lease.id);
                fail(Rule::Durability, text)
            }
            None => Ok(()),
        }
    }

    /// After every step, on a host that is up.
    pub(crate) fn step(
        &mut self,
        host: &impl Coordinator,
        between: &Between<'_>,
        now: Timestamp,
    ) -> Check {
        let ledger = host.ledger();
        let live: Vec<&Lease> = ledger.leases().collect();
        for lease in &live {
            let session = &lease.negotiation;
            if lease.state == LeaseState::Held && !host.is_open(session) {
                return fail(Rule::Hold, format!("{} is held, and {session} is over", lease.id));
            }
            let changing = between.awaited.values().any(|leases| leases.contains(&lease.id));
            let moving = changing || between.written.contains(&lease.id);
            if !lease.is_active(now) && !moving {
                return fail(Rule::Expiry, format!("{} is over and kept at {now}", lease.id));
            }
        }
        self.taken_back(&live, between, now)?;
        for (session, demand) in &self.demands {
            let deadline = demand.started_at + demand.policy.deadline;
            if now >= deadline && host.is_open(session) && !between.awaited.contains_key(session) {
                return fail(Rule::End, format!("{session} goes on at {now}, after {deadline}"));
            }
        }
        if live.iter().copied().eq(self.seen.iter()) {
            return Ok(());
        }
        let before: BTreeMap<&LeaseId, &Lease> = self.seen.iter().map(|l| (&l.id, l)).collect();
        let changed: Vec<&Lease> = live
            .iter()
            .copied()
            .filter(|l| before.get(&l.id).is_none_or(|old| *old != *l))
            .collect();
        let owners: BTreeSet<&Owner> = changed.iter().map(|lease| &lease.owner).collect();
        for owner in owners {
            self.fits(owner, &live, Some(ledger), now, "in memory")?;
        }
        for lease in changed {
            let kept = self.disk.get(&lease.id);
            // That it ends early is being written; should that be lost, the notice is given again.
            let cut = between.written.contains(&lease.id)
                && kept.is_some_and(|kept| {
                    let window =
                        Window { end: kept.window.end.min(lease.window.end), ..kept.window };
                    Lease { window, ..kept.clone() } == *lease
                });
            if lease.state == LeaseState::Confirmed && kept != Some(lease) && !cut {
                return fail(Rule::Durability, format!("{} is not on disk like that", lease.id));
            }
        }
        let live_ids: BTreeMap<&LeaseId, LeaseState> =
            live.iter().map(|l| (&l.id, l.state)).collect();
        for (session, ids) in &self.agreed {
            for id in ids.iter().filter(|id| !self.ended.contains(*id)) {
                let over = self.disk.get(id).is_none_or(|lease| !lease.is_active(now));
                let counts = live_ids.get(id) == Some(&LeaseState::Confirmed);
                let moving = between.awaited.contains_key(session) || between.written.contains(id);
                if !counts && !over && !moving {
                    return fail(Rule::Whole, format!("{id} of {session} does not count"));
                }
            }
        }
        self.seen = live.into_iter().cloned().collect();
        Ok(())
    }

    /// Whether what is promised beyond a notice fits into what is left then, and whether what was lost to it
    /// ends then. What is on its way to disk is cut once it is there.
    fn taken_back(&self, live: &[&Lease], between: &Between<'_>, now: Timestamp) -> Check {
        for Reclaim { owner, left, at } in &self.reclaims {
            let settled = |lease: &&&Lease| {
                lease.owner == *owner
                    && lease.window.end > *at
                    && lease.state == LeaseState::Confirmed
                    && !between.awaited.values().any(|leases| leases.contains(&lease.id))
                    && !between.written.contains(&lease.id)
            };
            let later: Vec<&Lease> = live.iter().filter(settled).copied().collect();
            let moments = later.iter().map(|lease| lease.window.start.max(now).max(*at));
            for moment in moments {
                let here = later.iter().filter(|lease| lease.window.contains(moment));
                let promised = here.fold(Quantities::new(), |sum, lease| sum.plus(&lease.amounts));
                let over =
                    promised.iter().find(|(resource, level)| exceeds(*level, left.get(*resource)));
                if let Some((resource, level)) = over {
                    let most = left.get(resource);
                    let text = format!(
                        "{owner} promises {level} {resource} at {moment}, but has only {most} left"
                    );
                    return fail(Rule::Notice, text);
                }
            }
        }
        let goes_on =
            |lease: &&&Lease| self.cut.get(&lease.id).is_some_and(|at| lease.window.end > *at);
        match live.iter().find(goes_on) {
            Some(lease) => fail(Rule::Notice, format!("{} goes on after its notice", lease.id)),
            None => Ok(()),
        }
    }

    /// When everything is over.
    pub(crate) fn rest(&self, host: &impl Coordinator, lost: &BTreeSet<String>) -> Check {
        if let Some(lease) = host.ledger().leases().next() {
            return fail(Rule::Rest, format!("{} is left", lease.id));
        }
        if let Some(id) = self.disk.keys().next() {
            return fail(Rule::Rest, format!("{id} is left on disk"));
        }
        if host.unsettled() > 0 {
            return fail(Rule::Rest, format!("{} sessions are left", host.unsettled()));
        }
        let stuck = |s: &&String| !self.outcomes.contains_key(*s) && !lost.contains(*s);
        match self.demands.keys().find(stuck) {
            Some(session) => fail(Rule::End, format!("{session} never ended")),
            None => Ok(()),
        }
    }

    /// Whether what an owner has promised fits into what it has, at every moment ahead.
    fn fits(
        &self,
        owner: &Owner,
        leases: &[&Lease],
        ledger: Option<&Ledger>,
        now: Timestamp,
        place: &str,
    ) -> Check {
        let here: Vec<&Lease> = leases.iter().copied().filter(|l| l.owner == *owner).collect();
        let Some(capacity) = self.capacities.get(owner) else {
            return fail(Rule::Capacity, format!("{owner} has nothing to promise"));
        };
        let moments: BTreeSet<Timestamp> =
            here.iter().map(|lease| lease.window.start.max(now)).collect();
        for at in moments {
            let mut levels: BTreeMap<haggle_model::Resource, f64> = BTreeMap::new();
            let mut counted: BTreeSet<&LeaseId> = BTreeSet::new();
            let amounts = |lease: &Lease| match lease.window.contains(at) {
                true => lease.amounts.clone(),
                false => Quantities::new(),
            };
            // Where a hold is to replace others, the larger of both counts.
            for hold in here.iter().filter(|lease| lease.state == LeaseState::Held) {
                let Some(ledger) = ledger else { continue };
                let replaced = ledger.replacing(&hold.id);
                let old: Vec<&&Lease> =
                    here.iter().filter(|lease| replaced.contains(&lease.id)).collect();
                let before =
                    old.iter().fold(Quantities::new(), |sum, lease| sum.plus(&amounts(lease)));
                for (resource, amount) in amounts(hold).max(&before).iter() {
                    *levels.entry(resource).or_default() += amount;
                }
                counted.insert(&hold.id);
                for lease in old {
                    if !counted.insert(&lease.id) {
                        let text = format!("{} is replaced twice", lease.id);
                        return fail(Rule::Capacity, text);
                    }
                }
            }
            for lease in here.iter().filter(|lease| !counted.contains(&lease.id)) {
                for (resource, amount) in amounts(lease).iter() {
                    *levels.entry(resource).or_default() += amount;
                }
            }
            for (resource, level) in levels {
                let most = capacity.get(resource);
                if exceeds(level, most) {
                    let text =
                        format!("{owner} promises {level} of {most} {resource} {place} at {at}");
                    return fail(Rule::Capacity, text);
                }
            }
        }
        Ok(())
    }
}

/// By more than rounding.
fn exceeds(level: f64, most: f64) -> bool {
    level > most * (1.0 + 1e-9) + 1e-9
}

pub(crate) fn fail(rule: Rule, text: String) -> Check {
    Err((rule, text))
}
