use haggle_model::{Name, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{SampleError, sample::check_instance};

/// A report that an instance of a service failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FailureReport {
    /// The service.
    pub service: Name,
    /// The replica, container or API, 1 to 253 bytes. Default: the service itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// When it failed. Default: the time of arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
}

impl FailureReport {
    /// Validates what the types do not enforce. `index` is the position in the batch, for the error.
    ///
    /// # Errors
    /// [`SampleError`] with the position and the field.
    pub fn validate(&self, index: usize) -> Result<(), SampleError> {
        check_instance(Self::WHAT, index, self.instance.as_deref())
    }

    /// The name of the item in errors.
    pub(crate) const WHAT: &'static str = "failure";
}
