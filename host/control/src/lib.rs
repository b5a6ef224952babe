//! The decision core of the host: a deterministic state machine without I/O.
//!
//! [`Control`] owns all decision state: the described documents, the replicas and targets of services,
//! leases, negotiations, scaling requests, reclaims and the active plugin generations. It takes an
//! [`Input`] and the current time, and returns [`Effect`]s in order. It reads no clock and touches no disk,
//! network, thread or WebAssembly.
//!
//! The state is one value ([`State`]). A step works on a copy that shares structure with the original. The
//! copy becomes the durable state once the store has accepted the writes of the step. If the store fails,
//! the core drops the copy and nothing has changed. Effects that leave the host wait for that moment.
//! Plugin calls do not wait, because they change nothing. Readers get the durable state as an immutable
//! snapshot.
//!
//! After a restart, [`Control::restore`] rebuilds the state from the durable [`Record`]s.

mod admission;
mod agreement;
mod cancel;
mod catalog;
mod clock;
mod consult;
mod control;
mod documents;
mod effect;
mod error;
mod event;
mod facts;
mod id;
mod input;
mod leasing;
mod messages;
mod observation;
mod options;
mod order;
mod plugins;
mod purpose;
mod reclaim;
mod reconcile;
mod record;
mod request;
mod reserve;
mod restore;
mod retention;
mod service;
mod session;
mod state;
mod step;
mod target;
mod verdict;
mod waiting_windows;
mod window;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use catalog::{Catalog, Graph};
pub use control::{Control, Version};
pub use effect::{Action, Answer, Consultation, Effect, Put, Reclaimed};
pub use error::{ControlError, ErrorKind};
pub use event::{Event, EventKind};
pub use id::{Caller, CommitId};
pub use input::{Change, Input, PluginChange, Principal, ReclaimRequest, Scope};
pub use observation::{Forecast, Observed, ReplicaReport, Risk, TierAssignment};
pub use options::Options;
pub use record::{Generation, GenerationStatus, Key, NegotiationRecord, Reclaim, Record, Write};
pub use request::Request;
pub use reserve::Reservation;
pub use restore::Restored;
pub use service::{Alarm, ServiceState, StoredService};
pub use state::{PassReport, PluginState, State};
pub use verdict::{Progress, ScalingVerdict, Verdict, WindowVerdict};
pub use window::{ScalingError, ScalingRequest, ScalingWindow};
