//! A circuit breaker: it holds back calls of a generation that fails repeatedly.

use std::time::Duration;

/// Number of consecutive failures that open the breaker.
const FAILURES: u32 = 3;

/// Length of the first pause. Each further pause without a success in between is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// Maximum number of doublings: the longest pause is 32 minutes.
const DOUBLINGS: u32 = 5;

/// Decides whether a generation may be called. Times are those of a monotonic clock.
///
/// A closed breaker admits every call. After three consecutive failures it opens and admits none during a
/// pause, which begins when the last failing call ends. Then it admits one trial: a success closes the
/// breaker, a failure opens it for twice as long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Consecutive failures since the last success.
    failures: u32,
    /// Number of openings since the breaker was last closed.
    openings: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    Open {
        until: Duration,
    },
    /// A trial is running. If its outcome is never reported, another may begin after a pause.
    HalfOpen {
        again: Duration,
    },
}

/// The permission for one call, with which its outcome is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    is_trial: bool,
}

/// The outcome of a call, as the breaker counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The generation answered, or declined.
    Answered,
    /// The generation failed.
    Failed,
    /// The outcome says nothing about the generation: the host had no instance or no time for the call.
    Unknown,
}

impl Breaker {
    /// Admits a call, or returns `None` if it is held back.
    pub fn admit(&mut self, now: Duration) -> Option<Ticket> {
        match self.state {
            State::Closed => Some(Ticket { is_trial: false }),
            State::Open { until: due } | State::HalfOpen { again: due } => {
                if now < due {
                    return None;
                }
                self.state = State::HalfOpen { again: now.saturating_add(self.pause()) };
                Some(Ticket { is_trial: true })
            }
        }
    }

    /// Reports the outcome of a call that ended at `now`. Calls that began before the breaker opened do not
    /// close it, and extend the pause only so that it counts from their end.
    pub fn report(&mut self, ticket: Ticket, verdict: Verdict, now: Duration) {
        match (self.state, verdict) {
            (State::Closed, Verdict::Answered) => self.failures = 0,
            (State::Closed, Verdict::Failed) => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= FAILURES {
                    self.open(now);
                }
            }
            (State::HalfOpen { .. }, Verdict::Answered) if ticket.is_trial => {
                *self = Self::default();
            }
            (State::HalfOpen { .. }, Verdict::Failed) if ticket.is_trial => self.open(now),
            (State::HalfOpen { .. }, Verdict::Unknown) if ticket.is_trial => {
                self.state = State::Open { until: now };
            }
            (State::Open { until }, Verdict::Failed) => {
                self.state = State::Open { until: until.max(now.saturating_add(self.pause())) };
            }
            _ => {}
        }
    }

    /// Returns how long calls are held back from `now` on, if they are.
    #[must_use]
    pub fn pauses(&self, now: Duration) -> Option<Duration> {
        match self.state {
            State::Closed => None,
            State::Open { until: due } | State::HalfOpen { again: due } => {
                due.checked_sub(now).filter(|left| !left.is_zero())
            }
        }
    }

    fn open(&mut self, now: Duration) {
        self.openings = self.openings.saturating_add(1);
        self.state = State::Open { until: now.saturating_add(self.pause()) };
    }

    fn pause(&self) -> Duration {
        FIRST_PAUSE * (1 << self.openings.saturating_sub(1).min(DOUBLINGS))
    }
}

#[cfg(test)]
mod tests;
