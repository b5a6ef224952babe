//! The commands, each in a module of its own.

pub(crate) mod apply;
pub(crate) mod backtest;
pub(crate) mod compile_worker;
pub(crate) mod demo;
pub(crate) mod evaluate;
mod file;
pub(crate) mod forecast;
pub(crate) mod plugin;
pub(crate) mod replay;
pub(crate) mod scale;
pub(crate) mod serve;
pub(crate) mod simulate;
