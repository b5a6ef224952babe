use haggle_model::{Lease, Name, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Agreement, Fault, Message, Outcome, Transcript};

/// What an [`Engine`](crate::Engine) wants done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send this to `message.to`. It may get lost: it is sent again where an answer is needed.
    Deliver(Message),
    /// Write this, as a whole and after everything before it.
    Persist(Persist),
    /// These leases are over: forget them on disk, without hurry.
    Expired(Vec<Lease>),
    /// Their owner takes back what these leases are about: they end before their time, or are over. Write
    /// them; their holders have to negotiate for others.
    Reclaimed(Vec<Lease>),
    /// Somebody did something wrong; it changed nothing, or counted as a refusal.
    Fault {
        /// The session.
        session: String,
        /// Who and what.
        fault: Fault,
    },
    /// A session has ended. After a restart, an agreement that was not told to all may be told again.
    Finished(Ending),
}

/// What is to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Persist {
    /// The session.
    pub session: String,
    /// Its record from now on; none: delete it.
    pub record: Option<SessionRecord>,
    /// Leases as they will be: those that are released or expired are to be deleted.
    pub leases: Vec<Lease>,
    /// Whether the session waits for [`Engine::persisted`](crate::Engine::persisted).
    pub awaited: bool,
}

/// What of a session outlives the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Its id.
    pub session: String,
    /// Who wanted it.
    pub requester: Name,
    /// When it ends at the latest.
    pub deadline: Timestamp,
    /// What was agreed; none as long as nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed: Option<Agreed>,
}

/// An agreement that counts, though perhaps not everybody has been told yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreed {
    /// What was agreed.
    pub agreement: Box<Agreement>,
    /// The leases that began with it.
    pub leases: Vec<Lease>,
    /// The last message so far: what is said after a restart has higher ids.
    pub last_message: u64,
}

/// The end of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// The session.
    pub session: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Every lease that it changed for good.
    pub changes: Vec<Lease>,
    /// What was said, where that is kept.
    pub transcript: Transcript,
}
