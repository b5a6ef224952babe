//! The checker's own record of descriptions and reclaims. It trusts no total of the core.

use std::collections::BTreeMap;

use haggle_control::{Change, ReclaimRequest, State};
use haggle_model::{
    ComputeUnit, Name, Owner, Provider, Quantities, ScalingPolicy, Service, Timestamp,
};

/// The capacity of every owner, according to the answered documents and announcements.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) services: BTreeMap<Name, Service>,
    pub(crate) policies: BTreeMap<Name, ScalingPolicy>,
    providers: BTreeMap<Name, Provider>,
    /// The reclaimed number of each unit, with the time.
    pub(crate) reclaims: BTreeMap<(Name, Name), Vec<(u32, Timestamp)>>,
    /// The time until which an owner may stay overcommitted after a document lowered its capacity.
    grace: BTreeMap<Owner, Timestamp>,
    /// The inputs that the core has received and not yet answered.
    pending: Vec<Pending>,
    /// The highest `replicas.min` in any description of each service.
    floors: BTreeMap<Name, u32>,
    /// Changes with every entry.
    pub(crate) edition: u64,
    /// The latest time passed to the core. All reclaims that are due by then count as one time.
    pub(crate) latest: Timestamp,
}

#[derive(Debug)]
struct Pending {
    caller: u64,
    at: Timestamp,
    entry: Entry,
}

/// A change of the books.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Change(Box<Change>),
    Reclaim(Name, ReclaimRequest),
    Restock(Name, Name),
}

impl Books {
    pub(crate) fn asked(&mut self, caller: u64, entry: Entry, at: Timestamp) {
        if let Entry::Change(change) = &entry
            && let Change::PutService(service) = change.as_ref()
        {
            let floor = self.floors.entry(service.name.clone()).or_default();
            *floor = (*floor).max(service.replicas.min);
        }
        self.pending.push(Pending { caller, at, entry });
        self.edition += 1;
    }

    /// Records the core's own time of a step. It may lag slightly behind a clock that went back.
    pub(crate) fn taken_in(&mut self, caller: u64, at: Timestamp) {
        for pending in self.pending.iter_mut().filter(|pending| pending.caller == caller) {
            pending.at = at;
        }
    }

    /// The minimum number of replicas that the service may always have had.
    pub(crate) fn floor(&self, service: &Name) -> u32 {
        self.floors.get(service).copied().unwrap_or_default()
    }

    /// Applies the entry of an answered caller if it was done.
    pub(crate) fn answered(&mut self, caller: u64, is_done: bool) {
        let Some(place) = self.pending.iter().position(|pending| pending.caller == caller) else {
            return;
        };
        let Pending { at, entry, .. } = self.pending.remove(place);
        self.edition += 1;
        if is_done {
            self.enter(entry, at);
        }
    }

    /// Resets the books after a crash. The state on disk shows whether the pending entries were done.
    pub(crate) fn crashed(&mut self, on_disk: &State) {
        if std::mem::take(&mut self.pending).is_empty() {
            return;
        }
        self.edition += 1;
        let catalog = on_disk.catalog();
        let by_name =
            |service: &std::sync::Arc<Service>| (service.name.clone(), service.as_ref().clone());
        self.services = catalog.services().map(by_name).collect();
        self.policies = catalog.policies().map(|p| (p.name.clone(), p.as_ref().clone())).collect();
        let before = std::mem::take(&mut self.providers);
        self.providers =
            catalog.providers().map(|p| (p.name.clone(), p.as_ref().clone())).collect();
        self.reclaims.clear();
        for provider in self.providers.values() {
            for (unit, reclaims) in on_disk.reclaims(&provider.name) {
                let all = reclaims.iter().map(|reclaim| (reclaim.count, reclaim.at)).collect();
                self.reclaims.insert((provider.name.clone(), unit.clone()), all);
            }
        }
        for provider in before.into_values() {
            self.lower(&provider, on_disk.now());
        }
    }

    fn enter(&mut self, entry: Entry, at: Timestamp) {
        match entry {
            Entry::Reclaim(provider, ReclaimRequest { unit, count, at: when }) => {
                let notice = self.unit(&provider, &unit).map(|unit| unit.interruption_notice);
                let when = when.unwrap_or(at + notice.unwrap_or_default()).max(at);
                self.reclaims.entry((provider, unit)).or_default().push((count, when));
            }
            Entry::Restock(provider, unit) => {
                self.reclaims.remove(&(provider, unit));
            }
            Entry::Change(change) => match *change {
                Change::PutService(service) => {
                    self.services.insert(service.name.clone(), service);
                }
                Change::DeleteService(name) => {
                    self.services.remove(&name);
                }
                Change::PutPolicy(policy) => {
                    self.policies.insert(policy.name.clone(), policy);
                }
                Change::PutProvider(provider) => {
                    let old = self.providers.insert(provider.name.clone(), provider.clone());
                    let Some(old) = old else { return self.lower(&provider, at) };
                    for unit in &old.units {
                        let same = provider.unit(unit.id.as_str());
                        if same.is_none_or(|new| {
                            new.count != unit.count || new.resources != unit.resources
                        }) {
                            self.reclaims.remove(&(provider.name.clone(), unit.id.clone()));
                        }
                    }
                    self.lower(&old, at);
                    self.lower(&provider, at);
                }
                Change::DeleteProvider(name) => {
                    if let Some(old) = self.providers.remove(&name) {
                        for unit in &old.units {
                            self.reclaims.remove(&(name.clone(), unit.id.clone()));
                        }
                        self.lower(&old, at);
                    }
                }
                _ => {}
            },
        }
    }

    /// Grants the holders of each of these units the notice of the unit, because a document may have
    /// lowered its capacity. On removed units, leases run until they end.
    fn lower(&mut self, old: &Provider, at: Timestamp) {
        for unit in &old.units {
            let notice = self.unit(&old.name, &unit.id).map(|unit| unit.interruption_notice);
            let until = notice.map_or(Timestamp::from_millis(u64::MAX), |notice| at + notice);
            let owner = Owner::Unit { provider: old.name.clone(), unit: unit.id.clone() };
            self.grace.insert(owner, until);
        }
    }

    fn unit(&self, provider: &Name, unit: &Name) -> Option<&ComputeUnit> {
        self.providers.get(provider)?.unit(unit.as_str())
    }

    /// The announced times at which capacity of an owner is taken back.
    pub(crate) fn times(&self, owner: &Owner) -> Vec<Timestamp> {
        let mut times: Vec<Timestamp> = self.grace.get(owner).copied().into_iter().collect();
        if let Owner::Unit { provider, unit } = owner
            && let Some(reclaims) = self.reclaims.get(&(provider.clone(), unit.clone()))
        {
            times.extend(reclaims.iter().map(|(_, at)| *at));
        }
        times
    }

    /// The time until which an owner may be overcommitted.
    pub(crate) fn grace(&self, owner: &Owner) -> Timestamp {
        match owner {
            // A service gives no notice: its promises stay.
            Owner::Service(_) => Timestamp::from_millis(u64::MAX),
            Owner::Unit { .. } => self.grace.get(owner).copied().unwrap_or_default(),
        }
    }

    /// The capacity of an owner at a time. Pending entries may or may not apply.
    pub(crate) fn capacity(&self, owner: &Owner, at: Timestamp) -> Quantities {
        match owner {
            Owner::Service(name) => self.capacity_of_service(name),
            Owner::Unit { provider, unit } => self.capacity_of_unit(provider, unit, at),
        }
    }

    fn capacity_of_service(&self, name: &Name) -> Quantities {
        let changes = || {
            self.pending.iter().filter_map(|pending| match &pending.entry {
                Entry::Change(change) => Some(change.as_ref()),
                _ => None,
            })
        };
        let put = changes().filter_map(|change| match change {
            Change::PutService(service) if service.name == *name => Some(service),
            _ => None,
        });
        let mut most = Quantities::new();
        for service in self.services.get(name).into_iter().chain(put) {
            let put = changes().filter_map(|change| match change {
                Change::PutPolicy(policy) if policy.name == service.policy => Some(policy),
                _ => None,
            });
            for policy in self.policies.get(&service.policy).into_iter().chain(put) {
                let carries = service.replica.capacity.scaled(f64::from(service.replicas.max));
                most = most.max(&carries.scaled(policy.scaling.target_utilization));
            }
        }
        most
    }

    fn capacity_of_unit(&self, provider: &Name, unit: &Name, at: Timestamp) -> Quantities {
        let total = |unit: &ComputeUnit, gone: u32| {
            unit.resources.scaled(f64::from(unit.count.saturating_sub(gone)))
        };
        let key = (provider.clone(), unit.clone());
        let gone = self.reclaims.get(&key).into_iter().flatten().filter(|(_, from)| *from <= at);
        let gone = gone.map(|(count, _)| *count).fold(0, u32::saturating_add);
        let known = self.unit(provider, unit);
        let mut most = known.map(|unit| total(unit, gone)).unwrap_or_default();
        for pending in &self.pending {
            let raised = match &pending.entry {
                Entry::Change(change) => match change.as_ref() {
                    Change::PutProvider(new) if new.name == *provider => new.unit(unit.as_str()),
                    _ => None,
                },
                Entry::Restock(of, restocked) if of == provider && restocked == unit => known,
                _ => None,
            };
            most = raised.map_or(most.clone(), |unit| most.max(&total(unit, 0)));
        }
        most
    }

    /// Checks that the core's announcements equal those of the books, if nothing is pending.
    ///
    /// # Errors
    /// A description of the difference.
    pub(crate) fn same_reclaims(&self, state: &State) -> Result<(), String> {
        if !self.pending.is_empty() {
            return Ok(());
        }
        for provider in self.providers.values() {
            for unit in &provider.units {
                let key = (provider.name.clone(), unit.id.clone());
                let sum = |all: &[(u32, Timestamp)]| {
                    let mut sums: BTreeMap<Timestamp, u32> = BTreeMap::new();
                    all.iter().for_each(|(count, at)| {
                        *sums.entry((*at).max(self.latest)).or_default() += count;
                    });
                    sums
                };
                let here = sum(self.reclaims.get(&key).map_or(&[][..], Vec::as_slice));
                let there = state.reclaims(&provider.name).find(|(id, _)| **id == unit.id);
                let there: Vec<(u32, Timestamp)> = there
                    .map(|(_, all)| all.iter().map(|reclaim| (reclaim.count, reclaim.at)).collect())
                    .unwrap_or_default();
                let there = sum(&there);
                if here != there {
                    let owner = Owner::Unit { provider: key.0, unit: key.1 };
                    return Err(format!("of {owner}, {here:?} were announced, not {there:?}"));
                }
            }
        }
        Ok(())
    }
}
