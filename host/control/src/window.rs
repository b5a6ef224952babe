//! Scaling requests and their windows.

use haggle_model::{Name, Quantities, Service, Span, Timestamp, Window};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The maximum number of windows in a scaling request.
const MOST_WINDOWS: usize = 100;

/// The maximum time that a request may reach ahead: a year.
const REACH: Span = Span::from_mins(366 * 24 * 60);

/// The maximum deadline of a request.
const MOST_DEADLINE: Span = Span::from_mins(60);

/// A request to scale a service: either `replicas` or `load`, now or later, for one or several windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScalingRequest {
    /// The service.
    pub service: Name,
    /// The requested number of replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// The requested load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Quantities>,
    /// The beginning; the default is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// The length. Without it, the request lasts for the policy's lease time, and longer while the need of
    /// the service is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// Several windows instead of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<Vec<ScalingWindow>>,
    /// The maximum time for the negotiation, at most an hour. The default is that of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
    /// Whether this is a dry run, which changes nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// One window of a scaling request: either `end` or `duration`, and either `replicas` or `load`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScalingWindow {
    /// The beginning; the default is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// The end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// The length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// The requested number of replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// The requested load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Quantities>,
}

/// The reasons for which a scaling request is invalid. `place` is the position of the error: empty, or
/// `windows[2]: `.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScalingError {
    /// The request specifies neither `replicas` nor `load`, or both.
    #[error("{place}the scaling request is unclear: give either `replicas` or `load`")]
    Unclear {
        /// The position.
        place: String,
    },
    /// The service does not serve the requested load.
    #[error(
        "{place}`load` ({load}) names nothing that {service} has capacity for ({capacity}): ask for an amount above 0 of that"
    )]
    NotServed {
        /// The position.
        place: String,
        /// The service.
        service: Name,
        /// The requested load.
        load: Box<Quantities>,
        /// The capacity of one replica.
        capacity: Box<Quantities>,
    },
    /// The request has `windows` and a field that belongs into them.
    #[error("the scaling request has `windows` and `{field}`: move `{field}` into the windows")]
    Mixed {
        /// The field.
        field: &'static str,
    },
    /// The request has no windows, or too many.
    #[error("`windows` has {0} entries: give 1 to {most}", most = MOST_WINDOWS)]
    Count(usize),
    /// A window has neither `end` nor `duration`, or both.
    #[error("{place}give either `end` or `duration`")]
    End {
        /// The position.
        place: String,
    },
    /// The window begins in the past.
    #[error("{place}`start` is {start}, which is past at {now}: leave it out to begin now")]
    Past {
        /// The position.
        place: String,
        /// The given beginning.
        start: Timestamp,
        /// The current time.
        now: Timestamp,
    },
    /// The window ends before it begins.
    #[error("{place}it begins at {start} and ends at {end}: it must end later")]
    Empty {
        /// The position.
        place: String,
        /// The beginning.
        start: Timestamp,
        /// The end.
        end: Timestamp,
    },
    /// The window is too far ahead.
    #[error("{place}it reaches until {end}: it must be over by {latest}")]
    Far {
        /// The position.
        place: String,
        /// The end.
        end: Timestamp,
        /// The latest valid end.
        latest: Timestamp,
    },
    /// Two windows overlap.
    #[error("windows[{first}] and windows[{second}] overlap: let one end before the other begins")]
    Overlap {
        /// The index of the window that begins first.
        first: usize,
        /// The index of the other window.
        second: usize,
    },
    /// The deadline is out of range.
    #[error("`deadline` is {0}: it must lie between 1ms and {most}", most = MOST_DEADLINE)]
    Deadline(Span),
}

/// One requested window.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    place: String,
    asks: ScalingWindow,
}

impl ScalingRequest {
    /// The requested windows, after validation against the service.
    pub(crate) fn wanted(
        &self,
        service: &Service,
        now: Timestamp,
    ) -> Result<Vec<Wanted>, ScalingError> {
        if let Some(deadline) = self.deadline.filter(|d| d.is_zero() || *d > MOST_DEADLINE) {
            return Err(ScalingError::Deadline(deadline));
        }
        let Self { replicas, load, start, duration, windows, .. } = self;
        let Some(windows) = windows else {
            let (start, duration, load) = (*start, *duration, load.clone());
            let asks = ScalingWindow { start, end: None, duration, replicas: *replicas, load };
            return Ok(vec![Wanted::new(String::new(), asks, service, now)?]);
        };
        let beside = [
            ("replicas", replicas.is_some()),
            ("load", load.is_some()),
            ("start", start.is_some()),
            ("duration", duration.is_some()),
        ];
        if let Some((field, _)) = beside.into_iter().find(|(_, is_given)| *is_given) {
            return Err(ScalingError::Mixed { field });
        }
        if windows.is_empty() || windows.len() > MOST_WINDOWS {
            return Err(ScalingError::Count(windows.len()));
        }
        let mut all = Vec::new();
        for (n, asks) in windows.iter().enumerate() {
            let place = format!("windows[{n}]: ");
            if asks.end.is_some() == asks.duration.is_some() {
                return Err(ScalingError::End { place });
            }
            all.push(Wanted::new(place, asks.clone(), service, now)?);
        }
        apart(&all, now)?;
        Ok(all)
    }
}

impl Wanted {
    /// Validates one window.
    pub(crate) fn new(
        place: String,
        asks: ScalingWindow,
        service: &Service,
        now: Timestamp,
    ) -> Result<Self, ScalingError> {
        let wanted = Self { place, asks };
        wanted.check(service, now)?;
        Ok(wanted)
    }

    /// Whether the window has a fixed end.
    pub(crate) const fn is_definite(&self) -> bool {
        self.asks.end.is_some() || self.asks.duration.is_some()
    }

    /// The requested window. Its length is `otherwise` if the request gives neither an end nor a duration.
    pub(crate) fn window(&self, now: Timestamp, otherwise: Span) -> Window {
        let start = self.asks.start.map_or(now, |start| start.max(now));
        let end = self.asks.end.unwrap_or(start + self.asks.duration.unwrap_or(otherwise));
        Window { start, end }
    }

    /// The load that the service is to carry.
    pub(crate) fn load(&self, service: &Service, utilization: f64) -> Quantities {
        match (self.asks.replicas, &self.asks.load) {
            (Some(replicas), _) => service.carries(replicas).scaled(utilization),
            (None, load) => load.clone().unwrap_or_default(),
        }
    }

    fn check(&self, service: &Service, now: Timestamp) -> Result<(), ScalingError> {
        let place = || self.place.clone();
        if self.asks.replicas.is_some() == self.asks.load.is_some() {
            return Err(ScalingError::Unclear { place: place() });
        }
        if let Some(load) = &self.asks.load {
            let capacity = &service.replica.capacity;
            let served = |(resource, amount)| amount > 0.0 && capacity.get(resource) > 0.0;
            if !load.iter().any(served) {
                return Err(ScalingError::NotServed {
                    place: place(),
                    service: service.name.clone(),
                    load: Box::new(load.clone()),
                    capacity: Box::new(capacity.clone()),
                });
            }
        }
        if let Some(start) = self.asks.start.filter(|start| *start < now) {
            return Err(ScalingError::Past { place: place(), start, now });
        }
        if !self.is_definite() && self.asks.start.is_none() {
            return Ok(());
        }
        let Window { start, end } = self.window(now, Span::from_millis(1));
        if end <= start {
            return Err(ScalingError::Empty { place: place(), start, end });
        }
        let latest = now + REACH;
        if end > latest {
            return Err(ScalingError::Far { place: place(), end, latest });
        }
        Ok(())
    }
}

/// Checks that no two windows overlap.
fn apart(all: &[Wanted], now: Timestamp) -> Result<(), ScalingError> {
    let windows = all.iter().map(|wanted| wanted.window(now, Span::ZERO));
    let mut windows: Vec<(Window, usize)> = windows.zip(0..).collect();
    windows.sort();
    for ((first, a), (second, b)) in windows.iter().zip(windows.iter().skip(1)) {
        if first.overlaps(second) {
            return Err(ScalingError::Overlap { first: *a, second: *b });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use haggle_model::Timestamp;
    use serde_json::{Value, json};

    use super::{ScalingRequest, Wanted};
    use crate::testing::service;

    fn read(request: Value) -> Result<Vec<Wanted>, String> {
        let mut request = request;
        request["service"] = json!("web");
        let request: ScalingRequest = serde_json::from_value(request).unwrap();
        let now = Timestamp::from_millis(10_000);
        request.wanted(&service("web"), now).map_err(|error| error.to_string())
    }

    #[test]
    fn says_what_is_wrong_where() {
        let windows = |all: Value| json!({ "windows": all });
        let many: Vec<Value> =
            (0..101).map(|n| json!({"start": 20 + n, "end": 21 + n, "replicas": 1})).collect();
        for (request, says) in [
            (json!({}), "`replicas` or `load`"),
            (json!({"replicas": 1, "load": {"requests_per_second": 1}}), "`replicas` or `load`"),
            (json!({"load": {"gpu_count": 1}}), "names nothing that web has capacity for"),
            (
                json!({"load": {"requests_per_second": 0}}),
                "names nothing that web has capacity for",
            ),
            (json!({"replicas": 1, "deadline": "2h"}), "`deadline` is 2h: it must lie between"),
            (json!({"replicas": 1, "deadline": "0s"}), "`deadline` is"),
            (json!({"replicas": 1, "start": 9.999}), "`start` is 1970-01-01T00:00:09.999Z"),
            (json!({"replicas": 1, "duration": "0s"}), "must end later"),
            (json!({"replicas": 1, "start": 20, "duration": "0s"}), "must end later"),
            (json!({"replicas": 1, "start": 20, "duration": "367d"}), "must be over by 1971"),
            (json!({"replicas": 1, "start": "2031-01-01T00:00:00Z"}), "must be over by 1971"),
            (json!({"replicas": 1, "windows": []}), "move `replicas`"),
            (json!({"duration": "1m", "windows": []}), "move `duration`"),
            (windows(json!([])), "`windows` has 0 entries: give 1 to 100"),
            (windows(json!(many)), "101 entries"),
            (windows(json!([{"replicas": 1}])), "windows[0]: give either `end` or `duration`"),
            (
                windows(json!([{"replicas": 1, "duration": "1s", "end": 20}])),
                "windows[0]: give either",
            ),
            (windows(json!([{"duration": "1s"}])), "windows[0]: the scaling request is unclear"),
            (
                windows(json!([
                    {"duration": "1s", "replicas": 1},
                    {"start": 20, "duration": "1s", "load": {"gpu_count": 3}},
                ])),
                "windows[1]: `load` (",
            ),
            (
                windows(
                    json!([{"duration": "1s", "replicas": 1}, {"start": 5, "duration": "1s", "replicas": 1}]),
                ),
                "windows[1]: `start` is",
            ),
            (
                windows(json!([{"start": 30, "end": 20, "replicas": 1}])),
                "windows[0]: it begins at 1970-01-01T00:00:30Z and ends at 1970-01-01T00:00:20Z",
            ),
            (
                windows(json!([
                    {"start": 30, "duration": "10s", "replicas": 1},
                    {"duration": "5s", "replicas": 1},
                    {"start": 39.999, "duration": "10s", "replicas": 1},
                ])),
                "windows[0] and windows[2] overlap",
            ),
        ] {
            let error = read(request.clone()).unwrap_err();
            assert!(error.contains(says), "{request}: {error}");
        }
    }

    #[test]
    fn windows_may_follow_each_other_at_once() {
        let both = json!([
            {"start": 30, "duration": "10s", "replicas": 1},
            {"start": 20, "end": 30, "load": {"requests_per_second": 5}},
        ]);
        assert_eq!(read(json!({ "windows": both })).unwrap().len(), 2);
        assert!(!read(json!({"replicas": 0})).unwrap()[0].is_definite());
    }
}
