//! The HTTP server in front of any axum router. It owns whatever a client could do to the server before a
//! handler runs, and keeps handlers free of it:
//!
//! - **Bounds.** Heads, bodies and responses must move at a [`Pace`]; connections, requests in flight and
//!   event streams are counted. What exceeds a bound is refused or closed, and costs nobody else anything.
//! - **Pages of others.** A request that a web page of another site may have caused, by a form, by script or
//!   by DNS rebinding, does not reach a handler.
//! - **Who asks.** Each request carries a [`Principal`] in its extensions.
//!
//! Refusals are problem details (RFC 9457), whose types are [`Refusal`]s.
//!
//! # Limitations
//!
//! - It speaks HTTP/1 without TLS.
//! - What is not HTTP, or has a head more than twice as large as allowed, is refused with a bare status.

mod admission;
mod authority;
mod body;
mod connection;
mod date;
mod options;
mod origin;
mod pace;
mod principal;
mod problem;
mod serve;

pub use authority::{AllowedHost, InvalidHost};
pub use options::{FrontOptions, Pace, RouteBound};
pub use principal::Principal;
pub use problem::{Problem, Refusal};
pub use serve::serve;
