//! Engines that are broken on purpose, each in one way: the checker must notice every one of them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use haggle_model::{Lease, LeaseId, LeaseState, Owner, Quantities, Span, Timestamp, Window};
use haggle_negotiate::{
    Content, Demand, Effect, Ledger, Message, MessageError, OpenError, Purpose,
};
use haggle_simulate::{
    Coordinator, Disk, Options, Reclaim, Report, Rule, Scene, Sound, Started, run_with,
};

/// What is broken.
#[derive(Clone, Copy, PartialEq)]
enum Break {
    /// Nothing.
    Nothing,
    /// What becomes durable is confirmed once more under another name.
    DoubleConfirm,
    /// After a crash, holds are found again though their sessions are gone.
    LostReleaseOnCrash,
    /// Nothing ever expires.
    ExpiryIgnored,
    /// A hold does not see those of other sessions.
    StaleCapacity,
    /// What arrives twice counts for somebody else, too.
    DuplicateCountedTwice,
    /// What is on its way to disk counts already.
    ConfirmBeforeDurable,
    /// A part of an agreement is lost.
    HalfAnAgreement,
    /// Nobody listens to a provider that takes capacity back.
    ReclaimIgnored,
    /// What is lost to a reclaim is said to end, and goes on in memory.
    ReclaimNotCarriedOut,
    /// What an agreement replaces does not end on disk.
    ReplacedStays,
    /// A renewal begins after what it renews has ended.
    RenewalTooLate,
    /// A renewal lets go of what there is before it has anything in its place.
    RenewalLetsGo,
}

/// The engine behind something that breaks one thing.
struct Broken {
    how: Break,
    sound: Sound,
    capacities: Vec<(Owner, Quantities)>,
    /// Questions under way, by session and id.
    asked: BTreeMap<(String, u64), Message>,
    heard: Vec<Message>,
}

impl Broken {
    fn new(how: Break) -> Self {
        let (sound, capacities) = (Sound::default(), Vec::new());
        Self { how, sound, capacities, asked: BTreeMap::new(), heard: Vec::new() }
    }

    /// Lets the engine act on capacities as they would be without any hold.
    fn blind<T>(&mut self, act: impl FnOnce(&mut Sound) -> T) -> T {
        if self.how != Break::StaleCapacity {
            return act(&mut self.sound);
        }
        for (owner, capacity) in &self.capacities {
            let ledger = &self.sound.ledger;
            let here = |l: &&Lease| l.owner == *owner && l.state == LeaseState::Held;
            let held = ledger.leases().filter(here);
            let more = held.fold(capacity.clone(), |sum, lease| sum.plus(&lease.amounts));
            self.sound.ledger.set_capacity(owner, &more);
        }
        let done = act(&mut self.sound);
        for (owner, capacity) in &self.capacities {
            self.sound.ledger.set_capacity(owner, capacity);
        }
        done
    }

    fn watch(&mut self, mut effects: Vec<Effect>) -> Vec<Effect> {
        for effect in &mut effects {
            if let Effect::Persist(persist) = effect
                && persist.awaited
                && self.how == Break::ReplacedStays
            {
                persist.leases.retain(|lease| lease.state == LeaseState::Confirmed);
            }
        }
        for effect in &effects {
            match effect {
                Effect::Deliver(message) => {
                    let key = (message.session.clone(), message.message.0);
                    self.asked.insert(key, message.clone());
                }
                Effect::Persist(persist)
                    if persist.awaited && self.how == Break::ConfirmBeforeDurable =>
                {
                    let leases: Vec<Lease> = persist
                        .leases
                        .iter()
                        .filter(|l| l.state == LeaseState::Confirmed)
                        .map(|l| Lease { id: LeaseId(format!("{}-early", l.id)), ..l.clone() })
                        .collect();
                    self.sound.ledger.restore(leases, Timestamp::default());
                }
                _ => {}
            }
        }
        effects
    }
}

impl Coordinator for Broken {
    fn start(&mut self, disk: Disk<'_>, scene: &Scene, now: Timestamp) -> Started {
        self.capacities = disk.capacities.to_vec();
        let held: Vec<Lease> = self
            .sound
            .ledger
            .leases()
            .filter(|lease| lease.state == LeaseState::Held)
            .map(|lease| Lease { state: LeaseState::Confirmed, ..lease.clone() })
            .collect();
        let started = self.sound.start(disk, scene, now);
        if self.how == Break::LostReleaseOnCrash {
            self.sound.ledger.restore(held, now);
        }
        started
    }

    fn open(
        &mut self,
        demand: Demand,
        scene: &Scene,
        now: Timestamp,
    ) -> Result<Vec<Effect>, OpenError> {
        let mut demand = demand;
        if demand.purpose == Purpose::Renegotiation && demand.window.start == now {
            match self.how {
                Break::RenewalTooLate => {
                    let start = demand.window.start + Span::from_secs(20);
                    demand.window = Window::new(start, demand.window.length());
                }
                Break::RenewalLetsGo => {
                    let held = self.sound.ledger.leases_of(&demand.requester);
                    let held: Vec<LeaseId> = held.map(|lease| lease.id.clone()).collect();
                    self.sound.ledger.release(&held);
                }
                _ => {}
            }
        }
        let effects = self.blind(|sound| sound.open(demand, scene, now))?;
        Ok(self.watch(effects))
    }

    fn receive(
        &mut self,
        message: Message,
        scene: &Scene,
        now: Timestamp,
    ) -> Result<Vec<Effect>, MessageError> {
        let twice = self.heard.contains(&message);
        self.heard.push(message.clone());
        if twice && self.how == Break::DuplicateCountedTwice {
            let yes = matches!(message.content, Content::Confirm { .. } | Content::Propose(_));
            let other = self.asked.values().find(|asked| {
                asked.session == message.session
                    && asked.to != message.from
                    && matches!(
                        (&asked.content, &message.content),
                        (Content::Accept { .. }, Content::Confirm { .. })
                            | (Content::CallForProposals(_), Content::Propose(_))
                    )
                    && !self.heard.iter().any(|heard| {
                        heard.in_reply_to == Some(asked.message) && heard.session == asked.session
                    })
            });
            if let Some(other) = other.filter(|_| yes) {
                let forged = other.reply(message.content.clone(), now);
                let effects = self.sound.receive(forged, scene, now)?;
                return Ok(self.watch(effects));
            }
        }
        let effects = self.blind(|sound| sound.receive(message, scene, now))?;
        Ok(self.watch(effects))
    }

    fn persisted(&mut self, session: &str, scene: &Scene, now: Timestamp) -> Vec<Effect> {
        let effects = self.sound.persisted(session, scene, now);
        let mine = |l: &&Lease| l.negotiation == session && l.state == LeaseState::Confirmed;
        let new: Vec<Lease> = self.sound.ledger.leases().filter(mine).cloned().collect();
        match (self.how, new.as_slice()) {
            (Break::DoubleConfirm, new) => {
                let copy = |l: &Lease| Lease { id: LeaseId(format!("{}-b", l.id)), ..l.clone() };
                self.sound.ledger.restore(new.iter().map(copy), now);
            }
            (Break::HalfAnAgreement, [first, ..]) => {
                self.sound.ledger.release(std::slice::from_ref(&first.id));
            }
            _ => {}
        }
        self.watch(effects)
    }

    fn tick(&mut self, scene: &Scene, now: Timestamp) -> Vec<Effect> {
        if self.how == Break::ExpiryIgnored {
            // Its ledger believes that it is always the beginning.
            let due = self.sound.next_due();
            return match due {
                Some(due) if due <= now => {
                    let kept: Vec<Lease> = self.sound.ledger.leases().cloned().collect();
                    let effects = self.sound.tick(scene, now);
                    let confirmed = |l: &Lease| l.state == LeaseState::Confirmed;
                    let kept = kept.into_iter().filter(confirmed);
                    self.sound.ledger.restore(kept, Timestamp::default());
                    effects.into_iter().filter(|e| !matches!(e, Effect::Expired(_))).collect()
                }
                _ => Vec::new(),
            };
        }
        let effects = self.sound.tick(scene, now);
        self.watch(effects)
    }

    fn reclaim(&mut self, reclaim: &Reclaim, scene: &Scene, now: Timestamp) -> Vec<Effect> {
        match self.how {
            Break::ReclaimIgnored => Vec::new(),
            Break::ReclaimNotCarriedOut => {
                let before = self.sound.ledger.clone();
                let effects = self.sound.reclaim(reclaim, scene, now);
                self.sound.ledger = before;
                effects
            }
            _ => self.sound.reclaim(reclaim, scene, now),
        }
    }

    fn take_back(&mut self, reclaim: &Reclaim) {
        self.sound.take_back(reclaim);
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.sound.next_due()
    }

    fn is_open(&self, session: &str) -> bool {
        self.sound.is_open(session)
    }

    fn unsettled(&self) -> usize {
        self.sound.unsettled()
    }

    fn ledger(&self) -> &Ledger {
        self.sound.ledger()
    }
}

fn simulate(how: Break) -> Report {
    let options = Options { seeds: 60, ..Options::default() };
    run_with(&options, || Broken::new(how), &|_| {}).unwrap()
}

/// The checker finds it, by one of these rules, and shows a run that is shorter than what it began with.
fn caught(how: Break, rules: &[Rule]) {
    caught_beside(how, rules, &[]);
}

/// The same where it breaks other rules as well in some runs.
fn caught_beside(how: Break, rules: &[Rule], others: &[Rule]) {
    let report = simulate(how);
    let found = |rule: &Rule| report.found.iter().any(|violation| violation.rule == *rule);
    assert!(rules.iter().any(found), "not noticed by any of {rules:?}");
    for violation in &report.found {
        let known = rules.contains(&violation.rule) || others.contains(&violation.rule);
        assert!(known, "{:?}: {}", violation.rule, violation.text);
    }
    let shown = &report.found[0];
    assert!(!shown.trace.is_empty() && shown.needs.matches('n').count() <= 12, "{}", shown.needs);
}

#[test]
fn a_double_confirmation_is_caught() {
    caught_beside(Break::DoubleConfirm, &[Rule::Capacity, Rule::Durability], &[Rule::Notice]);
}

#[test]
fn a_release_that_a_crash_lost_is_caught() {
    caught_beside(Break::LostReleaseOnCrash, &[Rule::Capacity, Rule::Durability], &[Rule::Notice]);
}

#[test]
fn an_expiry_that_is_ignored_is_caught() {
    caught_beside(Break::ExpiryIgnored, &[Rule::Expiry, Rule::Rest], &[Rule::Notice]);
}

#[test]
fn a_capacity_that_was_read_too_early_is_caught() {
    caught_beside(Break::StaleCapacity, &[Rule::Capacity], &[Rule::Notice]);
}

#[test]
fn a_duplicate_that_counts_twice_is_caught() {
    caught(Break::DuplicateCountedTwice, &[Rule::Consent, Rule::Repetition]);
}

#[test]
fn a_confirmation_before_it_is_durable_is_caught() {
    caught_beside(
        Break::ConfirmBeforeDurable,
        &[Rule::Capacity, Rule::Durability],
        &[Rule::Notice],
    );
}

#[test]
fn half_an_agreement_is_caught() {
    caught(Break::HalfAnAgreement, &[Rule::Whole]);
}

#[test]
fn an_agreement_that_leaves_another_beside_it_is_caught() {
    caught_beside(
        Break::ReplacedStays,
        &[Rule::Replaced],
        &[Rule::Capacity, Rule::Whole, Rule::Rest],
    );
}

#[test]
fn a_reclaim_that_is_ignored_is_caught() {
    caught(Break::ReclaimIgnored, &[Rule::Notice]);
}

#[test]
fn a_reclaim_that_is_not_carried_out_is_caught() {
    caught(Break::ReclaimNotCarriedOut, &[Rule::Notice]);
}

#[test]
fn a_renewal_that_comes_too_late_is_caught() {
    caught_beside(Break::RenewalTooLate, &[Rule::Renewal], &[Rule::Replaced]);
}

#[test]
fn a_renewal_that_lets_go_first_is_caught() {
    caught(Break::RenewalLetsGo, &[Rule::Whole, Rule::Durability]);
}

#[test]
fn what_breaks_nothing_is_not_caught() {
    assert_eq!(simulate(Break::Nothing).violations, 0, "the seam itself does no harm");
}
