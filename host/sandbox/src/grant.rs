use serde::{Deserialize, Serialize};

/// A directory that the operator granted to a plugin for reading. Decisions of such a plugin can be replayed
/// only while the files are unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The path on the host.
    pub host: String,
    /// The path in the guest.
    pub guest: String,
}
