//! Several windows of one scaling request: a negotiation for each, and one answer to all of them.

use haggle_model::{Name, Window};
use haggle_negotiate::Reason;
use serde::{Deserialize, Serialize};

use crate::views::{ScalingVerdict, Verdict, WindowVerdict};

/// The negotiations that a request for several windows comes to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) id: String,
    service: Name,
    from: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    pub(crate) windows: Vec<Part>,
}

/// What one window of it comes to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    /// A negotiation has begun for it.
    Negotiated(String),
    /// Nobody could be asked.
    Refused { window: Window, why: String },
}

impl Series {
    pub(super) const fn new(id: String, service: Name, from: u32, dry_run: bool) -> Self {
        Self { id, service, from, dry_run, windows: Vec::new() }
    }

    /// The negotiations of it.
    pub(crate) fn negotiations(&self) -> impl Iterator<Item = &String> {
        self.windows.iter().filter_map(|part| match part {
            Part::Negotiated(id) => Some(id),
            Part::Refused { .. } => None,
        })
    }

    /// One answer, from those of the negotiations.
    pub(super) fn verdict<E>(
        &self,
        mut of: impl FnMut(&str) -> Result<ScalingVerdict, E>,
    ) -> Result<ScalingVerdict, E> {
        let mut windows = Vec::new();
        for part in &self.windows {
            windows.push(match part {
                Part::Negotiated(id) => of(id)?.into(),
                Part::Refused { window, why } => self.refused(*window, why),
            });
        }
        let is = |verdict| windows.iter().all(|part: &WindowVerdict| part.verdict == verdict);
        let verdict = match (is(Verdict::Approved), is(Verdict::Denied)) {
            (true, _) => Verdict::Approved,
            (_, true) => Verdict::Denied,
            _ => Verdict::Reduced,
        };
        let mut reasons: Vec<Reason> = Vec::new();
        for reason in windows.iter().flat_map(|part| &part.reasons) {
            if !reasons.contains(reason) {
                reasons.push(reason.clone());
            }
        }
        let agreed = windows.iter().filter(|part| part.verdict != Verdict::Denied);
        let to = agreed.map(|part| part.to).max().unwrap_or(self.from);
        let starts = windows.iter().map(|part| part.window.start);
        let ends = windows.iter().map(|part| part.window.end);
        let (start, end) = (starts.min().unwrap_or_default(), ends.max().unwrap_or_default());
        Ok(ScalingVerdict {
            verdict,
            negotiation: self.id.clone(),
            service: self.service.clone(),
            from: self.from,
            to,
            window: Window { start, end },
            dry_run: self.dry_run,
            agreement: None,
            reasons,
            windows,
        })
    }

    fn refused(&self, window: Window, why: &str) -> WindowVerdict {
        let reason = Reason { participant: self.service.clone(), text: why.to_owned() };
        WindowVerdict {
            verdict: Verdict::Denied,
            negotiation: None,
            to: self.from,
            window,
            agreement: None,
            reasons: vec![reason],
        }
    }
}

impl From<ScalingVerdict> for WindowVerdict {
    fn from(one: ScalingVerdict) -> Self {
        let ScalingVerdict { verdict, negotiation, to, window, agreement, reasons, .. } = one;
        let negotiation = Some(negotiation);
        Self { verdict, negotiation, to, window, agreement, reasons }
    }
}
