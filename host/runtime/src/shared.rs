//! What the threads of a host share.

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
    /// Measured values. Held for as long as it takes to read or add some.
    pub(crate) history: Arc<Mutex<History>>,
    pub(crate) lanes: Lanes,
    pub(crate) under_way: UnderWay,
    pub(crate) actions: Actions,
    pub(crate) interval: Span,
    /// The directories that plugins may read.
    pub(crate) grants: BTreeMap<Name, Vec<Grant>>,
    /// Where transports and drivers work.
    pub(crate) edge: tokio::runtime::Handle,
}

impl Shared {
    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        lock(&self.history)
    }

    /// Has the edge do something and waits for it, on any thread. Nothing comes of it where the edge is closed.
    pub(crate) fn wait_for<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        block_on(self.edge.spawn(work)).ok()
    }

    /// These generations decide from now on.
    pub(crate) fn promote(
        &self,
        plugin: &Name,
        current: Option<&Generation>,
        previous: Option<&Generation>,
    ) {
        self.plugins.promote(plugin, current, previous);
    }

    /// A service is gone.
    pub(crate) fn forget(&self, service: &Name) {
        self.history().forget(service);
    }
}

/// Messages that somebody is asked just now, so that nobody is asked the same twice at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnderWay(Arc<Mutex<BTreeSet<(String, MessageId)>>>);

/// The messages are under way as long as it lives.
#[derive(Debug)]
pub(crate) struct Guard {
    all: UnderWay,
    keys: Vec<(String, MessageId)>,
}

impl UnderWay {
    /// Notes that these are under way; none where all of them are already.
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

/// Actions of services that are being carried out: of each service one at a time, and then the newest.
#[derive(Debug, Default)]
pub(crate) struct Actions(Mutex<BTreeMap<Name, Option<Action>>>);

impl Actions {
    /// Puts an action in line in place of the one that waits. Whether nobody works on the service yet.
    pub(crate) fn put(&self, action: Action) -> bool {
        let mut all = lock(&self.0);
        let name = action.service.name.clone();
        all.insert(name, Some(action)).is_none()
    }

    /// The action that waits for a service; without one nobody works on it any more.
    pub(crate) fn next(&self, service: &Name) -> Option<Action> {
        let mut all = lock(&self.0);
        let next = all.get_mut(service)?.take();
        if next.is_none() {
            all.remove(service);
        }
        next
    }
}
