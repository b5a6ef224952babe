//! Delivers negotiation messages to remote parties. A [`Transport`] delivers one message to one endpoint and
//! returns the party's immediate reply; [`Transports`] selects the transport by the endpoint's scheme.
//!
//! [`HttpTransport`] posts each message as a CloudEvent whose data is the message. The party answers in the
//! response, or later with `POST /v1/negotiations/{id}/messages`.
//!
//! Any client that may describe services can set endpoints, and parties may send anything. An
//! [`AddressPolicy`] therefore limits the addresses to connect to, and no [`Reply`] contains the secrets of
//! an endpoint or the content of an unreadable answer.
//!
//! # Limitations
//!
//! - HTTP/1 without TLS. Use a proxy for TLS.

mod address;
mod connect;
mod event;
mod http;
mod line;
mod transport;

pub use address::{AddressPolicy, RefusedAddress};
pub use event::{CLOUD_EVENT, cloud_event, unwrapped};
pub use http::{HttpOptions, HttpTransport};
pub use transport::{BoxFuture, Reply, Transport, Transports};
