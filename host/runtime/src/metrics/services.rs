//! The gauges of each service. There may be many services, so the gauges are written directly from the state.

use std::fmt::{self, Write};

use haggle_control::{ServiceState, State};
use haggle_model::Service;

/// A gauge that most services have.
struct Gauge {
    name: &'static str,
    help: &'static str,
    read: fn(&Service, &ServiceState) -> Option<f64>,
}

const GAUGES: [Gauge; 6] = [
    Gauge {
        name: "haggle_replicas",
        help: "Replicas decided.",
        read: |_, known| Some(f64::from(known.replicas)),
    },
    Gauge {
        name: "haggle_load",
        help: "Load last observed.",
        read: |_, known| known.observed.map(|(_, load)| load),
    },
    Gauge {
        name: "haggle_forecast_load",
        help: "Load planned for.",
        read: |service, known| {
            let resource = service.load_resource();
            known.planned.names(resource).then(|| known.planned.get(resource))
        },
    },
    Gauge {
        name: "haggle_forecast_confidence",
        help: "Confidence of the forecast, 0 to 1.",
        read: |_, known| {
            known.forecast.as_ref()?.outlook.as_ref().ok().map(|outlook| outlook.confidence)
        },
    },
    Gauge {
        name: "haggle_forecast_scaled_error",
        help: "Error of recent forecasts relative to the change from step to step.",
        read: |_, known| known.forecast.as_ref()?.accuracy.scaled_error(),
    },
    Gauge {
        name: "haggle_forecast_coverage",
        help: "Share of recent values within the widest interval.",
        read: |_, known| {
            let accuracy = &known.forecast.as_ref()?.accuracy;
            (accuracy.steps > 0).then_some(accuracy.coverage)
        },
    },
];

/// Appends the gauges in the text format of Prometheus.
pub(super) fn write_services(text: &mut String, state: &State) -> fmt::Result {
    for Gauge { name, help, read } in &GAUGES {
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge")?;
        for (service, known) in state.services() {
            if let Some(value) = read(service, known) {
                // A service name needs no escapes.
                writeln!(text, "{name}{{service=\"{}\"}} {value}", service.name)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use haggle_control::Change;

    use crate::{Host, HostOptions, block_on::block_on};

    #[test]
    fn every_service_has_its_lines_before_the_end() {
        let host = Host::open(HostOptions::default()).unwrap();
        for name in ["a", "b"] {
            let service = format!(
                r#"{{"name": "{name}", "replica": {{"capacity": {{"requests_per_second": 1}}}}}}"#
            );
            let change = Change::PutService(serde_json::from_str(&service).unwrap());
            block_on(host.change(haggle_control::Principal::Anonymous, change)).unwrap();
        }
        let text = host.metrics_text();
        assert!(text.ends_with("\n# EOF\n"), "{text}");
        assert_eq!(text.matches("# EOF").count(), 1, "{text}");
        for line in ["# TYPE haggle_replicas gauge", "haggle_decisions_total 0"] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        for name in ["a", "b"] {
            let line = format!("haggle_replicas{{service=\"{name}\"}} 1");
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }
}
