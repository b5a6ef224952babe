use haggle_model::{
    CalendarError, GraphError, Name, PolicyError, ProviderError, ServiceError, Timestamp, Window,
};
use haggle_negotiate::{DemandError, MessageError, SpreadError};

use crate::window::ScalingError;

/// Why the core did not do what it was asked. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// There is no such thing.
    #[error("there is no {what} {name}")]
    NotFound {
        /// What was looked for: `service`, `plugin`...
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Something else still needs it.
    #[error("{what} {name} is in use by {by}: change that first")]
    InUse {
        /// What was to be deleted.
        what: &'static str,
        /// Its name.
        name: String,
        /// Who needs it.
        by: String,
    },
    /// A document names something that is not there.
    #[error("{what} {name}: {field} names {missing}, which does not exist: add it first")]
    Missing {
        /// The document's kind.
        what: &'static str,
        /// Its name.
        name: String,
        /// The field.
        field: &'static str,
        /// What is not there.
        missing: String,
    },
    /// A built-in plugin cannot be deleted.
    #[error(
        "plugin {0} is built in: load another generation over it, or name another plugin in your policies"
    )]
    BuiltIn(Name),
    /// There is no generation to return to.
    #[error(
        "plugin {0} has no generation before the one that decides: there is nothing to roll back to"
    )]
    NoPrevious(Name),
    /// A generation that is not newer than those before.
    #[error("plugin {plugin}: generation {number} is not above {highest}: upload it again")]
    StaleGeneration {
        /// The plugin.
        plugin: Name,
        /// The number given.
        number: u64,
        /// The highest before.
        highest: u64,
    },
    /// A plugin that policies name would lose a role that they need.
    #[error(
        "plugin {plugin} would no longer have the role {role}, which {by} needs: keep it, or change that first"
    )]
    RoleInUse {
        /// The plugin.
        plugin: Name,
        /// The role.
        role: String,
        /// Who needs it.
        by: String,
    },
    /// A scaling request that makes no sense.
    #[error(transparent)]
    Scaling(#[from] ScalingError),
    /// Something is agreed for that time already.
    #[error(
        "for {service}, {by} is about {} to {}: ask for a time outside of that, or cancel it first (DELETE /v1/scaling-requests/{by})", window.start, window.end
    )]
    Reserved {
        /// The service.
        service: Name,
        /// The scaling request, or the negotiation of that window where it has several.
        by: String,
        /// When.
        window: Window,
    },
    /// Too many reservations of one service.
    #[error(
        "service {service} has {count} reservations, and {most} are the most: cancel some that are not needed"
    )]
    TooManyReservations {
        /// The service.
        service: Name,
        /// How many it would have.
        count: usize,
        /// The most.
        most: usize,
    },
    /// Too many scaling requests are negotiated at once.
    #[error(
        "{open} negotiations are open, and {most} are the most at once: try again in a few seconds"
    )]
    Busy {
        /// How many are open.
        open: usize,
        /// The most.
        most: usize,
    },
    /// A request that cannot be changed in place.
    #[error("scaling request {id} cannot be changed in place: {why}")]
    NotAmendable {
        /// The request.
        id: String,
        /// Why.
        why: &'static str,
    },
    /// A service that makes no sense.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A provider that makes no sense.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A policy that makes no sense.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// An event that makes no sense.
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    /// Too many events.
    #[error("the calendar holds {0} events already: delete some that are over")]
    CalendarFull(usize),
    /// Too many documents of a kind.
    #[error("there are {most} {what} already, which is the most: delete some that are not needed")]
    Full {
        /// Of what: `services`, `providers`...
        what: &'static str,
        /// The most.
        most: usize,
    },
    /// All providers together have too many kinds of units.
    #[error(
        "all providers together would have {units} kinds of units, and {most} are the most: describe units that are alike as one with a `count`"
    )]
    TooManyUnits {
        /// How many there would be.
        units: usize,
        /// The most.
        most: usize,
    },
    /// A change of the graph that makes no sense.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A cycle of dependencies that amplifies load without end.
    #[error("the dependency of {from} on {to} is refused: {cause}")]
    Cycle {
        /// The dependent.
        from: Name,
        /// The dependency.
        to: Name,
        /// What is wrong.
        cause: SpreadError,
    },
    /// A demand that cannot be negotiated.
    #[error(transparent)]
    Demand(#[from] DemandError),
    /// More is taken back than there is.
    #[error("{asked} of unit {unit} cannot be taken back: of {count}, {announced} are announced already; give a count from 1 to {}", count.saturating_sub(*announced))]
    Reclaim {
        /// How many.
        asked: u32,
        /// Of which unit.
        unit: Name,
        /// How many there are.
        count: u32,
        /// How many of them are announced or gone.
        announced: u32,
    },
    /// Too many reclaims of one unit lie ahead.
    #[error(
        "{most} reclaims of unit {unit} at different times are the most that may lie ahead: announce several for the same time"
    )]
    TooManyReclaims {
        /// Of which unit.
        unit: Name,
        /// The most.
        most: usize,
    },
    /// A reclaim at an impossible time.
    #[error("`at` is {at}: it must lie within ten years of now")]
    ReclaimTime {
        /// The time given.
        at: Timestamp,
    },
    /// A message that changes nothing.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The store does not accept what was decided.
    #[error("it could not be made durable, so nothing has changed: {0}")]
    Store(String),
    /// The clock was set back while it was negotiated.
    #[error("the host's clock went back by {0} while this was negotiated: ask again")]
    ClockWentBack(haggle_model::Span),
}

/// What kind of trouble it is, whoever carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Not there.
    NotFound,
    /// Asked for wrongly.
    Invalid,
    /// Asked for at the wrong time.
    Conflict,
    /// Well-formed, and still not acceptable.
    Unprocessable,
    /// Try again later.
    Busy,
    /// The host's own trouble.
    Internal,
}

impl ControlError {
    pub(crate) fn not_found(what: &'static str, name: impl ToString) -> Self {
        Self::NotFound { what, name: name.to_string() }
    }

    /// What kind of trouble it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. }
            | Self::Graph(GraphError::NotFound { .. })
            | Self::Message(MessageError::UnknownSession(_)) => ErrorKind::NotFound,
            Self::InUse { .. }
            | Self::Reserved { .. }
            | Self::BuiltIn(_)
            | Self::NoPrevious(_)
            | Self::StaleGeneration { .. }
            | Self::RoleInUse { .. }
            | Self::NotAmendable { .. }
            | Self::TooManyReservations { .. }
            | Self::TooManyReclaims { .. }
            | Self::Graph(
                GraphError::UnknownService(_)
                | GraphError::Duplicate { .. }
                | GraphError::InUse { .. },
            )
            | Self::Missing { .. }
            | Self::CalendarFull(_)
            | Self::Full { .. }
            | Self::TooManyUnits { .. }
            | Self::Message(
                MessageError::Finished(_)
                | MessageError::Late(_)
                | MessageError::Contradiction(_)
                | MessageError::Confirming(_),
            ) => ErrorKind::Conflict,
            Self::Service(_)
            | Self::Provider(_)
            | Self::Policy(_)
            | Self::Calendar(_)
            | Self::Graph(_)
            | Self::Cycle { .. }
            | Self::Scaling(_)
            | Self::Reclaim { .. }
            | Self::ReclaimTime { .. } => ErrorKind::Invalid,
            Self::Demand(_) | Self::Message(_) => ErrorKind::Unprocessable,
            Self::Busy { .. } | Self::ClockWentBack(_) => ErrorKind::Busy,
            Self::Store(_) => ErrorKind::Internal,
        }
    }
}
