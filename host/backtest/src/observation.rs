use haggle_actuate::ReplicaStatus;
use haggle_model::{Service, Span, Timestamp};

use crate::{Workload, workload::ServiceLoad};

/// The information that a competitor gets about one service at one moment. It contains nothing about the
/// future.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    workload: &'a Workload,
    load: &'a ServiceLoad,
    now: Timestamp,
    status: ReplicaStatus,
}

impl<'a> Observation<'a> {
    pub(crate) fn new(
        workload: &'a Workload,
        load: &'a ServiceLoad,
        now: Timestamp,
        status: ReplicaStatus,
    ) -> Self {
        Self { workload, load, now, status }
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &'a Service {
        &self.load.service
    }

    /// The replicas of the service.
    #[must_use]
    pub fn status(&self) -> ReplicaStatus {
        self.status
    }

    /// The load of the completed steps, oldest first, starting at [`Workload::start`]; NaN if unknown.
    #[must_use]
    pub fn completed(&self) -> &'a [f64] {
        self.load.values.get(..self.workload.steps_before(self.now)).unwrap_or_default()
    }

    /// The mean load over the `span` before now, as metrics with a finer resolution than the recording
    /// would show it; NaN if none of it is known.
    #[must_use]
    pub fn load_over(&self, span: Span) -> f64 {
        let from = self.now.before(span).max(self.workload.start());
        let first = self.workload.steps_before(from);
        let (mut total, mut known) = (0.0, 0.0);
        for (step, load) in self.load.values.iter().enumerate().skip(first) {
            let start = self.workload.boundary(step).max(from);
            if start >= self.now {
                break;
            }
            if load.is_finite() {
                let end = self.workload.boundary(step + 1).min(self.now);
                let length = end.since(start).as_secs_f64();
                total += load * length;
                known += length;
            }
        }
        total / known
    }
}

#[cfg(test)]
mod tests {
    use haggle_actuate::ReplicaStatus;
    use haggle_model::{Span, Timestamp};
    use haggle_observe::{Limits, Trace};

    use super::Observation;
    use crate::{Workload, default_services};

    #[test]
    fn sees_the_past_and_nothing_else() {
        let text = "time,web\n60,1\n120,2\n180,\n240,8\n";
        let trace = Trace::read(text.as_bytes(), Limits::default()).unwrap();
        let workload = Workload::new(&default_services(&trace).unwrap(), &trace).unwrap();
        let at = |seconds: u64| {
            let now = Timestamp::from_millis(seconds * 1000);
            Observation::new(&workload, &workload.loads()[0], now, ReplicaStatus::default())
        };
        assert!(at(60).completed().is_empty() && at(60).load_over(Span::from_secs(15)).is_nan());
        assert_eq!(at(119).completed(), [0.0; 0]);
        assert_eq!(at(120).completed(), [1.0]);
        assert_eq!(at(120).load_over(Span::from_secs(15)), 1.0);
        assert_eq!(at(130).load_over(Span::from_secs(20)), 1.5);
        assert_eq!(at(200).load_over(Span::from_secs(40)), 2.0);
        assert!(at(200).load_over(Span::from_secs(20)).is_nan());
        assert_eq!(at(300).load_over(Span::from_mins(60)), 11.0 / 3.0);
    }
}
