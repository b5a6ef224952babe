//! A worker ends with the host that started it, however that ends.

use std::io::Read;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// What a worker whose host is gone exits with. Nobody is left to look at it.
const ORPHANED: i32 = 3;

/// Ends this process when the host does, which started it and holds the other end of its standard input.
///
/// # Errors
/// A text, where the kernel refuses or the host is gone already.
pub(crate) fn end_with(host: u32) -> Result<(), String> {
    end_by_signal(host)?;
    end_by_input()
}

/// Has the kernel end this process with the thread that started it, which waits for it as long as the host
/// lives.
#[cfg(target_os = "linux")]
pub(crate) fn end_by_signal(host: u32) -> Result<(), String> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| error.to_string())?;
    // The host may have ended before there was a signal to send.
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

/// Ends this process when its standard input does: nothing is ever written to it, and it is closed when the
/// host is gone. It works everywhere, but only as long as other threads get to run.
pub(crate) fn end_by_input() -> Result<(), String> {
    let watch = || {
        let mut nothing = [0];
        // An error is an end, too.
        while let Ok(1..) = std::io::stdin().read(&mut nothing) {}
        std::process::exit(ORPHANED);
    };
    let thread = std::thread::Builder::new().name("watch for the host".to_owned());
    thread.spawn(watch).map(drop).map_err(|error| error.to_string())
}
