//! What is not taken, and why; what is taken, and how it is swapped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use common::{EXAMPLE, MISBEHAVING, forecast, generation, load, sandbox, small};
use haggle_sandbox::{
    Cause, Compiler, ConfigurationError, Generation, Grant, Limits, Load, LoadError, Options,
    Refusal, Role, Sandbox,
};

fn try_load(sandbox: &Sandbox, bytes: &[u8], configuration: &str) -> Result<Generation, LoadError> {
    sandbox.load(Load { plugin: "new", generation: 3, bytes, configuration, grants: &[] })
}

fn refused(bytes: &[u8]) -> Refusal {
    match try_load(&sandbox(small()), bytes, "{}").unwrap_err() {
        LoadError::Refused(refusal) => refusal,
        other => panic!("{other}"),
    }
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn exports_that_are_missing_or_wrong_are_named() {
    let nothing = refused(&component("(component)"));
    assert!(matches!(nothing, Refusal::NoRole { .. }), "{nothing}");
    let anonymous = component(
        r#"(component (instance $i) (export "haggle:plugin/tiering@0.2.0" (instance $i)))"#,
    );
    assert!(matches!(refused(&anonymous), Refusal::NoMetadata));
    let newer = component(
        r#"(component (instance $i) (export "haggle:plugin/tiering@9.0.0" (instance $i)))"#,
    );
    assert!(refused(&newer).to_string().contains("tiering@9.0.0"));
    let older = component(
        r#"(component (instance $i) (export "haggle:policy/tiering@0.1.0" (instance $i)))"#,
    );
    let refused_older = refused(&older).to_string();
    assert!(refused_older.contains("haggle:policy/tiering@0.1.0"), "{refused_older}");
    assert!(refused_older.contains("haggle:plugin/*@0.2.0"), "{refused_older}");
    let hollow = component(
        r#"(component (instance $i)
            (export "haggle:plugin/tiering@0.2.0" (instance $i))
            (export "haggle:plugin/metadata@0.2.0" (instance $i)))"#,
    );
    let error = try_load(&sandbox(small()), &hollow, "{}").unwrap_err();
    let expected = |error: &LoadError| {
        matches!(error, LoadError::Refused(Refusal::NoMetadata) | LoadError::Mismatch { .. })
    };
    assert!(expected(&error), "{error}");
}

#[test]
fn an_import_that_is_not_granted_is_named() {
    let curious = component(
        r#"(component
            (import "wasi:http/outgoing-handler@0.2.0" (instance $http (export "f" (func))))
            (instance $i)
            (export "haggle:plugin/tiering@0.2.0" (instance $i))
            (export "haggle:plugin/metadata@0.2.0" (instance $i)))"#,
    );
    let error = try_load(&sandbox(small()), &curious, "{}").unwrap_err();
    assert!(matches!(error, LoadError::Import(_)), "{error}");
    assert!(error.to_string().contains("wasi:http/outgoing-handler"), "{error}");
}

#[test]
fn damaged_bytes_are_refused_whole() {
    for length in (0..EXAMPLE.len()).step_by(EXAMPLE.len() / 50) {
        let error = refused(&EXAMPLE[..length]);
        let damaged = matches!(error, Refusal::NotWasm(_) | Refusal::Invalid(_));
        // Between two sections it is whole, but exports less.
        let lacking = matches!(error, Refusal::NoRole { .. } | Refusal::NoMetadata);
        assert!(damaged || lacking, "{length}: {error}");
    }
}

#[test]
fn an_upload_may_not_be_too_large() {
    let limits = Limits { upload_bytes: EXAMPLE.len() - 1, ..small() };
    let error = try_load(&sandbox(limits), EXAMPLE, "{}").unwrap_err();
    assert!(error.to_string().contains("limits.upload_bytes"), "{error}");
}

#[test]
fn what_takes_too_long_to_compile_is_stopped() {
    // A worker that never ends stands for a module that is slow to compile.
    let compiler = Compiler::Worker {
        program: "/bin/sh".into(),
        args: ["-c".into(), "sleep 600".into()].into(),
    };
    let limits = Limits { compile_ms: 100, ..small() };
    let sandbox = Sandbox::new(Options { limits, compiler, cache: None }).unwrap();
    let error = try_load(&sandbox, EXAMPLE, "{}").unwrap_err();
    assert!(matches!(error, LoadError::CompileTime { .. }), "{error}");
}

#[test]
fn a_compiler_that_dies_takes_nobody_along() {
    let compiler = Compiler::Worker {
        program: "/bin/sh".into(),
        args: ["-c".into(), "echo out of memory >&2; exit 3".into()].into(),
    };
    let sandbox = Sandbox::new(Options { limits: small(), compiler, cache: None }).unwrap();
    let error = try_load(&sandbox, EXAMPLE, "{}").unwrap_err().to_string();
    assert!(error.contains("out of memory"), "{error}");
}

/// Loads a plugin that does this when it is tried out.
fn try_deed(deed: &str) -> Result<Generation, LoadError> {
    try_load(&sandbox(small()), MISBEHAVING, &format!("{{\"now\":\"{deed}\"}}"))
}

#[test]
fn a_plugin_that_misbehaves_at_once_is_not_taken() {
    for (deed, says) in [
        ("loop", "fuel"),
        ("trap", "told to"),
        ("nan", "a mean is NaN"),
        ("negative", "a mean is -1, and the series is never negative"),
        ("inverted", "wrong way round"),
        ("first", "item 0: a mean is NaN"),
        ("count", "5 outlooks"),
    ] {
        let error = try_deed(deed).unwrap_err();
        assert!(matches!(error, LoadError::Conformance(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains(says) && text.contains("plugin new generation 3"), "{text}");
    }
}

#[test]
fn a_plugin_that_declines_all_of_an_ordinary_batch_is_not_taken() {
    for function in ["fit", "forecast", "learn", "assess", "respond", "make-bids", "rank", "assign"]
    {
        let error = try_deed(&format!("decline {function}")).unwrap_err();
        let LoadError::Conformance(call) = &error else { panic!("{error}") };
        assert!(matches!(call.cause, Cause::DeclinedAll(_) | Cause::Fault(_)), "{error}");
        assert!(call.function.ends_with(function), "{error}");
        assert!(error.to_string().contains("told to decline"), "{error}");
    }
    for function in ["forecast", "assess", "respond", "make-bids", "rank", "assign"] {
        assert!(try_deed(&format!("lack {function}")).is_err(), "{function}");
    }
    // A small batch may be too little to learn from.
    for function in ["fit", "learn", "learning"] {
        try_deed(&format!("lack {function}")).unwrap();
    }
}

#[test]
fn a_configuration_fits_the_plugins_schema() {
    let sandbox = sandbox(small());
    let tiers = haggle_builtin::BUILTIN.iter().find(|builtin| builtin.name == "slo-tiers").unwrap();
    try_load(&sandbox, tiers.bytes, r#"{"floor": 0.5}"#).unwrap();
    for (configuration, says) in [
        (r#"{"floor": 3}"#, "/floor is 3: it must be at most 1"),
        (r#"{"flor": 1}"#, "/flor is not known; known are: fast_burn, floor"),
        ("[]", "the whole of it is []: it must be an object"),
        ("{", "not JSON"),
    ] {
        let error = try_load(&sandbox, tiers.bytes, configuration).unwrap_err();
        assert!(matches!(error, LoadError::Configuration(_)), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let deep = "[".repeat(60_000);
    let error = try_load(&sandbox, tiers.bytes, &deep).unwrap_err();
    let too_deep = |error: &LoadError| {
        matches!(error, LoadError::Configuration(ConfigurationError::TooDeep { .. }))
    };
    assert!(too_deep(&error), "{error}");
}

#[test]
fn roles_are_what_is_exported() {
    let sandbox = sandbox(small());
    let all = load(&sandbox, "all", MISBEHAVING);
    assert_eq!(all.roles().len(), 6);
    assert_eq!(all.description().name, "misbehaving");
    let one = load(&sandbox, "one", EXAMPLE);
    assert_eq!(one.roles().iter().copied().collect::<Vec<_>>(), [Role::Forecasting]);
}

#[test]
fn a_directory_that_is_not_there_cannot_be_granted() {
    let grants = [Grant { host: "/no/such/directory".into(), guest: "/data".into() }];
    let load =
        Load { plugin: "new", generation: 1, bytes: EXAMPLE, configuration: "{}", grants: &grants };
    let error = sandbox(small()).load(load).unwrap_err().to_string();
    assert!(error.contains("/no/such/directory"), "{error}");
}

#[test]
fn compiled_code_is_found_again_and_damage_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let sandbox = |compiler| {
        Sandbox::new(Options { limits: small(), compiler, cache: Some(cache.clone()) }).unwrap()
    };
    load(&sandbox(Compiler::InProcess), "it", EXAMPLE);
    // From here on there is no compiler.
    let none = || Compiler::Worker { program: "/bin/false".into(), args: Vec::new() };
    load(&sandbox(none()), "it", EXAMPLE);
    for file in std::fs::read_dir(&cache).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "cwasm") {
            continue;
        }
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    }
    assert!(try_load(&sandbox(none()), EXAMPLE, "{}").is_err());
    load(&sandbox(Compiler::InProcess), "it", EXAMPLE);
}

#[test]
fn what_killed_hosts_left_in_the_cache_is_removed_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join("compiling-left");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("upload.wasm"), "some").unwrap();
    let cache = Some(folder.path().to_owned());
    let options = Options { limits: small(), compiler: Compiler::InProcess, cache };
    Sandbox::new(options).unwrap();
    assert!(!left.exists());
}

#[test]
fn two_hundred_swaps_under_load_lose_no_call_and_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Some(folder.path().join("cache"));
    let sandbox =
        Sandbox::new(Options { limits: small(), compiler: Compiler::InProcess, cache }).unwrap();
    let deciding = ArcSwap::from_pointee(generation(&sandbox, "it", 1, EXAMPLE));
    let (done, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut memory = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut newest = 0;
                while !done.load(Ordering::Relaxed) {
                    let current = deciding.load_full();
                    // Whoever saw a generation never sees an older one.
                    assert!(current.number() >= newest, "{} after {newest}", current.number());
                    newest = current.number();
                    let answer = current.call(&forecast("", 3)).unwrap().answer;
                    let outlook = answer.into_iter().next().unwrap().unwrap();
                    // The two components answer differently, so the answer shows who gave it.
                    let misbehaving = newest % 2 == 0;
                    assert_eq!(outlook.mean[0] == 1.0, misbehaving, "generation {newest}");
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for number in 2..=201 {
            let bytes = if number % 2 == 0 { MISBEHAVING } else { EXAMPLE };
            deciding.store(Arc::new(generation(&sandbox, "it", number, bytes)));
            memory.push(resident_kib());
            std::thread::sleep(Duration::from_millis(1));
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(calls.load(Ordering::Relaxed) > 200, "the load was no load");
    let (early, late) = (memory[49], memory[199]);
    assert!(late < early + 8 * 1024, "{early} KiB after 50 swaps, {late} KiB after 200");
}

/// What the process takes of the machine's memory.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
