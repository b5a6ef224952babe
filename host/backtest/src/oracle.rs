use std::collections::BTreeMap;

use haggle_actuate::ScaleOrder;
use haggle_model::{Name, Span, Timestamp};

use crate::{Competitor, CompetitorError, Observation, Workload};

/// A scaler that knows the load one startup time ahead and orders exactly the replicas that it takes. This
/// is the minimum for any scaler without a moment over capacity. Exceptions are loads beyond the bounds of
/// a service, and the time before the first replicas can have started.
#[derive(Debug)]
pub struct Oracle {
    workload: Workload,
    interval: Span,
    desired: BTreeMap<Name, u32>,
    sequence: u64,
}

impl Oracle {
    /// The minimum interval, whatever the startup times are.
    const FINEST: Span = Span::from_secs(1);

    /// Creates an oracle for this workload.
    #[must_use]
    pub fn new(workload: &Workload) -> Self {
        let divisor = workload
            .services()
            .map(|service| service.replica.startup.as_millis())
            .fold(workload.step().as_millis(), gcd);
        let interval = Span::from_millis(divisor).max(Self::FINEST.min(workload.step()));
        let (workload, desired) = (workload.clone(), BTreeMap::new());
        Self { workload, interval, desired, sequence: 0 }
    }
}

impl Competitor for Oracle {
    fn name(&self) -> &str {
        "oracle"
    }

    /// The largest interval that includes every moment at which an order is due: one startup time before a
    /// step begins.
    fn interval(&self) -> Span {
        self.interval
    }

    fn step(
        &mut self,
        now: Timestamp,
        _services: &[Observation<'_>],
    ) -> Result<Vec<ScaleOrder>, CompetitorError> {
        let mut orders = Vec::new();
        for load in self.workload.loads() {
            let startup = load.service.replica.startup;
            // Looks ahead until an order of the next decision can be ready.
            let exact = startup.as_millis().is_multiple_of(self.interval.as_millis());
            let reach = if exact { Span::from_millis(1) } else { self.interval };
            let first = self.workload.steps_before(now);
            let last =
                self.workload.steps_before((now + startup + reach).before(Span::from_millis(1)));
            let ahead = load.values.iter().take(last + 1).skip(first);
            let demand = ahead
                .filter(|value| value.is_finite())
                .map(|value| load.demand(*value))
                .reduce(f64::max);
            let Some(demand) = demand else { continue };
            let to = demand.min(f64::from(load.service.replicas.max)) as u32;
            let name = &load.service.name;
            let from = self.desired.insert(name.clone(), to);
            if from != Some(to) {
                self.sequence += 1;
                let (service, sequence) = (name.clone(), self.sequence);
                orders.push(ScaleOrder { service, from: from.unwrap_or(0), to, sequence });
            }
        }
        Ok(orders)
    }
}

const fn gcd(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
