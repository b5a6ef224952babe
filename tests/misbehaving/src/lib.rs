//! A plugin that breaks every rule on demand. The configuration names the deed (how it misbehaves), either alone or
//! as `{"now":"deed"}`; without one it behaves. With `{"later":"deed"}`, it behaves in the trial calls and
//! misbehaves in later ones.

#![allow(clippy::panic, reason = "it is meant to")]

use std::sync::atomic::{AtomicU32, Ordering};

use haggle_sdk::{
    Answering, FailurePrediction, Fault, Forecasting, Plugin, Ranking, Selling, Tiering,
    answering::{Answer, Inquiry, Offer},
    failure_prediction::{Example, Risk, Vitals},
    forecasting::{Bounds, Fitted, Interval, Outlook, Panel, Task},
    market::{Bid, Guarantees, Request},
    metadata::Description,
    selling::ComputeUnit,
    tiering::{Assignment, ServiceState},
    types::{CalendarEvent, Context, Quantity, ResourceKind},
};

/// The plugin.
#[derive(Debug)]
pub struct Misbehaving;

/// State across calls, which a pure plugin does not have.
static CALLS: AtomicU32 = AtomicU32::new(0);

/// Trial calls have a time before this moment (24 August 2025, in milliseconds since the epoch), and other calls a
/// time after it.
const LATER_MS: u64 = 1_756_000_000_000;

/// The deed that the configuration names.
fn deed(ctx: &Context) -> &str {
    let configuration = ctx.configuration.as_str();
    let named = |begins: &str| configuration.strip_prefix(begins)?.strip_suffix(r#""}"#);
    match (named(r#"{"now":""#), named(r#"{"later":""#)) {
        (Some(deed), _) => deed,
        (None, Some(_)) if ctx.now_ms < LATER_MS => "",
        (None, Some(deed)) => deed,
        (None, None) => configuration,
    }
}

/// Misbehaves in a way that prevents an answer: loops, recurses, exhausts the memory, traps.
fn misbehave(ctx: &Context) {
    match deed(ctx) {
        "loop" => {
            let mut n = ctx.seed;
            loop {
                n = std::hint::black_box(n.wrapping_mul(3).wrapping_add(1));
            }
        }
        "recurse" => {
            std::hint::black_box(recurse(ctx.seed));
        }
        "memory" => {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(std::hint::black_box(vec![1; 1 << 20]));
            }
        }
        "seldom" => {
            std::hint::black_box(seldom(ctx.seed));
        }
        "trap" => panic!("told to"),
        _ => {}
    }
}

#[expect(unconditional_recursion, reason = "that is the deed")]
fn recurse(n: u64) -> u64 {
    std::hint::black_box(recurse(std::hint::black_box(n) + 1)) + 1
}

/// No misbehaviour, although it looks like one: a loop without calls that skips, pass by pass, a branch of
/// thousands of instructions.
fn seldom(seed: u64) -> u64 {
    let mut n = seed;
    for _ in 0..20_000_000 {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if n == 1 << 63 {
            n = dear(std::hint::black_box(n));
        }
    }
    n
}

/// Thousands of instructions in a row.
#[inline(always)]
fn dear(mut n: u64) -> u64 {
    macro_rules! eight_times {
        ($step:expr) => {{
            $step;
            $step;
            $step;
            $step;
            $step;
            $step;
            $step;
            $step;
        }};
    }
    eight_times!(eight_times!(eight_times!(n = n.rotate_left(7) ^ (n >> 9))));
    n
}

/// The number `good`, or an invalid one.
fn number(ctx: &Context, good: f64) -> f64 {
    match deed(ctx) {
        "nan" => f64::NAN,
        "infinity" => f64::INFINITY,
        "negative" => -1.0,
        _ => good,
    }
}

/// A short text, or one that is far too long.
fn text(ctx: &Context) -> String {
    if deed(ctx) == "huge" { "x".repeat(20 << 20) } else { "as told".into() }
}

/// Returns a fault if the deed names this function: with `decline assign` for example, or with `lack fit`, which is
/// a fault for too little data. `lack learning` covers both functions of failure prediction.
fn decline(ctx: &Context, function: &str) -> Result<(), Fault> {
    let (how, which) = deed(ctx).split_once(' ').unwrap_or_default();
    let learning = which == "learning" && ["learn", "assess"].contains(&function);
    match how {
        "decline" if which == function => Err(Fault::Internal("told to decline".into())),
        "lack" if which == function || learning => {
            Err(Fault::InsufficientData("a year of it is needed".into()))
        }
        _ => Ok(()),
    }
}

/// The number of answers: that of the questions, or one more.
fn count(ctx: &Context, questions: usize) -> usize {
    if deed(ctx) == "count" { questions + 1 } else { questions }
}

impl Plugin for Misbehaving {
    fn describe() -> Description {
        Description {
            name: "misbehaving".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Breaks every rule on demand.".into(),
            configuration_schema: "{}".into(),
        }
    }
}

/// The lengths of the models in bytes: of each series, and of the shared one.
fn lengths(ctx: &Context) -> Option<(usize, usize)> {
    let (own, shared) = deed(ctx).strip_prefix("models ")?.split_once(' ')?;
    Some((own.parse().ok()?, shared.parse().ok()?))
}

impl Forecasting for Misbehaving {
    fn fit(ctx: &Context, panel: &Panel, _: Option<&Fitted>) -> Result<Fitted, Fault> {
        decline(ctx, "fit")?;
        let (own, shared) = match lengths(ctx) {
            Some((own, shared)) => (own, Some(vec![1; shared])),
            None if deed(ctx) == "forgetful" => (1, None),
            None => (0, None),
        };
        let models = panel.series.iter().map(|_| Ok(vec![1; own])).collect();
        Ok(Fitted { shared, models, lookback_steps: None })
    }

    fn forecast(
        ctx: &Context,
        _: Option<&[u8]>,
        tasks: &[Task],
        _: &[CalendarEvent],
    ) -> Vec<Result<Outlook, Fault>> {
        misbehave(ctx);
        let calls = CALLS.fetch_add(1, Ordering::Relaxed);
        let outlook = |i: usize| {
            let Some(task) = tasks.get(i) else { return Err(Fault::Internal(text(ctx))) };
            if deed(ctx) == "huge" {
                return Err(Fault::Internal(text(ctx)));
            }
            decline(ctx, "forecast")?;
            if deed(ctx) == "forgetful" && task.model.as_ref().is_some_and(|own| !own.is_empty()) {
                return Err(Fault::IncompatibleModel("it is not known any more".into()));
            }
            let steps = task.horizon_steps as usize;
            let (lower, upper) = if deed(ctx) == "inverted" { (2.0, 1.0) } else { (0.0, 9.0) };
            let bounds = vec![Bounds { lower, upper }; steps];
            let interval = |&level: &f64| Interval { level, bounds: bounds.clone() };
            let intervals = task.levels.iter().map(interval).collect();
            // The mean shows whether the plugin remembers earlier calls.
            let good = 1.0 + f64::from(calls);
            let value = if deed(ctx) == "first" && i == 0 { f64::NAN } else { number(ctx, good) };
            Ok(Outlook { mean: vec![value; steps], intervals, confidence: 0.5 })
        };
        (0..count(ctx, tasks.len())).map(outlook).collect()
    }
}

impl FailurePrediction for Misbehaving {
    fn learn(ctx: &Context, _: Option<&[u8]>, _: u64, _: &[Example]) -> Result<Vec<u8>, Fault> {
        misbehave(ctx);
        decline(ctx, "learn")?;
        Ok(text(ctx).into_bytes())
    }

    fn assess(
        ctx: &Context,
        _: Option<&[u8]>,
        _: u64,
        instances: &[Vitals],
    ) -> Vec<Result<Risk, Fault>> {
        misbehave(ctx);
        let risk = |_| {
            if deed(ctx) == "huge" {
                return Err(Fault::Internal(text(ctx)));
            }
            decline(ctx, "assess")?;
            Ok(Risk { probability: number(ctx, 0.5), contributions: Vec::new() })
        };
        (0..count(ctx, instances.len())).map(risk).collect()
    }
}

impl Answering for Misbehaving {
    fn respond(ctx: &Context, inquiries: &[Inquiry]) -> Vec<Result<Answer, Fault>> {
        misbehave(ctx);
        let answer = |_| {
            decline(ctx, "respond")?;
            let amount = number(ctx, 0.0);
            let quantities = vec![Quantity { kind: ResourceKind::RequestsPerSecond, amount }];
            Ok(Answer::Counter(Offer { quantities, reason: text(ctx) }))
        };
        (0..count(ctx, inquiries.len())).map(answer).collect()
    }
}

impl Selling for Misbehaving {
    fn make_bids(ctx: &Context, _: &Request, inventory: &[ComputeUnit]) -> Result<Vec<Bid>, Fault> {
        misbehave(ctx);
        decline(ctx, "make-bids")?;
        if deed(ctx) == "huge" {
            return Err(Fault::Internal(text(ctx)));
        }
        let unit = |i: usize| match inventory.get(i) {
            Some(unit) => (unit.id.clone(), unit.provider.clone()),
            None => ("imagined".into(), "nobody".into()),
        };
        let bid = |i| {
            let (unit, provider) = unit(i);
            Bid {
                unit,
                provider,
                location: String::new(),
                count: 1,
                price_per_hour: number(ctx, 1.0),
                performance: 1.0,
                guarantees: Guarantees {
                    availability: 1.0,
                    interruption_rate: 0.0,
                    interruption_notice_ms: 0,
                },
            }
        };
        Ok((0..count(ctx, inventory.len())).map(bid).collect())
    }
}

impl Ranking for Misbehaving {
    fn rank(ctx: &Context, _: &Request, bids: &[Bid]) -> Result<Vec<f64>, Fault> {
        misbehave(ctx);
        decline(ctx, "rank")?;
        if deed(ctx) == "huge" {
            return Err(Fault::Internal(text(ctx)));
        }
        // A score may be negative, so a negative number becomes negative infinity here.
        let score = number(ctx, 1.0);
        let score = if score < 0.0 { f64::NEG_INFINITY } else { score };
        Ok(vec![score; count(ctx, bids.len())])
    }
}

impl Tiering for Misbehaving {
    fn assign(ctx: &Context, services: &[ServiceState]) -> Result<Vec<Assignment>, Fault> {
        misbehave(ctx);
        decline(ctx, "assign")?;
        let assignment = |i: usize| {
            let tier = services.get(i).or(services.first()).map(|service| service.tier);
            let tier = tier.ok_or_else(|| Fault::InvalidInput("no services".into()))?;
            let share = number(ctx, 1.0 / services.len().max(1) as f64);
            Ok(Assignment { tier, share, reason: text(ctx) })
        };
        (0..count(ctx, services.len())).map(assignment).collect()
    }
}

haggle_sdk::export!(
    Misbehaving: forecasting, failure_prediction, answering, selling, ranking, tiering
);
