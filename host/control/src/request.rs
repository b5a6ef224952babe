//! Scaling requests: each is kept until all of it is over, and answered once.

use haggle_model::{Name, Quantities, Span, Timestamp, Window};
use serde::{Deserialize, Serialize};

use crate::verdict::{Progress, ScalingVerdict, Verdict, WindowVerdict};

/// A scaling request and what has become of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Its id: that of its negotiation, or an id of its own where it has several windows.
    pub id: String,
    pub(crate) number: u64,
    pub(crate) service: Name,
    /// How many replicas the service had.
    pub(crate) from: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) dry_run: bool,
    /// Whether it asked for several windows.
    pub(crate) several: bool,
    pub(crate) arrived: Timestamp,
    /// How long each of its negotiations may take, where it said so.
    pub(crate) deadline: Option<Span>,
    pub(crate) parts: Vec<Part>,
    /// All of it is over: the record only answers questions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) over: bool,
}

/// One window of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) window: Window,
    /// What the service is to carry in all, promises to others included.
    pub(crate) load: Quantities,
    /// It ends at a certain time.
    pub(crate) definite: bool,
    /// Its negotiations, oldest first.
    pub(crate) sessions: Vec<String>,
    pub(crate) status: Status,
}

/// Where a window stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// It is negotiated.
    Open,
    /// It was negotiated.
    Done(Box<WindowVerdict>),
    /// It was cancelled after it had come to this, if it had.
    Cancelled(Option<Box<WindowVerdict>>),
}

impl Request {
    /// Whether any of it is still negotiated for the first time.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.parts.iter().any(|part| part.status == Status::Open)
    }

    /// Where it stands.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let pending = self.is_pending();
        let verdict = (!pending).then(|| self.verdict());
        Progress { negotiation: self.id.clone(), pending, verdict }
    }

    /// What it has come to.
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
    /// What was agreed for it, if it stands.
    pub(crate) fn agreed(&self) -> Option<&WindowVerdict> {
        match &self.status {
            Status::Done(verdict) if verdict.verdict != Verdict::Denied => Some(verdict),
            _ => None,
        }
    }
}
