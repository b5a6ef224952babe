//! The promised amounts of every owner, moment by moment.

use std::collections::{BTreeMap, BTreeSet};

use haggle_model::{Lease, LeaseId, LeaseState, Owner, Resource, Timestamp};
use haggle_negotiate::Ledger;

use super::{Check, fail};
use crate::{books::Books, report::Rule};

/// The promised amounts at the last check.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    accounts: BTreeMap<Owner, Account>,
    edition: u64,
}

#[derive(Debug, Default)]
struct Account {
    leases: Vec<Lease>,
    levels: Levels,
}

/// The promised amounts by resource, from each of these moments on.
type Levels = BTreeMap<Timestamp, [f64; Resource::ALL.len()]>;

impl Accounts {
    /// Sets the promised amounts without a check.
    pub(crate) fn reset<'a>(&mut self, leases: impl Iterator<Item = &'a Lease>) {
        self.accounts.clear();
        for (owner, leases) in by_owner(leases) {
            let levels = levels(&leases, None);
            let leases = leases.into_iter().cloned().collect();
            self.accounts.insert(owner.clone(), Account { leases, levels });
        }
    }

    /// Checks the promised amounts and records them.
    pub(crate) fn check<'a>(
        &mut self,
        leases: impl Iterator<Item = &'a Lease>,
        ledger: Option<&Ledger>,
        books: &Books,
        now: Timestamp,
    ) -> Check {
        let is_new = std::mem::replace(&mut self.edition, books.edition) != books.edition;
        let mut owners = by_owner(leases);
        let gone: Vec<Owner> =
            self.accounts.keys().filter(|owner| !owners.contains_key(owner)).cloned().collect();
        gone.iter().for_each(|owner| drop(self.accounts.remove(owner)));
        for (owner, leases) in std::mem::take(&mut owners) {
            let account = self.accounts.entry(owner.clone()).or_default();
            let same = account.leases.iter().eq(leases.iter().copied());
            if same && !is_new && books.grace(owner) == Timestamp::from_millis(u64::MAX) {
                continue;
            }
            let levels = if same { account.levels.clone() } else { self::levels(&leases, ledger) };
            fits(owner, &levels, &account.levels, books, now, ledger.is_none())?;
            if !same {
                account.leases = leases.into_iter().cloned().collect();
                account.levels = levels;
            }
        }
        Ok(())
    }
}

fn fits(
    owner: &Owner,
    new: &Levels,
    old: &Levels,
    books: &Books,
    now: Timestamp,
    on_disk: bool,
) -> Check {
    let grace = books.grace(owner);
    let times = books.times(owner).into_iter().filter(|at| *at > now);
    let moments: BTreeSet<Timestamp> =
        new.keys().copied().filter(|at| *at > now).chain(times).chain([now]).collect();
    for at in moments {
        let Some(level) = at_moment(new, at) else { continue };
        let capacity = books.capacity(owner, at);
        let before = at_moment(old, at);
        for (place, (resource, level)) in Resource::ALL.iter().zip(level).enumerate() {
            let most = capacity.get(*resource);
            if !exceeds(level, most) {
                continue;
            }
            let had = before.and_then(|levels| levels.get(place).copied()).unwrap_or(0.0);
            let place = if on_disk { "on disk" } else { "in memory" };
            let text = || format!("{owner} promises {level} of {most} {resource} {place} at {at}");
            if exceeds(level, had) {
                return fail(Rule::Capacity, text());
            }
            if at >= grace {
                return fail(Rule::Notice, format!("{}, after its notice", text()));
            }
        }
    }
    Ok(())
}

fn by_owner<'a>(leases: impl Iterator<Item = &'a Lease>) -> BTreeMap<&'a Owner, Vec<&'a Lease>> {
    let mut owners: BTreeMap<&Owner, Vec<&Lease>> = BTreeMap::new();
    for lease in leases {
        owners.entry(&lease.owner).or_default().push(lease);
    }
    owners
}

/// The levels of the leases. If a hold is to replace others, the larger of the two counts.
fn levels(leases: &[&Lease], ledger: Option<&Ledger>) -> Levels {
    let mut levels = Levels::new();
    for lease in leases {
        levels.insert(lease.window.start, [0.0; Resource::ALL.len()]);
        levels.insert(lease.window.end, [0.0; Resource::ALL.len()]);
    }
    let moments: Vec<Timestamp> = levels.keys().copied().collect();
    for at in moments {
        let mut sum = [0.0; Resource::ALL.len()];
        let amount = |lease: &Lease, resource| match lease.window.contains(at) {
            true => lease.amounts.get(resource),
            false => 0.0,
        };
        let mut counted: BTreeSet<&LeaseId> = BTreeSet::new();
        for hold in leases.iter().filter(|lease| lease.state == LeaseState::Held) {
            let replaced = ledger.map_or(&[][..], |ledger| ledger.replacing(&hold.id));
            let fresh = |l: &&&Lease| replaced.contains(&l.id) && !counted.contains(&l.id);
            let old: Vec<&&Lease> = leases.iter().filter(fresh).collect();
            for (sum, resource) in sum.iter_mut().zip(Resource::ALL) {
                let before: f64 = old.iter().map(|lease| amount(lease, resource)).sum();
                *sum += amount(hold, resource).max(before);
            }
            counted.insert(&hold.id);
            counted.extend(old.iter().map(|lease| &lease.id));
        }
        for lease in leases.iter().filter(|lease| !counted.contains(&lease.id)) {
            for (sum, resource) in sum.iter_mut().zip(Resource::ALL) {
                *sum += amount(lease, resource);
            }
        }
        levels.insert(at, sum);
    }
    levels
}

fn at_moment(levels: &Levels, at: Timestamp) -> Option<[f64; Resource::ALL.len()]> {
    levels.range(..=at).next_back().map(|(_, level)| *level)
}

/// Whether a level exceeds a limit by more than rounding. The ledger counts in thousandths and rounds each
/// lease up.
fn exceeds(level: f64, most: f64) -> bool {
    level > most * (1.0 + 1e-9) + 0.02
}
