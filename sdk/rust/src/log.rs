//! Lines for the operator.
//!
//! Lines are bounded in length and number by the host; more are dropped and counted. In native builds,
//! where there is no host, they go to standard error.

/// For whoever writes the plugin.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// For the record.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// Something is not as it should be, and the plugin decided all the same.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// Something is wrong, and the plugin could not decide.
pub fn error(message: &str) {
    write(Level::Error, message);
}

use crate::bindings::vocabulary::haggle::plugin::log::Level;

#[cfg(target_arch = "wasm32")]
fn write(level: Level, message: &str) {
    crate::bindings::vocabulary::haggle::plugin::log::write(level, message);
}

#[cfg(not(target_arch = "wasm32"))]
fn write(level: Level, message: &str) {
    eprintln!("{level:?}: {message}");
}

/// Leaves a panic's message with the operator before it becomes a trap, which has none.
#[cfg(target_arch = "wasm32")]
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|panic| error(&panic.to_string())));
}

/// A native panic reports itself.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn report_panics() {}
