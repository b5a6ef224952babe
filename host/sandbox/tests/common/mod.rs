//! What the tests of the sandbox share.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used)]

use haggle_sandbox::{
    Forecast, Generation, Limits, Load, Options, Sandbox, answering, failure_prediction,
    forecasting, market, selling, tiering, types,
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

/// What a misbehaving plugin is told to do stands in its configuration.
pub(crate) fn context(deed: &str) -> types::Context {
    types::Context { now_ms: 1_750_000_000_000, seed: 7, configuration: deed.to_owned() }
}

pub(crate) fn series(values: Vec<f64>) -> types::Series {
    let last_at_ms = 60_000 * (values.len() as u64 - 1);
    types::Series { id: "a".into(), last_at_ms, step_ms: 60_000, values, non_negative: true }
}

pub(crate) fn forecast(deed: &str, horizon: u32) -> Forecast {
    let series = series(vec![1.0, 2.0, 3.0, 4.0]);
    let task = forecasting::Task {
        series,
        model: None,
        horizon_steps: horizon,
        seasons_steps: Vec::new(),
        levels: vec![0.8, 0.95],
    };
    Forecast { context: context(deed), shared: None, tasks: vec![task], events: Vec::new() }
}

pub(crate) fn inquiry() -> answering::Inquiry {
    answering::Inquiry {
        session: "s".into(),
        round: 1,
        service: "b".into(),
        tier: types::Tier::Silver,
        requester: "a".into(),
        purpose: types::Purpose::Growth,
        strength: answering::Strength::Mandatory,
        window: types::Window { start_ms: 0, end_ms: 1 },
        asks: vec![answering::Ask {
            kind: types::ResourceKind::RequestsPerSecond,
            requested: 5.0,
            capacity: 9.0,
            committed: 0.0,
            agreed: 0.0,
            sustainable: 9.0,
        }],
    }
}

pub(crate) fn request() -> market::Request {
    market::Request {
        id: "r".into(),
        service: "a".into(),
        tier: types::Tier::Silver,
        resources: vec![types::Quantity { kind: types::ResourceKind::CpuCores, amount: 0.5 }],
        count: 1,
        window: types::Window { start_ms: 0, end_ms: 1 },
        budget_per_hour: None,
        location: None,
        gpu_type: None,
    }
}

pub(crate) fn inventory() -> Vec<selling::ComputeUnit> {
    vec![selling::ComputeUnit {
        id: "m".into(),
        provider: "p".into(),
        location: String::new(),
        resources: vec![selling::UnitResource {
            kind: types::ResourceKind::CpuCores,
            amount: 4.0,
            free: 4.0,
        }],
        count: 1,
        gpu_type: None,
        cost_per_hour: 1.0,
        performance: 1.0,
        interruption_rate: 0.0,
        interruption_notice_ms: 0,
    }]
}

pub(crate) fn bid() -> market::Bid {
    market::Bid {
        unit: "m".into(),
        provider: "p".into(),
        location: String::new(),
        count: 1,
        price_per_hour: 1.0,
        performance: 1.0,
        guarantees: market::Guarantees {
            availability: 1.0,
            interruption_rate: 0.0,
            interruption_notice_ms: 0,
        },
    }
}

pub(crate) fn service() -> tiering::ServiceState {
    tiering::ServiceState {
        service: "a".into(),
        tier: types::Tier::Silver,
        since_ms: 0,
        load: 0.1,
        forecast_mean: 0.1,
        forecast_upper: 0.2,
        upper_quantile: 0.975,
        confidence: 0.5,
        objective: None,
        weight: 1.0,
    }
}

pub(crate) fn vitals() -> failure_prediction::Vitals {
    failure_prediction::Vitals {
        service: "s".into(),
        instance: "a".into(),
        last_at_ms: 0,
        step_ms: 1,
        metrics: Vec::new(),
    }
}
