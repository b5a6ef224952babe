//! Shared test support: a core with its whole environment, on a clock that tests move.

use haggle_model::{Name, Service};
use serde_json::json;

mod disk;
mod people;
mod plugins;
mod world;

pub(crate) use people::Script;
pub(crate) use plugins::{Manner, consulted, rps};
pub(crate) use world::{PASS, World};

pub(crate) fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

/// A service whose replicas take one core and carry ten requests per second.
pub(crate) fn service(name: &str) -> Service {
    let service = json!({
        "name": name,
        "replica": {"requests": {"cpu_cores": 1}, "capacity": {"requests_per_second": 10}},
        "replicas": {"min": 1, "max": 50},
    });
    serde_json::from_value(service).unwrap()
}
