//! The active generations of plugins.

use std::{collections::BTreeSet, sync::Arc};

use haggle_model::Name;
use serde_json::Value;

use crate::{
    Answer, ControlError, Effect, EventKind, PluginState,
    documents::{ANSWERING, FAILURE_PREDICTION, FORECASTING, RANKING, SELLING, TIERING},
    effect::Put,
    input::PluginChange,
    record::{Generation, GenerationStatus, Key, Record},
    step::Step,
};

/// The number of retired generations whose records are kept, so that the journal can be replayed with their
/// grants.
const RETIRED: usize = 32;

/// The generation number of a built-in plugin.
const BUILT_IN: u64 = 1;

impl Step<'_> {
    pub(crate) fn change_plugin(&mut self, change: PluginChange) -> Result<Answer, ControlError> {
        match change {
            PluginChange::Promote(generation) => self.promote(&generation),
            PluginChange::RollBack(name) => self.roll_back(&name),
            PluginChange::Delete(name) => self.delete_plugin(&name),
        }
    }

    /// Makes a generation active. A generation with the same component, configuration and grants changes
    /// nothing.
    fn promote(&mut self, new: &Arc<Generation>) -> Result<Answer, ControlError> {
        let name = new.plugin.clone();
        let old = self.state.plugins.get(&name).cloned().unwrap_or_default();
        let built_in = self.options.built_in.contains_key(&name);
        let put = if old.current.is_some() || built_in { Put::Updated } else { Put::Created };
        if let Some(current) = &old.current
            && current.digest == new.digest
            && current.configuration == new.configuration
            && current.granted == new.granted
        {
            return Ok(Answer::Promoted { put, current: old.current });
        }
        let highest = old.highest().max(if built_in { BUILT_IN } else { 0 });
        if new.number <= highest {
            let (plugin, number) = (name, new.number);
            return Err(ControlError::StaleGeneration { plugin, number, highest });
        }
        self.check_roles(&name, &new.roles.iter().cloned().collect())?;
        let mut state = PluginState {
            current: Some(self.stand(new, GenerationStatus::Active)),
            previous: old.current.as_ref().map(|old| self.stand(old, GenerationStatus::Previous)),
            retired: old.retired,
        };
        if let Some(retired) = &old.previous {
            let retired = self.stand(retired, GenerationStatus::Retired);
            state.retired.push(retired);
        }
        while state.retired.len() > RETIRED {
            let oldest = state.retired.remove(0);
            self.delete(Key::Plugin(name.clone(), oldest.number));
        }
        let roles = new.roles.join(", ");
        let message = format!("plugin {name} generation {} decides: {roles}", new.number);
        Ok(self.show_plugin(name, state, message, put))
    }

    fn roll_back(&mut self, name: &Name) -> Result<Answer, ControlError> {
        let built_in = self.options.built_in.contains_key(name);
        let none = || match built_in {
            true => ControlError::NoPrevious(name.clone()),
            false => ControlError::not_found("plugin", name),
        };
        let old = self.state.plugins.get(name).cloned().ok_or_else(none)?;
        if old.previous.is_none() && !(built_in && old.current.is_some()) {
            return Err(ControlError::NoPrevious(name.clone()));
        }
        let built_in_roles = || self.options.built_in.get(name).cloned().unwrap_or_default();
        let roles = old.previous.as_ref().map(|back| back.roles.iter().cloned().collect());
        self.check_roles(name, &roles.unwrap_or_else(built_in_roles))?;
        let current = old.previous.as_ref().map(|back| self.stand(back, GenerationStatus::Active));
        let previous =
            old.current.as_ref().map(|gone| self.stand(gone, GenerationStatus::Previous));
        let number = current.as_ref().map_or(BUILT_IN, |current| current.number);
        let state = PluginState { current, previous, retired: old.retired };
        let message = format!("plugin {name} is back at generation {number}");
        Ok(self.show_plugin(name.clone(), state, message, Put::Updated))
    }

    /// Deletes a plugin. If the plugin had overridden a built-in one, the built-in one is active again. The
    /// newest record stays, so that its number is not reused.
    fn delete_plugin(&mut self, name: &Name) -> Result<Answer, ControlError> {
        let built_in = self.options.built_in.contains_key(name);
        let old = self.state.plugins.get(name).cloned().unwrap_or_default();
        if old.current.is_none() && old.previous.is_none() {
            return Err(match built_in {
                true => ControlError::BuiltIn(name.clone()),
                false => ControlError::not_found("plugin", name),
            });
        }
        if !built_in && let Some((_, by)) = self.uses(name).into_iter().next() {
            return Err(ControlError::InUse { what: "plugin", name: name.to_string(), by });
        }
        let mut all: Vec<Arc<Generation>> =
            old.retired.iter().chain(&old.previous).chain(&old.current).cloned().collect();
        all.sort_by_key(|generation| generation.number);
        let newest = all.pop().map(|newest| self.stand(&newest, GenerationStatus::Retired));
        for generation in all {
            self.delete(Key::Plugin(name.clone(), generation.number));
        }
        let retired = newest.into_iter().collect();
        let state = PluginState { retired, ..PluginState::default() };
        let message = format!("plugin {name} deleted");
        self.show_plugin(name.clone(), state, message, Put::Updated);
        Ok(Answer::Done)
    }

    fn stand(&mut self, generation: &Arc<Generation>, status: GenerationStatus) -> Arc<Generation> {
        let generation = Arc::new(Generation { status, ..generation.as_ref().clone() });
        self.put(Record::Plugin(Arc::clone(&generation)));
        generation
    }

    fn show_plugin(
        &mut self,
        plugin: Name,
        state: PluginState,
        message: String,
        put: Put,
    ) -> Answer {
        let PluginState { current, previous, .. } = state.clone();
        self.state.plugins.insert(plugin.clone(), state);
        self.publish(EventKind::Plugin, plugin.as_str(), message, Value::Null);
        self.effects.push(Effect::Promote { plugin, current: current.clone(), previous });
        Answer::Promoted { put, current }
    }

    /// The roles of the active generation; `None` if the plugin does not exist.
    pub(crate) fn roles_of(&self, plugin: &Name) -> Option<BTreeSet<String>> {
        let current = self.state.plugins.get(plugin).and_then(|state| state.current.as_ref());
        match current {
            Some(current) => Some(current.roles.iter().cloned().collect()),
            None => self.options.built_in.get(plugin).cloned(),
        }
    }

    /// Checks that the roles include every role for which documents name the plugin.
    fn check_roles(&self, plugin: &Name, roles: &BTreeSet<String>) -> Result<(), ControlError> {
        match self.uses(plugin).into_iter().find(|(role, _)| !roles.contains(*role)) {
            Some((role, by)) => {
                let (plugin, role) = (plugin.clone(), role.to_owned());
                Err(ControlError::RoleInUse { plugin, role, by })
            }
            None => Ok(()),
        }
    }

    /// The roles for which documents name a plugin, each with the document.
    fn uses(&self, plugin: &Name) -> Vec<(&'static str, String)> {
        let policies = self.state.catalog.policies.values().flat_map(|policy| {
            [
                (FORECASTING, &policy.forecasting.plugin),
                (FAILURE_PREDICTION, &policy.failure_prediction.plugin),
                (ANSWERING, &policy.answering.plugin),
                (RANKING, &policy.ranking.plugin),
                (TIERING, &policy.tiering.plugin),
            ]
            .into_iter()
            .filter(|(_, named)| *named == plugin)
            .map(|(role, _)| (role, format!("policy {}", policy.name)))
        });
        let providers = self.state.catalog.providers.values();
        let providers = providers.filter(|provider| provider.selling == *plugin);
        let providers = providers.map(|provider| (SELLING, format!("provider {}", provider.name)));
        policies.chain(providers).collect()
    }
}
