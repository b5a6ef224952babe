//! Removes components that nothing refers to.

use std::collections::BTreeSet;

use haggle_builtin::BUILTIN;
use haggle_store::{Digest, StoreError, readable};

use crate::shared::Shared;

impl Shared {
    /// Removes components of generations that are neither current nor previous, once the journal no longer
    /// has calls of them.
    pub(crate) fn sweep_artefacts(&self) -> Result<(), StoreError> {
        let snapshot = self.snapshot.load();
        let built_in = BUILTIN.iter().map(|builtin| Digest::of(builtin.bytes));
        let mut referenced: BTreeSet<Digest> = built_in.collect();
        for (_, plugin) in snapshot.plugins() {
            let all = plugin.current.iter().chain(&plugin.previous);
            let digests = all.filter_map(|generation| generation.digest.parse::<Digest>().ok());
            referenced.extend(digests);
        }
        let compiled = referenced.iter().map(ToString::to_string).collect();
        if let Err(error) = self.plugins.uploads.sweep(&compiled) {
            tracing::warn!(%error, "compiled code that nothing refers to any more is not removed");
        }
        // An upload is stored before it is promoted.
        if self.plugins.uploads.is_busy() || self.store.artefacts().list()?.is_subset(&referenced) {
            return Ok(());
        }
        let told = |unreadable| tracing::warn!(%unreadable, "a call is left out");
        for call in readable(self.store.calls(0)?, told) {
            referenced.insert(call?.digest);
        }
        for digest in self.store.artefacts().sweep(&referenced)? {
            tracing::info!(%digest, "removed a component that nothing refers to any more");
        }
        Ok(())
    }
}
