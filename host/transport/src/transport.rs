use std::{collections::BTreeMap, fmt, future::ready, pin::Pin, sync::Arc};

use haggle_model::Endpoint;
use haggle_negotiate::{Content, Message};

/// A future behind a pointer, so that [`Transport`] can be one as well.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way to reach parties.
pub trait Transport: Send + Sync {
    /// Takes a message to an endpoint, once, and waits a bounded time for what the party says at once.
    fn deliver<'a>(&'a self, endpoint: &'a Endpoint, message: &'a Message) -> BoxFuture<'a, Reply>;
}

/// What a party answers at once. The texts are for people; they contain neither secrets of the endpoint nor
/// anything that the party said.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A message.
    Said(Box<Content>),
    /// Nothing: the answer comes later, or when it is asked again.
    Nothing,
    /// Something that is no message, and why: it is asked again.
    Unreadable(String),
    /// It was not there, or does not want to be asked now, and why: it is asked again.
    Unreached(String),
    /// It does not want to be asked this, or must not be asked, and why.
    Never(String),
}

/// The transports of a host, by the schemes of the endpoints that they reach.
#[derive(Clone, Default)]
pub struct Transports(BTreeMap<&'static str, Arc<dyn Transport>>);

impl Transports {
    /// No transports at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the transport for a scheme, in place of an earlier one.
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
