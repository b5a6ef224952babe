//! The answers to scaling requests.

use haggle_model::{Name, Window};
use haggle_negotiate::{Agreement, Outcome, Reason};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer to a scaling request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScalingVerdict {
    /// Whether the request was approved.
    pub verdict: Verdict,
    /// The id of the request: that of its negotiation, if it has a single one.
    pub negotiation: String,
    /// The service.
    pub service: Name,
    /// The number of replicas before.
    pub from: u32,
    /// The number of replicas after.
    pub to: u32,
    /// The negotiated window.
    pub window: Window,
    /// Whether the request was a dry run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// The agreement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Agreement>,
    /// The reasons for which the result is not the full request.
    pub reasons: Vec<Reason>,
    /// The verdicts by window of a request with several windows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WindowVerdict>,
}

/// The verdict on one window of a scaling request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WindowVerdict {
    /// Whether the window was approved.
    pub verdict: Verdict,
    /// The id of its negotiation; `None` if none could be opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negotiation: Option<String>,
    /// The number of replicas after.
    pub to: u32,
    /// The window.
    pub window: Window,
    /// The agreement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Agreement>,
    /// The reasons for which the result is not the full request.
    pub reasons: Vec<Reason>,
}

/// The progress of a scaling request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// The id of the request.
    pub negotiation: String,
    /// Whether it is still being negotiated.
    pub pending: bool,
    /// The verdict, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<ScalingVerdict>,
}

/// Whether a scaling request was approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The full request was granted.
    Approved,
    /// A part of the request was granted.
    Reduced,
    /// Nothing was granted.
    Denied,
}

impl Verdict {
    pub(crate) const fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Agreed(agreement) if agreement.reduced => Self::Reduced,
            Outcome::Agreed(_) => Self::Approved,
            Outcome::Failed { .. } => Self::Denied,
        }
    }

    /// The name in a negotiation record.
    pub(crate) const fn outcome(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Reduced => "reduced",
            Self::Denied => "denied",
        }
    }

    /// Combines several verdicts: approved or denied if all are, otherwise reduced.
    pub(crate) fn all(of: impl Iterator<Item = Self> + Clone) -> Self {
        let is = |verdict| of.clone().all(|one| one == verdict);
        match (is(Self::Approved), is(Self::Denied)) {
            (true, _) => Self::Approved,
            (_, true) => Self::Denied,
            _ => Self::Reduced,
        }
    }
}

impl WindowVerdict {
    /// The verdict on a window whose negotiation could not be opened, or was lost.
    pub(crate) fn denied(
        service: &Name,
        negotiation: Option<String>,
        from: u32,
        window: Window,
        why: String,
    ) -> Self {
        let reasons = vec![Reason { participant: service.clone(), text: why }];
        let verdict = Verdict::Denied;
        Self { verdict, negotiation, to: from, window, agreement: None, reasons }
    }
}
