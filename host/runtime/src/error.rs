use haggle_actuate::ActuateError;
use haggle_control::{ControlError, ErrorKind as ControlKind};
use haggle_model::Name;
use haggle_observe::PushError;
use haggle_plugins::UploadError;
use haggle_sandbox::LoadError;
use haggle_store::StoreError;
use haggle_transport::RefusedAddress;

/// Why the host did not do what it was asked. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The core refuses.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A plugin that is not taken.
    #[error(transparent)]
    Plugin(#[from] UploadError),
    /// A document with an endpoint that no party has.
    #[error("{what} {name}: `endpoint`: {cause}")]
    Endpoint {
        /// The document's kind.
        what: &'static str,
        /// Its name.
        name: Name,
        /// Why messages are never sent there.
        cause: RefusedAddress,
    },
    /// A unit that its provider does not have.
    #[error("provider {provider} has no unit {unit}: {}", units_of(units))]
    NoUnit {
        /// The provider.
        provider: Name,
        /// The unit.
        unit: Name,
        /// The units that it has.
        units: Vec<Name>,
    },
    /// Samples or failures that make no sense.
    #[error(transparent)]
    Samples(#[from] PushError),
    /// A generation that did not load when the host started.
    #[error(
        "generation {generation} of plugin {plugin} is not loaded, because its component is missing or damaged: upload it again"
    )]
    NotLoaded {
        /// The plugin.
        plugin: Name,
        /// The generation.
        generation: u64,
    },
    /// An action that cannot be carried out.
    #[error(transparent)]
    Actuate(#[from] ActuateError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sandbox cannot be set up.
    #[error("the sandbox cannot be set up: {0}")]
    Sandbox(LoadError),
    /// A thread cannot be started, or ended without an answer.
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
    /// The host is closing.
    Stopping,
    /// The host's own trouble.
    Internal,
}

impl HostError {
    /// There is no such thing.
    pub(crate) fn not_found(what: &'static str, name: impl ToString) -> Self {
        Self::Control(ControlError::NotFound { what, name: name.to_string() })
    }

    /// What kind of trouble it is.
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
            Self::NoUnit { .. } => ErrorKind::NotFound,
            Self::Endpoint { .. } | Self::Samples(_) => ErrorKind::Invalid,
            Self::Closing | Self::Stopped { .. } => ErrorKind::Stopping,
            // A full disk: the same is accepted once there is room.
            Self::Store(error) if error.is_temporary() => ErrorKind::Busy,
            Self::Actuate(_) | Self::Store(_) | Self::Sandbox(_) | Self::Task(_) => {
                ErrorKind::Internal
            }
        }
    }
}

/// The most units that an error lists.
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
