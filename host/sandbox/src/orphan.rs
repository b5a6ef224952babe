//! Ends a worker with the host that started it, however the host ends.

use std::io::Read;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// The exit code of a worker whose host is gone.
const ORPHANED: i32 = 3;

/// Ends this process when the host ends. The host started it and holds the other end of its standard input.
///
/// # Errors
/// A text when the kernel refuses, or the host is already gone.
pub(crate) fn end_with(host: u32) -> Result<(), String> {
    end_by_signal(host)?;
    end_by_input()
}

/// Asks the kernel to kill this process when the thread that started it ends. That thread waits for this
/// process as long as the host lives.
#[cfg(target_os = "linux")]
pub(crate) fn end_by_signal(host: u32) -> Result<(), String> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| error.to_string())?;
    // The host may have ended before the signal was set.
    let parent = getppid().map(Pid::as_raw_nonzero).map(std::num::NonZeroI32::get);
    if parent.and_then(|parent| u32::try_from(parent).ok()) == Some(host) {
        Ok(())
    } else {
        Err(format!("the host, process {host}, is gone"))
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn end_by_signal(_: u32) -> Result<(), String> {
    Ok(())
}

/// Ends this process when its standard input closes: nothing is ever written to it, and it closes when the
/// host ends. It works on every system, but only while other threads get to run.
pub(crate) fn end_by_input() -> Result<(), String> {
    let watch = || {
        let mut nothing = [0];
        // A read error counts as the end, too.
        while let Ok(1..) = std::io::stdin().read(&mut nothing) {}
        std::process::exit(ORPHANED);
    };
    let thread = std::thread::Builder::new().name("watch for the host".to_owned());
    thread.spawn(watch).map(drop).map_err(|error| error.to_string())
}
