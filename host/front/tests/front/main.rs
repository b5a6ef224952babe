//! The front over real sockets.

mod bounds;
mod pages;
mod support;
