use std::rc::Rc;

use haggle_forecasting::{
    Reader, Writer, check_task, discontinued, history_of, no_value, unreadable,
};
use haggle_gradient_boosting::Forest;
use haggle_sdk::{
    Fault, Forecasting, Plugin,
    forecasting::{Fitted, Outlook, Panel, Task},
    metadata::Description,
    types::{CalendarEvent, Context},
};

use crate::{FittedPanel, Model, fit};

/// The plugin. It has no configuration, because the data decide every choice.
#[derive(Debug)]
pub struct Ensemble;

const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {}
}"#;

impl Plugin for Ensemble {
    fn describe() -> Description {
        Description {
            name: "ensemble".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary:
                "Weighs several forecasters for every series by how well they would have forecast \
                      its past, with intervals from the errors they would have made together."
                    .into(),
            configuration_schema: SCHEMA.into(),
        }
    }
}

const TAG: [u8; 5] = *b"HGEF\x01";

impl Forecasting for Ensemble {
    fn fit(_: &Context, panel: &Panel, _: Option<&Fitted>) -> Result<Fitted, Fault> {
        let FittedPanel { forest, models } = fit(panel);
        let shared = forest.map(|forest| {
            let mut out = Writer::new(TAG);
            forest.write(&mut out);
            out.finish()
        });
        let bytes = |model: Result<Model, Fault>| model.map(|model| model.to_bytes());
        let models = models.into_iter().map(bytes).collect();
        // A model contains all past values that it needs.
        Ok(Fitted { shared, models, lookback_steps: Some(0) })
    }

    fn forecast(
        _: &Context,
        shared: Option<&[u8]>,
        tasks: &[Task],
        events: &[CalendarEvent],
    ) -> Vec<Result<Outlook, Fault>> {
        match shared.map(read).transpose() {
            Ok(forest) => tasks.iter().map(|task| outlook(task, forest.as_ref(), events)).collect(),
            Err(fault) => tasks.iter().map(|_| Err(fault.clone())).collect(),
        }
    }
}

fn read(bytes: &[u8]) -> Result<Rc<Forest>, Fault> {
    let forest = Reader::new(bytes, TAG).and_then(|mut rest| {
        let forest = Forest::read(&mut rest)?;
        rest.finish().map(|()| Rc::new(forest))
    });
    forest.map_err(|_| unreadable("ensemble"))
}

fn outlook(
    task: &Task,
    forest: Option<&Rc<Forest>>,
    events: &[CalendarEvent],
) -> Result<Outlook, Fault> {
    let window = history_of(&task.series)?;
    check_task(task)?;
    let model = match task.model.as_deref() {
        None | Some([]) => alone(task, events)?,
        Some(bytes) => {
            let mut model = Model::from_bytes(bytes).map_err(|_| unreadable("ensemble"))?;
            model.attach(forest)?;
            if !model.resume(window, events) {
                return Err(discontinued(&task.series.id));
            }
            model
        }
    };
    Ok(model.outlook(task.horizon_steps, &task.levels, task.series.non_negative, events))
}

/// Fits a series without a model as a panel of its own.
fn alone(task: &Task, events: &[CalendarEvent]) -> Result<Model, Fault> {
    let panel = Panel {
        series: vec![task.series.clone()],
        horizon_steps: task.horizon_steps,
        seasons_steps: task.seasons_steps.clone(),
        events: events.to_vec(),
    };
    fit(&panel).models.pop().unwrap_or_else(|| Err(no_value()))
}
