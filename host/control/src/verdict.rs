//! What a scaling request is answered.

use haggle_model::{Name, Window};
use haggle_negotiate::{Agreement, Outcome, Reason};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer to a scaling request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScalingVerdict {
    /// Whether it was approved.
    pub verdict: Verdict,
    /// The request's id: its negotiation, where there is one.
    pub negotiation: String,
    /// The service.
    pub service: Name,
    /// How many replicas it had.
    pub from: u32,
    /// How many it is going to have.
    pub to: u32,
    /// The time that was negotiated for.
    pub window: Window,
    /// Whether it was only asked what would be agreed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// What was agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Agreement>,
    /// Why it is not all that was asked for.
    pub reasons: Vec<Reason>,
    /// Of a request for several windows, what each comes to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WindowVerdict>,
}

/// What one window of a scaling request comes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WindowVerdict {
    /// Whether it was approved.
    pub verdict: Verdict,
    /// Its negotiation; none where nobody could be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negotiation: Option<String>,
    /// How many replicas the service is going to have.
    pub to: u32,
    /// When.
    pub window: Window,
    /// What was agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Agreement>,
    /// Why it is not all that was asked for.
    pub reasons: Vec<Reason>,
}

/// Where a scaling request stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// The request.
    pub negotiation: String,
    /// Whether it is still being negotiated.
    pub pending: bool,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<ScalingVerdict>,
}

/// Whether a scaling request was approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All of it.
    Approved,
    /// A part of it.
    Reduced,
    /// Nothing of it.
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

    /// What a negotiation record calls it.
    pub(crate) const fn outcome(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Reduced => "reduced",
            Self::Denied => "denied",
        }
    }

    /// One verdict about several: approved or denied where all are, reduced otherwise.
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
    /// A window for which nobody could be asked, or whose negotiation was lost.
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
