//! A first call of every role with a small, ordinary batch. A policy may decline it with a fault; what it
//! may not do is trap, stall or answer nonsense.

use crate::{
    bidding,
    error::{CallError, Cause},
    failure_prediction as failure, forecasting,
    functions::{Assess, Assign, Fit, Forecast, Function, Learn, MakeBids, Rank, Respond, Role},
    generation::Generation,
    lookback::since,
    tiering,
    types::{Context, Purpose, Quantity, Resource, Tier, Window},
};

const NOW: u64 = 1_750_000_000_000;
const MINUTE: u64 = 60_000;

pub(crate) fn check(generation: &Generation) -> Result<(), CallError> {
    let context =
        Context { now: NOW, seed: 1, configuration: generation.configuration().to_owned() };
    generation.roles().iter().try_for_each(|role| match role {
        Role::Forecasting => forecasting(generation, &context),
        Role::FailurePrediction => failure_prediction(generation, &context),
        Role::Bidding => bidding(generation, &context),
        Role::Tiering => tiering(generation, &context),
    })
}

/// Calls and lets a declined call pass, and declined items: faults are the policy's right. Fails where an
/// item broke the contract.
fn call<F: Function>(
    generation: &Generation,
    function: &F,
) -> Result<Option<F::Answer>, CallError> {
    match generation.call(function) {
        Ok(called) => match called.broken.into_iter().next() {
            None => Ok(Some(called.answer)),
            Some(wrong) => Err(CallError {
                plugin: generation.plugin().to_owned(),
                generation: generation.number(),
                function: F::NAME,
                cause: Cause::Nonsense(wrong),
            }),
        },
        Err(CallError { cause: Cause::Fault(_), .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn forecasting(generation: &Generation, context: &Context) -> Result<(), CallError> {
    let series = |id: &str, values: Vec<f64>| forecasting::Series {
        id: id.to_owned(),
        start: NOW - MINUTE * values.len() as u64,
        step: MINUTE,
        values,
        non_negative: true,
    };
    let wave = |i: u32| 50.0 + 40.0 * (f64::from(i % 24) / 24.0 * std::f64::consts::TAU).sin();
    let all = vec![
        series("wave", (0..96).map(wave).collect()),
        series("gap", (0..96).map(|i| if i % 7 == 0 { f64::NAN } else { wave(i) }).collect()),
        series("flat", vec![0.0; 12]),
        series("short", vec![3.0]),
    ];
    let panel = forecasting::Panel {
        series: all.clone(),
        horizon: 6,
        seasons: vec![24],
        events: Vec::new(),
    };
    let fitted = call(generation, &Fit { context: context.clone(), panel, previous: None })?;
    let (shared, models, lookback) = match fitted {
        Some(fitted) => (fitted.shared, fitted.per_series, fitted.lookback),
        None => (None, Vec::new(), None),
    };
    let mut models = models.into_iter();
    let task = |series: forecasting::Series| {
        let model = models.next().and_then(Result::ok);
        let until = series.start + series.step * series.values.len() as u64;
        let series = since(series, until, model.as_ref().and(lookback));
        forecasting::Task { series, model, horizon: 6, levels: vec![0.8, 0.95] }
    };
    let tasks = all.into_iter().map(task).collect();
    let forecast = Forecast { context: context.clone(), shared, tasks, events: Vec::new() };
    call(generation, &forecast)?;
    Ok(())
}

fn failure_prediction(generation: &Generation, context: &Context) -> Result<(), CallError> {
    let horizon = 5 * MINUTE;
    let vitals = |i: u32| failure::Vitals {
        subject: format!("replica-{i}"),
        at: NOW,
        step: MINUTE,
        metrics: vec![
            failure::Vital {
                metric: "cpu".to_owned(),
                values: (0..8).map(|j| f64::from(i * j % 13)).collect(),
            },
            failure::Vital { metric: "gap".to_owned(), values: vec![f64::NAN; 8] },
        ],
    };
    let examples =
        (0..16).map(|i| failure::Example { vitals: vitals(i), failed: i % 4 == 0 }).collect();
    let model =
        call(generation, &Learn { context: context.clone(), model: None, horizon, examples })?;
    let subjects = (0..4).map(vitals).collect();
    call(generation, &Assess { context: context.clone(), model, horizon, subjects })?;
    Ok(())
}

fn bidding(generation: &Generation, context: &Context) -> Result<(), CallError> {
    let quantity = |resource, amount| vec![Quantity { resource, amount }];
    let rps = |amount| quantity(Resource::RequestsPerSecond, amount);
    let window = Window { start: NOW, end: NOW + 15 * MINUTE };
    let inquiry = |asks: f64| bidding::Inquiry {
        proposal: bidding::Proposal {
            session: "conformance".to_owned(),
            round: 1,
            service: "backend".to_owned(),
            requester: "frontend".to_owned(),
            purpose: Purpose::Growth,
            strength: bidding::Strength::Mandatory,
            window,
            asks: rps(asks),
        },
        position: bidding::Position {
            tier: Tier::Silver,
            capacity: rps(100.0),
            committed: rps(20.0),
            agreed: rps(0.0),
            sustainable: rps(90.0),
        },
    };
    let inquiries = vec![inquiry(10.0), inquiry(90.0), inquiry(0.0)];
    call(generation, &Respond { context: context.clone(), inquiries })?;
    let request = bidding::Request {
        id: "conformance".to_owned(),
        service: "frontend".to_owned(),
        tier: Tier::Gold,
        resources: quantity(Resource::CpuCores, 0.5),
        count: 3,
        window,
        budget_per_hour: None,
        location: None,
        gpu_type: None,
    };
    let inventory = vec![bidding::ComputeUnit {
        id: "small".to_owned(),
        provider: "provider".to_owned(),
        location: String::new(),
        has: quantity(Resource::CpuCores, 2.0),
        free: quantity(Resource::CpuCores, 4.0),
        count: 2,
        gpu_type: None,
        cost_per_hour: 0.1,
        performance: 1.0,
        interruption_rate: 0.0,
        interruption_notice: 0,
    }];
    let bid = MakeBids { context: context.clone(), request: request.clone(), inventory };
    let Some(bids) = call(generation, &bid)? else { return Ok(()) };
    call(generation, &Rank { context: context.clone(), request, bids })?;
    Ok(())
}

fn tiering(generation: &Generation, context: &Context) -> Result<(), CallError> {
    let api = |i: u32| tiering::ApiState {
        id: format!("api-{i}"),
        current_tier: Tier::Silver,
        since: NOW - 60 * MINUTE,
        current_load: 0.2,
        forecast_mean: 0.25,
        forecast_upper: 0.3,
        confidence: 0.5,
        objective: (i == 0).then_some(tiering::Objective {
            target: 0.99,
            compliance: 0.98,
            burn_rate: 2.0,
        }),
        weight: 1.0,
    };
    call(generation, &Assign { context: context.clone(), apis: (0..3).map(api).collect() })?;
    Ok(())
}
