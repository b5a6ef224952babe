//! What the tests of several modules need.

use haggle_model::{Name, Service};
use serde_json::json;

pub(crate) fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

/// A service whose replicas take a core and carry ten requests per second.
pub(crate) fn service(name: &str) -> Service {
    let service = json!({
        "name": name,
        "replica": {"uses": {"cpu_cores": 1}, "serves": {"requests_per_second": 10}},
        "replicas": {"min": 1, "max": 50},
    });
    serde_json::from_value(service).unwrap()
}
