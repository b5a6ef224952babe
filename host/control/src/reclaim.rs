//! Reclaims: a provider takes capacity back with notice, and the holders negotiate for replacements before
//! the notice runs out. The reclaimed units are part of the status of the unit; a reclaim never changes the
//! description.

use std::sync::Arc;

use haggle_model::{ComputeUnit, Lease, Name, Owner, Provider, Quantities, Span, Timestamp};
use haggle_negotiate::{Effect, Overcommitment};
use serde_json::json;

use crate::{
    ControlError, EventKind, Reclaimed,
    input::ReclaimRequest,
    record::{Key, Reclaim, Record},
    step::Step,
};

/// The maximum time by which a reclaim can be announced ahead.
const REACH: Span = Span::from_mins(10 * 366 * 24 * 60);

/// The maximum number of future announcements of one unit.
const MOST_NOTICES: usize = 1000;

fn total(reclaims: &[Reclaim]) -> u32 {
    reclaims.iter().map(|reclaim| reclaim.count).fold(0, u32::saturating_add)
}

/// Sorts reclaims by time. Reclaims for the same time are merged, and so are all reclaims that are already
/// due.
fn merged(reclaims: &[Reclaim], now: Timestamp) -> Vec<Reclaim> {
    let mut all = reclaims.to_vec();
    all.sort_by_key(|reclaim| reclaim.at);
    all.dedup_by(|later, earlier| {
        let one = later.at == earlier.at || later.at <= now;
        if one {
            *earlier = Reclaim { count: earlier.count.saturating_add(later.count), at: later.at };
        }
        one
    });
    all
}

impl Step<'_> {
    /// Announces a reclaim of compute units, in addition to earlier announcements. Leases that no longer
    /// fit end at that time, those of lower tiers first.
    pub(crate) fn reclaim(
        &mut self,
        name: &Name,
        request: &ReclaimRequest,
    ) -> Result<Reclaimed, ControlError> {
        let provider = Arc::clone(self.state.catalog.provider(name)?);
        // The ledger replaces its earlier announcements by the new ones. Reclaims that are already due must
        // take effect first, or they would have no effect until the next pass.
        self.carry_out_reclaims();
        let ReclaimRequest { unit: id, count, at } = request;
        let not_found = || ControlError::not_found("unit", id);
        let unit = provider.unit(id.as_str()).ok_or_else(not_found)?;
        let key = (name.clone(), id.clone());
        let mut reclaims = self.state.reclaims.get(&key).cloned().unwrap_or_default();
        let announced = total(&reclaims);
        let left = unit.count.saturating_sub(announced);
        if *count == 0 || *count > left {
            let (asked, unit, count) = (*count, id.clone(), unit.count);
            return Err(ControlError::Reclaim { asked, unit, count, announced });
        }
        let at = at.unwrap_or(self.now + unit.interruption_notice).max(self.now);
        if at > self.now + REACH {
            return Err(ControlError::ReclaimTime { at });
        }
        reclaims.push(Reclaim { count: *count, at });
        let reclaims = merged(&reclaims, self.now);
        if reclaims.len() > MOST_NOTICES {
            let (unit, most) = (id.clone(), MOST_NOTICES);
            return Err(ControlError::TooManyReclaims { unit, most });
        }
        self.state.reclaims.insert(key, reclaims.clone());
        self.put(Record::Reclaim(name.clone(), id.clone(), reclaims.clone()));
        let leases = self.cut_to_notices(name, unit, &reclaims);
        let holders: Vec<Name> = leases.iter().map(|lease| lease.holder.clone()).collect();
        let message = format!("takes back {count} of {id} at {at}: {} lease(s) end", leases.len());
        let detail = json!({ "unit": id, "count": count, "at": at, "holders": holders });
        self.publish(EventKind::Alert, name.as_str(), message, detail);
        let (provider, unit, count, total) = (name.clone(), id.clone(), *count, total(&reclaims));
        Ok(Reclaimed { provider, unit, count, at, total, leases })
    }

    /// Records that a provider has all its units back. Its announcements for the unit are removed.
    pub(crate) fn restock(&mut self, name: &Name, id: &Name) -> Result<(), ControlError> {
        let provider = Arc::clone(self.state.catalog.provider(name)?);
        let not_found = || ControlError::not_found("unit", id);
        let unit = provider.unit(id.as_str()).ok_or_else(not_found)?;
        if self.state.reclaims.remove(&(name.clone(), id.clone())).is_none() {
            return Ok(());
        }
        self.delete(Key::Reclaim(name.clone(), id.clone()));
        self.set_unit(name, unit);
        self.show_provider(&provider);
        self.retry_reservations();
        let message = format!("has all {} of {id} again", unit.count);
        self.publish(EventKind::Catalog, name.as_str(), message, json!({ "unit": id }));
        Ok(())
    }

    /// Sets the current capacity of a unit and its announced reclaims.
    pub(crate) fn set_unit(&mut self, provider: &Name, unit: &ComputeUnit) -> Vec<Overcommitment> {
        let owner = Owner::Unit { provider: provider.clone(), unit: unit.id.clone() };
        let key = (provider.clone(), unit.id.clone());
        let reclaims = self.state.reclaims.get(&key).cloned().unwrap_or_default();
        let gone = self.gone(&reclaims);
        let excess = self.state.ledger.set_capacity(&owner, &less(unit, gone));
        if !reclaims.is_empty() {
            self.cut_to_notices(provider, unit, &reclaims);
        }
        excess
    }

    /// The number of units that are gone by now.
    pub(crate) fn gone(&self, reclaims: &[Reclaim]) -> u32 {
        let gone = reclaims.iter().filter(|reclaim| reclaim.at <= self.now);
        gone.map(|reclaim| reclaim.count).fold(0, u32::saturating_add)
    }

    /// Updates the provider that negotiations see to its current units.
    pub(crate) fn show_provider(&mut self, described: &Arc<Provider>) {
        let name = &described.name;
        let mut shown = described.as_ref().clone();
        for unit in &mut shown.units {
            let key = (name.clone(), unit.id.clone());
            let gone = self.state.reclaims.get(&key).map_or(0, |reclaims| self.gone(reclaims));
            unit.count = unit.count.saturating_sub(gone);
        }
        self.state.providers.insert(name.clone(), Arc::new(shown));
    }

    /// Ends the leases that do not fit into the capacity of a unit now and after each notice, and marks
    /// their holders.
    fn cut_to_notices(
        &mut self,
        provider: &Name,
        unit: &ComputeUnit,
        reclaims: &[Reclaim],
    ) -> Vec<Lease> {
        let owner = Owner::Unit { provider: provider.clone(), unit: unit.id.clone() };
        let mut gone = self.gone(reclaims);
        let mut notices = vec![(self.now, less(unit, gone))];
        for reclaim in reclaims.iter().filter(|reclaim| reclaim.at > self.now) {
            gone = gone.saturating_add(reclaim.count);
            notices.push((reclaim.at, less(unit, gone)));
        }
        self.cut(&owner, &notices)
    }

    /// Ends the leases that do not fit into the capacity of an owner from those times on.
    pub(crate) fn cut(&mut self, owner: &Owner, notices: &[(Timestamp, Quantities)]) -> Vec<Lease> {
        let effect = self.with_engine(|engine, setting| engine.reclaim(owner, notices, setting));
        let leases = match effect {
            Some(Effect::Reclaimed(leases)) => leases,
            _ => Vec::new(),
        };
        self.keep_leases(&leases);
        self.note_lost(&leases);
        leases
    }

    /// Applies announced reclaims that are now due.
    pub(crate) fn carry_out_reclaims(&mut self) {
        let shown = |provider: &Provider, unit: &ComputeUnit| {
            provider.unit(unit.id.as_str()).map_or(0, |unit| unit.count)
        };
        let providers: Vec<Arc<Provider>> =
            self.state.catalog.providers.values().cloned().collect();
        for provider in providers {
            let name = provider.name.clone();
            let mut changed = false;
            for unit in &provider.units {
                let key = (name.clone(), unit.id.clone());
                let Some(reclaims) = self.state.reclaims.get(&key) else { continue };
                let left = unit.count.saturating_sub(self.gone(reclaims));
                let now = self.state.providers.get(&name).map_or(0, |now| shown(now, unit));
                if left != now {
                    self.set_unit(&name, unit);
                    changed = true;
                }
            }
            if changed {
                self.show_provider(&provider);
            }
        }
    }
}

/// The total resources of a unit without the `gone` ones.
fn less(unit: &ComputeUnit, gone: u32) -> Quantities {
    unit.resources.scaled(f64::from(unit.count.saturating_sub(gone)))
}
