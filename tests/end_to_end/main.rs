//! The real binary over real HTTP with real components.

#![allow(unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod api;
mod bad_answers;
mod command_line;
mod crash;
mod forecasts;
mod full_disk;
mod negotiation;
mod negotiation_crash;
mod opening;
mod party;
mod plugins;
mod reserving;
mod server;
mod silence;
mod stopping;
mod words;
