use serde::{Deserialize, Serialize};

use crate::Message;

/// Everything that was said in a negotiation, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Transcript {
    /// The messages.
    pub messages: Vec<Message>,
}
