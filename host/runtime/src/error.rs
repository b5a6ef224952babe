use haggle_actuate::ActuateError;
use haggle_control::{ControlError, ErrorKind as ControlKind};
use haggle_model::Name;
use haggle_observe::PushError;
use haggle_plugins::UploadError;
use haggle_sandbox::LoadError;
use haggle_store::StoreError;
use haggle_transport::RefusedAddress;

/// The reason why the host refused or failed an operation. The operation has changed nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The core refused.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A plugin upload was refused.
    #[error(transparent)]
    Plugin(#[from] UploadError),
    /// A document has an endpoint with a forbidden address.
    #[error("{what} {name}: `endpoint`: {cause}")]
    Endpoint {
        /// The document's kind.
        what: &'static str,
        /// Its name.
        name: Name,
        /// The reason why messages are never sent there.
        cause: RefusedAddress,
    },
    /// The provider has no such unit.
    #[error("provider {provider} has no unit {unit}: {}", units_of(units))]
    NoUnit {
        /// The provider.
        provider: Name,
        /// The unit.
        unit: Name,
        /// The provider's units.
        units: Vec<Name>,
    },
    /// A sample or failure is of a service that does not exist.
    #[error(
        "{what} {index}: there is no service {service}: describe it first, or correct the name; nothing of the batch is stored"
    )]
    NoService {
        /// "sample" or "failure".
        what: &'static str,
        /// The position among the samples or failures of the batch, from 0.
        index: usize,
        /// The service.
        service: Name,
    },
    /// Samples or failures are invalid.
    #[error(transparent)]
    Samples(#[from] PushError),
    /// A generation did not load when the host started.
    #[error(
        "generation {generation} of plugin {plugin} is not loaded, because its component is missing or damaged: upload it again"
    )]
    NotLoaded {
        /// The plugin.
        plugin: Name,
        /// The generation.
        generation: u64,
    },
    /// The driver failed.
    #[error(transparent)]
    Actuate(#[from] ActuateError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sandbox could not be set up.
    #[error("the sandbox cannot be set up: {0}")]
    Sandbox(LoadError),
    /// A thread could not be started, or ended without a result.
    #[error("the host cannot go on: {0}")]
    Task(String),
    /// The host is closing.
    #[error("the host is stopping: ask again once it runs")]
    Closing,
    /// The host is closing, and a scaling request has no verdict yet.
    #[error(
        "the host is stopping before scaling request {request} has a verdict. What is agreed until the host ends stands, the rest is denied: look at the request once the host runs again, and ask again for what is missing"
    )]
    Stopped {
        /// The request.
        request: String,
    },
}

/// The kind of an error, independent of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The resource does not exist.
    NotFound,
    /// The request is invalid.
    Invalid,
    /// The request conflicts with the current state.
    Conflict,
    /// The input is too large.
    TooLarge,
    /// The input is well-formed but not acceptable.
    Unprocessable,
    /// Try again later.
    Busy,
    /// The host is stopping.
    Stopping,
    /// The host failed internally.
    Internal,
}

impl HostError {
    /// Creates an error for an unknown resource.
    pub(crate) fn not_found(what: &'static str, name: impl ToString) -> Self {
        Self::Control(ControlError::NotFound { what, name: name.to_string() })
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Control(error) => match error.kind() {
                ControlKind::NotFound => ErrorKind::NotFound,
                ControlKind::Invalid => ErrorKind::Invalid,
                ControlKind::Conflict => ErrorKind::Conflict,
                ControlKind::Unprocessable => ErrorKind::Unprocessable,
                ControlKind::Busy => ErrorKind::Busy,
                ControlKind::Internal => ErrorKind::Internal,
            },
            Self::Plugin(error) => match error {
                UploadError::Busy(_) => ErrorKind::Busy,
                UploadError::Configuration { .. } => ErrorKind::Invalid,
                UploadError::Load { cause: LoadError::TooLarge { .. }, .. } => ErrorKind::TooLarge,
                UploadError::Load { cause: LoadError::Host(_), .. } => ErrorKind::Internal,
                _ => ErrorKind::Unprocessable,
            },
            Self::Store(StoreError::HourFull { .. } | StoreError::KeyTooLong { .. }) => {
                ErrorKind::Unprocessable
            }
            Self::NotLoaded { .. } => ErrorKind::Conflict,
            Self::NoUnit { .. } | Self::NoService { .. } => ErrorKind::NotFound,
            Self::Endpoint { .. } | Self::Samples(_) => ErrorKind::Invalid,
            Self::Closing | Self::Stopped { .. } => ErrorKind::Stopping,
            // The disk is full; the operation can succeed once there is room.
            Self::Store(error) if error.is_temporary() => ErrorKind::Busy,
            Self::Actuate(_) | Self::Store(_) | Self::Sandbox(_) | Self::Task(_) => {
                ErrorKind::Internal
            }
        }
    }
}

/// Maximum number of units that an error lists.
const MOST_LISTED: usize = 20;

fn units_of(units: &[Name]) -> String {
    let listed: Vec<&str> = units.iter().take(MOST_LISTED).map(Name::as_str).collect();
    match units.len().checked_sub(MOST_LISTED) {
        _ if units.is_empty() => "it has none".to_owned(),
        None | Some(0) => format!("it has {}", listed.join(", ")),
        Some(more) => format!("it has {} and {more} more", listed.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use haggle_store::StoreError;

    use super::{ErrorKind, HostError};

    #[test]
    fn only_what_may_succeed_later_is_busy() {
        let kind = |error: StoreError| HostError::Store(error).kind();
        let full = StoreError::Full { action: "write", path: "/data".into() };
        assert_eq!(kind(full), ErrorKind::Busy);
        assert_eq!(kind(StoreError::Unavailable("why".to_owned())), ErrorKind::Busy);
        let large = StoreError::TooLarge { what: "a lease".to_owned(), bytes: 2, most: 1 };
        assert_eq!(kind(large), ErrorKind::Internal);
    }
}
