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

/// On whose behalf something is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Principal {
    /// Nobody has been authenticated.
    #[default]
    Anonymous,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Time has passed: leases end, questions are repeated, sessions meet their deadline. Due at
    /// [`Control::next_due`](crate::Control::next_due).
    Tick,
    /// Work out what services should have, and negotiate where that is not what they have.
    Reconcile(Scope),
    /// Somebody changes a document.
    Change {
        /// Who is answered.
        caller: Caller,
        /// What to change.
        change: Box<Change>,
    },
    /// Somebody asks to scale.
    Request {
        /// Who is answered.
        caller: Caller,
        /// What is asked for.
        request: Box<ScalingRequest>,
        /// When it arrived; its deadline counts from then.
        arrived: Timestamp,
        /// Answer as soon as the request is durable instead of when all of it is negotiated. A dry run, which is
        /// kept nowhere, is answered with its verdict in any case.
        respond_early: bool,
    },
    /// Somebody changes a reservation in place.
    Amend {
        /// Who is answered.
        caller: Caller,
        /// The scaling request.
        id: String,
        /// What the window is to be.
        window: Box<ScalingWindow>,
    },
    /// Somebody cancels a scaling request.
    Cancel {
        /// Who is answered.
        caller: Caller,
        /// The scaling request.
        id: String,
    },
    /// A provider announces that it takes capacity back.
    Reclaim {
        /// Who is answered.
        caller: Caller,
        /// The provider.
        provider: Name,
        /// What it takes back.
        request: ReclaimRequest,
    },
    /// A provider has back what it had taken: its announcements for a unit are void.
    Restock {
        /// Who is answered.
        caller: Caller,
        /// The provider.
        provider: Name,
        /// The unit.
        unit: Name,
    },
    /// Which generations of a plugin decide changes.
    Plugin {
        /// Who is answered.
        caller: Caller,
        /// What changes.
        change: PluginChange,
    },
    /// A party says something by itself.
    Message {
        /// Who is answered.
        caller: Caller,
        /// What it says.
        message: Box<Message>,
    },
    /// A party has sent what cannot be read.
    Unreadable {
        /// Who is answered, if anybody waits.
        caller: Option<Caller>,
        /// The negotiation.
        session: String,
        /// Who said it.
        from: Party,
        /// The question that it was to answer.
        about: MessageId,
        /// What is wrong with it.
        why: String,
    },
    /// A plugin has answered [`Effect::Consult`](crate::Effect::Consult): each question with what the party
    /// says, or why it says nothing.
    Consulted(Vec<(Message, Result<Content, String>)>),
    /// How answers of plugins to these questions came about, for the record: that somebody stood in, and for
    /// whom and why. It comes before the answers.
    Remarked(Vec<(Message, String)>),
    /// A party elsewhere has answered a delivered message at once.
    Replied(Box<Message>, Content),
    /// A message has not arrived this time.
    Unreached(Box<Message>, String),
    /// A message will never be answered.
    Undeliverable(Box<Message>, String),
    /// Loads that were measured.
    Observed(Vec<Observed>),
    /// Forecasts that were made, and the services that have none any more.
    Forecasts(Vec<Forecast>),
    /// Risks that were assessed.
    Risks(Vec<Risk>),
    /// Tiers that were assigned.
    Tiers(Vec<TierAssignment>),
    /// What the driver sees.
    Driver(Vec<ReplicaReport>),
    /// A commit is durable.
    Committed(CommitId),
    /// A commit is not durable and never will be, nor is any after it.
    CommitFailed(CommitId, String),
}

/// Which services to reconcile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them. This also ends what is over and begins what was scheduled.
    All,
    /// These.
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

/// A change of which generations decide.
#[derive(Clone, Debug, PartialEq)]
pub enum PluginChange {
    /// A new generation decides. Its standing does not matter.
    Promote(Arc<Generation>),
    /// The generation before decides again.
    RollBack(Name),
    /// The plugin is deleted.
    Delete(Name),
}

/// A provider takes compute units back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReclaimRequest {
    /// Which kind of unit.
    pub unit: Name,
    /// How many of them, beside those announced before.
    pub count: u32,
    /// When they are gone; after the unit's notice if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}
