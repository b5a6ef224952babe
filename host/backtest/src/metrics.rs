use haggle_actuate::ReplicaStatus;
use serde::{Deserialize, Serialize};

use crate::workload::ServiceLoad;

/// The quality of scaling of a service.
///
/// The demand `d` is the number of replicas that carry the load of a moment: `load / serves` rounded up, at
/// least 1 and at least the lower bound of the service. The supply `s` is the number of replicas that
/// serve. `T` is the time over which the load is known. Where the load is unknown, only the cost of
/// replicas counts. For several services together, times and requests add up, so the shares are means over
/// services and time (or over requests).
///
/// The last four are the elasticity metrics of N. Herbst et al., "Ready for Rain? A View from SPEC Research
/// on the Future of Cloud Metrics" (SPEC RG, 2016): provisioning accuracy θ and wrong provisioning time
/// share τ, normalised by demand and time, in percent. Less is better, 0 is perfect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The share of `T` in which the load exceeds the capacity of the serving replicas; 0 to 1.
    pub over_capacity_time_share: f64,
    /// The requests beyond the capacity of the serving replicas, `∫ max(load - s·serves, 0) dt`, as a share
    /// of all requests, `∫ load dt`; 0 to 1.
    pub over_capacity_request_share: f64,
    /// The cost: the hours of every replica from its order on, including the startup time.
    pub replica_hours: f64,
    /// The number of orders that changed the number of replicas.
    pub scaling_actions: u64,
    /// Missing replicas relative to demand: `100/T · ∫ max(d - s, 0) / d dt`, in percent.
    pub theta_u: f64,
    /// Idle replicas relative to demand: `100/T · ∫ max(s - d, 0) / d dt`, in percent; it may exceed 100.
    pub theta_o: f64,
    /// Time with too few replicas: `100/T · ∫ [s < d] dt`, in percent.
    pub tau_u: f64,
    /// Time with too many replicas: `100/T · ∫ [s > d] dt`, in percent.
    pub tau_o: f64,
}

/// Accumulates the measurements of one service over intervals of constant load and supply. All times are in
/// seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    known: f64,
    requests: f64,
    over_time: f64,
    over_requests: f64,
    replica_seconds: f64,
    actions: u64,
    under_amount: f64,
    idle_amount: f64,
    under_time: f64,
    idle_time: f64,
}

impl Meter {
    /// Adds an interval with this load and these replicas.
    pub(crate) fn record(
        &mut self,
        seconds: f64,
        of: &ServiceLoad,
        load: f64,
        status: ReplicaStatus,
    ) {
        self.replica_seconds += f64::from(status.desired) * seconds;
        if load.is_nan() {
            return;
        }
        self.known += seconds;
        self.requests += load * seconds;
        let (demand, supply) = (of.demand(load), f64::from(status.ready));
        let capacity = supply * of.capacity;
        // An excess of one part in 10⁹ is a rounding error, as in the demand.
        if load > capacity + of.capacity * 1e-9 {
            self.over_time += seconds;
            self.over_requests += (load - capacity) * seconds;
        }
        if supply < demand {
            self.under_time += seconds;
            self.under_amount += (demand - supply) / demand * seconds;
        } else if supply > demand {
            self.idle_time += seconds;
            self.idle_amount += (supply - demand) / demand * seconds;
        }
    }

    /// Adds an order that changed the number of replicas.
    pub(crate) fn action(&mut self) {
        self.actions += 1;
    }

    /// The sum of both measurements.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            known: self.known + other.known,
            requests: self.requests + other.requests,
            over_time: self.over_time + other.over_time,
            over_requests: self.over_requests + other.over_requests,
            replica_seconds: self.replica_seconds + other.replica_seconds,
            actions: self.actions + other.actions,
            under_amount: self.under_amount + other.under_amount,
            idle_amount: self.idle_amount + other.idle_amount,
            under_time: self.under_time + other.under_time,
            idle_time: self.idle_time + other.idle_time,
        }
    }

    pub(crate) fn metrics(&self) -> Metrics {
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let percent = |part: f64| 100.0 * share(part, self.known);
        Metrics {
            over_capacity_time_share: share(self.over_time, self.known),
            over_capacity_request_share: share(self.over_requests, self.requests),
            replica_hours: self.replica_seconds / 3600.0,
            scaling_actions: self.actions,
            theta_u: percent(self.under_amount),
            theta_o: percent(self.idle_amount),
            tau_u: percent(self.under_time),
            tau_o: percent(self.idle_time),
        }
    }
}
