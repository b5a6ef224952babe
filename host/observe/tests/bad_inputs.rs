//! Inputs that make no sense, each with the message that it gets. None is taken in silence as something else.

use std::fmt::Write;

use haggle_model::{
    CalendarEvent, Name, Provider, Quantities, ScalingPolicy, Service, Span, Strict, Timestamp,
};
use haggle_observe::{FileOptions, History, HistoryLimits, Sample, Trace, Zone, read_panel};
use serde::de::DeserializeOwned;

fn read<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    serde_json::from_str(json).map(|Strict(value)| value).map_err(|error| error.to_string())
}

fn check<E: ToString>(found: &mut Vec<String>, what: &str, result: Result<(), E>, says: &str) {
    let message = match result {
        Ok(()) => "nothing".to_owned(),
        Err(error) => error.to_string(),
    };
    if !message.contains(says) {
        found.push(format!("{what}\n  gave {message}\n  not  {says}"));
    }
}

fn none<T>(_: T) {}

#[test]
fn durations_and_times() {
    let mut wrong = Vec::new();
    let durations = [
        ("300", "300 is not a duration: write 300s or 5m"),
        ("0", "write 0s"),
        ("45", "write 45s"),
        ("1.5", "write 1s 500ms"),
        ("-5", "a number with a unit"),
        (r#""300""#, "write 300s or 5m"),
        (r#""1.5h""#, "use whole numbers with units"),
        (r#""5 m""#, "use whole numbers with units"),
        (r#""5y""#, "use whole numbers with units"),
        (r#""5M""#, "use whole numbers with units"),
        (r#""PT5M""#, "use whole numbers with units"),
        (r#""4000d""#, "at most 3650d"),
        (r#""""#, "is not a duration"),
        ("true", "a duration with a unit"),
        ("null", "a duration with a unit"),
    ];
    for (json, says) in durations {
        check(&mut wrong, json, read::<Span>(json).map(none), says);
    }
    let times = [
        ("-1", "is not negative"),
        ("20260102", "may be a date without separators"),
        ("202601020304", "may be a date without separators"),
        ("1767323045000000", "divide microseconds by 1000"),
        ("1767323045000000000", "nanoseconds by 1000000"),
        ("1e300", "too late"),
        (r#""2026-01-31T12:00:00""#, "use RFC 3339"),
        (r#""2026-01-31""#, "use RFC 3339"),
        (r#""31.01.2026 12:00""#, "use RFC 3339"),
        (r#""2026-02-30T12:00:00Z""#, "use RFC 3339"),
        (r#""2026-01-31T12:00:00+25:00""#, "an offset lies between -23:59 and +23:59"),
        (r#""2026-01-31T23:59:60Z""#, "seconds go from 00 to 59"),
        (r#""2026-01-31T12:00:00.0000000001Z""#, "at most 9 digits"),
        (r#""1969-12-31T00:00:00Z""#, "from 1970 to 9999"),
        (r#""tomorrow""#, "use RFC 3339"),
        ("false", "a time in RFC 3339"),
    ];
    for (json, says) in times {
        check(&mut wrong, json, read::<Timestamp>(json).map(none), says);
    }
    let zones = [("Berlin", "such as Europe/Berlin"), ("+25:00", "or an offset"), ("", "UTC")];
    for (text, says) in zones {
        check(&mut wrong, text, text.parse::<Zone>().map(none), says);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn amounts_and_documents() {
    let mut wrong = Vec::new();
    let amounts = [
        (r#"{"cpu_cores": -1}"#, "must lie between 0 and 1e15"),
        (r#"{"cpu_cores": 1e16}"#, "must lie between 0 and 1e15"),
        (r#"{"cpu_cores": "010"}"#, "write 10"),
        (r#"{"cpu_cores": "0x10"}"#, "is not an amount"),
        (r#"{"cpu_cores": "1_000"}"#, "is not an amount"),
        (r#"{"cpu_cores": "1,5"}"#, "is not an amount"),
        (r#"{"cpu_cores": "NaN"}"#, "is not an amount"),
        (r#"{"memory_bytes": "512MB"}"#, "is not an amount"),
        (r#"{"memory_bytes": "512mi"}"#, "is not an amount"),
        (r#"{"memory_bytes": null}"#, "an amount such as 0.5, 500m or 512Mi"),
        (r#"{"memory_bytes": [1]}"#, "an amount such as 0.5, 500m or 512Mi"),
        (r#"{"cores": 1}"#, "use one of cpu_cores, memory_bytes"),
        (r#"{"memory": "1Gi"}"#, "use one of cpu_cores, memory_bytes"),
        (r#"{"cpu_cores": 1, "cpu-cores": 2}"#, "twice"),
    ];
    for (json, says) in amounts {
        check(&mut wrong, json, read::<Quantities>(json).map(none), says);
    }
    let services = [
        (
            r#"{"requests": {"memory_bytes": "512m"}, "capacity": {"requests_per_second": 1}}"#,
            "512M or 512Mi?",
        ),
        (
            r#"{"requests": {"gpu_count": "500m"}, "capacity": {"requests_per_second": 1}}"#,
            "a whole number",
        ),
        (
            r#"{"requests": {"cpu_cores": "512Mi"}, "capacity": {"requests_per_second": 1}}"#,
            "at most 1000000",
        ),
        (
            r#"{"requests": {"storage_bytes": 0.5}, "capacity": {"requests_per_second": 1}}"#,
            "thousandth",
        ),
        (r#"{"capacity": {"gpu_count": 0.5}}"#, "replica.capacity.gpu_count"),
        (r#"{"capacity": {}}"#, "names no amount above 0"),
        (r#"{"capacity": {"requests_per_second": 0}}"#, "names no amount above 0"),
        (r#"{"capacity": {"requests_per_second": 1}, "startup": 45}"#, "write 45s"),
        (r#"{"capacity": {"requests_per_second": 1}, "startup": "31d"}"#, "at most 30d"),
    ];
    for (replica, says) in services {
        let json = format!(r#"{{"name": "web", "replica": {replica}}}"#);
        let result = read::<Service>(&json)
            .and_then(|service| service.validate().map_err(|error| error.to_string()));
        check(&mut wrong, &json, result, says);
    }
    let units = [
        (r#""resources": {"memory_bytes": "1024m"}, "cost_per_hour": 1"#, "1024M or 1024Mi?"),
        (r#""resources": {"gpu_count": 1.5}, "cost_per_hour": 1"#, "a whole number"),
        (r#""resources": {"cpu_cores": 4}, "cost_per_hour": -1"#, "between 0 and 1e9"),
        (
            r#""resources": {"cpu_cores": 4}, "cost_per_hour": 1, "count": 1.5"#,
            "a whole number from 0",
        ),
        (
            r#""resources": {"cpu_cores": 4}, "cost_per_hour": 1, "count": "2""#,
            "a whole number from 0",
        ),
        (
            r#""resources": {"cpu_cores": 4}, "cost_per_hour": 1, "interruption_notice": 120"#,
            "write 120s or 2m",
        ),
        (
            r#""resources": {"cpu_cores": 4}, "cost_per_hour": 1, "interruption_rate": 5"#,
            "between 0 and 1",
        ),
        (r#""resources": {}, "cost_per_hour": 1"#, "names no amount above 0"),
    ];
    for (unit, says) in units {
        let json = format!(r#"{{"name": "box", "units": [{{"id": "m", {unit}}}]}}"#);
        let result = read::<Provider>(&json)
            .and_then(|provider| provider.validate().map_err(|error| error.to_string()));
        check(&mut wrong, &json, result, says);
    }
    let policies = [
        (r#""scaling": {"stabilization": 300}"#, "write 300s or 5m"),
        (r#""negotiation": {"lease": 1800}"#, "write 1800s or 30m"),
        (r#""forecasting": {"seasons": [86400]}"#, "write 86400s or 1d"),
        (r#""forecasting": {"step": "0s"}"#, "forecasting.step"),
    ];
    for (part, says) in policies {
        let json = format!(r#"{{"name": "terse", {part}}}"#);
        let result = read::<ScalingPolicy>(&json)
            .and_then(|policy| policy.validate().map_err(|error| error.to_string()));
        check(&mut wrong, &json, result, says);
    }
    let occurrences = [
        (r#"{"start": 1767225600, "duration": 3600}"#, "write 3600s or 1h"),
        (r#"{"start": 1767225600, "end": 1767225599}"#, "it must end later"),
        (r#"{"start": 20260101, "duration": "1d"}"#, "may be a date"),
        (r#"{"start": 1767225600}"#, "either an `end` or a `duration`"),
    ];
    for (time, says) in occurrences {
        let json = format!(r#"{{"name": "fair", "event": "campaign", "times": [{time}]}}"#);
        let result = read::<CalendarEvent>(&json)
            .and_then(|event| event.validate().map_err(|error| error.to_string()));
        check(&mut wrong, &json, result, says);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn samples() {
    let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
    let mut wrong = Vec::new();
    let samples = [
        (r#""value": -1"#, "sample 0: value is -1: it must lie between 0 and 1e15"),
        (r#""value": 1e16"#, "sample 0: value is 10000000000000000"),
        (r#""value": "7""#, "expected a number"),
        (r#""value": null"#, "expected a number"),
        (r#""value": 1, "metric": "request_per_second""#, "be requests_per_second if it is that"),
        (r#""value": 1, "metric": "memory-bytes""#, "be memory_bytes if it is that"),
        (r#""value": 1, "metric": """#, "1 to 128 letters"),
        (r#""value": 1, "metric": "1st""#, "beginning with a letter"),
        (r#""value": 1, "instance": """#, "1 to 253 bytes"),
        (r#""value": -1, "metric": "cpu_cores", "instance": "web-1""#, "between 0 and 1e15"),
        (r#""value": 1, "time": "2026-01-31T12:01:01Z""#, "1m 1s ahead of the host's clock"),
        (r#""value": 1, "time": 1769861000000"#, "ahead of the host's clock"),
        (r#""value": 1, "time": 1769861000"#, "ahead of the host's clock"),
        (r#""value": 1, "time": -5"#, "is not negative"),
        (r#""vlaue": 1"#, "unknown field `vlaue`"),
    ];
    for (fields, says) in samples {
        let json = format!(r#"{{"service": "web", {fields}}}"#);
        let result = read::<Sample>(&json).and_then(|sample| {
            let mut history = History::new(HistoryLimits::default());
            history.push(now, &sample).map(none).map_err(|error| error.to_string())
        });
        check(&mut wrong, &json, result, says);
    }
    // Too old is no error, because a client that retries would fail forever, but it is said.
    let mut history = History::new(HistoryLimits::default());
    let old: Sample = read(r#"{"service": "web", "value": 1, "time": 5}"#).unwrap();
    let accepted = history.push(now, &old).unwrap();
    let reason = accepted.left_out.first().map(|it| it.reason.clone()).unwrap_or_default();
    check(&mut wrong, "an old sample", Err(reason), "before the host's clock");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(history.keys_of(&Name::new("web").unwrap()).count(), 0);
}

#[test]
fn files() {
    let mut wrong = Vec::new();
    let files = [
        ("", "it is empty"),
        ("time\n1\n2\n", "one column only"),
        ("orders\n5\n6\n", "one column only"),
        ("time;web\n1;5\n", "one column only"),
        ("step,web\n0,5\n1,6\n", "column 1 is \"step\" and holds \"0\": pass --time"),
        ("0,5\n1,6\n", "column 1 is \"0\""),
        ("1,5,6\n2,7,8\n", "--layout rows"),
        ("time,web\n", "0 rows"),
        ("time,web\n2026-01-01,1\n", "1 rows"),
        ("time,web,\n1,1,1\n", "line 1, column 3: there is no name"),
        ("time,web,web\n1,1,1\n", "\"web\" is there already"),
        ("time,web\n1,1\n2\n", "1 columns where the header has 2"),
        ("time,web\n1,1\nnoon,1\n", "line 3, column 1: \"noon\" is not a time"),
        ("time,web\n1,1\n2,many\n", "line 3, column 2: \"many\" is not a finite number"),
        ("time,web\n1,1\n2,inf\n", "is not a finite number"),
        ("time,web\n1,1\n2,\"1,5\"\n", "write one with a point"),
        ("time,web\n1,1\n2,0x10\n", "is not a finite number"),
        ("time,web\n1,1\n2,1_000\n", "is not a finite number"),
        ("time,web\n5,1\n4,1\n", "sort the rows by time"),
        ("time,web\n2026-01-01T00:00:00+25:00,1\n2026-01-02,1\n", "an offset lies between"),
        ("time,web\n2026-01-01 00:00:60,1\n2026-01-02,1\n", "seconds go from 00 to 59"),
        ("time,web\n2026-13-01,1\n2026-13-02,1\n", "is not a time"),
        ("time,web\n31.01.2026,1\n01.02.2026,1\n", "is not a time"),
        (
            "time,desk\n2026-10-25 02:40:00,1\n2026-10-25 02:50:00,1\n2026-10-25 02:00:00,1\n",
            "line 4, column 1: 2026-10-25 02:00:00 comes after 2026-10-25 02:50:00: local times repeat",
        ),
        (
            "time,desk\n2026-10-25 01:00,1\n2026-10-25 02:00,1\n2026-10-25 02:00,1\n2026-10-25 03:00,1\n",
            "write the offset",
        ),
        (
            "time,desk\n2026-03-29 00:00,1\n2026-03-29 01:00,1\n2026-03-29 03:00,1\n2026-03-29 04:00,1\n",
            "local times jump from 2026-03-29 01:00:00 to 2026-03-29 03:00:00",
        ),
        ("id,time,cpu,memory\nweb,2026-01-01,1,2\n", "needs three columns"),
        ("unique_id,ds,y\nweb,2026-01-01,1\n", "series \"web\": there are 1 rows"),
    ];
    for (text, says) in files {
        let options = FileOptions::default();
        check(&mut wrong, text, read_panel(text.as_bytes(), &options).map(none), says);
        let load = Trace::read_with(text.as_bytes(), &options).map(none);
        // A load of one table counts the rows of all its services.
        let says = says.strip_prefix("series \"web\": ").unwrap_or(says);
        check(&mut wrong, text, load, says);
    }
    let mut counter = "time,hits\n".to_owned();
    for i in 0..80 {
        writeln!(counter, "{},{}", 1_767_225_600 + 15 * i, 1000 * (i % 50)).unwrap();
    }
    let options = FileOptions::default();
    let says = "\"hits\" only grows over its 80 values, except where it begins again near zero";
    check(&mut wrong, "a counter", read_panel(counter.as_bytes(), &options).map(none), says);
    check(&mut wrong, "a counter", Trace::read_with(counter.as_bytes(), &options).map(none), says);
    let rows_only = [
        ("V1,V2\n", "no series"),
        ("H1,1,2\nH1,1,2\n", "\"H1\" is there already"),
        ("H1,1,2\n,1,2\n", "there is no name"),
        ("H1,1,x\n", "is not a finite number"),
        ("H1,1\nH2\n", "has no values"),
    ];
    for (text, says) in rows_only {
        check(&mut wrong, text, read_panel(text.as_bytes(), &options).map(none), says);
        let load = Trace::read_with(text.as_bytes(), &options).map(none);
        check(&mut wrong, text, load, "pass --time");
    }
    let zone =
        FileOptions { zone: Some("Europe/Berlin".parse().unwrap()), ..FileOptions::default() };
    let skipped = "time,desk\n2026-03-29 01:30,1\n2026-03-29 02:30,1\n";
    let says = "there is no local time 2026-03-29 02:30";
    check(&mut wrong, skipped, read_panel(skipped.as_bytes(), &zone).map(none), says);
    let named = FileOptions { time: Some("clock".to_owned()), ..FileOptions::default() };
    let text = "time,web\n1,1\n2,1\n";
    let says = "there is no column \"clock\" for the time: the first line has \"time\", \"web\"";
    check(&mut wrong, text, read_panel(text.as_bytes(), &named).map(none), says);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
