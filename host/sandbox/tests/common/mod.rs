//! What the tests of the sandbox share.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used)]

use haggle_sandbox::{
    Forecast, Generation, Limits, Load, Options, Sandbox, bidding, forecasting, tiering, types,
};

pub(crate) const MISBEHAVING: &[u8] = include_bytes!("../../../../plugins/dist/misbehaving.wasm");
pub(crate) const EXAMPLE: &[u8] = haggle_builtin::EXAMPLE.bytes;

/// Limits that are reached soon.
pub(crate) fn small() -> Limits {
    Limits { fuel: 200_000_000, instances: 4, ..Limits::default() }
}

pub(crate) fn sandbox(limits: Limits) -> Sandbox {
    Sandbox::new(Options { limits, ..Options::default() }).unwrap()
}

pub(crate) fn load(sandbox: &Sandbox, plugin: &str, bytes: &[u8]) -> Generation {
    generation(sandbox, plugin, 1, bytes)
}

pub(crate) fn generation(
    sandbox: &Sandbox,
    plugin: &str,
    generation: u64,
    bytes: &[u8],
) -> Generation {
    sandbox.load(Load { plugin, generation, bytes, configuration: "{}", grants: &[] }).unwrap()
}

/// What a misbehaving policy is told to do stands in its configuration.
pub(crate) fn context(deed: &str) -> types::Context {
    types::Context { now: 1_750_000_000_000, seed: 7, configuration: deed.to_owned() }
}

pub(crate) fn series(values: Vec<f64>) -> forecasting::Series {
    forecasting::Series { id: "a".into(), start: 0, step: 60_000, values, non_negative: true }
}

pub(crate) fn forecast(deed: &str, horizon: u32) -> Forecast {
    let series = series(vec![1.0, 2.0, 3.0, 4.0]);
    let task = forecasting::Task { series, model: None, horizon, levels: vec![0.8, 0.95] };
    Forecast { context: context(deed), shared: None, tasks: vec![task], events: Vec::new() }
}

fn rps(amount: f64) -> Vec<types::Quantity> {
    vec![types::Quantity { resource: types::Resource::RequestsPerSecond, amount }]
}

pub(crate) fn inquiry() -> bidding::Inquiry {
    bidding::Inquiry {
        proposal: bidding::Proposal {
            session: "s".into(),
            round: 1,
            service: "b".into(),
            requester: "a".into(),
            purpose: types::Purpose::Growth,
            strength: bidding::Strength::Mandatory,
            window: types::Window { start: 0, end: 1 },
            asks: rps(5.0),
        },
        position: bidding::Position {
            tier: types::Tier::Silver,
            capacity: rps(9.0),
            committed: rps(0.0),
            agreed: rps(0.0),
            sustainable: rps(9.0),
        },
    }
}

pub(crate) fn request() -> bidding::Request {
    bidding::Request {
        id: "r".into(),
        service: "a".into(),
        tier: types::Tier::Silver,
        resources: cores(0.5),
        count: 1,
        window: types::Window { start: 0, end: 1 },
        budget_per_hour: None,
        location: None,
        gpu_type: None,
    }
}

fn cores(amount: f64) -> Vec<types::Quantity> {
    vec![types::Quantity { resource: types::Resource::CpuCores, amount }]
}

pub(crate) fn inventory() -> Vec<bidding::ComputeUnit> {
    vec![bidding::ComputeUnit {
        id: "m".into(),
        provider: "p".into(),
        location: String::new(),
        has: cores(4.0),
        free: cores(4.0),
        count: 1,
        gpu_type: None,
        cost_per_hour: 1.0,
        performance: 1.0,
        interruption_rate: 0.0,
        interruption_notice: 0,
    }]
}

pub(crate) fn bid() -> bidding::Bid {
    bidding::Bid {
        unit: "m".into(),
        provider: "p".into(),
        location: String::new(),
        count: 1,
        price_per_hour: 1.0,
        performance: 1.0,
        guarantees: bidding::Guarantees {
            availability: 1.0,
            interruption_rate: 0.0,
            interruption_notice: 0,
        },
    }
}

pub(crate) fn api() -> tiering::ApiState {
    tiering::ApiState {
        id: "a".into(),
        current_tier: types::Tier::Silver,
        since: 0,
        current_load: 0.1,
        forecast_mean: 0.1,
        forecast_upper: 0.2,
        confidence: 0.5,
        objective: None,
        weight: 1.0,
    }
}
