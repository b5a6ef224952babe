use haggle_actuate::ActuateError;
use haggle_model::{
    CalendarError, GraphError, InvalidName, PolicyError, ProviderError, ServiceError, Span,
};
use haggle_negotiate::{DemandError, MessageError};
use haggle_observe::PushError;
use haggle_sandbox::{LoadError, RegistryError};
use haggle_store::StoreError;

use crate::scaling::ScalingError;

/// Why the host did not do what it was asked. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// No such thing.
    #[error("there is no {what} {name}")]
    NotFound {
        /// What was looked for: `service`, `plugin`...
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The service has no forecast yet.
    #[error("service {0} has no forecast yet: send samples, and wait for the next turn")]
    NoForecast(String),
    /// A horizon beyond a forecast.
    #[error(
        "the forecast of {service} reaches {reach}, not {horizon}: ask for less, or lengthen forecast.horizon of its policy"
    )]
    Horizon {
        /// The service.
        service: String,
        /// What was asked for.
        horizon: Span,
        /// How far ahead there is a forecast.
        reach: Span,
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
    BuiltIn(String),
    /// A configuration that is not a JSON object.
    #[error("the configuration of plugin {plugin} is not a JSON object: {cause}")]
    Configuration {
        /// The plugin.
        plugin: String,
        /// What is wrong.
        cause: String,
    },
    /// A scaling request that makes no sense.
    #[error(transparent)]
    Scaling(#[from] ScalingError),
    /// Something is agreed for that time already.
    #[error(
        "for {service}, {by} is about {} to {}: ask for a time outside of that, or give it up first (DELETE /v1/scaling-requests/{by})", window.start, window.end
    )]
    Reserved {
        /// The service.
        service: haggle_model::Name,
        /// Which scaling request.
        by: String,
        /// When.
        window: haggle_model::Window,
    },
    /// The journal is written for hosts with a data directory only.
    #[error("{0} is not a data directory of this host")]
    NoData(String),
    /// Not a name.
    #[error(transparent)]
    Name(#[from] InvalidName),
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
    /// A change of the graph that makes no sense.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Samples that make no sense.
    #[error(transparent)]
    Samples(#[from] PushError),
    /// A plugin that is not taken.
    #[error("plugin {plugin}: {cause}")]
    Load {
        /// The plugin.
        plugin: String,
        /// Why.
        cause: LoadError,
    },
    /// Too many uploads at once.
    #[error("{0} uploads are being compiled already: try again in a minute")]
    Uploads(usize),
    /// A generation that is not there.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A demand that cannot be negotiated.
    #[error(transparent)]
    Demand(#[from] DemandError),
    /// More is taken back than there is.
    #[error("{asked} of unit {unit} cannot be taken back: give a count from 1 to {count}")]
    Reclaim {
        /// How many.
        asked: u32,
        /// Of which unit.
        unit: haggle_model::Name,
        /// How many there are.
        count: u32,
    },
    /// A message that changes nothing.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// An order that cannot be carried out.
    #[error(transparent)]
    Actuate(#[from] ActuateError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sandbox cannot be set up.
    #[error("the sandbox cannot be set up: {0}")]
    Sandbox(LoadError),
    /// A thread died.
    #[error("an inner task ended without an answer: {0}")]
    Task(String),
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
    /// Too many bytes.
    TooLarge,
    /// Well-formed, and still not acceptable.
    Unprocessable,
    /// Try again later.
    Busy,
    /// The host's own trouble.
    Internal,
}

impl HostError {
    /// What kind of trouble it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. }
            | Self::NoForecast(_)
            | Self::Graph(GraphError::NotFound { .. })
            | Self::Message(MessageError::UnknownSession(_))
            | Self::Registry(RegistryError::Unknown(_)) => ErrorKind::NotFound,
            Self::InUse { .. }
            | Self::Reserved { .. }
            | Self::BuiltIn(_)
            | Self::Graph(
                GraphError::UnknownService(_)
                | GraphError::Duplicate { .. }
                | GraphError::InUse { .. },
            )
            | Self::Missing { .. }
            | Self::CalendarFull(_)
            | Self::Message(
                MessageError::Finished(_)
                | MessageError::Late(_)
                | MessageError::Contradiction(_)
                | MessageError::Confirming(_),
            )
            | Self::Registry(_) => ErrorKind::Conflict,
            Self::Name(_)
            | Self::Service(_)
            | Self::Provider(_)
            | Self::Policy(_)
            | Self::Calendar(_)
            | Self::Graph(_)
            | Self::Samples(_)
            | Self::Configuration { .. }
            | Self::Scaling(_)
            | Self::Horizon { .. }
            | Self::Reclaim { .. }
            | Self::NoData(_) => ErrorKind::Invalid,
            Self::Load { cause: LoadError::TooLarge { .. }, .. } => ErrorKind::TooLarge,
            Self::Load { cause: LoadError::Host(_), .. } => ErrorKind::Internal,
            Self::Load { .. } | Self::Demand(_) | Self::Message(_) => ErrorKind::Unprocessable,
            Self::Uploads(_) => ErrorKind::Busy,
            Self::Actuate(_) | Self::Store(_) | Self::Sandbox(_) | Self::Task(_) => {
                ErrorKind::Internal
            }
        }
    }
}
