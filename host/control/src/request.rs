//! Scaling requests. The core keeps each request until all its windows are over, and answers it once.

use haggle_model::{Name, Quantities, Span, Timestamp, Window};
use serde::{Deserialize, Serialize};

use crate::verdict::{Progress, ScalingVerdict, Verdict, WindowVerdict};

/// A scaling request and its progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The id: that of its negotiation, or a separate id if the request has several windows.
    pub id: String,
    pub(crate) number: u64,
    pub(crate) service: Name,
    /// The number of replicas that the service had.
    pub(crate) from: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) dry_run: bool,
    /// Whether the request has several windows.
    pub(crate) several: bool,
    pub(crate) arrived: Timestamp,
    /// The deadline of each of its negotiations, if the request sets one.
    pub(crate) deadline: Option<Span>,
    pub(crate) parts: Vec<Part>,
    /// Whether all of it is over; the record then only serves queries.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) over: bool,
}

/// One window of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) window: Window,
    /// The total load that the service is to carry, including promises to others.
    pub(crate) load: Quantities,
    /// Whether the window ends at a fixed time.
    pub(crate) definite: bool,
    /// Its negotiations, oldest first.
    pub(crate) sessions: Vec<String>,
    pub(crate) status: Status,
}

/// The status of a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// The window is being negotiated.
    Open,
    /// The negotiation has ended with this verdict.
    Done(Box<WindowVerdict>),
    /// The window was cancelled; the verdict is that of its negotiation, if one had ended.
    Cancelled(Option<Box<WindowVerdict>>),
}

impl Request {
    /// Whether any window is still in its first negotiation.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.parts.iter().any(|part| part.status == Status::Open)
    }

    /// The progress of the request.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let pending = self.is_pending();
        let verdict = (!pending).then(|| self.verdict());
        Progress { negotiation: self.id.clone(), pending, verdict }
    }

    /// The verdict on the request.
    pub(crate) fn verdict(&self) -> ScalingVerdict {
        let mut windows: Vec<WindowVerdict> =
            self.parts.iter().map(|part| self.window_verdict(part)).collect();
        let (negotiation, service) = (self.id.clone(), self.service.clone());
        let (from, dry_run) = (self.from, self.dry_run);
        if !self.several
            && let Some(WindowVerdict { verdict, to, window, agreement, reasons, .. }) =
                windows.pop()
        {
            let windows = Vec::new();
            return ScalingVerdict {
                verdict,
                negotiation,
                service,
                from,
                to,
                window,
                dry_run,
                agreement,
                reasons,
                windows,
            };
        }
        let mut reasons = Vec::new();
        for reason in windows.iter().flat_map(|window| &window.reasons) {
            if !reasons.contains(reason) {
                reasons.push(reason.clone());
            }
        }
        let agreed = windows.iter().filter(|window| window.verdict != Verdict::Denied);
        let to = agreed.map(|window| window.to).max().unwrap_or(from);
        let start = windows.iter().map(|part| part.window.start).min().unwrap_or_default();
        let end = windows.iter().map(|part| part.window.end).max().unwrap_or_default();
        let verdict = Verdict::all(windows.iter().map(|window| window.verdict));
        let (window, agreement) = (Window { start, end }, None);
        ScalingVerdict {
            verdict,
            negotiation,
            service,
            from,
            to,
            window,
            dry_run,
            agreement,
            reasons,
            windows,
        }
    }

    fn window_verdict(&self, part: &Part) -> WindowVerdict {
        match &part.status {
            Status::Done(verdict) | Status::Cancelled(Some(verdict)) => verdict.as_ref().clone(),
            Status::Open | Status::Cancelled(None) => {
                let why = "it was cancelled".to_owned();
                let negotiation = part.sessions.last().cloned();
                WindowVerdict::denied(&self.service, negotiation, self.from, part.window, why)
            }
        }
    }
}

impl Part {
    /// The verdict of an agreed window that was not cancelled.
    pub(crate) fn agreed(&self) -> Option<&WindowVerdict> {
        match &self.status {
            Status::Done(verdict) if verdict.verdict != Verdict::Denied => Some(verdict),
            _ => None,
        }
    }
}
