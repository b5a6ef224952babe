use haggle_model::{Lease, Name, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Agreement, Fault, Message, Outcome, Transcript};

/// An action that an [`Engine`](crate::Engine) requests. The caller carries actions out in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send this to `message.to`. The message may get lost; the engine repeats it if it needs an answer.
    Deliver(Message),
    /// Write this atomically, after everything before it.
    Persist(Persist),
    /// These leases have expired. Delete them from disk; this is not urgent.
    Expired(Vec<Lease>),
    /// The owner of these leases has taken their capacity back. The leases end early or have ended. Write
    /// them; their holders must negotiate for others.
    Reclaimed(Vec<Lease>),
    /// A party broke the protocol. Its message had no effect or counted as a refusal.
    Fault {
        /// The session.
        session: String,
        /// The party and the fault.
        fault: Fault,
    },
    /// A session has ended. If some parties have not yet been notified of the agreement, this may come
    /// again after a restart.
    Finished(Ending),
}

/// A write that the engine requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Persist {
    /// The session.
    pub session: String,
    /// The new record of the session; `None` deletes the record.
    pub record: Option<SessionRecord>,
    /// The new state of the leases. Delete the leases that are released or expired.
    pub leases: Vec<Lease>,
    /// Whether the session waits for [`Engine::persisted`](crate::Engine::persisted).
    pub awaited: bool,
}

/// The part of a session that survives the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// The id of the session.
    pub session: String,
    /// The service that requested the session.
    pub requester: Name,
    /// The latest end of the session.
    pub deadline: Timestamp,
    /// The agreement, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed: Option<Agreed>,
}

/// An agreement that counts, even if some parties have not yet been notified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreed {
    /// The agreement itself.
    pub agreement: Box<Agreement>,
    /// The leases that it created.
    pub leases: Vec<Lease>,
    /// The id of the last message so far. Messages after a restart have higher ids.
    pub last_message: u64,
}

/// The end of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// The session.
    pub session: String,
    /// The result.
    pub outcome: Outcome,
    /// Every lease that it changed permanently.
    pub changes: Vec<Lease>,
    /// The messages of the session, if the engine keeps transcripts.
    pub transcript: Transcript,
}
