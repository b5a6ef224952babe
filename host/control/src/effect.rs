use std::sync::Arc;

use haggle_model::{Endpoint, Lease, Name, Quantities, Service, Timestamp};
use haggle_negotiate::Message;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    ControlError, Event,
    id::{Caller, CommitId},
    record::{Generation, Write},
    verdict::{Progress, ScalingVerdict},
};

/// What the core wants done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Write all of this or nothing, after everything before it, and report
    /// [`Input::Committed`](crate::Input::Committed) or
    /// [`Input::CommitFailed`](crate::Input::CommitFailed).
    Commit {
        /// Ascends.
        id: CommitId,
        /// What to write.
        writes: Vec<Write>,
    },
    /// Ask a plugin for the answers of parties in this process and report
    /// [`Input::Consulted`](crate::Input::Consulted). It may come again for the same messages.
    Consult(Consultation),
    /// Send a message to a party elsewhere. It may get lost: the core repeats it.
    Deliver {
        /// Where the party is.
        endpoint: Endpoint,
        /// The message.
        message: Box<Message>,
    },
    /// Answer a caller. A caller is answered once.
    Answer {
        /// Who asked.
        caller: Caller,
        /// What to say.
        answer: Result<Box<Answer>, ControlError>,
    },
    /// Have the driver do this.
    Actuate(Action),
    /// The driver no longer manages the service.
    Forget(Name),
    /// From now on these generations of a plugin decide.
    Promote {
        /// The plugin.
        plugin: Name,
        /// The generation that decides; the built-in one if none.
        current: Option<Arc<Generation>>,
        /// The generation to which a rollback returns; the built-in one if none and `current` is not.
        previous: Option<Arc<Generation>>,
    },
    /// Tell whoever watches.
    Publish(Event),
}

/// Questions to one plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct Consultation {
    /// The plugin that decides for the parties.
    pub plugin: Name,
    /// When the answers come too late: a quarter of the time that the session had left when they were first
    /// asked for.
    pub by: Timestamp,
    /// The seed of the call.
    pub seed: u64,
    /// The messages, all of them calls for proposals. Inquiries about loads may be many and are one call;
    /// calls for bids and for scores come alone.
    pub messages: Vec<Message>,
}

/// What a service is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// The service as described.
    pub service: Arc<Service>,
    /// The number of replicas.
    pub replicas: u32,
    /// What each replica may use.
    pub resources: Quantities,
    /// The place of the decision in the journal; 0 before the first. Actions of one service never descend.
    pub sequence: u64,
}

/// Whether something was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is new.
    Created,
    /// It was there before.
    Updated,
}

/// The answer to a caller.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is done.
    Done,
    /// A document is as it was put.
    Put(Put),
    /// What a scaling request came to.
    Verdict(ScalingVerdict),
    /// A scaling request is accepted.
    Accepted(Progress),
    /// A provider takes capacity back.
    Reclaimed(Reclaimed),
    /// A plugin generation decides.
    Promoted {
        /// Whether the plugin had none before.
        put: Put,
        /// The generation; the built-in one if none.
        current: Option<Arc<Generation>>,
    },
}

/// What follows from a reclaim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reclaimed {
    /// The provider.
    pub provider: Name,
    /// The unit.
    pub unit: Name,
    /// How many of it are taken back now.
    pub count: u32,
    /// When they are gone.
    pub at: Timestamp,
    /// How many are announced or gone in all, these included.
    pub total: u32,
    /// The leases that end early.
    pub leases: Vec<Lease>,
}
