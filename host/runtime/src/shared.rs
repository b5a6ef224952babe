//! The state that a host's threads share.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{Arc, Mutex, MutexGuard},
};

use arc_swap::ArcSwap;
use haggle_actuate::Driver;
use haggle_control::{Action, Generation, State};
use haggle_model::{Name, Span};
use haggle_negotiate::{Message, MessageId};
use haggle_observe::History;
use haggle_prediction::Prediction;
use haggle_sandbox::Grant;
use haggle_store::Store;
use haggle_transport::{AddressPolicy, Transports};

use crate::{
    block_on::block_on, clock::Clock, events::Events, lanes::Lanes, lock::lock, metrics::Metrics,
    restoring::Plugins,
};

pub(crate) struct Shared {
    /// The durable state.
    pub(crate) snapshot: ArcSwap<State>,
    pub(crate) store: Arc<Store>,
    pub(crate) plugins: Plugins,
    pub(crate) prediction: Prediction,
    pub(crate) transport: Transports,
    pub(crate) addresses: AddressPolicy,
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) events: Arc<Events>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The measurements. Lock only to read or add some.
    pub(crate) history: Arc<Mutex<History>>,
    pub(crate) lanes: Lanes,
    pub(crate) under_way: UnderWay,
    pub(crate) actions: Actions,
    pub(crate) interval: Span,
    /// The directories that plugins may read.
    pub(crate) grants: BTreeMap<Name, Vec<Grant>>,
    /// The runtime of transports and drivers.
    pub(crate) edge: tokio::runtime::Handle,
}

impl Shared {
    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        lock(&self.history)
    }

    /// Runs work on the edge runtime and blocks until it is done; `None` if the runtime has shut down.
    pub(crate) fn wait_for<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        block_on(self.edge.spawn(work)).ok()
    }

    /// Makes these generations active.
    pub(crate) fn promote(
        &self,
        plugin: &Name,
        current: Option<&Generation>,
        previous: Option<&Generation>,
    ) {
        self.plugins.promote(plugin, current, previous);
    }

    /// Drops the history of a deleted service.
    pub(crate) fn forget(&self, service: &Name) {
        self.history().forget(service);
    }
}

/// Messages whose delivery is in progress, so that none is sent twice at the same time.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnderWay(Arc<Mutex<BTreeSet<(String, MessageId)>>>);

/// Keeps its messages marked as in progress until it is dropped.
#[derive(Debug)]
pub(crate) struct Guard {
    all: UnderWay,
    keys: Vec<(String, MessageId)>,
}

impl UnderWay {
    /// Marks messages as in progress; `None` if all of them already are.
    pub(crate) fn begin(&self, messages: &[Message]) -> Option<Guard> {
        let mut set = lock(&self.0);
        let keys = messages.iter().map(|message| (message.session.clone(), message.message));
        let new: Vec<_> = keys.filter(|key| set.insert(key.clone())).collect();
        drop(set);
        (!new.is_empty()).then(|| Guard { all: self.clone(), keys: new })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut set = lock(&self.all.0);
        for key in &self.keys {
            set.remove(key);
        }
    }
}

/// Pending driver actions: one at a time per service, always the newest.
#[derive(Debug, Default)]
pub(crate) struct Actions(Mutex<BTreeMap<Name, Option<Action>>>);

impl Actions {
    /// Queues an action, replacing a waiting one. Returns `true` if no worker handles the service yet.
    pub(crate) fn put(&self, action: Action) -> bool {
        let mut all = lock(&self.0);
        let name = action.service.name.clone();
        all.insert(name, Some(action)).is_none()
    }

    /// Takes the waiting action of a service. Without one, the worker of the service is released.
    pub(crate) fn next(&self, service: &Name) -> Option<Action> {
        let mut all = lock(&self.0);
        let next = all.get_mut(service)?.take();
        if next.is_none() {
            all.remove(service);
        }
        next
    }
}
