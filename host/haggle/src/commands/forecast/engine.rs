//! Fits and forecasts, batch by batch, on all cores.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::Context as _;
use haggle_model::CalendarEvent;
use haggle_sandbox::{
    CallError, CallOutcome, Cause, Fit, Forecast, Function, Generation, LogLevel,
    forecasting::{Fitted, Outlook, Panel, Task},
    since,
    types::{Context, Fault},
};
use rayon::prelude::*;

use super::{events::told, subject::Subject};
use crate::progress::Progress;

/// Levels of the prediction intervals in the result.
pub(in crate::commands) const LEVELS: [f64; 2] = [0.8, 0.95];

/// Number of series in one `forecast` call: enough to amortize the call, few enough to use all cores.
const TASKS: usize = 64;

/// A forecast, or the reason why there is none.
pub(in crate::commands) type Outcome = Result<Outlook, String>;

/// The parameters that all series share.
pub(in crate::commands) struct Engine<'a> {
    pub(in crate::commands) generation: &'a Generation,
    pub(in crate::commands) configuration: &'a str,
    pub(in crate::commands) seed: u64,
    pub(in crate::commands) horizon: u32,
    /// Season lengths in steps, ascending.
    pub(in crate::commands) seasons: &'a [u32],
    pub(in crate::commands) events: &'a [CalendarEvent],
    /// Advances twice per series: when it is fitted and when it is forecast.
    pub(in crate::commands) progress: &'a Progress,
    /// CPU time of the calls so far, summed over all cores, in nanoseconds.
    pub(in crate::commands) spent: &'a AtomicU64,
}

/// The result of fitting one batch.
struct Models {
    shared: Option<Vec<u8>>,
    /// One for each series of the batch.
    own: Vec<Model>,
    lookback: Option<u32>,
}

/// The model of one series, or the reason why there is none.
type Model = Result<Vec<u8>, String>;

/// The input of one forecast call: the series, their own models, and the models shared by their batch.
type Call<'a> = (&'a [Subject], &'a [Model], &'a Models);

impl Engine<'_> {
    /// Returns one outcome for each series, in the order of the batches.
    ///
    /// # Errors
    /// When a whole call fails, because then the plugin is broken and not a series.
    pub(in crate::commands) fn run(&self, batches: &[&[Subject]]) -> anyhow::Result<Vec<Outcome>> {
        let advance = |series: usize| self.progress.add(series as u64);
        let models: Vec<Models> = batches
            .par_iter()
            .map(|batch| self.fit(batch).inspect(|_| advance(batch.len())))
            .collect::<anyhow::Result<_>>()?;
        let calls: Vec<Call<'_>> = batches
            .iter()
            .zip(&models)
            .flat_map(|(batch, models)| {
                let parts = batch.chunks(TASKS).zip(models.own.chunks(TASKS));
                parts.map(move |(part, own)| (part, own, models))
            })
            .collect();
        let outcomes: Vec<Vec<Outcome>> = calls
            .into_par_iter()
            .map(|(part, own, panel)| {
                self.forecast(part, own, panel).inspect(|_| advance(part.len()))
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(outcomes.into_iter().flatten().collect())
    }

    fn fit(&self, batch: &[Subject]) -> anyhow::Result<Models> {
        let panel = Panel {
            series: batch.iter().map(|subject| subject.series.clone()).collect(),
            horizon_steps: self.horizon,
            seasons_steps: self.seasons.to_vec(),
            events: told(self.events, batch, self.horizon),
        };
        let fit = Fit { context: self.context(batch), panel, previous: None };
        match self.call(&fit) {
            Ok(Fitted { shared, models, lookback_steps: lookback }) => {
                let own = models.into_iter().map(|model| model.map_err(|why| reason(&why)));
                Ok(Models { shared, own: own.collect(), lookback })
            }
            // The plugin cannot fit this batch; it may still forecast without a model.
            Err(CallError { cause: Cause::Fault(fault), .. }) => {
                let own = batch.iter().map(|_| Err(reason(&fault))).collect();
                Ok(Models { shared: None, own, lookback: None })
            }
            Err(error) => Err(error).with_context(|| format!("cannot fit {}", range(batch))),
        }
    }

    fn forecast(
        &self,
        batch: &[Subject],
        own: &[Model],
        panel: &Models,
    ) -> anyhow::Result<Vec<Outcome>> {
        let tasks = batch.iter().zip(own).map(|(subject, model)| {
            let lookback = model.as_ref().ok().and(panel.lookback);
            Task {
                series: since(subject.series.clone(), subject.end, lookback),
                model: model.as_ref().ok().cloned(),
                horizon_steps: self.horizon,
                seasons_steps: self.seasons.to_vec(),
                levels: LEVELS.to_vec(),
            }
        });
        let forecast = Forecast {
            context: self.context(batch),
            shared: panel.shared.clone(),
            tasks: tasks.collect(),
            events: told(self.events, batch, self.horizon),
        };
        let answers =
            self.call(&forecast).with_context(|| format!("cannot forecast {}", range(batch)))?;
        let outcomes = answers.into_iter().zip(own).map(|(answer, model)| {
            answer.map_err(|fault| match model {
                Err(unfitted) if *unfitted != reason(&fault) => {
                    format!("{} (and no model: {unfitted})", reason(&fault))
                }
                _ => reason(&fault),
            })
        });
        Ok(outcomes.collect())
    }

    fn context(&self, batch: &[Subject]) -> Context {
        let now = batch.iter().map(|subject| subject.end).max().unwrap_or_default();
        Context { now_ms: now, seed: self.seed, configuration: self.configuration.to_owned() }
    }

    fn call<F: Function>(&self, function: &F) -> Result<F::Answer, CallError> {
        // The call runs on the calling thread.
        let began = on_processor();
        let called = self.generation.call(function);
        let spent = on_processor().saturating_sub(began).as_nanos();
        let spent = u64::try_from(spent).unwrap_or(u64::MAX);
        self.spent.fetch_add(spent, Ordering::Relaxed);
        let CallOutcome { answer, log, log_dropped, .. } = called?;
        for line in log {
            let (plugin, message) = (self.generation.plugin(), line.message);
            match line.level {
                LogLevel::Debug => tracing::debug!(plugin, "{message}"),
                LogLevel::Info => tracing::info!(plugin, "{message}"),
                LogLevel::Warn => tracing::warn!(plugin, "{message}"),
                LogLevel::Error => tracing::error!(plugin, "{message}"),
            }
        }
        if log_dropped > 0 {
            tracing::warn!(plugin = self.generation.plugin(), log_dropped, "it logs too much");
        }
        Ok(answer)
    }
}

/// CPU time of the current thread, which excludes the work of other threads.
fn on_processor() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn reason(fault: &Fault) -> String {
    match fault {
        Fault::InvalidInput(why) => format!("the plugin does not accept it: {why}"),
        Fault::InsufficientData(why) => format!("too little history: {why}"),
        Fault::IncompatibleModel(why) => format!("the plugin does not read its own model: {why}"),
        Fault::Internal(why) => format!("the plugin failed: {why}"),
    }
}

/// Describes the series of a batch in errors.
fn range(batch: &[Subject]) -> String {
    match batch {
        [] => "nothing".to_owned(),
        [only] => format!("series {}", only.series.id),
        [first, .., last] => {
            format!("the {} series from {} to {}", batch.len(), first.series.id, last.series.id)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Subject, range};
    use haggle_model::{Series, Span, Timestamp};

    fn subject(id: &str, values: &[f64]) -> Subject {
        let (start, step) = (Timestamp::from_millis(1000), Span::from_millis(10));
        Subject::new((id.to_owned(), Series { start, step, values: values.to_vec() }))
    }

    #[test]
    fn what_was_never_negative_is_not_forecast_to_be() {
        assert!(subject("a", &[0.0, f64::NAN, 3.0]).series.non_negative);
        assert!(!subject("a", &[0.0, -1.0]).series.non_negative);
        assert!(!subject("a", &[f64::NAN]).series.non_negative);
        assert_eq!(subject("a", &[1.0, 2.0]).end, 1020);
    }

    #[test]
    fn a_batch_is_named_by_its_ends() {
        let all = [subject("a", &[1.0]), subject("b", &[1.0]), subject("c", &[1.0])];
        assert_eq!(range(&all), "the 3 series from a to c");
        assert_eq!(range(&all[..1]), "series a");
    }
}
