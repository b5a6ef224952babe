//! `haggle scale` and `haggle cancel`

use anyhow::{Context, bail};
use clap::{Args, builder::NonEmptyStringValueParser};
use haggle_control::{ScalingRequest, ScalingVerdict, Verdict};
use haggle_model::{Name, Quantities, Span, Timestamp, escaped};
use haggle_runtime::{Clock, SystemClock};
use serde_json::{Map, Value};

use crate::{client::Remote, output};

/// Request to scale a service; the host negotiates with everything that this depends on
///
/// Requires either --replicas or --load, but not both.
#[derive(Debug, Args)]
#[command(after_help = SCALE_EXAMPLES)]
pub(crate) struct Scale {
    /// The service
    service: Name,
    /// Requested number of replicas; required unless --load is given
    #[arg(long, required_unless_present = "load", conflicts_with = "load")]
    replicas: Option<u32>,
    /// Requested load; required unless --replicas is given. May be repeated for several resources
    #[arg(long, value_name = "RESOURCE=AMOUNT", value_parser = amount)]
    load: Vec<(String, String)>,
    /// Start time, such as 2026-12-24T18:00:00Z, or +2h for two hours from now; default: at once
    #[arg(long, value_name = "TIME", value_parser = begin)]
    start: Option<Timestamp>,
    /// Duration, such as 2h; default: as the policy says
    #[arg(long, value_name = "DURATION")]
    duration: Option<Span>,
    /// Time limit of the negotiation; default: as the policy says
    #[arg(long, value_name = "DURATION")]
    deadline: Option<Span>,
    /// Negotiate, but hold nothing and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the verdict as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

const SCALE_EXAMPLES: &str = "\
Succeeds where all or a part of it is agreed, and fails where it is denied.

Examples:
  haggle scale web --replicas 9
  haggle scale web --load requests_per_second=400 --duration 2h
  haggle scale web --replicas 80 --start 2026-12-24T18:00:00Z --duration 2h
  haggle scale web --replicas 80 --start +30m --duration 2h
  haggle scale web --replicas 30 --dry-run";

/// Cancel a scaling request
#[derive(Debug, Args)]
#[command(after_help = CANCEL_EXAMPLES)]
pub(crate) struct Cancel {
    /// The negotiation id that `haggle scale` printed
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    request: String,
    #[command(flatten)]
    remote: Remote,
}

const CANCEL_EXAMPLES: &str = "\
Examples:
  haggle cancel 7f0c1a52-000000000001";

impl Scale {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let load = (!self.load.is_empty()).then(|| quantities(&self.load)).transpose()?;
        let request = ScalingRequest {
            service: self.service,
            replicas: self.replicas,
            load,
            start: self.start,
            duration: self.duration,
            windows: None,
            deadline: self.deadline,
            dry_run: self.dry_run,
        };
        let verdict: ScalingVerdict =
            self.remote.connect().ask("/v1/scaling-requests", &request)?;
        if self.json {
            output::json(&verdict)?;
        }
        if verdict.verdict == Verdict::Denied {
            bail!("{}", text(&verdict));
        }
        if self.json { Ok(()) } else { output::line(text(&verdict)) }
    }
}

impl Cancel {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        self.remote.connect().delete(&format!("/v1/scaling-requests/{}", self.request))?;
        output::line(format_args!("{} is cancelled", self.request))
    }
}

fn begin(text: &str) -> Result<Timestamp, String> {
    let time = match text.strip_prefix('+') {
        Some(ahead) => ahead.parse::<Span>().map(|ahead| SystemClock.now() + ahead),
        None => text.parse(),
    };
    time.map_err(|error| error.to_string())
}

fn amount(text: &str) -> Result<(String, String), String> {
    let parts = text
        .split_once('=')
        .filter(|(resource, amount)| !resource.is_empty() && !amount.is_empty());
    let (resource, amount) = parts.ok_or("it must look like requests_per_second=400")?;
    Ok((resource.to_owned(), amount.to_owned()))
}

fn quantities(amounts: &[(String, String)]) -> anyhow::Result<Quantities> {
    let mut all = Map::new();
    for (resource, amount) in amounts {
        if all.insert(resource.clone(), Value::String(amount.clone())).is_some() {
            bail!("--load names {resource} twice");
        }
    }
    serde_json::from_value(all.into()).context("--load")
}

/// The verdict as text: what is granted, until when, why not more, and how to cancel it.
fn text(verdict: &ScalingVerdict) -> String {
    let ScalingVerdict { service, from, to, window, .. } = verdict;
    let would = if verdict.dry_run { "would get" } else { "gets" };
    let mut text = match verdict.verdict {
        Verdict::Approved => format!("approved: {service} {would} {to} replicas (now {from})"),
        Verdict::Reduced => format!("reduced: {service} {would} {to} replicas (now {from})"),
        Verdict::Denied => format!("denied: {service} keeps what it has"),
    };
    if verdict.verdict != Verdict::Denied {
        text.push_str(&format!(" from {} to {}", window.start, window.end));
    }
    for reason in &verdict.reasons {
        text.push_str(&format!("\n  {}: {}", reason.participant, escaped(&reason.text)));
    }
    if verdict.verdict != Verdict::Denied && !verdict.dry_run {
        text.push_str(&format!("\n  until then: haggle cancel {}", verdict.negotiation));
    }
    text
}

#[cfg(test)]
mod tests {
    use haggle_model::Resource;

    use super::{amount, begin, quantities};

    #[test]
    fn a_time_is_a_moment_or_some_time_ahead() {
        let moment = begin("2026-12-24T18:00:00Z").unwrap();
        assert_eq!(moment.to_string(), "2026-12-24T18:00:00Z");
        assert!(begin("+2h").unwrap() > begin("+1h 59m").unwrap());
        for wrong in ["2h", "+", "+-2h", "+ever", "tomorrow"] {
            assert!(begin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_load_is_read_as_in_a_document() {
        let load = ["requests_per_second=400", "cpu_cores=500m"].map(|text| amount(text).unwrap());
        let load = quantities(&load).unwrap();
        assert_eq!(load.get(Resource::RequestsPerSecond), 400.0);
        assert_eq!(load.get(Resource::CpuCores), 0.5);
        for wrong in ["", "requests_per_second", "=4", "cpu_cores="] {
            assert!(amount(wrong).is_err(), "{wrong}");
        }
        for wrong in ["apples=4", "cpu_cores=many", "cpu_cores=-1"] {
            let error = quantities(&[amount(wrong).unwrap()]).unwrap_err();
            assert_eq!(error.to_string(), "--load", "{error:#}");
        }
        let twice = ["cpu_cores=1", "cpu_cores=2"].map(|text| amount(text).unwrap());
        assert!(quantities(&twice).unwrap_err().to_string().contains("twice"));
    }
}
