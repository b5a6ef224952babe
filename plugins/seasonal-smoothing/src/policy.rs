use haggle_sdk::{
    Fault, Forecaster, Policy,
    forecasting::{Fitted, Outlook, Panel, Task},
    metadata::Description,
    types::{Context, Event, Series},
};

use crate::{History, MOST_STEPS, Model};

/// The policy. It has nothing to configure: what there is to choose, it chooses by the data.
#[derive(Debug)]
pub struct SeasonalSmoothing;

const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {}
}"#;

impl Policy for SeasonalSmoothing {
    fn describe() -> Description {
        Description {
            name: "seasonal-smoothing".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary:
                "Exponential smoothing with damped trend and up to two seasons, chosen by how well \
                      the past would have been forecast, with intervals from the errors made."
                    .into(),
            configuration_schema: SCHEMA.into(),
        }
    }
}

impl Forecaster for SeasonalSmoothing {
    fn fit(_: &Context, panel: &Panel, _: Option<&Fitted>) -> Result<Fitted, Fault> {
        let fit = |series: &Series| {
            let history = history(series)?;
            let model = Model::fit(history, &panel.seasons, panel.horizon).ok_or_else(empty)?;
            Ok(model.to_bytes())
        };
        Ok(Fitted { shared: None, per_series: panel.series.iter().map(fit).collect() })
    }

    fn forecast(
        _: &Context,
        _: Option<&[u8]>,
        tasks: &[Task],
        _: &[Event],
    ) -> Vec<Result<Outlook, Fault>> {
        tasks.iter().map(outlook).collect()
    }
}

fn outlook(task: &Task) -> Result<Outlook, Fault> {
    let window = history(&task.series)?;
    if task.horizon == 0 || task.horizon > MOST_STEPS {
        let most = format!("the horizon is {}: it must be 1 to {MOST_STEPS}", task.horizon);
        return Err(Fault::InvalidInput(most));
    }
    if let Some(level) = task.levels.iter().find(|level| !(**level > 0.0 && **level < 1.0)) {
        let between = format!("a level is {level}: it must lie strictly between 0 and 1");
        return Err(Fault::InvalidInput(between));
    }
    let model = match task.model.as_deref() {
        None | Some([]) => Model::fit(window, &[], task.horizon).ok_or_else(empty)?,
        Some(bytes) => {
            let unreadable = |_| "these bytes are not a model of seasonal-smoothing 1".to_owned();
            let model = Model::from_bytes(bytes).map_err(unreadable);
            let mut model = model.map_err(Fault::IncompatibleModel)?;
            if !model.resume(window) {
                return Err(Fault::IncompatibleModel(format!(
                    "series {} does not continue what the model was fitted to",
                    task.series.id
                )));
            }
            model
        }
    };
    Ok(model.outlook(task.horizon, &task.levels, task.series.non_negative))
}

fn history(series: &Series) -> Result<History<'_>, Fault> {
    if series.step == 0 {
        return Err(Fault::InvalidInput(format!("series {}: the step is 0", series.id)));
    }
    Ok(History { values: &series.values, start: series.start, step: series.step })
}

fn empty() -> Fault {
    Fault::InsufficientData("no value is present: at least one is needed".into())
}
