use haggle_model::{
    CalendarError, GraphError, Name, PolicyError, ProviderError, ServiceError, Timestamp, Window,
};
use haggle_negotiate::{DemandError, MessageError, SpreadError};

use crate::window::ScalingError;

/// The reasons for which the core rejects an input. The state is then unchanged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The object does not exist.
    #[error("there is no {what} {name}")]
    NotFound {
        /// The kind of object: `service`, `plugin`...
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Another object still uses it.
    #[error("{what} {name} is in use by {by}: change that first")]
    InUse {
        /// The kind of the object to delete.
        what: &'static str,
        /// Its name.
        name: String,
        /// The object that uses it.
        by: String,
    },
    /// A document refers to an object that does not exist.
    #[error("{what} {name}: {field} names {missing}, which does not exist: add it first")]
    Missing {
        /// The kind of the document.
        what: &'static str,
        /// Its name.
        name: String,
        /// The field.
        field: &'static str,
        /// The missing object.
        missing: String,
    },
    /// A built-in plugin cannot be deleted.
    #[error(
        "plugin {0} is built in: load another generation over it, or name another plugin in your policies"
    )]
    BuiltIn(Name),
    /// There is no generation to roll back to.
    #[error(
        "plugin {0} has no generation before the one that decides: there is nothing to roll back to"
    )]
    NoPrevious(Name),
    /// The generation is not newer than earlier ones.
    #[error("plugin {plugin}: generation {number} is not above {highest}: upload it again")]
    StaleGeneration {
        /// The plugin.
        plugin: Name,
        /// The given number.
        number: u64,
        /// The highest earlier number.
        highest: u64,
    },
    /// The plugin would lose a role that documents require.
    #[error(
        "plugin {plugin} would no longer have the role {role}, which {by} needs: keep it, or change that first"
    )]
    RoleInUse {
        /// The plugin.
        plugin: Name,
        /// The role.
        role: String,
        /// The document that requires it.
        by: String,
    },
    /// The scaling request is invalid.
    #[error(transparent)]
    Scaling(#[from] ScalingError),
    /// Another reservation overlaps the window.
    #[error(
        "for {service}, {by} is about {} to {}: ask for a time outside of that, or cancel it first (DELETE /v1/scaling-requests/{by})", window.start, window.end
    )]
    Reserved {
        /// The service.
        service: Name,
        /// The scaling request, or the negotiation of that window if the request has several.
        by: String,
        /// The window of the other reservation.
        window: Window,
    },
    /// The service has too many reservations.
    #[error(
        "service {service} has {count} reservations, and {most} are the most: cancel some that are not needed"
    )]
    TooManyReservations {
        /// The service.
        service: Name,
        /// The number that it would have.
        count: usize,
        /// The maximum.
        most: usize,
    },
    /// Too many negotiations are open.
    #[error(
        "{open} negotiations are open, and {most} are the most at once: try again in a few seconds"
    )]
    Busy {
        /// The number of open negotiations.
        open: usize,
        /// The maximum.
        most: usize,
    },
    /// The request cannot be amended in place.
    #[error("scaling request {id} cannot be changed in place: {why}")]
    NotAmendable {
        /// The request.
        id: String,
        /// The reason.
        why: &'static str,
    },
    /// The service is invalid.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The provider is invalid.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The policy is invalid.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The event is invalid.
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    /// The calendar has too many events.
    #[error("the calendar holds {0} events already: delete some that are over")]
    CalendarFull(usize),
    /// There are too many documents of this kind.
    #[error("there are {most} {what} already, which is the most: delete some that are not needed")]
    Full {
        /// The kind, in the plural: `services`, `providers`...
        what: &'static str,
        /// The maximum.
        most: usize,
    },
    /// All providers together have too many unit kinds.
    #[error(
        "all providers together would have {units} kinds of units, and {most} are the most: describe units that are alike as one with a `count`"
    )]
    TooManyUnits {
        /// The number that there would be.
        units: usize,
        /// The maximum.
        most: usize,
    },
    /// The change of the dependency graph is invalid.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The cycle of dependencies amplifies load without bound.
    #[error("the dependency of {from} on {to} is refused: {cause}")]
    Cycle {
        /// The dependent.
        from: Name,
        /// The dependency.
        to: Name,
        /// The reason.
        cause: SpreadError,
    },
    /// The demand cannot be negotiated.
    #[error(transparent)]
    Demand(#[from] DemandError),
    /// The reclaim exceeds the number of units.
    #[error("{asked} of unit {unit} cannot be taken back: of {count}, {announced} are announced already; give a count from 1 to {}", count.saturating_sub(*announced))]
    Reclaim {
        /// The requested number.
        asked: u32,
        /// The unit.
        unit: Name,
        /// The number of units in the description.
        count: u32,
        /// The number of units that are already announced or gone.
        announced: u32,
    },
    /// Too many future reclaims of one unit are announced.
    #[error(
        "{most} reclaims of unit {unit} at different times are the most that may lie ahead: announce several for the same time"
    )]
    TooManyReclaims {
        /// The unit.
        unit: Name,
        /// The maximum.
        most: usize,
    },
    /// The time of the reclaim is out of range.
    #[error("`at` is {at}: it must lie within ten years of now")]
    ReclaimTime {
        /// The given time.
        at: Timestamp,
    },
    /// The message had no effect.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The store rejected the commit.
    #[error("it could not be made durable, so nothing has changed: {0}")]
    Store(String),
    /// The clock was set back during the negotiation.
    #[error("the host's clock went back by {0} while this was negotiated: ask again")]
    ClockWentBack(haggle_model::Span),
}

/// The class of an error, independent of the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The object does not exist.
    NotFound,
    /// The input is malformed.
    Invalid,
    /// The input conflicts with the current state.
    Conflict,
    /// The input is well-formed but not acceptable.
    Unprocessable,
    /// The host is busy; the caller may retry later.
    Busy,
    /// The host failed internally.
    Internal,
}

impl ControlError {
    pub(crate) fn not_found(what: &'static str, name: impl ToString) -> Self {
        Self::NotFound { what, name: name.to_string() }
    }

    /// The class of the error.
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
