use std::{collections::BTreeMap, fmt, future::ready, pin::Pin, sync::Arc};

use haggle_model::Endpoint;
use haggle_negotiate::{Content, Message};

/// A boxed future, so that [`Transport`] is object-safe.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way to deliver messages to parties.
pub trait Transport: Send + Sync {
    /// Delivers a message to an endpoint once, and waits a limited time for the immediate reply.
    fn deliver<'a>(&'a self, endpoint: &'a Endpoint, message: &'a Message) -> BoxFuture<'a, Reply>;
}

/// A party's immediate reply. The texts are for people; they contain neither secrets of the endpoint nor
/// content from the party.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A message.
    Said(Box<Content>),
    /// No message: the party answers later, or when it is asked again.
    Nothing,
    /// An invalid message, with the reason; the party is asked again.
    Unreadable(String),
    /// The party is unreachable or temporarily refuses, with the reason; it is asked again.
    Unreached(String),
    /// The party refuses the message for good, or must not be contacted, with the reason.
    Never(String),
}

/// The transports of a host, by endpoint scheme.
#[derive(Clone, Default)]
pub struct Transports(BTreeMap<&'static str, Arc<dyn Transport>>);

impl Transports {
    /// Creates an empty set of transports.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the transport for a scheme, replacing an earlier one.
    #[must_use]
    pub fn with(mut self, scheme: &'static str, transport: Arc<dyn Transport>) -> Self {
        self.0.insert(scheme, transport);
        self
    }
}

impl Transport for Transports {
    fn deliver<'a>(&'a self, endpoint: &'a Endpoint, message: &'a Message) -> BoxFuture<'a, Reply> {
        match self.0.get(endpoint.scheme()) {
            Some(transport) => transport.deliver(endpoint, message),
            None => {
                let scheme = endpoint.scheme();
                let why = format!("{endpoint} cannot be reached: {scheme} is not supported yet");
                Box::pin(ready(Reply::Never(why)))
            }
        }
    }
}

impl fmt::Debug for Transports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
