//! The HTTP server in front of any axum router. It handles everything that a client can do to the server
//! before a handler runs:
//!
//! - **Limits.** Heads, bodies and responses must keep a minimum [`Pace`]; connections, requests in flight
//!   and event streams are counted. The front refuses or closes whatever exceeds a limit, without effect on
//!   other clients.
//! - **Cross-site requests.** A request that a page of another site may have caused, by a form, a script or
//!   DNS rebinding, does not reach a handler.
//! - **Identity.** Each request carries a [`Principal`] in its extensions.
//!
//! Refusals are problem details (RFC 9457) of the types in [`Refusal`].
//!
//! # Limitations
//!
//! - The front speaks HTTP/1 without TLS.
//! - A malformed request that is pipelined behind an unfinished response gets a bare status.

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
mod watched;

pub use authority::{AllowedHost, InvalidHost};
pub use options::{FrontOptions, Pace, RouteBound};
pub use principal::Principal;
pub use problem::{Problem, Refusal};
pub use serve::serve;
