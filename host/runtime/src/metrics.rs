//! The host's own metrics, for Prometheus.

mod services;

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
};

use haggle_control::{Record, State, Write};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use services::write_services;

/// The last line of the OpenMetrics text.
const END: &str = "# EOF";

#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    fallbacks: Family<PluginLabels, Counter>,
    negotiations: Family<OutcomeLabels, Counter>,
    decisions: Counter,
    lost_writes: Gauge,
    passes: Counter,
    pass_seconds: Histogram,
    services: Gauge,
    tally: Tally,
}

/// Negotiation outcomes and decisions since the start.
#[derive(Debug, Default)]
struct Tally {
    approved: AtomicU64,
    reduced: AtomicU64,
    denied: AtomicU64,
    decisions: AtomicU64,
}

/// Negotiation outcomes and decisions since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Number of negotiations that were fully approved.
    pub approved: u64,
    /// Number of negotiations that were partly approved.
    pub reduced: u64,
    /// Number of negotiations that were denied.
    pub denied: u64,
    /// Number of scaling decisions.
    pub decisions: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    plugin: String,
    function: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PluginLabels {
    plugin: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: String,
}

/// Converts a text in the OpenMetrics format to the Prometheus text format 0.0.4, where the description of a
/// counter also uses the name with `_total`.
#[must_use]
pub fn prometheus_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + 1024);
    let mut lines = open_metrics.lines().filter(|line| *line != END).peekable();
    while let Some(line) = lines.next() {
        let next = *lines.peek().unwrap_or(&line);
        let described = if line.starts_with("# HELP ") { next } else { line };
        let counter = described.strip_prefix("# TYPE ").and_then(|t| t.strip_suffix(" counter"));
        match counter.filter(|_| line.starts_with('#')) {
            Some(name) => text.push_str(&line.replacen(name, &format!("{name}_total"), 1)),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("haggle");
        let metrics = Self {
            calls: Family::default(),
            fallbacks: Family::default(),
            negotiations: Family::default(),
            decisions: Counter::default(),
            lost_writes: Gauge::default(),
            passes: Counter::default(),
            pass_seconds: Histogram::new([0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0]),
            services: Gauge::default(),
            registry: Registry::default(),
            tally: Tally::default(),
        };
        registry.register("plugin_calls", "Calls of plugins", metrics.calls.clone());
        registry.register(
            "plugin_fallbacks",
            "Answers for which another generation stood in",
            metrics.fallbacks.clone(),
        );
        registry.register("negotiations", "Negotiations that ended", metrics.negotiations.clone());
        registry.register("decisions", "Decisions to scale", metrics.decisions.clone());
        registry.register(
            "lost_writes",
            "Acknowledged writes that were missing at this start",
            metrics.lost_writes.clone(),
        );
        registry.register("passes", "Reconcile passes", metrics.passes.clone());
        registry.register(
            "pass_seconds",
            "How long a reconcile pass takes",
            metrics.pass_seconds.clone(),
        );
        registry.register("services", "Services", metrics.services.clone());
        Self { registry, ..metrics }
    }

    pub(crate) fn plugin_call(&self, plugin: &str, function: &'static str, ok: bool) {
        let outcome = if ok { "answered" } else { "failed" };
        let labels = CallLabels { plugin: plugin.to_owned(), function, outcome };
        self.calls.get_or_create(&labels).inc();
    }

    pub(crate) fn fallback(&self, plugin: &str) {
        self.fallbacks.get_or_create(&PluginLabels { plugin: plugin.to_owned() }).inc();
    }

    /// Counts a write that is about to be committed.
    pub(crate) fn write(&self, write: &Write) {
        match write {
            Write::Append(_) => {
                self.decisions.inc();
                self.tally.decisions.fetch_add(1, Ordering::Relaxed);
            }
            Write::Put(Record::Negotiation(record)) => {
                let counter = match record.outcome.as_str() {
                    "approved" => &self.tally.approved,
                    "reduced" => &self.tally.reduced,
                    _ => &self.tally.denied,
                };
                counter.fetch_add(1, Ordering::Relaxed);
                let labels = OutcomeLabels { outcome: record.outcome.clone() };
                self.negotiations.get_or_create(&labels).inc();
            }
            _ => {}
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Tally { approved, reduced, denied, decisions } = &self.tally;
        Counts {
            approved: read(approved),
            reduced: read(reduced),
            denied: read(denied),
            decisions: read(decisions),
        }
    }

    /// Records the number of acknowledged writes that were missing at the start.
    pub(crate) fn lost_writes(&self, missing: u64) {
        // `missing` is 0 if writes are missing only in the middle of the log; the metric is then 1.
        self.lost_writes.set(i64::try_from(missing.max(1)).unwrap_or(i64::MAX));
    }

    pub(crate) fn pass(&self, services: usize, seconds: f64) {
        self.passes.inc();
        self.pass_seconds.observe(seconds);
        self.services.set(i64::try_from(services).unwrap_or(i64::MAX));
    }

    /// Returns the metrics in the OpenMetrics format, with the gauges of the services in this state.
    pub(crate) fn text(&self, state: &State) -> String {
        let mut text = String::new();
        let written = encode(&mut text, &self.registry).and_then(|()| {
            text.truncate(text.trim_end().strip_suffix(END).unwrap_or(&text).len());
            write_services(&mut text, state)?;
            writeln!(text, "{END}")
        });
        match written {
            Ok(()) => text,
            Err(error) => format!("# the metrics cannot be written: {error}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::prometheus_text;

    #[test]
    fn counters_are_described_by_their_whole_name() {
        let open = "# HELP haggle_passes Reconcile passes.\n# TYPE haggle_passes counter\n\
                    haggle_passes_total 3\n# HELP haggle_services Services.\n\
                    # TYPE haggle_services gauge\nhaggle_services 2\n# EOF\n";
        assert_eq!(
            prometheus_text(open),
            "# HELP haggle_passes_total Reconcile passes.\n# TYPE haggle_passes_total counter\n\
             haggle_passes_total 3\n# HELP haggle_services Services.\n\
             # TYPE haggle_services gauge\nhaggle_services 2\n"
        );
    }
}
