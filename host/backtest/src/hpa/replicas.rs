/// The pods of a service, as the replica calculator classifies them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pods {
    /// Ready, with a metric.
    pub(super) sampled: u32,
    /// Ready, without a metric.
    pub(super) missing: u32,
    /// Starting, not ready.
    pub(super) unready: u32,
}

/// The target usage of each pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// The capacity of one pod.
    pub(super) request: f64,
    /// The target share of the capacity.
    pub(super) utilization: f64,
    /// The tolerated relative deviation.
    pub(super) tolerance: f64,
}

impl Target {
    /// The number of replicas that brings the usage to the target. It equals `current` if the change is too
    /// small, or if it would reverse once the pods without usage are included. `None` if there is no
    /// metric.
    ///
    /// `usage` is the total of the sampled pods. When scaling out, pods that are not ready or have no
    /// metric count as idle. When scaling in, pods that are not ready are ignored, and pods without a
    /// metric count as fully used.
    pub(super) fn replicas(self, current: u32, pods: Pods, usage: f64) -> Option<u32> {
        if pods.sampled == 0 || !usage.is_finite() {
            return None;
        }
        let each = self.request * self.utilization;
        let ratio = |usage: f64, count: u32| usage / (f64::from(count) * each);
        let within = |ratio: f64| (1.0 - self.tolerance..=1.0 + self.tolerance).contains(&ratio);
        let first = ratio(usage, pods.sampled);
        let up_with_unready = pods.unready > 0 && first > 1.0;
        if !up_with_unready && pods.missing == 0 {
            return Some(if within(first) { current } else { whole(first, pods.sampled) });
        }
        let full = self.request * self.utilization.max(1.0);
        let assumed = if first < 1.0 { f64::from(pods.missing) * full } else { 0.0 };
        let unready = if up_with_unready { pods.unready } else { 0 };
        let count = pods.sampled.saturating_add(pods.missing).saturating_add(unready);
        let second = ratio(usage + assumed, count);
        let wanted = whole(second, count);
        let turned = (first < 1.0 && second > 1.0)
            || (first > 1.0 && second < 1.0)
            || (second < 1.0 && wanted > current)
            || (second > 1.0 && wanted < current);
        Some(if within(second) || turned { current } else { wanted })
    }
}

/// The ratio times the count, rounded up within a rounding tolerance.
fn whole(ratio: f64, count: u32) -> u32 {
    // The cast saturates; the caller applies the bounds of the service.
    (ratio * f64::from(count) - 1e-9).ceil() as u32
}

#[cfg(test)]
mod tests {
    use super::{Pods, Target};

    const TARGET: Target = Target { request: 100.0, utilization: 0.5, tolerance: 0.1 };

    fn replicas(sampled: u32, missing: u32, unready: u32, usage: f64) -> Option<u32> {
        let current = sampled + missing + unready;
        TARGET.replicas(current, Pods { sampled, missing, unready }, usage)
    }

    #[test]
    fn follows_the_ratio_of_usage_to_target() {
        assert_eq!(replicas(4, 0, 0, 400.0), Some(8));
        assert_eq!(replicas(4, 0, 0, 401.0), Some(9));
        assert_eq!(replicas(4, 0, 0, 100.0), Some(2));
        assert_eq!(replicas(4, 0, 0, 0.0), Some(0));
        // A deviation of 10% is tolerated, a larger one is not.
        assert_eq!(replicas(20, 0, 0, 1100.0), Some(20));
        assert_eq!(replicas(20, 0, 0, 900.0), Some(20));
        assert_eq!(replicas(20, 0, 0, 1101.0), Some(23));
        assert_eq!(replicas(20, 0, 0, 899.0), Some(18));
        assert_eq!(replicas(0, 0, 3, 100.0), None);
        assert_eq!(replicas(3, 0, 0, f64::NAN), None);
    }

    #[test]
    fn pods_that_start_count_as_idle_on_the_way_up() {
        assert_eq!(replicas(4, 0, 2, 400.0), Some(8));
        // The starting pods are enough: 10 for a need of 8.
        assert_eq!(replicas(4, 0, 6, 400.0), Some(10));
        // When scaling in, they are ignored.
        assert_eq!(replicas(4, 0, 2, 100.0), Some(2));
    }

    #[test]
    fn pods_without_a_metric_never_turn_it_round() {
        // Idle when scaling out.
        assert_eq!(replicas(4, 2, 0, 400.0), Some(8));
        assert_eq!(replicas(4, 6, 0, 400.0), Some(10));
        // Fully used when scaling in: (100 + 100) / 50.
        assert_eq!(replicas(4, 1, 0, 100.0), Some(4));
        assert_eq!(replicas(4, 3, 0, 100.0), Some(7));
    }
}
