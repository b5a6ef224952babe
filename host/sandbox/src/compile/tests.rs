//! The worker is this test program itself, started with the name of one of the ignored tests below.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use super::Compiler;
use crate::{
    error::{LoadError, Refusal},
    limits::Limits,
    orphan,
    worker::compile_worker,
};

const EXAMPLE: &[u8] = haggle_builtin::EXAMPLE.bytes;

/// A compiler that starts one of the tests below as its worker.
fn compiler(test: &str) -> Compiler {
    let name = format!("{}::{test}", module_path!().trim_start_matches("haggle_sandbox::"));
    let args = ["--ignored", "--nocapture", "--exact", &name];
    let program = std::env::current_exe().unwrap();
    Compiler::Worker { program, args: args.map(Into::into).to_vec() }
}

/// The worker's folder; `None` if a person runs the ignored tests.
fn folder() -> Option<PathBuf> {
    let last = PathBuf::from(std::env::args_os().next_back()?);
    last.is_dir().then_some(last)
}

fn inspect(test: &str, upload: &[u8]) -> Result<crate::Inspection, LoadError> {
    compiler(test).inspect(upload, &Limits::default())
}

#[test]
#[ignore = "the worker of the others"]
fn as_worker() {
    let Some(folder) = folder() else { return };
    compile_worker(&folder).unwrap();
}

#[test]
#[ignore = "the worker of one that overflows its stack"]
fn as_overflowing() {
    fn recurse(n: u64) -> u64 {
        if n == 0 { 0 } else { std::hint::black_box(recurse(std::hint::black_box(n) - 1)) + 1 }
    }
    if folder().is_some() {
        recurse(u64::MAX);
    }
}

#[test]
#[ignore = "the worker of one that replies nonsense"]
fn as_lying() {
    let Some(folder) = folder() else { return };
    fs::write(folder.join(super::REPLY), vec![0xff; super::MOST_REPLY as usize + 1]).unwrap();
}

#[test]
#[ignore = "a worker that never ends by itself, and ends with its host in one of two ways"]
fn as_stuck() {
    let Some(folder) = folder() else { return };
    // The host of this worker wrote the socket and the way to end.
    let way = fs::read_to_string(folder.join(super::UPLOAD)).unwrap();
    let (socket, way) = way.split_once('\n').unwrap();
    let task: super::Task =
        postcard::from_bytes(&fs::read(folder.join(super::TASK)).unwrap()).unwrap();
    match way {
        "signal" => orphan::end_by_signal(task.host).unwrap(),
        _ => orphan::end_by_input().unwrap(),
    }
    let mut test = UnixStream::connect(socket).unwrap();
    test.write_all(b"!").unwrap();
    // Blocks until it is killed: nothing is ever written to the socket.
    drop(test.read(&mut [0]));
}

#[test]
#[ignore = "a host that is killed while its worker works"]
fn as_host() {
    let Some(folder) = folder() else { return };
    let upload = fs::read(folder.join("way")).unwrap();
    drop(compiler("as_stuck").look(&upload, &Limits::default(), Some(&folder), false));
}

#[test]
fn a_worker_says_what_an_upload_is() {
    let found = inspect("as_worker", EXAMPLE).unwrap();
    let here = Compiler::InProcess.inspect(EXAMPLE, &Limits::default()).unwrap();
    assert_eq!(found, here);
    assert_eq!(found.roles.len(), 1);
}

#[test]
fn what_is_wrong_with_an_upload_comes_back_from_the_worker() {
    let damaged = inspect("as_worker", &EXAMPLE[..1000]).unwrap_err();
    assert!(matches!(damaged, LoadError::Refused(Refusal::Invalid(_))), "{damaged}");
    let nested = crate::nesting::tests::nested_types(0x42, 20_000);
    let refused = inspect("as_worker", &nested).unwrap_err();
    assert!(matches!(refused, LoadError::Refused(Refusal::TooDeep { .. })), "{refused}");
}

#[test]
fn a_worker_that_dies_costs_its_upload_only_and_the_error_says_so() {
    let error = inspect("as_overflowing", EXAMPLE).unwrap_err();
    let LoadError::WorkerDied { status, said } = &error else { panic!("{error}") };
    assert!(status.contains("signal: 6"), "{status}");
    assert!(said.contains("overflowed its stack"), "{said}");
}

#[test]
fn a_reply_is_read_as_far_as_it_may_be_long() {
    let error = inspect("as_lying", EXAMPLE).unwrap_err();
    assert!(matches!(error, LoadError::Refused(Refusal::Invalid(_))), "{error}");
}

#[test]
fn a_worker_ends_with_a_host_that_is_killed() {
    for way in ["signal", "input"] {
        let folder = tempfile::tempdir().unwrap();
        ends_with_its_host(folder.path(), way);
        // The next host sweeps what this one left.
        let left = |folder: &Path| {
            fs::read_dir(folder).unwrap().flatten().filter(|e| e.path().is_dir()).count()
        };
        assert_eq!(left(folder.path()), 1);
        crate::work::WorkFolder::sweep(folder.path()).unwrap();
        assert_eq!(left(folder.path()), 0);
    }
}

fn ends_with_its_host(folder: &Path, way: &str) {
    let socket = folder.join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    fs::write(folder.join("way"), format!("{}\n{way}", socket.display())).unwrap();
    let Compiler::Worker { program, mut args } = compiler("as_host") else { unreachable!() };
    args.push(folder.into());
    let mut host = Command::new(program);
    let mut host = host.args(args).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let (mut worker, _) = listener.accept().unwrap();
    worker.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    worker.read_exact(&mut [0]).unwrap();
    host.kill().unwrap();
    host.wait().unwrap();
    // The worker's end of the connection closes when the worker is gone.
    assert_eq!(worker.read(&mut [0]).unwrap(), 0, "the worker still runs ({way})");
}

#[test]
fn a_worker_whose_host_is_gone_already_does_not_begin() {
    let nobody = std::process::id();
    // This process is not its own parent.
    assert!(orphan::end_by_signal(nobody).is_err());
    rustix::process::set_parent_process_death_signal(None).unwrap();
}
