use std::marker::PhantomData;

use haggle_sdk::{
    Fault, Forecasting, Plugin,
    forecasting::{Fitted, Outlook, Panel, Task},
    metadata::Description,
    types::{CalendarEvent, Context, Series},
};

use crate::{
    method::Method,
    model::Model,
    outlook::{check_task, history_of},
};

/// A [`Method`] as a plugin that forecasts every series by itself. It has no configuration, because the data decide
/// every choice.
#[derive(Debug)]
pub struct Univariate<M>(PhantomData<M>);

const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {}
}"#;

impl<M: Method> Plugin for Univariate<M> {
    fn describe() -> Description {
        Description {
            name: M::NAME.into(),
            version: M::VERSION.into(),
            summary: M::SUMMARY.into(),
            configuration_schema: SCHEMA.into(),
        }
    }
}

impl<M: Method> Forecasting for Univariate<M> {
    fn fit(_: &Context, panel: &Panel, _: Option<&Fitted>) -> Result<Fitted, Fault> {
        let fit = |series: &Series| {
            let history = history_of(series)?;
            let model =
                Model::<M>::fit(history, &panel.seasons_steps, panel.horizon_steps, &panel.events);
            Ok(model.ok_or_else(no_value)?.to_bytes())
        };
        let models = panel.series.iter().map(fit).collect();
        // A model contains all past values that it needs.
        Ok(Fitted { shared: None, models, lookback_steps: Some(0) })
    }

    fn forecast(
        _: &Context,
        _: Option<&[u8]>,
        tasks: &[Task],
        events: &[CalendarEvent],
    ) -> Vec<Result<Outlook, Fault>> {
        tasks.iter().map(|task| answer::<M>(task, events, |_| Ok(()))).collect()
    }
}

/// Answers a task from its model or, if it has none, from a fit to its window with the seasons of the task. `ready`
/// is called with a model that was read, before that model is used.
///
/// # Errors
/// The errors of [`check_task`] and of `ready`; [`Fault::InsufficientData`] for a window without a value;
/// [`Fault::IncompatibleModel`] for bytes that are not such a model, and for a window that does not continue it.
pub fn answer<M: Method>(
    task: &Task,
    events: &[CalendarEvent],
    ready: impl FnOnce(&mut Model<M>) -> Result<(), Fault>,
) -> Result<Outlook, Fault> {
    let window = history_of(&task.series)?;
    check_task(task)?;
    let model = match task.model.as_deref() {
        None | Some([]) => Model::<M>::fit(window, &task.seasons_steps, task.horizon_steps, events)
            .ok_or_else(no_value)?,
        Some(bytes) => {
            let mut model = Model::<M>::from_bytes(bytes).map_err(|_| unreadable(M::NAME))?;
            ready(&mut model)?;
            if !model.resume(window, events) {
                return Err(discontinued(&task.series.id));
            }
            model
        }
    };
    Ok(model.outlook(task.horizon_steps, &task.levels, task.series.non_negative, events))
}

/// The fault of a series without any value.
#[must_use]
pub fn no_value() -> Fault {
    Fault::InsufficientData("no value is present: at least one is needed".into())
}

/// The fault of model bytes from another plugin or another version.
#[must_use]
pub fn unreadable(name: &str) -> Fault {
    Fault::IncompatibleModel(format!("these bytes are not a model of this {name}"))
}

/// The fault of a window that belongs to another series, or is too old or too new.
#[must_use]
pub fn discontinued(id: &str) -> Fault {
    let what = format!("series {id} does not continue what the model was fitted to");
    Fault::IncompatibleModel(what)
}
