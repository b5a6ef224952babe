use std::sync::Arc;

use haggle_model::{
    CalendarEvent, Dependency, Name, Provider, Resource, ScalingPolicy, Service, Tier, Timestamp,
};
use haggle_negotiate::{Content, Message, MessageId, Party};
use haggle_plan::{Accuracy, Outlook};
use serde::{Deserialize, Serialize};

use crate::{
    effect::CommitId,
    record::Generation,
    window::{ScalingRequest, ScalingWindow},
};

/// Whom an answer goes to. The edge gives out the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caller(pub u64);

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

/// A measured load.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The service.
    pub service: Name,
    /// When.
    pub at: Timestamp,
    /// In the service's load resource.
    pub load: f64,
}

/// A forecast of a service's load.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The service.
    pub service: Name,
    /// In which resource.
    pub resource: Resource,
    /// When it was made.
    pub at: Timestamp,
    /// By which plugin.
    pub plugin: Name,
    /// By which generation of it.
    pub generation: u64,
    /// How good forecasts of this service were lately.
    pub accuracy: Accuracy,
    /// What is forecast; the error says why nothing is.
    pub outlook: Result<Arc<Outlook>, String>,
}

/// How likely a service is to fail.
#[derive(Clone, Debug, PartialEq)]
pub struct Risk {
    /// The service.
    pub service: Name,
    /// Within the policy's horizon, 0 to 1; none where nobody could say.
    pub probability: Option<f64>,
    /// A sentence for a person.
    pub explanation: String,
}

/// A tier that was assigned.
#[derive(Clone, Debug, PartialEq)]
pub struct TierAssignment {
    /// The service.
    pub service: Name,
    /// The tier.
    pub tier: Tier,
    /// Its share of the pool, 0 to 1.
    pub share: f64,
    /// Why.
    pub reason: String,
}

/// What the driver sees of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaReport {
    /// The service.
    pub service: Name,
    /// How many replicas there are or are about to be.
    pub desired: u32,
    /// How many of them serve.
    pub ready: u32,
}
