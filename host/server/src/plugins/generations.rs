//! Generations of plugins on disk: which are kept, and which decide after a restart.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use haggle_builtin::BUILTIN;
use haggle_model::Name;
use haggle_sandbox::{Generation, Grant, Load};
use haggle_store::{
    Batch, Digest, GrantedDirectory, PluginGeneration, Plugins, Standing, Store, StoreError,
};
use serde_json::Value;

use crate::{documents::catalog::not_found, error::HostError, events::EventKind, host::Host};

impl Host {
    /// Loads the built-in plugins, then what was uploaded before a restart. A plugin that does not load
    /// any more is reported and left out: the host starts without it.
    pub(crate) fn restore_plugins(&self) -> Result<(), HostError> {
        let built_in: Vec<_> = {
            use rayon::prelude::*;
            BUILTIN.par_iter().map(|builtin| self.load_built_in(builtin)).collect()
        };
        let built_in: Vec<_> = built_in.into_iter().collect::<Result<_, _>>()?;
        for generation in &built_in {
            self.decider.registry.restore(Arc::clone(generation), None);
        }
        self.decider.set_built_in(built_in);
        let Some(store) = self.persistence.store() else { return Ok(()) };
        sweep_artefacts(store)?;
        let mut uploaded: BTreeMap<Name, Vec<PluginGeneration>> = BTreeMap::new();
        for entry in store.scan::<Plugins>() {
            let (_, record) = entry?;
            let mut uploads = self.uploads();
            let highest = uploads.numbers.entry(record.plugin.clone()).or_default();
            *highest = record.generation.max(*highest);
            drop(uploads);
            uploaded.entry(record.plugin.clone()).or_default().push(record);
        }
        for (name, records) in uploaded {
            let find = |standing| records.iter().find(|record| record.standing == standing);
            let active = find(Standing::Active).and_then(|record| self.restore_one(record));
            let previous = find(Standing::Previous).and_then(|record| self.restore_one(record));
            let built_in = self.decider.registry.current(name.as_str());
            // A rollback to the built-in generation leaves no active record.
            match (active, built_in) {
                (Some(active), built_in) => {
                    self.decider.registry.restore(active, previous.or(built_in));
                }
                (None, Some(built_in)) => self.decider.registry.restore(built_in, previous),
                (None, None) => {
                    if let Some(previous) = previous {
                        self.decider.registry.restore(previous, None);
                    }
                }
            }
        }
        Ok(())
    }

    fn restore_one(&self, record: &PluginGeneration) -> Option<Arc<Generation>> {
        let store = self.persistence.store()?;
        let outcome =
            store.artefacts().get(&record.digest).map_err(HostError::from).and_then(|bytes| {
                let bytes = bytes.ok_or_else(|| not_found("artefact", record.digest))?;
                let configuration = record.configuration.to_string();
                self.load_generation(&record.plugin, record.generation, &bytes, &configuration)
            });
        match outcome {
            Ok(generation) => Some(Arc::new(generation)),
            Err(error) => {
                let message =
                    format!("generation {} cannot be restored: {error}", record.generation);
                self.emit(EventKind::Alert, record.plugin.as_str(), message, Value::Null);
                None
            }
        }
    }

    fn load_built_in(
        &self,
        builtin: &haggle_builtin::Builtin,
    ) -> Result<Arc<Generation>, HostError> {
        let name = Name::new(builtin.name)?;
        if let Some(store) = self.persistence.store() {
            // A replay needs what decided, also after the host brings a newer one.
            store.artefacts().put(builtin.bytes)?;
        }
        self.load_generation(&name, 1, builtin.bytes, "{}").map(Arc::new)
    }

    pub(crate) fn load_generation(
        &self,
        name: &Name,
        number: u64,
        bytes: &[u8],
        configuration: &str,
    ) -> Result<Generation, HostError> {
        let grants = self.grants.get(name).map_or(&[] as &[Grant], Vec::as_slice);
        let plugin = name.as_str();
        self.sandbox
            .load(Load { plugin, generation: number, bytes, configuration, grants })
            .map_err(|cause| HostError::Load { plugin: name.to_string(), cause })
    }

    /// Writes which generations decide and would decide after a rollback.
    pub(crate) fn store_standings(&self, name: &Name) -> Result<(), HostError> {
        let Some(store) = self.persistence.store() else { return Ok(()) };
        let mut batch = Batch::new();
        let mut records: BTreeMap<u64, PluginGeneration> =
            records(store, name)?.into_iter().map(|record| (record.generation, record)).collect();
        for record in records.values_mut() {
            record.standing = Standing::Retired;
        }
        let current = self.decider.registry.current(name.as_str());
        let previous = self.decider.registry.previous(name.as_str());
        for (generation, standing) in [(previous, Standing::Previous), (current, Standing::Active)]
        {
            let Some(generation) = generation.filter(|g| !self.is_the_built_in(name, g)) else {
                continue;
            };
            let record = records
                .entry(generation.number())
                .or_insert_with(|| self.record(name, &generation));
            record.standing = standing;
        }
        for (number, record) in &records {
            batch.put::<Plugins>(&(name.clone(), *number), record)?;
        }
        self.persistence.commit(batch)?;
        Ok(())
    }

    fn record(&self, name: &Name, generation: &Generation) -> PluginGeneration {
        PluginGeneration {
            plugin: name.clone(),
            generation: generation.number(),
            digest: haggle_store::Digest::from_bytes(*generation.digest().as_bytes()),
            size: generation.size() as u64,
            loaded_at: self.clock.now(),
            roles: generation.roles().iter().map(ToString::to_string).collect(),
            configuration: serde_json::from_str(generation.configuration()).unwrap_or_default(),
            standing: Standing::Active,
            granted: generation.grants().iter().map(granted).collect(),
        }
    }

    fn is_the_built_in(&self, name: &Name, generation: &Arc<Generation>) -> bool {
        self.built_in(name).is_some_and(|built_in| Arc::ptr_eq(&built_in, generation))
    }

    pub(crate) fn built_in(&self, name: &Name) -> Option<Arc<Generation>> {
        let mut all = self.decider.built_in().iter();
        all.find(|generation| generation.plugin() == name.as_str()).cloned()
    }
}

/// What is recorded of the generations of a plugin.
pub(crate) fn records(
    store: &haggle_store::Store,
    name: &Name,
) -> Result<Vec<PluginGeneration>, StoreError> {
    let mut found = Vec::new();
    for entry in store.scan::<Plugins>() {
        let (_, record) = entry?;
        if record.plugin == *name {
            found.push(record);
        }
    }
    Ok(found)
}

/// Removes components that nothing refers to any more: of plugins that were deleted, once the journal has
/// forgotten their decisions too. Reading the journal for that is worth it only where there may be some.
fn sweep_artefacts(store: &Store) -> Result<(), HostError> {
    let mut referenced: BTreeSet<Digest> =
        BUILTIN.iter().map(|builtin| Digest::of(builtin.bytes)).collect();
    for entry in store.scan::<Plugins>() {
        referenced.insert(entry?.1.digest);
    }
    if store.artefacts().list()?.is_subset(&referenced) {
        return Ok(());
    }
    for call in store.calls(0)? {
        referenced.insert(call?.digest);
    }
    for digest in store.artefacts().sweep(&referenced)? {
        tracing::info!(%digest, "removed a component that nothing refers to any more");
    }
    Ok(())
}

fn granted(grant: &Grant) -> GrantedDirectory {
    GrantedDirectory { guest: grant.guest.clone(), host: grant.host.clone(), writable: false }
}
