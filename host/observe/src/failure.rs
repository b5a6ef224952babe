use haggle_model::{Name, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{SampleError, sample::check_instance};

/// Something failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FailureReport {
    /// The service.
    pub service: Name,
    /// The replica, container or API, 1 to 253 bytes; the service itself if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// When; the time it arrives if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
}

impl FailureReport {
    /// Checks what the types alone do not. `index` is its place in its batch, for the error.
    ///
    /// # Errors
    /// [`SampleError`] naming the place and the field.
    pub fn validate(&self, index: usize) -> Result<(), SampleError> {
        check_instance(Self::WHAT, index, self.instance.as_deref())
    }

    /// What errors call it.
    pub(crate) const WHAT: &'static str = "failure";
}
