use std::sync::{Mutex, atomic::AtomicU64};

use haggle_model::Name;
use haggle_plan::Accuracy;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{host::lock, views::TurnReport};

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
    /// Of each service. They are set when somebody asks: its state has them, and a turn over many services
    /// has other things to do. The lock is for those that ask at the same time.
    gauges: Mutex<ServiceGauges>,
}

#[derive(Clone, Debug, Default)]
struct ServiceGauges {
    replicas: Family<ServiceLabels, Gauge>,
    load: Family<ServiceLabels, Gauge<f64, AtomicU64>>,
    planned: Family<ServiceLabels, Gauge<f64, AtomicU64>>,
    confidence: Family<ServiceLabels, Gauge<f64, AtomicU64>>,
    error: Family<ServiceLabels, Gauge<f64, AtomicU64>>,
    coverage: Family<ServiceLabels, Gauge<f64, AtomicU64>>,
}

/// What the gauges of a service show.
pub(crate) struct ServiceFigures {
    pub(crate) service: Name,
    pub(crate) replicas: u32,
    pub(crate) load: Option<f64>,
    pub(crate) planned: Option<f64>,
    pub(crate) confidence: Option<f64>,
    pub(crate) accuracy: Accuracy,
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
            gauges: Mutex::default(),
            registry: Registry::default(),
        };
        registry.register("plugin_calls", "Calls of plugins", metrics.calls.clone());
        registry.register("negotiations", "Negotiations that ended", metrics.negotiations.clone());
        registry.register("decisions", "Decisions to scale", metrics.decisions.clone());
        registry.register("turns", "Turns of the control loop", metrics.turns.clone());
        registry.register("turn_seconds", "How long a turn takes", metrics.turn_seconds.clone());
        registry.register("services", "Services", metrics.services.clone());
        lock(&metrics.gauges).register(&mut registry);
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

    pub(crate) fn decision(&self) {
        self.decisions.inc();
    }

    pub(crate) fn turn(&self, report: &TurnReport, seconds: f64) {
        self.turns.inc();
        self.turn_seconds.observe(seconds);
        self.services.set(i64::try_from(report.services).unwrap_or(i64::MAX));
    }

    /// The text that Prometheus scrapes, with these figures of the services.
    pub(crate) fn text(&self, services: &[ServiceFigures]) -> String {
        let gauges = lock(&self.gauges);
        gauges.clear();
        services.iter().for_each(|figures| gauges.set(figures));
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# the metrics cannot be written: {error}\n"),
        }
    }
}

impl ServiceGauges {
    fn register(&self, registry: &mut Registry) {
        registry.register("replicas", "Replicas decided", self.replicas.clone());
        registry.register("load", "Load last observed", self.load.clone());
        registry.register("forecast_load", "Load planned for", self.planned.clone());
        registry.register(
            "forecast_confidence",
            "Confidence of the forecast, 0 to 1",
            self.confidence.clone(),
        );
        registry.register(
            "forecast_scaled_error",
            "Error of recent forecasts relative to the change from step to step",
            self.error.clone(),
        );
        registry.register(
            "forecast_coverage",
            "Share of recent values within the widest interval",
            self.coverage.clone(),
        );
    }

    fn clear(&self) {
        self.replicas.clear();
        for family in [&self.load, &self.planned, &self.confidence, &self.error, &self.coverage] {
            family.clear();
        }
    }

    fn set(&self, figures: &ServiceFigures) {
        let labels = ServiceLabels { service: figures.service.to_string() };
        self.replicas.get_or_create(&labels).set(i64::from(figures.replicas));
        let accuracy = &figures.accuracy;
        for (family, value) in [
            (&self.load, figures.load),
            (&self.planned, figures.planned),
            (&self.confidence, figures.confidence),
            (&self.error, accuracy.scaled_error()),
            (&self.coverage, (accuracy.steps > 0).then_some(accuracy.coverage)),
        ] {
            if let Some(value) = value {
                family.get_or_create(&labels).set(value);
            }
        }
    }
}
