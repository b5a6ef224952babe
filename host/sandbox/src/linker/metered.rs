//! Tests both sides of the meter together: metered components in a host that reads the meter.

use haggle_metering::instrument;
use wasmtime::{Config, Engine, Store, component::Component};

use super::pure;
use crate::{Limits, meter::Stopped, state::State};

/// Functions of one number each; `spin` calls nothing, `call` calls in its loop, `fill` fills this many
/// bytes.
const MODULE: &str = r#"
    (memory (export "memory") 16)
    (global $unrelated (mut i32) (i32.const 7))
    (func $callee (param i32) (result i32) (i32.sub (local.get 0) (i32.const 1)))
    (func (export "p#spin") (param i32) (result i32)
      (block $out
        (loop $turn
          (br_if $out (i32.eqz (local.get 0)))
          (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
          (br $turn)))
      (global.get $unrelated))
    (func (export "p#call") (param i32) (result i32)
      (loop $turn
        (local.set 0 (call $callee (local.get 0)))
        (br_if $turn (local.get 0)))
      (global.get $unrelated))
    (func (export "p#fill") (param i32) (result i32)
      (memory.fill (i32.const 0) (i32.const 1) (local.get 0))
      (i32.load8_u (i32.const 0)))
"#;

const FUNCTIONS: [&str; 3] = ["spin", "call", "fill"];

fn lifted() -> String {
    let lift = |name: &&str| {
        format!(
            r#"(func $lifted-{name} (param "n" u32) (result u32) (canon lift (core func $i "p#{name}")))
               (export "{name}" (func $lifted-{name}))"#
        )
    };
    let functions: Vec<String> = FUNCTIONS.iter().map(lift).collect();
    format!(
        "(core module $m {MODULE}) (core instance $i (instantiate $m)) {}",
        functions.join("\n")
    )
}

/// Calls a function and returns its result and its metered cost.
fn run(wat: &str, limits: Limits, function: &str, n: u32) -> wasmtime::Result<(u32, u64)> {
    let engine = Engine::new(Config::new().wasm_branch_hinting(true)).unwrap();
    let metered = instrument(&wat::parse_str(wat).unwrap()).unwrap();
    let component = Component::new(&engine, metered).unwrap();
    let linker = pure(&engine).unwrap();
    let mut store = Store::new(&engine, State::new(limits, None));
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let function = instance.get_typed_func::<(u32,), (u32,)>(&mut store, function)?;
    let (answer,) = function.call(&mut store, (n,))?;
    Ok((answer, store.data().meter.spent()))
}

fn plain(function: &str, n: u32) -> (u32, u64) {
    run(&format!("(component {})", lifted()), Limits::default(), function, n).unwrap()
}

fn stopped(limits: Limits, function: &str) -> Stopped {
    let error = run(&format!("(component {})", lifted()), limits, function, u32::MAX).unwrap_err();
    *error.downcast_ref().unwrap()
}

#[test]
fn every_turn_of_a_loop_costs_the_same_whatever_is_looked_at() {
    // The instructions, plus one for the iteration and one for the call.
    for (function, cost) in [("spin", 8 + 1), ("call", 5 + 1 + 3 + 1)] {
        let (answer, ten) = plain(function, 10);
        assert_eq!(answer, 7);
        for turns in [11, 20, 100_000, 1_000_000] {
            let expected = ten + (u64::from(turns) - 10) * cost;
            assert_eq!(plain(function, turns), (7, expected), "{function} {turns}");
        }
    }
}

#[test]
fn what_fills_memory_costs_by_the_bytes() {
    let (answer, little) = plain("fill", 0);
    assert_eq!(answer, 0);
    assert_eq!(plain("fill", 1 << 20), (1, little + (1 << 16)));
}

#[test]
fn nothing_is_tidied_up_after_a_call_but_within_a_composition() {
    let inner = r#"
        (core module $m
          (func (export "p#it") (param i32) (result i32) (local.get 0))
          (func (export "p#it_post") (param i32) unreachable))
        (core instance $i (instantiate $m))
        (func $it (param "n" u32) (result u32)
          (canon lift (core func $i "p#it") (post-return (core func $i "p#it_post"))))
        (export "it" (func $it))"#;
    let called = |wat: &str| run(wat, Limits::default(), "it", 5).map(|(answer, _)| answer);
    assert_eq!(called(&format!("(component {inner})")).unwrap(), 5);
    let outer = r#"(instance $c (instantiate $c)) (export "it" (func $c "it"))"#;
    assert!(called(&format!("(component (component $c {inner}) {outer})")).is_err());
}

#[test]
fn a_loop_ends_when_its_fuel_is_used_up_or_its_time() {
    let fuel = Limits { fuel: 1_000_000, ..Limits::default() };
    let time = Limits { fuel: u64::MAX, deadline_ms: 20, ..Limits::default() };
    for function in ["spin", "call"] {
        assert_eq!(stopped(fuel, function), Stopped::Fuel);
    }
    assert_eq!(stopped(time, "spin"), Stopped::Deadline);
}

#[test]
fn fuel_is_enough_to_the_last_unit() {
    let wat = format!("(component {})", lifted());
    let (_, spent) = plain("spin", 1000);
    let with = |fuel| run(&wat, Limits { fuel, ..Limits::default() }, "spin", 1000);
    assert!(with(spent).is_ok());
    assert!(with(spent - 1).is_err());
}

#[test]
fn components_within_components_are_metered_too() {
    let inner = lifted();
    let wat = format!(
        r#"(component
             (component $inner
               (type $t u32)
               (component $innermost {inner})
               (instance $it (instantiate $innermost))
               (alias export $it "spin" (func $spin))
               (export "spin" (func $spin)))
             (instance $it (instantiate $inner))
             (export "spin" (func $it "spin")))"#
    );
    assert_eq!(run(&wat, Limits::default(), "spin", 1000).unwrap(), plain("spin", 1000));
    let little = Limits { fuel: 100, ..Limits::default() };
    assert!(run(&wat, little, "spin", 1000).is_err());
}

/// While arguments are passed, the guest must not call the host: an allocator that runs long is not
/// interrupted, one that runs forever is stopped.
#[test]
fn allocators_are_counted_aside() {
    let engine = Engine::new(Config::new().wasm_branch_hinting(true)).unwrap();
    let run = |turns: u64| {
        let wat = format!(
            r#"(component
                 (core module $m
                   (memory (export "memory") 1)
                   (func $idle)
                   (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                     (local $n i64)
                     (local.set $n (i64.const {turns}))
                     (loop $turn
                       (call $idle)
                       (local.set $n (i64.sub (local.get $n) (i64.const 1)))
                       (br_if $turn (i64.ne (local.get $n) (i64.const 0))))
                     (i32.const 0))
                   (func (export "p#take") (param i32 i32)))
                 (core instance $i (instantiate $m))
                 (func (export "take") (param "text" string)
                   (canon lift (core func $i "p#take") (memory $i "memory")
                     (realloc (func $i "cabi_realloc")))))"#
        );
        let metered = instrument(&wat::parse_str(wat).unwrap()).unwrap();
        let component = Component::new(&engine, metered).unwrap();
        let linker = pure(&engine).unwrap();
        let mut store = Store::new(&engine, State::new(Limits::default(), None));
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let take = instance.get_typed_func::<(&str,), ()>(&mut store, "take").unwrap();
        take.call(&mut store, ("a",)).map(|()| store.data().meter.spent())
    };
    let some = run(1_000_000).unwrap();
    assert!(some > 8_000_000, "{some}");
    assert!(run(u64::MAX).is_err());
}

#[test]
fn time_that_no_clock_can_hold_is_no_deadline() {
    let limits = Limits { deadline_ms: u64::MAX, ..Limits::default() };
    let wat = format!("(component {})", lifted());
    assert!(run(&wat, limits, "spin", 10).is_ok());
}

#[test]
fn a_backtrace_names_the_functions_that_the_component_names() {
    let wat = r#"(component
        (core module $m
          (func $innermost (unreachable))
          (func (param i32) (result i32) (call $innermost) (local.get 0))
          (func $outermost (export "p#it") (param i32) (result i32) (call 1 (local.get 0))))
        (core instance $i (instantiate $m))
        (func $it (param "n" u32) (result u32) (canon lift (core func $i "p#it")))
        (export "it" (func $it)))"#;
    let error = run(wat, Limits::default(), "it", 5).unwrap_err();
    // The outermost function is the one that reports the count.
    let expected = ["innermost", "function 2", "outermost", "function 4"];
    assert_eq!(crate::call::backtrace(&error), expected);
}
