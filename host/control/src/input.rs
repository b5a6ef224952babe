use std::sync::Arc;

use haggle_model::{CalendarEvent, Dependency, Name, Provider, ScalingPolicy, Service, Timestamp};
use haggle_negotiate::{Content, Message, MessageId, Party};
use serde::{Deserialize, Serialize};

use crate::{
    id::{Caller, CommitId},
    observation::{Forecast, Observed, ReplicaReport, Risk, TierAssignment},
    record::Generation,
    window::{ScalingRequest, ScalingWindow},
};

/// The principal on whose behalf an input arrives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Principal {
    /// The caller is not authenticated.
    #[default]
    Anonymous,
}

/// An event for the core.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Time has passed: leases expire, questions are repeated, and sessions end at their deadline. It is
    /// due at [`Control::next_due`](crate::Control::next_due).
    Tick,
    /// Computes the targets of services, and negotiates where a service differs from its target.
    Reconcile(Scope),
    /// A caller changes a document.
    Change {
        /// The caller to answer.
        caller: Caller,
        /// The change.
        change: Box<Change>,
    },
    /// A caller requests scaling.
    Request {
        /// The caller to answer.
        caller: Caller,
        /// The request.
        request: Box<ScalingRequest>,
        /// The arrival time; the deadline counts from it.
        arrived: Timestamp,
        /// Whether to answer as soon as the request is durable, not when all windows are negotiated. A dry
        /// run is not stored, so the answer to it is always the verdict.
        respond_early: bool,
    },
    /// A caller amends a reservation in place.
    Amend {
        /// The caller to answer.
        caller: Caller,
        /// The scaling request.
        id: String,
        /// The new window.
        window: Box<ScalingWindow>,
    },
    /// A caller cancels a scaling request.
    Cancel {
        /// The caller to answer.
        caller: Caller,
        /// The scaling request.
        id: String,
    },
    /// A provider announces that it takes capacity back.
    Reclaim {
        /// The caller to answer.
        caller: Caller,
        /// The provider.
        provider: Name,
        /// The announced reclaim.
        request: ReclaimRequest,
    },
    /// A provider has its units back. All announcements for the unit are void.
    Restock {
        /// The caller to answer.
        caller: Caller,
        /// The provider.
        provider: Name,
        /// The unit.
        unit: Name,
    },
    /// The active generations of a plugin change.
    Plugin {
        /// The caller to answer.
        caller: Caller,
        /// The change.
        change: PluginChange,
    },
    /// A party sends a message on its own.
    Message {
        /// The caller to answer.
        caller: Caller,
        /// The message.
        message: Box<Message>,
    },
    /// A party has sent an unreadable message.
    Unreadable {
        /// The caller to answer, if one waits.
        caller: Option<Caller>,
        /// The negotiation.
        session: String,
        /// The sender.
        from: Party,
        /// The question that the message was to answer.
        about: MessageId,
        /// The parse error.
        why: String,
    },
    /// A plugin has finished [`Effect::Consult`](crate::Effect::Consult). Each question comes with the
    /// party's answer, or with the reason for which there is none.
    Consulted(Vec<(Message, Result<Content, String>)>),
    /// Remarks on the plugin answers to these questions, for the record, such as which fallback decided,
    /// for which plugin and why. They arrive before the answers.
    Remarked(Vec<(Message, String)>),
    /// A remote party has answered a delivered message in the response.
    Replied(Box<Message>, Content),
    /// One delivery attempt of a message failed.
    Unreached(Box<Message>, String),
    /// A message will never be answered.
    Undeliverable(Box<Message>, String),
    /// Measured loads.
    Observed(Vec<Observed>),
    /// New forecasts, or the reasons for which services have none any more.
    Forecasts(Vec<Forecast>),
    /// New risk assessments.
    Risks(Vec<Risk>),
    /// New tier assignments.
    Tiers(Vec<TierAssignment>),
    /// The driver's view of the replicas.
    Driver(Vec<ReplicaReport>),
    /// A commit is durable.
    Committed(CommitId),
    /// A commit failed and will never become durable, nor will any later one.
    CommitFailed(CommitId, String),
}

/// The services to reconcile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All services. This also ends what is over and begins what was scheduled.
    All,
    /// These services.
    Services(Vec<Name>),
}

/// A change of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Adds or replaces a service.
    PutService(Service),
    /// Deletes a service.
    DeleteService(Name),
    /// Adds or replaces a dependency.
    PutDependency(Name, Name, Dependency),
    /// Deletes a dependency.
    DeleteDependency(Name, Name),
    /// Adds or replaces a provider.
    PutProvider(Provider),
    /// Deletes a provider.
    DeleteProvider(Name),
    /// Adds or replaces a scaling policy.
    PutPolicy(ScalingPolicy),
    /// Adds or replaces a calendar event.
    PutEvent(CalendarEvent),
    /// Deletes a calendar event.
    DeleteEvent(Name),
}

/// A change of the active generation of a plugin.
#[derive(Clone, Debug, PartialEq)]
pub enum PluginChange {
    /// Makes a new generation active. Its `status` is ignored.
    Promote(Arc<Generation>),
    /// Makes the previous generation active again.
    RollBack(Name),
    /// Deletes the plugin.
    Delete(Name),
}

/// The announcement that a provider takes compute units back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReclaimRequest {
    /// The kind of unit.
    pub unit: Name,
    /// The number of units, in addition to earlier announcements.
    pub count: u32,
    /// The time at which they are gone. The default is now plus the interruption notice of the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}
