//! Suggestions to try while the demo runs.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context;
use haggle_builtin::EXAMPLE;
use haggle_model::{Name, ScalingPolicy};
use haggle_runtime::Host;
use serde_json::Value;

/// The scaling policy that the shop follows.
const POLICY: &str = "shop";

/// Writes the example plugin to the path that the hints name.
pub(super) fn write_example(data: &Path) -> anyhow::Result<PathBuf> {
    let path = data.join(format!("{}.wasm", EXAMPLE.name));
    fs::write(&path, EXAMPLE.bytes).with_context(|| format!("cannot write {}", path.display()))?;
    fs::canonicalize(&path).with_context(|| format!("cannot find {}", path.display()))
}

/// Commands to copy.
pub(super) fn text(host: &Host, address: SocketAddr, example: &Path) -> anyhow::Result<String> {
    let url = format!("http://{address}/v1");
    let (plugin, file) = (EXAMPLE.name, quoted(&example.display().to_string()));
    let state = host.snapshot();
    let current = state.catalog().policy(&Name::new(POLICY)?)?;
    let mut changed = ScalingPolicy::clone(current);
    changed.forecasting.plugin = Name::new(plugin)?;
    let (changed, current) = (short(&changed)?, short(current)?);
    let json = "-H 'content-type: application/json'";
    Ok(format!(
        "A shop of six services on three providers; a minute of it takes a quarter of a second.
Try, in another terminal:

  curl -s {url}/services/web
  curl -s {url}/forecasts/checkout
  curl -s {url}/scaling-requests {json} -d '{{\"service\": \"web\", \"replicas\": 30, \"dry_run\": true}}'
  curl -N {url}/events

Load a plugin while it runs, and have the shop use it:

  curl -sT {file} {url}/plugins/{plugin}
  curl -s -X PUT {url}/policies/{POLICY} {json} -d '{changed}'

And back to the built-in one:

  curl -s -X PUT {url}/policies/{POLICY} {json} -d '{current}'
"
    ))
}

/// A policy without the fields that equal the defaults.
fn short(policy: &ScalingPolicy) -> anyhow::Result<Value> {
    let usual = ScalingPolicy { name: policy.name.clone(), ..ScalingPolicy::default() };
    let given = serde_json::to_value(policy).context("the policy cannot be written")?;
    let usual = serde_json::to_value(usual).context("the policy cannot be written")?;
    Ok(difference(given, &usual).unwrap_or_else(|| Value::Object(serde_json::Map::new())))
}

/// The parts of `given` that differ from `usual`.
fn difference(given: Value, usual: &Value) -> Option<Value> {
    match given {
        given if given == *usual => None,
        Value::Object(fields) if usual.is_object() => {
            let different = fields.into_iter().filter_map(|(name, value)| {
                let usual = usual.get(&name).unwrap_or(&Value::Null);
                difference(value, usual).map(|value| (name, value))
            });
            Some(Value::Object(different.collect()))
        }
        given => Some(given),
    }
}

/// Quotes a path for a shell.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::{quoted, short};
    use haggle_model::{Name, ScalingPolicy, Span};

    #[test]
    fn a_policy_is_shown_by_what_is_special_about_it() {
        let mut policy =
            ScalingPolicy { name: Name::new("shop").unwrap(), ..ScalingPolicy::default() };
        assert_eq!(short(&policy).unwrap().to_string(), "{}");
        policy.forecasting.plugin = Name::new("mine").unwrap();
        policy.forecasting.seasons = vec![Span::from_mins(60)];
        let shown = short(&policy).unwrap();
        assert_eq!(shown.to_string(), r#"{"forecasting":{"plugin":"mine","seasons":["1h"]}}"#);
        let mut whole = shown;
        whole["name"] = "shop".into();
        assert_eq!(serde_json::from_value::<ScalingPolicy>(whole).unwrap(), policy);
    }

    #[test]
    fn a_path_is_quoted_where_it_must_be() {
        assert_eq!(quoted("/tmp/a-b_1.wasm"), "/tmp/a-b_1.wasm");
        assert_eq!(quoted("/tmp/it's here"), r"'/tmp/it'\''s here'");
    }
}
