//! What a call of a plugin is, whichever function it calls.

use std::{fmt, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use wasmtime::{Store, component::Instance};

use crate::{
    called::Called,
    check::Broken,
    contract::types::{Context, Fault},
    error::{CallError, Cause},
    generation::{Exports, Generation},
    role::Role,
    state::State,
};

/// One call of a plugin: its arguments. It can be stored, and called again later.
pub trait Function: Serialize + DeserializeOwned {
    /// As in `forecasting.forecast`.
    const NAME: &'static str;
    /// The role it belongs to.
    const ROLE: Role;
    /// What is answered, once it was checked.
    type Answer: Serialize + DeserializeOwned + PartialEq + fmt::Debug;

    /// What the plugin is told besides its subject.
    fn context(&self) -> &Context;

    /// Gives the plugin another configuration.
    fn configure(&mut self, configuration: &str);

    /// Calls a plugin, for [`Generation::call_within`]. It is not generic, so that it is compiled once, with this
    /// crate, and not by whoever calls.
    #[doc(hidden)]
    fn call(
        &self,
        generation: &Generation,
        time: Duration,
    ) -> Result<Called<Self::Answer>, CallError>;
}

/// How a function is called in a guest.
pub(crate) trait Guest: Function {
    /// Calls the guest.
    async fn invoke(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        exports: &Exports,
    ) -> wasmtime::Result<Result<Self::Answer, Fault>>;

    /// Checks the answer against the contract; an item that breaks it becomes a fault, or is left out where
    /// there is no place for one. Returns which those are.
    fn check(&self, answer: &mut Self::Answer) -> Result<Vec<Broken>, Cause>;
}
