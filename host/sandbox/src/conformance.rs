//! The conformance check: calls every role once with a small, ordinary batch. A plugin may decline some items
//! with faults, and a learning function may report too little data. It must not decline everything, trap,
//! stall or return an invalid answer.

use crate::{
    answering,
    call::Failure,
    error::{CallError, Cause, Diagnostics},
    failure_prediction as failure, forecasting,
    function::Function,
    functions::{Assess, Assign, Fit, Forecast, Learn, MakeBids, Rank, Respond},
    generation::Generation,
    lookback::since,
    market,
    role::Role,
    selling, tiering,
    types::{Context, Fault, Purpose, Quantity, ResourceKind, Tier, Window},
};

const NOW: u64 = 1_750_000_000_000;
const MINUTE: u64 = 60_000;

pub(crate) fn check(generation: &Generation) -> Result<(), CallError> {
    let context =
        Context { now_ms: NOW, seed: 1, configuration: generation.configuration().to_owned() };
    generation.roles().iter().try_for_each(|role| match role {
        Role::Forecasting => forecasting(generation, &context),
        Role::FailurePrediction => failure_prediction(generation, &context),
        Role::Answering => answering(generation, &context),
        Role::Selling => selling(generation, &context),
        Role::Ranking => ranking(generation, &context),
        Role::Tiering => tiering(generation, &context),
    })
}

/// Whether a function may report too little data for the whole batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TooLittle {
    /// The batch may be too small.
    MayBe,
    Never,
}

/// Calls a function, and fails if an item broke the contract or if all items are declined, as `declined`
/// determines. Returns `None` if all faults report too little data and that is allowed.
fn call<F: Function>(
    generation: &Generation,
    function: &F,
    too_little: TooLittle,
    declined: impl Fn(&F::Answer) -> Option<Fault>,
) -> Result<Option<F::Answer>, CallError> {
    let passes = |fault: &Fault| {
        too_little == TooLittle::MayBe && matches!(fault, Fault::InsufficientData(_))
    };
    let called = match generation.call(function) {
        Ok(called) => called,
        Err(CallError { cause: Cause::Fault(fault), .. }) if passes(&fault) => return Ok(None),
        Err(error) => return Err(error),
    };
    let cause = match (called.broken.into_iter().next(), declined(&called.answer)) {
        (Some(broken), _) => Cause::Nonsense(broken.to_string()),
        (None, Some(fault)) if passes(&fault) => return Ok(None),
        (None, Some(fault)) => Cause::DeclinedAll(fault),
        (None, None) => return Ok(Some(called.answer)),
    };
    let (log, log_dropped) = (called.log, called.log_dropped);
    let diagnostics = Box::new(Diagnostics { log, log_dropped, ..Diagnostics::default() });
    Err(generation.error(F::NAME, Failure { cause, diagnostics }))
}

/// The common fault if all items have one; preferably one other than too little data.
fn all_declined<T>(items: &[Result<T, Fault>]) -> Option<Fault> {
    let faults: Vec<&Fault> =
        items.iter().map(|item| item.as_ref().err()).collect::<Option<_>>()?;
    let other = faults.iter().find(|fault| !matches!(fault, Fault::InsufficientData(_)));
    other.or(faults.first()).map(|fault| Fault::clone(fault))
}

/// For functions with a single answer.
const fn answered<T>(_: &T) -> Option<Fault> {
    None
}

fn forecasting(generation: &Generation, context: &Context) -> Result<(), CallError> {
    let series = |id: &str, values: Vec<f64>| forecasting::Series {
        id: id.to_owned(),
        last_at_ms: NOW - MINUTE,
        step_ms: MINUTE,
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
        horizon_steps: 6,
        seasons_steps: vec![24],
        events: Vec::new(),
    };
    let fit = Fit { context: context.clone(), panel, previous: None };
    let each = |fitted: &forecasting::Fitted| all_declined(&fitted.models);
    let fitted = call(generation, &fit, TooLittle::MayBe, each)?;
    let (shared, models, lookback) = match fitted {
        Some(fitted) => (fitted.shared, fitted.models, fitted.lookback_steps),
        None => (None, Vec::new(), None),
    };
    let mut models = models.into_iter();
    let task = |series: forecasting::Series| {
        let model = models.next().and_then(Result::ok);
        let series = since(series, NOW, model.as_ref().and(lookback));
        let levels = vec![0.8, 0.95];
        forecasting::Task { series, model, horizon_steps: 6, seasons_steps: vec![24], levels }
    };
    let tasks = all.into_iter().map(task).collect();
    let forecast = Forecast { context: context.clone(), shared, tasks, events: Vec::new() };
    call(generation, &forecast, TooLittle::Never, |outlooks| all_declined(outlooks))?;
    Ok(())
}

fn failure_prediction(generation: &Generation, context: &Context) -> Result<(), CallError> {
    let horizon_ms = 5 * MINUTE;
    let vitals = |i: u32| failure::Vitals {
        service: "frontend".to_owned(),
        instance: format!("replica-{i}"),
        last_at_ms: NOW,
        step_ms: MINUTE,
        metrics: vec![
            failure::MetricSeries {
                metric: "cpu".to_owned(),
                values: (0..8).map(|j| f64::from(i * j % 13)).collect(),
            },
            failure::MetricSeries { metric: "gap".to_owned(), values: vec![f64::NAN; 8] },
        ],
    };
    let examples =
        (0..16).map(|i| failure::Example { vitals: vitals(i), failed: i % 4 == 0 }).collect();
    let learn = Learn { context: context.clone(), model: None, horizon_ms, examples };
    let model = call(generation, &learn, TooLittle::MayBe, answered)?;
    let instances = (0..4).map(vitals).collect();
    // A predictor that learned from these examples must be able to assess similar ones.
    let too_little = if model.is_some() { TooLittle::Never } else { TooLittle::MayBe };
    let assess = Assess { context: context.clone(), model, horizon_ms, instances };
    call(generation, &assess, too_little, |risks| all_declined(risks))?;
    Ok(())
}

fn answering(generation: &Generation, context: &Context) -> Result<(), CallError> {
    let inquiry = |requested: f64| answering::Inquiry {
        session: "conformance".to_owned(),
        round: 1,
        service: "backend".to_owned(),
        tier: Tier::Silver,
        requester: "frontend".to_owned(),
        purpose: Purpose::Growth,
        strength: answering::Strength::Mandatory,
        window: window(),
        asks: vec![answering::Ask {
            kind: ResourceKind::RequestsPerSecond,
            requested,
            capacity: 100.0,
            committed: 20.0,
            agreed: 0.0,
            sustainable: 90.0,
        }],
    };
    let inquiries = vec![inquiry(10.0), inquiry(90.0), inquiry(0.0)];
    let respond = Respond { context: context.clone(), inquiries };
    call(generation, &respond, TooLittle::Never, |answers| all_declined(answers))?;
    Ok(())
}

fn selling(generation: &Generation, context: &Context) -> Result<(), CallError> {
    let resource = selling::UnitResource { kind: ResourceKind::CpuCores, amount: 2.0, free: 4.0 };
    let inventory = vec![selling::ComputeUnit {
        id: "small".to_owned(),
        provider: "provider".to_owned(),
        location: String::new(),
        resources: vec![resource],
        count: 2,
        gpu_type: None,
        cost_per_hour: 0.1,
        performance: 1.0,
        interruption_rate: 0.0,
        interruption_notice_ms: 0,
    }];
    let bids = MakeBids { context: context.clone(), request: request(), inventory };
    call(generation, &bids, TooLittle::Never, answered)?;
    Ok(())
}

fn ranking(generation: &Generation, context: &Context) -> Result<(), CallError> {
    let bid = |price_per_hour: f64| market::Bid {
        unit: "small".to_owned(),
        provider: "provider".to_owned(),
        location: String::new(),
        count: 2,
        price_per_hour,
        performance: 1.0,
        guarantees: market::Guarantees {
            availability: 1.0,
            interruption_rate: 0.0,
            interruption_notice_ms: 0,
        },
    };
    let bids = vec![bid(0.1), bid(0.2)];
    let rank = Rank { context: context.clone(), request: request(), bids };
    call(generation, &rank, TooLittle::Never, answered)?;
    Ok(())
}

const fn window() -> Window {
    Window { start_ms: NOW, end_ms: NOW + 15 * MINUTE }
}

fn request() -> market::Request {
    market::Request {
        id: "conformance".to_owned(),
        service: "frontend".to_owned(),
        tier: Tier::Gold,
        resources: vec![Quantity { kind: ResourceKind::CpuCores, amount: 0.5 }],
        count: 3,
        window: window(),
        budget_per_hour: None,
        location: None,
        gpu_type: None,
    }
}

fn tiering(generation: &Generation, context: &Context) -> Result<(), CallError> {
    let service = |i: u32| tiering::ServiceState {
        service: format!("service-{i}"),
        tier: Tier::Silver,
        since_ms: NOW - 60 * MINUTE,
        load: 0.2,
        forecast_mean: 0.25,
        forecast_upper: 0.3,
        upper_quantile: 0.975,
        confidence: 0.5,
        objective: (i == 0).then_some(tiering::Objective {
            target: 0.99,
            compliance: 0.98,
            burn_rate: 2.0,
        }),
        weight: 1.0,
    };
    let assign = Assign { context: context.clone(), services: (0..3).map(service).collect() };
    call(generation, &assign, TooLittle::Never, answered)?;
    Ok(())
}
