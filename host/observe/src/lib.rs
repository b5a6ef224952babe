//! Input data: samples as they arrive, and recorded loads.
//!
//! [`Sample`] is one measurement; [`History`] stores recent samples and computes the regular series that
//! policies use. [`Trace`] is a recorded load for a backtest; [`read_panel`] reads any batch of series for a
//! forecast. Nothing here reads a clock: the current time is an argument.

mod accepted;
mod daylight;
mod error;
mod failure;
mod growth;
mod history;
mod layout;
mod options;
mod panel;
mod ring;
mod rows;
mod sample;
mod series_key;
mod source;
mod table;
mod times;
mod trace;

pub use accepted::{Accepted, CounterSeries, LeftOut};
pub use error::{FileError, TableError};
pub use failure::FailureReport;
pub use history::{History, HistoryLimits, Level, PushError};
pub use options::{FileOptions, InvalidZone, Layout, Readings, Zone};
pub use panel::{PANEL_STEP, open_panel, read_panel};
pub use sample::{DEFAULT_METRIC, Sample, SampleError};
pub use series_key::SeriesKey;
pub use source::Limits;
pub use trace::{Column, Trace};
