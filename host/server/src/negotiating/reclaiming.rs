//! Capacity that its provider takes back, with notice: whoever holds it negotiates for another before the
//! notice runs out.

use std::{collections::BTreeMap, sync::Arc};

use haggle_model::{Lease, Name, Owner, Provider, Quantities, Timestamp};
use haggle_negotiate::{Effect, Overcommitment};
use haggle_store::{Batch, Kind, Providers};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    documents::catalog::not_found,
    error::HostError,
    events::EventKind,
    host::{Host, lock},
    persistence::keep_leases,
    views::{ReclaimRequest, Reclaimed},
};

/// Announced and not over, by provider and unit.
pub(crate) type Announced = BTreeMap<(Name, Name), Reclaim>;

/// So many of a unit are gone from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reclaim {
    count: u32,
    at: Timestamp,
}

/// Announced reclaims by provider and unit.
pub(crate) enum Reclaims {}

impl Kind for Reclaims {
    const TAG: u8 = 0x43;
    const NAME: &'static str = "announced reclaim";
    type Key = (Name, Name);
    type Value = Reclaim;
}

impl Host {
    /// A provider announces that it takes compute units back. Leases that do not fit into what is left then
    /// end at that time, those of lower tiers first; their holders negotiate for others at once. A
    /// new announcement for the same unit takes the place of the one before.
    ///
    /// # Errors
    /// [`HostError::NotFound`], or [`HostError::Reclaim`] for more units than there are.
    pub fn reclaim(
        &self,
        provider: &Name,
        request: &ReclaimRequest,
    ) -> Result<Reclaimed, HostError> {
        let changing = self.changing();
        let catalog = self.catalog();
        let provider = catalog.provider(provider)?;
        let ReclaimRequest { unit, count, at } = request;
        let found = provider.unit(unit.as_str()).ok_or_else(|| not_found("unit", unit))?;
        if *count == 0 || *count > found.count {
            return Err(HostError::Reclaim {
                asked: *count,
                unit: unit.clone(),
                count: found.count,
            });
        }
        let now = self.clock.now();
        let at = at.unwrap_or(now + found.interruption_notice).max(now);
        let reclaim = Reclaim { count: *count, at };
        let leases = self.announce(provider, unit, reclaim)?;
        let holders: Vec<Name> = leases.iter().map(|lease| lease.holder.clone()).collect();
        let message =
            format!("takes back {count} of {unit} at {at}: {} lease(s) end", leases.len());
        let detail = json!({ "unit": unit, "count": count, "at": at, "holders": holders });
        self.emit(EventKind::Alert, provider.name.as_str(), message, detail);
        drop(changing);
        self.serve_lost();
        Ok(Reclaimed {
            provider: provider.name.clone(),
            unit: unit.clone(),
            count: *count,
            at,
            leases,
        })
    }

    /// Books a reclaim, writes it down, and marks the holders of what is lost.
    fn announce(
        &self,
        provider: &Provider,
        unit: &Name,
        reclaim: Reclaim,
    ) -> Result<Vec<Lease>, HostError> {
        let Some(found) = provider.unit(unit.as_str()) else { return Ok(Vec::new()) };
        let owner = Owner::Unit { provider: provider.name.clone(), unit: unit.clone() };
        let left = found.has.scaled(f64::from(found.count.saturating_sub(reclaim.count)));
        let key = (provider.name.clone(), unit.clone());
        let mut batch = Batch::new();
        batch.put::<Reclaims>(&key, &reclaim)?;
        let leases = self.end_at(&owner, &left, reclaim.at, batch)?;
        lock(&self.reclaims).insert(key, reclaim);
        Ok(leases)
    }

    /// Ends at that time what does not fit into what is left of an owner then, writes it together with the
    /// batch, and marks the holders.
    fn end_at(
        &self,
        owner: &Owner,
        left: &Quantities,
        at: Timestamp,
        mut batch: Batch,
    ) -> Result<Vec<Lease>, HostError> {
        // Written in the order in which it counts.
        let (leases, written) = self.with_engine(|engine, setting| {
            let leases = match engine.reclaim(owner, &[(at, left.clone())], setting) {
                Some(Effect::Reclaimed(leases)) => leases,
                _ => Vec::new(),
            };
            let kept = keep_leases(&mut batch, &leases);
            (leases, kept.and_then(|()| self.persistence.commit_lazy(batch)))
        });
        written?;
        self.persistence.commit(Batch::new())?;
        self.note_lost(&leases);
        Ok(leases)
    }

    /// Ends what a provider has promised beyond what it has now: the holders get the notice that its units
    /// give.
    pub(crate) fn end_excess(
        &self,
        provider: &Provider,
        excess: &[Overcommitment],
    ) -> Result<(), HostError> {
        for unit in &provider.units {
            let owner = Owner::Unit { provider: provider.name.clone(), unit: unit.id.clone() };
            let mut here = excess.iter().filter(|over| over.owner == owner).peekable();
            if here.peek().is_none() {
                continue;
            }
            let at = self.clock.now() + unit.interruption_notice;
            let leases = self.end_at(&owner, &unit.total(), at, Batch::new())?;
            let over = here.map(ToString::to_string).collect::<Vec<_>>().join("; ");
            let message = format!("{over}: {} lease(s) end at {at}", leases.len());
            let detail = json!({ "unit": unit.id, "at": at });
            self.emit(EventKind::Alert, provider.name.as_str(), message, detail);
        }
        Ok(())
    }

    /// The holders have to negotiate for others.
    pub(crate) fn note_lost(&self, leases: &[Lease]) {
        let mut states = self.states();
        for lease in leases {
            if let Some(state) = states.get_mut(&lease.holder) {
                state.lose();
            }
        }
    }

    /// Takes announced units out of what providers have, once it is time.
    pub(crate) fn carry_out_reclaims(&self, now: Timestamp) -> Result<(), HostError> {
        let due: Vec<((Name, Name), Reclaim)> = lock(&self.reclaims)
            .iter()
            .filter(|(_, reclaim)| reclaim.at <= now)
            .map(|(key, reclaim)| (key.clone(), *reclaim))
            .collect();
        due.into_iter().try_for_each(|(key, reclaim)| self.carry_out_reclaim(&key, reclaim.count))
    }

    /// What the provider has announced of its other units stands.
    fn carry_out_reclaim(&self, key: &(Name, Name), count: u32) -> Result<(), HostError> {
        let (name, id) = key;
        let _changing = self.changing();
        let mut catalog = self.catalog().as_ref().clone();
        let mut batch = Batch::new();
        batch.delete::<Reclaims>(key)?;
        if let Ok(found) = catalog.provider(name) {
            let mut provider = found.as_ref().clone();
            for unit in provider.units.iter_mut().filter(|unit| unit.id == *id) {
                unit.count = unit.count.saturating_sub(count);
            }
            batch.put::<Providers>(name, &provider)?;
            catalog.providers.insert(name.clone(), Arc::new(provider));
        }
        self.persistence.commit(batch)?;
        lock(&self.reclaims).remove(key);
        if let Ok(provider) = catalog.provider(name)
            && let Some(unit) = provider.unit(id.as_str())
        {
            let owner = Owner::Unit { provider: name.clone(), unit: id.clone() };
            // What did not fit has ended by now.
            self.ledger().set_capacity(&owner, &unit.total());
        }
        self.show(catalog, "provider", name, true).map(drop)
    }

    /// A provider that is described anew says what it has from now on: what it announced before is over.
    pub(crate) fn forget_reclaims(
        &self,
        provider: &Name,
        batch: &mut Batch,
    ) -> Result<(), HostError> {
        let mut reclaims = lock(&self.reclaims);
        let keys = reclaims.keys().filter(|(of, _)| of == provider).cloned();
        for key in keys.collect::<Vec<_>>() {
            batch.delete::<Reclaims>(&key)?;
            reclaims.remove(&key);
        }
        Ok(())
    }

    /// Announces again what was announced before a restart.
    pub(crate) fn restore_reclaims(&self) -> Result<(), HostError> {
        let Some(store) = self.persistence.store() else { return Ok(()) };
        let announced: Vec<_> = store.scan::<Reclaims>().collect::<Result<_, _>>()?;
        for ((name, unit), reclaim) in announced {
            if let Ok(provider) = self.provider(&name) {
                self.announce(&provider, &unit, reclaim)?;
            }
        }
        Ok(())
    }
}
