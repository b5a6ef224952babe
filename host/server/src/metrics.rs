use std::sync::atomic::AtomicU64;

use haggle_model::Name;
use haggle_plan::Accuracy;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::views::TurnReport;

/// What the host counts of itself, for Prometheus.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    negotiations: Family<OutcomeLabels, Counter>,
    decisions: Counter,
    turns: Counter,
    turn_seconds: Histogram,
    services: Gauge,
    replicas: Family<ServiceLabels, Gauge>,
    load: Family<ServiceLabels, Gauge<f64, AtomicU64>>,
    forecast: Family<ServiceLabels, Gauge<f64, AtomicU64>>,
    confidence: Family<ServiceLabels, Gauge<f64, AtomicU64>>,
    error: Family<ServiceLabels, Gauge<f64, AtomicU64>>,
    coverage: Family<ServiceLabels, Gauge<f64, AtomicU64>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    plugin: String,
    function: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    service: String,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("haggle");
        let metrics = Self {
            calls: Family::default(),
            negotiations: Family::default(),
            decisions: Counter::default(),
            turns: Counter::default(),
            turn_seconds: Histogram::new([0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0]),
            services: Gauge::default(),
            replicas: Family::default(),
            load: Family::default(),
            forecast: Family::default(),
            confidence: Family::default(),
            error: Family::default(),
            coverage: Family::default(),
            registry: Registry::default(),
        };
        registry.register("plugin_calls", "Calls of plugins", metrics.calls.clone());
        registry.register("negotiations", "Negotiations that ended", metrics.negotiations.clone());
        registry.register("decisions", "Decisions to scale", metrics.decisions.clone());
        registry.register("turns", "Turns of the control loop", metrics.turns.clone());
        registry.register("turn_seconds", "How long a turn takes", metrics.turn_seconds.clone());
        registry.register("services", "Services", metrics.services.clone());
        registry.register("replicas", "Replicas ordered", metrics.replicas.clone());
        registry.register("load", "Load last observed", metrics.load.clone());
        registry.register("forecast_load", "Load planned for", metrics.forecast.clone());
        registry.register(
            "forecast_confidence",
            "Confidence of the forecast, 0 to 1",
            metrics.confidence.clone(),
        );
        registry.register(
            "forecast_scaled_error",
            "Error of recent forecasts relative to the change from step to step",
            metrics.error.clone(),
        );
        registry.register(
            "forecast_coverage",
            "Share of recent values within the widest interval",
            metrics.coverage.clone(),
        );
        Self { registry, ..metrics }
    }

    pub(crate) fn plugin_call(&self, plugin: &str, function: &'static str, ok: bool) {
        let outcome = if ok { "answered" } else { "failed" };
        let labels = CallLabels { plugin: plugin.to_owned(), function, outcome };
        self.calls.get_or_create(&labels).inc();
    }

    pub(crate) fn negotiation(&self, outcome: &'static str) {
        self.negotiations.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    pub(crate) fn decision(&self, service: &Name, replicas: u32) {
        self.decisions.inc();
        let labels = ServiceLabels { service: service.to_string() };
        self.replicas.get_or_create(&labels).set(i64::from(replicas));
    }

    pub(crate) fn planned(
        &self,
        service: &Name,
        observed: Option<f64>,
        load: f64,
        confidence: f64,
    ) {
        let labels = ServiceLabels { service: service.to_string() };
        if let Some(observed) = observed {
            self.load.get_or_create(&labels).set(observed);
        }
        self.forecast.get_or_create(&labels).set(load);
        self.confidence.get_or_create(&labels).set(confidence);
    }

    pub(crate) fn accuracy(&self, service: &Name, accuracy: &Accuracy) {
        let labels = ServiceLabels { service: service.to_string() };
        if let Some(error) = accuracy.scaled_error() {
            self.error.get_or_create(&labels).set(error);
        }
        if accuracy.steps > 0 {
            self.coverage.get_or_create(&labels).set(accuracy.coverage);
        }
    }

    pub(crate) fn forget(&self, service: &Name) {
        let labels = ServiceLabels { service: service.to_string() };
        self.replicas.remove(&labels);
        for family in [&self.load, &self.forecast, &self.confidence, &self.error, &self.coverage] {
            family.remove(&labels);
        }
    }

    pub(crate) fn turn(&self, report: &TurnReport, seconds: f64) {
        self.turns.inc();
        self.turn_seconds.observe(seconds);
        self.services.set(i64::try_from(report.services).unwrap_or(i64::MAX));
    }

    /// The text that Prometheus scrapes.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# the metrics cannot be written: {error}\n"),
        }
    }
}
