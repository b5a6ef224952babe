use haggle_sdk::{
    FailurePrediction, Fault, Plugin,
    failure_prediction::{Example, Risk, Vitals},
    metadata::Description,
    types::Context,
};

use crate::{Model, assess, learn};

/// The plugin. It has no configuration.
#[derive(Debug)]
pub struct LogisticFailure;

const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {}
}"#;

impl Plugin for LogisticFailure {
    fn describe() -> Description {
        Description {
            name: "logistic-failure".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary:
                "Logistic regression on the recent course of every metric, which keeps learning \
                      and recalibrates itself by the predictions it made."
                    .into(),
            configuration_schema: SCHEMA.into(),
        }
    }
}

impl FailurePrediction for LogisticFailure {
    fn learn(
        _: &Context,
        model: Option<&[u8]>,
        horizon_ms: u64,
        examples: &[Example],
    ) -> Result<Vec<u8>, Fault> {
        let mut model = match model {
            None | Some([]) => Model { horizon_ms, ..Model::default() },
            Some(bytes) => read(bytes, horizon_ms)?,
        };
        if !examples.is_empty() {
            learn(&mut model, examples);
        }
        Ok(model.to_bytes())
    }

    fn assess(
        _: &Context,
        model: Option<&[u8]>,
        horizon_ms: u64,
        instances: &[Vitals],
    ) -> Vec<Result<Risk, Fault>> {
        let model = match model {
            None | Some([]) => Err(untaught()),
            Some(bytes) => read(bytes, horizon_ms),
        };
        let model = model.and_then(|m| if m.examples >= 1.0 { Ok(m) } else { Err(untaught()) });
        match model {
            Ok(model) => instances.iter().map(|vitals| Ok(assess(&model, vitals))).collect(),
            Err(fault) => instances.iter().map(|_| Err(fault.clone())).collect(),
        }
    }
}

fn untaught() -> Fault {
    Fault::InsufficientData("nothing was learnt yet: at least one example is needed".into())
}

fn read(bytes: &[u8], horizon_ms: u64) -> Result<Model, Fault> {
    let unreadable = |_| "these bytes are not a model of logistic-failure 1".to_owned();
    let model = Model::from_bytes(bytes).map_err(unreadable).map_err(Fault::IncompatibleModel)?;
    if model.horizon_ms != horizon_ms {
        return Err(Fault::IncompatibleModel(format!(
            "the model looks {} ms ahead, and {horizon_ms} ms are asked for",
            model.horizon_ms
        )));
    }
    Ok(model)
}
