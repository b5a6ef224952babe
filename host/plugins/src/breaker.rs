//! A circuit breaker: a generation that fails again and again is not asked for a while.

use std::time::Duration;

/// So many failures in a row open the breaker.
const FAILURES: u32 = 3;

/// The first pause. Each further one, with no success between, is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// The longest pause is the first one doubled so many times: 32 minutes.
const DOUBLINGS: u32 = 5;

/// Whether a generation is called. Times are those of a clock that never goes back.
///
/// Closed, it lets every call through. After three failures in a row it is open and lets none through until
/// the pause is over, which begins when the last failing call ends. Then one trial decides: a success closes
/// it, a failure opens it for twice as long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Since the last success.
    failures: u32,
    /// How many times it was opened since it was closed last.
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
    /// A trial runs. If nothing is heard of it, another may begin after a pause.
    HalfOpen {
        again: Duration,
    },
}

/// The right to one call. Its outcome is reported with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    is_trial: bool,
}

/// How a call went, as far as the breaker cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The generation answered, be it that it declined.
    Answered,
    /// It failed.
    Failed,
    /// The call says nothing about the generation: the host had no room for it or no time.
    Unknown,
}

impl Breaker {
    /// Whether a call may begin now.
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

    /// Takes in how a call went that ended now. Calls that began before the breaker opened neither close it
    /// nor make its pause longer than it is counted from their end.
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

    /// How long no call is let through from now on, if any is held back.
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
