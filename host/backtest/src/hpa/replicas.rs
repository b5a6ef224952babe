/// The pods of a service as the replica calculator tells them apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pods {
    /// Ready, and measured.
    pub(super) sampled: u32,
    /// Ready, but not measured yet.
    pub(super) missing: u32,
    /// Starting.
    pub(super) unready: u32,
}

/// What each pod should use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// What one pod can carry.
    pub(super) request: f64,
    /// The share of it that is aimed at.
    pub(super) utilization: f64,
    /// What is off by no more than this share is left alone.
    pub(super) tolerance: f64,
}

impl Target {
    /// How many replicas bring the usage to the target, or `current` where the change is too small, or
    /// would turn round once the pods without usage are counted in; none where nothing is measured.
    ///
    /// `usage` is that of the sampled pods together. On the way up, pods that are not ready or not
    /// measured count as idle. On the way down, those that are not ready are left out, and those that
    /// are not measured count as fully used.
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

/// The ratio times the count, rounded up but for a rounding error.
fn whole(ratio: f64, count: u32) -> u32 {
    // The cast saturates, and the bounds of the service follow.
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
        // 10% off either way is left alone, more is not.
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
        // They will do: 10 for a need of 8.
        assert_eq!(replicas(4, 0, 6, 400.0), Some(10));
        // On the way down they are left out.
        assert_eq!(replicas(4, 0, 2, 100.0), Some(2));
    }

    #[test]
    fn pods_without_a_metric_never_turn_it_round() {
        // Idle on the way up.
        assert_eq!(replicas(4, 2, 0, 400.0), Some(8));
        assert_eq!(replicas(4, 6, 0, 400.0), Some(10));
        // Full on the way down: (100 + 100) / 50.
        assert_eq!(replicas(4, 1, 0, 100.0), Some(4));
        assert_eq!(replicas(4, 3, 0, 100.0), Some(7));
    }
}
