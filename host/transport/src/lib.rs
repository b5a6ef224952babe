//! How messages of negotiations reach parties elsewhere. A [`Transport`] takes one message to one endpoint
//! and brings back what the party says at once; [`Transports`] chooses it by the endpoint's scheme.
//!
//! [`HttpTransport`] posts each message as a CloudEvent whose data is the message. The party answers in the
//! response, or later with `POST /v1/negotiations/{id}/messages`.
//!
//! Endpoints come from whoever may describe services, and parties may say anything. An [`AddressPolicy`]
//! therefore decides which addresses may be connected to, and no [`Reply`] repeats the secrets of an
//! endpoint or the words of a party that could not be read.
//!
//! # Limitations
//!
//! - HTTP/1 without TLS. TLS is the business of a proxy in between.

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
