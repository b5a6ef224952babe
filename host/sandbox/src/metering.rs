//! Metering, compiled into the guest: every core module of a component counts the instructions that it
//! executes, and shows its count to the host now and then, which knows the budget and the deadline.
//!
//! The compiler could do that itself, but its counter may be refilled at every turn of every loop, and what a
//! loop holds in registers has to survive that: numeric loops ran at half their speed. So there are two ways
//! to look at the count:
//!
//! - Where functions begin, and in loops that call something, the count is *shown* once it has passed
//!   [`SLICE`]: the host adds it up, looks at the clock and lets the guest go on.
//! - In loops that call nothing it is compared with the *limit* that the host gave last. A guest that
//!   passes it does not come back: its fuel is used up, or no processor executes so much before its
//!   deadline. Nothing has to survive, so the loop keeps its registers.
//!
//! The count is an over-estimate: a turn of a loop, or a call of a function, counts its dearest path, outside
//! of inner loops; what copies or fills memory counts by the bytes. It is the same in every repetition,
//! whatever the processor. A loop whose turns hardly ever take that path may so pass the limit long before
//! its deadline; then the host repeats the call, which comes to the same, with a limit for that pace.
//!
//! The count and the limit are globals of a small module of their own, which all core modules of a component
//! share. A guest cannot reach them: they have no index that it could name.

mod component;
mod function;
mod module;
mod stretch;

/// What the guest imports: an interface with the function [`SHOW`], `func(count: s64) -> s64`, which takes
/// the instructions counted since the last time and returns the limit. A guest that has passed the limit
/// shows the complement of its count, and does not go on.
pub(crate) const METER: &str = "haggle:sandbox/meter";
/// See [`METER`].
pub(crate) const SHOW: &str = "show";
/// Where a count begins: so far that the first function that is called shows it and learns the limit.
pub(crate) const START: i64 = 1 << 62;
/// Counts up to this are not shown: some tens of microseconds.
pub(crate) const SLICE: i64 = 100_000;
/// Compiled code of another version is of no use.
pub(crate) const VERSION: u32 = 4;

/// Builds the meter into a component. It must be valid.
///
/// # Errors
/// A text, where the component is of a kind that cannot be rewritten.
pub(crate) fn instrument(component: &[u8]) -> Result<Vec<u8>, String> {
    component::instrument(component).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
