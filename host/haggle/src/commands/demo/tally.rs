//! The summary of a demo run.

use haggle_runtime::{Host, Pass};

/// Counts over the narrated passes.
#[derive(Debug, Default)]
pub(super) struct Tally {
    passes: usize,
    decisions: u64,
    approved: u64,
    reduced: u64,
    denied: u64,
    /// Requests per second, summed over passes and services: all requests, and those beyond the capacity of
    /// the ready replicas.
    requests: f64,
    over: f64,
    /// The number of plugin calls: at first the count when counting began, after `end` the calls since.
    plugin_calls: u64,
}

impl Tally {
    pub(super) fn new(host: &Host) -> Self {
        Self { plugin_calls: plugin_calls(&host.metrics_text()), ..Self::default() }
    }

    /// Counts one pass.
    pub(super) fn count(&mut self, pass: &Pass, host: &Host) {
        self.passes += 1;
        self.decisions += pass.counts.decisions;
        self.approved += pass.counts.approved;
        self.reduced += pass.counts.reduced;
        self.denied += pass.counts.denied;
        for (service, known) in host.snapshot().services() {
            let ready = host.status(&service.name).ready;
            let carried = service.carries(ready).get(service.load_resource());
            let load = known.observed.map_or(0.0, |(_, load)| load);
            self.requests += load;
            self.over += (load - carried).max(0.0);
        }
    }

    /// Stops counting.
    pub(super) fn end(&mut self, host: &Host) {
        self.plugin_calls = plugin_calls(&host.metrics_text()).saturating_sub(self.plugin_calls);
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = if self.requests > 0.0 { self.over / self.requests * 100.0 } else { 0.0 };
        write!(
            f,
            "\n{} minutes of the shop\n  decisions      {}\n  negotiations   {} approved, {} reduced, {} denied\n  over capacity  {share:.2}% of requests\n  plugin calls   {}",
            self.passes,
            self.decisions,
            self.approved,
            self.reduced,
            self.denied,
            self.plugin_calls,
        )
    }
}

/// Sums the plugin calls in the host's metrics.
fn plugin_calls(metrics: &str) -> u64 {
    metrics
        .lines()
        .filter(|line| line.starts_with("haggle_plugin_calls_total{"))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::{Tally, plugin_calls};

    #[test]
    fn calls_are_added_up_over_plugins() {
        let metrics = "# TYPE haggle_plugin_calls counter\n\
            haggle_plugin_calls_total{plugin=\"a\",outcome=\"answered\"} 3\n\
            haggle_plugin_calls_total{plugin=\"b\",outcome=\"failed\"} 4\n\
            haggle_passes_total 9\n# EOF\n";
        assert_eq!(plugin_calls(metrics), 7);
    }

    #[test]
    fn a_share_is_of_all_requests() {
        let tally = Tally { requests: 200.0, over: 1.0, ..Tally::default() };
        assert!(tally.to_string().contains("0.50% of requests"), "{tally}");
        assert!(Tally::default().to_string().contains("0.00% of requests"));
    }
}
