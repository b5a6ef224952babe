//! The core's records in the store.

use haggle_control::{
    Generation, GenerationStatus, Key, Reclaim, Record, Request, Restored, StoredService, Write,
};
use haggle_model::{Dependency, DependencyDocument, Name};
use haggle_negotiate::SessionRecord;
use haggle_store::{
    Batch, Calendar, Decisions, Dependencies, Digest, GenerationStatus as KeptStatus,
    GrantedDirectory, Kind, Leases, Negotiations, PluginGeneration, Plugins, Policies, Providers,
    Services, Store, StoreError, readable,
};
use rayon::prelude::*;

/// The decision state of services, by name.
enum States {}

impl Kind for States {
    const TAG: u8 = 0x40;
    const NAME: &'static str = "state of a service";
    const MAX_BYTES: usize = 4 << 20;
    type Key = Name;
    type Value = StoredService;
}

/// Facts about the host itself, by kind.
enum Identity {}

impl Kind for Identity {
    const TAG: u8 = 0x41;
    const NAME: &'static str = "identity";
    type Key = String;
    type Value = String;
}

/// Agreements that the parties have not been notified of, by negotiation.
enum Sessions {}

impl Kind for Sessions {
    const TAG: u8 = 0x42;
    const NAME: &'static str = "agreement to be told";
    const MAX_BYTES: usize = 4 << 20;
    type Key = String;
    type Value = SessionRecord;
}

/// Reclaims by provider and unit.
enum Reclaims {}

impl Kind for Reclaims {
    const TAG: u8 = 0x43;
    const NAME: &'static str = "reclaims of a unit";
    type Key = (Name, Name);
    type Value = Vec<Reclaim>;
}

/// Scaling requests by id.
pub(crate) enum Requests {}

impl Kind for Requests {
    const TAG: u8 = 0x44;
    const NAME: &'static str = "scaling request";
    const MAX_BYTES: usize = 16 << 20;
    type Key = String;
    type Value = Request;
}

/// The highest number that may have been assigned, under a single key.
enum Numbers {}

impl Kind for Numbers {
    const TAG: u8 = 0x45;
    const NAME: &'static str = "reserved numbers";
    type Key = String;
    type Value = u64;
}

const NUMBERS: &str = "negotiations";

/// Returns the host's id: the stored one, the given one, or a new one.
pub(crate) fn host_id(store: &Store, given: Option<String>) -> Result<String, StoreError> {
    use std::hash::{BuildHasher, RandomState};
    let key = "host".to_owned();
    if let Some(kept) = store.get::<Identity>(&key)? {
        return Ok(kept);
    }
    let id = given.unwrap_or_else(|| format!("{:08x}", RandomState::new().hash_one(0) >> 32));
    let mut batch = Batch::new();
    batch.put::<Identity>(&key, &id)?;
    // The id must be durable, otherwise the next start could reuse the ids of this one. A host without an id
    // does not start.
    store.commit_wait(batch)?;
    Ok(id)
}

/// The smallest number of writes that is worth handing to another core.
const ENCODED_TOGETHER: usize = 32;

/// Encodes the writes of one step, which become durable together. A pass over many services writes
/// thousands of records, so all cores encode.
pub(crate) fn batch(writes: Vec<Write>) -> Result<Batch, StoreError> {
    let parts = writes.into_par_iter().with_min_len(ENCODED_TOGETHER);
    let parts = parts.try_fold(Batch::new, |mut batch, write| {
        add(&mut batch, write)?;
        Ok(batch)
    });
    parts.try_reduce(Batch::new, |mut batch, later| {
        batch.extend(later);
        Ok(batch)
    })
}

fn add(batch: &mut Batch, write: Write) -> Result<(), StoreError> {
    match write {
        Write::Put(record) => put(batch, record),
        Write::Delete(key) => delete(batch, &key),
        Write::Append(decision) => batch.append::<Decisions>(&decision).map(drop),
    }
}

fn put(batch: &mut Batch, record: Record) -> Result<(), StoreError> {
    match record {
        Record::Service(service) => batch.put::<Services>(&service.name, &service)?,
        Record::Dependency(document) => {
            let key = (document.from.clone(), document.to.clone());
            batch.put::<Dependencies>(&key, &Dependency::from(document))?
        }
        Record::Provider(provider) => batch.put::<Providers>(&provider.name, &provider)?,
        Record::Policy(policy) => batch.put::<Policies>(&policy.name, &policy)?,
        Record::Event(event) => batch.put::<Calendar>(&event.name, &event)?,
        Record::Lease(lease) => batch.put::<Leases>(&lease.id, &lease)?,
        Record::State(service, state) => batch.put::<States>(&service, &state)?,
        Record::Request(request) => batch.put::<Requests>(&request.id, &request)?,
        Record::Session(session) => batch.put::<Sessions>(&session.session, &session)?,
        Record::Reclaim(provider, unit, all) => batch.put::<Reclaims>(&(provider, unit), &all)?,
        Record::Plugin(generation) => {
            let key = (generation.plugin.clone(), generation.number);
            batch.put::<Plugins>(&key, &stored(&generation))?
        }
        Record::Negotiation(record) => batch.put_as::<Negotiations>(&record.id, &record)?,
        Record::Numbers(highest) => batch.put::<Numbers>(&NUMBERS.to_owned(), &highest)?,
    };
    Ok(())
}

fn delete(batch: &mut Batch, key: &Key) -> Result<(), StoreError> {
    match key {
        Key::Service(name) => batch.delete::<Services>(name)?,
        Key::Dependency(from, to) => batch.delete::<Dependencies>(&(from.clone(), to.clone()))?,
        Key::Provider(name) => batch.delete::<Providers>(name)?,
        Key::Policy(name) => batch.delete::<Policies>(name)?,
        Key::Event(name) => batch.delete::<Calendar>(name)?,
        Key::Lease(id) => batch.delete::<Leases>(id)?,
        Key::State(name) => batch.delete::<States>(name)?,
        Key::Request(id) => batch.delete::<Requests>(id)?,
        Key::Session(id) => batch.delete::<Sessions>(id)?,
        Key::Reclaim(provider, unit) => {
            batch.delete::<Reclaims>(&(provider.clone(), unit.clone()))?
        }
        Key::Plugin(plugin, number) => batch.delete::<Plugins>(&(plugin.clone(), *number))?,
        Key::Negotiation(id) => batch.delete::<Negotiations>(id)?,
        Key::Numbers => batch.delete::<Numbers>(&NUMBERS.to_owned())?,
    };
    Ok(())
}

/// Reads everything that the core needs after a restart. Unreadable records are omitted and reported.
pub(crate) fn restore(
    store: &Store,
    left_out: &mut dyn FnMut(String),
) -> Result<Restored, StoreError> {
    let mut records = Vec::new();
    let mut reader = Reader { store, left_out };
    reader.each::<Policies>(|(_, policy)| records.push(Record::Policy(policy.into())))?;
    reader.each::<Providers>(|(_, provider)| records.push(Record::Provider(provider.into())))?;
    reader.each::<Services>(|(_, service)| records.push(Record::Service(service.into())))?;
    reader.each::<Dependencies>(|((from, to), dependency)| {
        let Dependency { strength, ratios } = dependency;
        records.push(Record::Dependency(DependencyDocument { from, to, strength, ratios }));
    })?;
    reader.each::<Calendar>(|(_, event)| records.push(Record::Event(event.into())))?;
    reader.each::<Leases>(|(_, lease)| records.push(Record::Lease(lease)))?;
    reader.each::<States>(|(name, state)| records.push(Record::State(name, Box::new(state))))?;
    reader.each::<Requests>(|(_, request)| records.push(Record::Request(request.into())))?;
    reader.each::<Sessions>(|(_, session)| records.push(Record::Session(Box::new(session))))?;
    reader.each::<Reclaims>(|((provider, unit), all)| {
        records.push(Record::Reclaim(provider, unit, all));
    })?;
    reader.each::<Plugins>(|(_, kept)| records.push(Record::Plugin(generation(kept).into())))?;
    reader.each::<Numbers>(|(_, highest)| records.push(Record::Numbers(highest)))?;
    let keys =
        readable(store.keys::<Negotiations>(), |unreadable| left_out(unreadable.to_string()));
    let negotiations = keys.collect::<Result<_, _>>()?;
    Ok(Restored { records, negotiations, decisions: store.last_number::<Decisions>() })
}

struct Reader<'a> {
    store: &'a Store,
    left_out: &'a mut dyn FnMut(String),
}

impl Reader<'_> {
    fn each<K: Kind>(
        &mut self,
        mut take: impl FnMut((K::Key, K::Value)),
    ) -> Result<(), StoreError> {
        for entry in readable(self.store.scan::<K>(), |u| (self.left_out)(u.to_string())) {
            take(entry?);
        }
        Ok(())
    }
}

fn stored(generation: &Generation) -> PluginGeneration {
    let granted = |(guest, host): &(String, String)| GrantedDirectory {
        guest: guest.clone(),
        host: host.clone(),
        writable: false,
    };
    PluginGeneration {
        plugin: generation.plugin.clone(),
        generation: generation.number,
        digest: generation.digest.parse().unwrap_or_else(|_| Digest::of(&[])),
        size: generation.size,
        loaded_at: generation.loaded_at,
        roles: generation.roles.clone(),
        configuration: generation.configuration.clone(),
        status: match generation.status {
            GenerationStatus::Active => KeptStatus::Active,
            GenerationStatus::Previous => KeptStatus::Previous,
            GenerationStatus::Retired => KeptStatus::Retired,
        },
        granted: generation.granted.iter().map(granted).collect(),
    }
}

fn generation(kept: PluginGeneration) -> Generation {
    Generation {
        plugin: kept.plugin,
        number: kept.generation,
        digest: kept.digest.to_string(),
        size: kept.size,
        loaded_at: kept.loaded_at,
        roles: kept.roles,
        configuration: kept.configuration,
        granted: kept.granted.into_iter().map(|grant| (grant.guest, grant.host)).collect(),
        status: match kept.status {
            KeptStatus::Active => GenerationStatus::Active,
            KeptStatus::Previous => GenerationStatus::Previous,
            KeptStatus::Retired => GenerationStatus::Retired,
        },
    }
}
