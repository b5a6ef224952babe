//! Facts in: samples as they arrive, and loads as they were recorded.
//!
//! [`Sample`] is one measurement, [`History`] the bounded memory of them and the regular series that
//! policies see. [`Trace`] is a recorded load for a backtest, [`read_panel`] any batch of series for a
//! forecast. Nothing here reads a clock: the present is an argument.

mod error;
mod failure;
mod history;
mod panel;
mod ring;
mod rows;
mod sample;
mod source;
mod table;
mod times;
mod trace;

pub use error::{FileError, TableError};
pub use failure::FailureReport;
pub use history::{Accepted, History, HistoryLimits, PushError, SeriesKey};
pub use panel::{PANEL_STEP, open_panel, read_panel};
pub use sample::{DEFAULT_METRIC, Sample, SampleError};
pub use source::Limits;
pub use trace::{Column, Trace};
