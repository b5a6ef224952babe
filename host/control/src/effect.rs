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

/// An action that the core requests. The caller carries actions out in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Write all of this atomically, after all earlier commits. Then report
    /// [`Input::Committed`](crate::Input::Committed) or
    /// [`Input::CommitFailed`](crate::Input::CommitFailed).
    Commit {
        /// The id; ids ascend.
        id: CommitId,
        /// The writes.
        writes: Vec<Write>,
    },
    /// Ask a plugin for the answers of parties in this process, and report
    /// [`Input::Consulted`](crate::Input::Consulted). The core may repeat a question.
    Consult(Consultation),
    /// Send a message to a remote party. The message may get lost; the core repeats it.
    Deliver {
        /// The address of the party.
        endpoint: Endpoint,
        /// The message.
        message: Box<Message>,
    },
    /// Answer a caller. Each caller gets one answer.
    Answer {
        /// The caller.
        caller: Caller,
        /// The answer.
        answer: Result<Box<Answer>, ControlError>,
    },
    /// Make the driver carry out this action.
    Actuate(Action),
    /// Make the driver stop managing the service.
    Forget(Name),
    /// Switch to these generations of a plugin.
    Promote {
        /// The plugin.
        plugin: Name,
        /// The active generation; `None` means the built-in one.
        current: Option<Arc<Generation>>,
        /// The generation that a rollback returns to. `None` means the built-in one if `current` is not
        /// `None`.
        previous: Option<Arc<Generation>>,
    },
    /// Publish an event to all watchers.
    Publish(Event),
}

/// Questions to one plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct Consultation {
    /// The plugin that decides for the parties.
    pub plugin: Name,
    /// The time after which the answers are too late: a quarter of the time that the session had left at
    /// the first attempt.
    pub by: Timestamp,
    /// The seed of the call.
    pub seed: u64,
    /// The messages; all of them are calls for proposals. Many inquiries about loads can share one call. A
    /// call for bids or for scores is always alone.
    pub messages: Vec<Message>,
}

/// The desired state of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// The service as described.
    pub service: Arc<Service>,
    /// The number of replicas.
    pub replicas: u32,
    /// The resources of each replica.
    pub resources: Quantities,
    /// The sequence number of the decision in the journal; 0 before the first. It never decreases for one
    /// service.
    pub sequence: u64,
}

/// Whether a document existed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The document is new.
    Created,
    /// The document existed before.
    Updated,
}

/// The answer to a caller.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The operation is done.
    Done,
    /// The document was stored.
    Put(Put),
    /// The verdict on a scaling request.
    Verdict(ScalingVerdict),
    /// The scaling request was accepted and is being negotiated.
    Accepted(Progress),
    /// The reclaim of a provider was recorded.
    Reclaimed(Reclaimed),
    /// A plugin generation is active.
    Promoted {
        /// Whether the plugin existed before.
        put: Put,
        /// The active generation; `None` means the built-in one.
        current: Option<Arc<Generation>>,
    },
}

/// The result of a reclaim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reclaimed {
    /// The provider.
    pub provider: Name,
    /// The unit.
    pub unit: Name,
    /// The number of units that this request takes back.
    pub count: u32,
    /// The time at which they are gone.
    pub at: Timestamp,
    /// The total number of units that are announced or gone, including these.
    pub total: u32,
    /// The leases that end early.
    pub leases: Vec<Lease>,
}
