//! Log lines for the operator.
//!
//! The host bounds the length and the number of the lines; it drops and counts further ones. In native builds,
//! where there is no host, they are written to standard error.

/// A message for the author of the plugin.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// A message about normal operation.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// A message about a problem despite which the plugin decided.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// A message about a problem because of which the plugin could not decide.
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

/// Logs the message of a panic before the panic becomes a trap, which carries no message.
#[cfg(target_arch = "wasm32")]
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|panic| error(&panic.to_string())));
}

/// A native panic reports itself.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn report_panics() {}
