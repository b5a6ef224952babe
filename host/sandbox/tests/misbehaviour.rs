//! What a plugin does wrong costs it its answer and nobody else anything.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::time::Duration;

use common::{context, forecast, load, sandbox, small};
use haggle_sandbox::{
    Assess, Assign, CallError, Cause, Fit, Function, Generation, Learn, Limits, LogLevel, MakeBids,
    Rank, Respond, forecasting, types,
};

/// Calls every function that can misbehave and returns how each ended.
fn every_role(generation: &Generation, deed: &str) -> Vec<Result<(), CallError>> {
    fn call<F: Function>(generation: &Generation, function: F) -> Result<(), CallError> {
        generation.call(&function).map(drop)
    }
    let vitals = common::vitals();
    let (request, inventory) = (common::request(), common::inventory());
    let bids = vec![common::bid()];
    let service = common::service();
    let (context, horizon_ms) = (context(deed), 1);
    vec![
        call(generation, forecast(deed, 1)),
        call(
            generation,
            Learn { context: context.clone(), model: None, horizon_ms, examples: Vec::new() },
        ),
        call(
            generation,
            Assess { context: context.clone(), model: None, horizon_ms, instances: vec![vitals] },
        ),
        call(generation, Respond { context: context.clone(), inquiries: vec![common::inquiry()] }),
        call(
            generation,
            MakeBids { context: context.clone(), request: request.clone(), inventory },
        ),
        call(generation, Rank { context: context.clone(), request, bids }),
        call(generation, Assign { context, services: vec![service] }),
    ]
}

/// Every role ends with this cause, its error names plugin and generation, and a good call on the same
/// plugin and on another one works right after.
fn all_end_with(deed: &str, limits: Limits, expected: impl Fn(&Cause) -> bool) {
    let sandbox = sandbox(limits);
    let bad = load(&sandbox, "bad", common::MISBEHAVING);
    let good = load(&sandbox, "good", common::EXAMPLE);
    for outcome in every_role(&bad, deed) {
        let error = outcome.expect_err(deed);
        assert!(expected(&error.cause), "{deed}: {error}");
        let text = error.to_string();
        assert!(text.starts_with("plugin bad generation 1, "), "{text}");
        assert!(bad.call(&forecast("", 1)).is_ok(), "after {deed}");
        assert!(good.call(&forecast("", 1)).is_ok(), "after {deed}");
    }
}

#[test]
fn models_have_a_size_at_most() {
    let limits = Limits { answer_bytes: 64 << 20, ..Limits::default() };
    let sandbox = sandbox(limits);
    let plugin = load(&sandbox, "bad", common::MISBEHAVING);
    let fit = |own: usize, shared: usize| {
        let panel = forecasting::Panel {
            series: vec![common::series(vec![1.0, 2.0])],
            horizon_steps: 1,
            seasons_steps: Vec::new(),
            events: Vec::new(),
        };
        let context = context(&format!("models {own} {shared}"));
        plugin.call(&Fit { context, panel, previous: None })
    };
    let (own, shared) = (4 << 20, 16 << 20);
    let fitted = fit(own, shared).unwrap().answer;
    assert_eq!(fitted.models[0].as_ref().unwrap().len(), own);
    assert_eq!(fitted.shared.unwrap().len(), shared);
    // One model too large costs its series the model, what is shared costs the call.
    let called = fit(own + 1, 0).unwrap();
    assert!(called.answer.models[0].is_err());
    assert_eq!(called.broken.len(), 1);
    let error = fit(1, shared + 1).unwrap_err();
    assert!(error.to_string().contains("shared model"), "{error}");
}

#[test]
fn one_bad_item_costs_nobody_else_anything() {
    let sandbox = sandbox(small());
    let bad = load(&sandbox, "bad", common::MISBEHAVING);
    let mut three = forecast("first", 2);
    three.tasks = vec![three.tasks[0].clone(), three.tasks[0].clone(), three.tasks[0].clone()];
    let called = bad.call(&three).unwrap();
    let Err(types::Fault::Internal(text)) = &called.answer[0] else {
        panic!("{:?}", called.answer)
    };
    assert_eq!(text, "nonsense: a mean is NaN");
    assert!(called.answer[1].is_ok() && called.answer[2].is_ok());
    assert_eq!(called.broken[0].to_string(), "item 0: a mean is NaN");
}

#[test]
fn a_trap_leaves_what_was_logged_and_where_it_was() {
    let sandbox = sandbox(small());
    let bad = load(&sandbox, "bad", common::MISBEHAVING);
    let error = bad.call(&forecast("trap", 1)).unwrap_err();
    assert!(matches!(error.cause, Cause::Trap(_)), "{error}");
    let logged = &error.diagnostics.log;
    assert!(logged.iter().any(|line| line.message.contains("told to")), "{logged:?}");
    assert_eq!(logged.last().unwrap().level, LogLevel::Error);
    // The component is stripped, so its functions have no names.
    let backtrace = &error.diagnostics.backtrace;
    assert!(backtrace.len() > 1 && backtrace.len() <= 20, "{backtrace:?}");
    assert!(backtrace.iter().all(|name| name.starts_with("function ")), "{backtrace:?}");
    let text = error.to_string();
    assert!(text.contains("told to") && text.contains("; at function "), "{text}");
    // What is recorded of it is the cause, which is the same each time.
    assert_eq!(bad.call(&forecast("trap", 1)).unwrap_err(), error);
}

#[test]
fn an_endless_loop_runs_out_of_fuel() {
    all_end_with("loop", small(), |cause| *cause == Cause::Fuel(small().fuel));
}

#[test]
fn a_call_that_takes_too_long_on_the_wall_is_stopped() {
    let limits = Limits { fuel: u64::MAX / 2, deadline_ms: 50, ..small() };
    let expected = Cause::Deadline(Duration::from_millis(50));
    all_end_with("loop", limits, |cause| *cause == expected);
}

#[test]
fn a_loop_that_skips_most_of_what_it_counts_has_its_time() {
    // So short that no processor could execute all that is counted, and far longer than the loop takes.
    let limits = Limits { fuel: u64::MAX / 2, deadline_ms: 1000, ..small() };
    let sandbox = sandbox(limits);
    let plugin = load(&sandbox, "bad", common::MISBEHAVING);
    let called = plugin.call(&forecast("seldom", 1)).unwrap();
    assert!(called.fuel > 32 * 1_000_000_000, "{}", called.fuel);
}

#[test]
fn a_memory_bomb_gets_no_memory() {
    let limits = Limits { memory_bytes: 16 << 20, ..small() };
    all_end_with("memory", limits, |cause| *cause == Cause::Memory(16 << 20));
}

#[test]
fn unbounded_recursion_overflows_the_guests_stack_only() {
    all_end_with("recurse", small(), |cause| *cause == Cause::Stack);
}

#[test]
fn a_trap_is_an_error() {
    all_end_with("trap", small(), |cause| matches!(cause, Cause::Trap(_)));
}

#[test]
fn a_huge_answer_is_not_copied() {
    let limits = Limits { answer_bytes: 1 << 20, fuel: 10_000_000_000, ..small() };
    all_end_with("huge", limits, |cause| *cause == Cause::AnswerSize(1 << 20));
}

#[test]
fn the_wrong_number_of_answers_is_nonsense() {
    let sandbox = sandbox(small());
    let bad = load(&sandbox, "bad", common::MISBEHAVING);
    for (i, outcome) in every_role(&bad, "count").into_iter().enumerate() {
        // A model is whatever the plugin says it is, and a bid too many is left out.
        let is_of_any_length = i == 1 || i == 4;
        assert_eq!(outcome.is_ok(), is_of_any_length, "{outcome:?}");
        if let Err(error) = outcome {
            assert!(matches!(error.cause, Cause::Nonsense(_)), "{error}");
        }
    }
}

#[test]
fn numbers_that_are_none_are_refused_in_every_role() {
    let sandbox = sandbox(small());
    let bad = load(&sandbox, "bad", common::MISBEHAVING);
    let fault = |answer: Option<types::Fault>| match answer {
        Some(types::Fault::Internal(text)) => text,
        other => panic!("{other:?}"),
    };
    for deed in ["nan", "infinity"] {
        let outlooks = bad.call(&forecast(deed, 1)).unwrap().answer;
        let text = fault(outlooks.into_iter().next().unwrap().err());
        assert!(text.contains("a mean is"), "{text}");
    }
    for deed in ["nan", "infinity", "negative"] {
        let vitals = common::vitals();
        let assess =
            Assess { context: context(deed), model: None, horizon_ms: 1, instances: vec![vitals] };
        let text = fault(bad.call(&assess).unwrap().answer.remove(0).err());
        assert!(text.contains("probability is"), "{text}");
        let respond = Respond { context: context(deed), inquiries: vec![common::inquiry()] };
        let text = fault(bad.call(&respond).unwrap().answer.remove(0).err());
        assert!(text.contains("an offered amount is"), "{text}");
        for outcome in every_role(&bad, deed).into_iter().skip(4) {
            let error = outcome.expect_err(deed);
            assert!(matches!(error.cause, Cause::Nonsense(_)), "{error}");
        }
    }
}

#[test]
fn an_interval_the_wrong_way_round_is_a_fault_of_that_series() {
    let sandbox = sandbox(small());
    let bad = load(&sandbox, "bad", common::MISBEHAVING);
    let outlooks = bad.call(&forecast("inverted", 1)).unwrap().answer;
    let text = format!("{:?}", outlooks[0]);
    assert!(text.contains("wrong way round"), "{text}");
}

#[test]
fn nothing_is_remembered_between_calls() {
    let sandbox = sandbox(small());
    let forgetful = load(&sandbox, "forgetful", common::MISBEHAVING);
    let means: Vec<f64> = (0..20)
        .map(|_| forgetful.call(&forecast("", 1)).unwrap().answer.remove(0).unwrap().mean[0])
        .collect();
    assert_eq!(means, vec![1.0; 20], "a global outlived its call");
}

#[test]
fn a_role_that_is_not_there_is_an_error() {
    let sandbox = sandbox(small());
    let example = load(&sandbox, "example", common::EXAMPLE);
    let error = example.call(&Assign { context: context(""), services: Vec::new() }).unwrap_err();
    assert!(error.to_string().contains("has no tiering role"), "{error}");
}

#[test]
fn the_same_call_uses_the_same_fuel_and_gives_the_same_bits() {
    let sandbox = sandbox(Limits::default());
    for builtin in haggle_builtin::BUILTIN.iter().filter(|b| b.roles.contains(&"forecasting")) {
        let generation = load(&sandbox, "it", builtin.bytes);
        let values: Vec<f64> = (0..200).map(|i| 10.0 + f64::from(i * i % 17)).collect();
        let panel = forecasting::Panel {
            series: vec![common::series(values)],
            horizon_steps: 5,
            seasons_steps: vec![],
            events: vec![],
        };
        let fit = Fit { context: context(""), panel, previous: None };
        let first = generation.call(&fit).unwrap();
        let second = generation.call(&fit).unwrap();
        assert_eq!((&first.answer, first.fuel), (&second.answer, second.fuel), "{}", builtin.name);
    }
}

#[test]
fn a_caller_may_have_less_time_than_the_limits_give() {
    let sandbox = sandbox(Limits::default());
    let bad = load(&sandbox, "bad", common::MISBEHAVING);
    let time = Duration::from_millis(50);
    let error = bad.call_within(&forecast("loop", 1), time).unwrap_err();
    assert!(matches!(error.cause, Cause::Deadline(limit) if limit <= time), "{error}");
    assert!(bad.call_within(&forecast("", 1), Duration::MAX).is_ok());
    let error = bad.call_within(&forecast("", 1), Duration::ZERO).unwrap_err();
    assert!(matches!(error.cause, Cause::Busy(_) | Cause::Deadline(_)), "{error}");
}
