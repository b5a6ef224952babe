//! What is asked for over HTTP, and what is answered.

use haggle_model::{Name, Quantities, Span, Timestamp, Window};
use haggle_negotiate::{Agreement, Reason};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A request to scale, from outside. Either `replicas` or `load` is given, or `windows` that have them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScalingRequest {
    /// The service.
    pub service: Name,
    /// How many replicas it should have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// What it should carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Quantities>,
    /// When it begins; now if none. What is agreed for later is reserved: it is neither undone nor replaced
    /// before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// For how long. Without it, for the policy's lease, and longer as long as nothing else (samples, promises
    /// to others) says what the service needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Span>,
    /// Several windows of time in place of one, 100 at most, which must not overlap. Each is negotiated and
    /// agreed by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<Vec<ScalingWindow>>,
    /// How long may be negotiated; as the policy says if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
    /// Ask everybody and answer, but hold nothing and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// One of the windows that a request asks for: its start, either its end or how long it takes, and either
/// `replicas` or `load`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScalingWindow {
    /// When it begins; now if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// When it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// How long it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Span>,
    /// How many replicas the service should have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// What it should carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Quantities>,
}

/// The answer to a scaling request. To one for several windows it is what they come to together: `approved`
/// where all are, `denied` where all are, otherwise `reduced`; `to` is the most of any of them, and `window`
/// reaches from the first to the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScalingVerdict {
    /// In a word.
    pub verdict: Verdict,
    /// The negotiation, to be looked up; a dry run leaves none.
    pub negotiation: String,
    /// The service.
    pub service: Name,
    /// How many replicas it had.
    pub from: u32,
    /// How many it has or gets.
    pub to: u32,
    /// When that is agreed for.
    pub window: Window,
    /// Whether it was a dry run: that is what would be, and nothing of it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// What was agreed; none if it was denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Agreement>,
    /// Why it is less than was asked for.
    pub reasons: Vec<Reason>,
    /// The answer for each window, in the order of the request, where it named several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WindowVerdict>,
}

/// The answer for one of several windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WindowVerdict {
    /// In a word.
    pub verdict: Verdict,
    /// Its negotiation, to be looked up or given up alone; none where nobody could be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negotiation: Option<String>,
    /// How many replicas the service gets.
    pub to: u32,
    /// When that is agreed for.
    pub window: Window,
    /// What was agreed; none if it was denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Agreement>,
    /// Why it is less than was asked for.
    pub reasons: Vec<Reason>,
}

/// Where a scaling request stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScalingProgress {
    /// The negotiation, and the request's own id.
    pub negotiation: String,
    /// Whether it is still being negotiated.
    pub pending: bool,
    /// The verdict, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<ScalingVerdict>,
}

/// The answer to a scaling request in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All of it.
    Approved,
    /// Part of it.
    Reduced,
    /// Nothing of it.
    Denied,
}
