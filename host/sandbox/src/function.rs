//! What a call of a plugin is, whichever function it calls.

use std::{fmt, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use wasmtime::{Store, component::Instance};

use crate::{
    call_outcome::CallOutcome,
    check::Broken,
    contract::types::{Context, Fault},
    error::{CallError, Cause},
    generation::{Exports, Generation},
    role::Role,
    state::State,
};

/// The arguments of one call of a plugin. They can be stored and called again.
pub trait Function: Serialize + DeserializeOwned {
    /// The function's name, such as `forecasting.forecast`.
    const NAME: &'static str;
    /// The role that the function belongs to.
    const ROLE: Role;
    /// The checked answer.
    type Answer: Serialize + DeserializeOwned + PartialEq + fmt::Debug;

    /// Returns the context of the call.
    fn context(&self) -> &Context;

    /// Replaces the configuration.
    fn configure(&mut self, configuration: &str);

    /// Calls a plugin, for [`Generation::call_within`]. It is not generic, so that it is compiled once, in
    /// this crate, and not in every caller.
    #[doc(hidden)]
    fn call(
        &self,
        generation: &Generation,
        time: Duration,
    ) -> Result<CallOutcome<Self::Answer>, CallError>;
}

/// Calls a function in a guest.
pub(crate) trait Guest: Function {
    /// Calls the guest.
    async fn invoke(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        exports: &Exports,
    ) -> wasmtime::Result<Result<Self::Answer, Fault>>;

    /// Checks the answer against the contract. An item that breaks it becomes a fault, or is omitted if it
    /// cannot hold one. Returns these items.
    fn check(&self, answer: &mut Self::Answer) -> Result<Vec<Broken>, Cause>;
}
