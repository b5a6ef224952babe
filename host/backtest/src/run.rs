use haggle_actuate::{ActuateError, Actuator, ReplicaStatus, Simulator};
use haggle_model::{Span, Timestamp};

use crate::{
    Competitor, CompetitorError, CompetitorReport, Observation, Workload, metrics::Meter,
    workload::ServiceLoad,
};

/// The reasons for which a run ends early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BacktestError {
    /// The competitor returned an error.
    #[error("{competitor} cannot decide at {at} of the recording: {source}")]
    Competitor {
        /// The name of the competitor.
        competitor: String,
        /// The time in the recording.
        at: Timestamp,
        /// The error.
        source: CompetitorError,
    },
    /// An order of the competitor cannot be carried out.
    #[error(
        "{competitor} gave an order at {at} of the recording that cannot be carried out: {source}"
    )]
    Order {
        /// The name of the competitor.
        competitor: String,
        /// The time in the recording.
        at: Timestamp,
        /// The error.
        source: ActuateError,
    },
}

/// The simulated world of one run.
struct World<'a> {
    workload: &'a Workload,
    simulator: Simulator,
    meters: Vec<Meter>,
}

/// Lets a competitor scale simulated replicas under a workload, from its start to its end.
///
/// Each service begins with as many ready replicas as carry its first known load. The load is constant
/// within a step. The competitor decides at its own interval, and replicas become ready in between. The
/// function calls `progress` with the finished share about a thousand times.
///
/// # Errors
/// [`BacktestError`] if the competitor fails or gives an invalid order.
pub fn run(
    workload: &Workload,
    competitor: &mut dyn Competitor,
    progress: &mut dyn FnMut(f64),
) -> Result<CompetitorReport, BacktestError> {
    let mut world = World::new(workload).map_err(|source| BacktestError::Order {
        competitor: competitor.name().to_owned(),
        at: workload.start(),
        source,
    })?;
    let interval = competitor.interval().max(Span::from_millis(1));
    let (mut now, mut evaluation) = (workload.start(), workload.start());
    let mut reporting = Reporting::new(workload);
    while now < workload.end() {
        if now == evaluation {
            world.decide(now, competitor)?;
            evaluation = now + interval;
        }
        let next = world.next_change(now).min(evaluation);
        world.pass(now, next);
        now = next;
        reporting.at(now, progress);
    }
    Ok(world.report(competitor))
}

impl<'a> World<'a> {
    fn new(workload: &'a Workload) -> Result<Self, ActuateError> {
        let mut simulator = Simulator::new();
        for load in workload.loads() {
            let first = load.values.iter().copied().find(|value| value.is_finite()).unwrap_or(0.0);
            let most = f64::from(load.service.replicas.max);
            // The cast is exact: the demand is a whole number, limited by the upper bound of the service.
            let replicas = load.demand(first).min(most) as u32;
            simulator.track(workload.start(), &load.service, replicas)?;
        }
        Ok(Self { workload, simulator, meters: vec![Meter::default(); workload.loads().len()] })
    }

    fn status(&mut self, now: Timestamp, load: &ServiceLoad) -> ReplicaStatus {
        self.simulator.status(now, &load.service.name).unwrap_or_default()
    }

    fn decide(
        &mut self,
        now: Timestamp,
        competitor: &mut dyn Competitor,
    ) -> Result<(), BacktestError> {
        let workload = self.workload;
        let observations: Vec<Observation<'_>> = workload
            .loads()
            .iter()
            .map(|load| Observation::new(workload, load, now, self.status(now, load)))
            .collect();
        let orders = competitor.step(now, &observations).map_err(|source| {
            BacktestError::Competitor { competitor: competitor.name().to_owned(), at: now, source }
        })?;
        for order in orders {
            let before = self.simulator.status(now, &order.service);
            self.simulator.scale(now, &order).map_err(|source| BacktestError::Order {
                competitor: competitor.name().to_owned(),
                at: now,
                source,
            })?;
            let service = workload.services().position(|service| service.name == order.service);
            if let Some(meter) = service.and_then(|at| self.meters.get_mut(at))
                && before.is_some_and(|before| before.desired != order.to)
            {
                meter.action();
            }
        }
        Ok(())
    }

    /// The time at which load or replicas change next on their own, or the recording ends.
    fn next_change(&self, now: Timestamp) -> Timestamp {
        let step = self.workload.steps_before(now);
        let boundary = self.workload.boundary(step + 1);
        self.simulator
            .next_event()
            .filter(|event| *event > now)
            .map_or(boundary, |event| event.min(boundary))
    }

    fn pass(&mut self, now: Timestamp, next: Timestamp) {
        let seconds = next.since(now).as_secs_f64();
        let step = self.workload.steps_before(now);
        for (at, load) in self.workload.loads().iter().enumerate() {
            let status = self.status(now, load);
            let value = load.values.get(step).copied().unwrap_or(f64::NAN);
            if let Some(meter) = self.meters.get_mut(at) {
                meter.record(seconds, load, value, status);
            }
        }
    }

    fn report(&self, competitor: &dyn Competitor) -> CompetitorReport {
        let total = self.meters.iter().fold(Meter::default(), |all, meter| all.plus(*meter));
        let names = self.workload.services().map(|service| service.name.clone());
        let services = names.zip(self.meters.iter().map(Meter::metrics)).collect();
        let negotiations = competitor.negotiations();
        CompetitorReport { total: total.metrics(), negotiations, services }
    }
}

/// Reports the progress of a run, but not at every step.
struct Reporting {
    start: Timestamp,
    whole: f64,
    told: u32,
}

impl Reporting {
    const TIMES: f64 = 1000.0;

    fn new(workload: &Workload) -> Self {
        let start = workload.start();
        Self { start, whole: workload.end().since(start).as_secs_f64(), told: 0 }
    }

    fn at(&mut self, now: Timestamp, progress: &mut dyn FnMut(f64)) {
        let share = now.since(self.start).as_secs_f64() / self.whole;
        let tick = (share * Self::TIMES) as u32;
        if tick > self.told {
            self.told = tick;
            progress(share.min(1.0));
        }
    }
}

#[cfg(test)]
mod tests;
