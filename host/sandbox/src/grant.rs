use serde::{Deserialize, Serialize};

/// A directory that the operator granted a plugin, for reading. Decisions of a plugin that reads files
/// can be replayed as long as the files are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The directory on the host.
    pub host: String,
    /// Its path in the guest.
    pub guest: String,
}
