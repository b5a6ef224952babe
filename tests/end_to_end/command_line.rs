use std::{fmt::Write as _, path::Path, process::Command};

use serde_json::Value;

use crate::server::{HAGGLE, Server};

/// Runs the command and returns whether it succeeded, its standard output and its standard error.
fn haggle(args: &[&str]) -> (bool, String, String) {
    let output = Command::new(HAGGLE).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn succeeds(args: &[&str]) -> String {
    let (success, out, err) = haggle(args);
    assert!(success, "{args:?}: {err}");
    out
}

#[track_caller]
fn fails(args: &[&str], says: &str) {
    let (success, out, err) = haggle(args);
    assert!(!success, "{args:?} succeeded: {out}");
    assert!(err.contains(says), "{args:?}: {says:?} is not in {err:?}");
    assert!(!err.contains("panicked"), "{err}");
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A daily wave with a small ripple, one value for each minute.
fn wave(minutes: u32) -> String {
    let mut text = "time,web\n".to_owned();
    for i in 0..minutes {
        let phase = f64::from(i) / 1440.0 * std::f64::consts::TAU;
        let load = 500.0 + 400.0 * phase.sin() + f64::from(i * 7 % 13);
        writeln!(text, "{},{load:.3}", 1_700_000_000 + u64::from(i) * 60).unwrap();
    }
    text
}

#[test]
fn series_are_forecast_in_both_layouts() {
    let folder = tempfile::tempdir().unwrap();
    let (m4, out) = (folder.path().join("m4.csv"), folder.path().join("out.csv"));
    let row = |id: &str, n: u32| {
        let values: Vec<String> = (0..n).map(|i| (10 + i % 24).to_string()).collect();
        format!("{id},{}\n", values.join(","))
    };
    std::fs::write(&m4, row("H1", 200) + &row("H2", 300)).unwrap();
    let season = ["--season", "24", "--output", path(&out)];
    succeeds(&[&["forecast", "--input", path(&m4), "--horizon", "6"], &season[..]].concat());
    let text = std::fs::read_to_string(&out).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("series,step,mean,lo80,hi80,lo95,hi95"));
    let rows: Vec<Vec<f64>> = lines
        .map(|line| line.split(',').skip(1).map(|cell| cell.parse().unwrap()).collect())
        .collect();
    assert_eq!(rows.len(), 12);
    for row in rows {
        let [_, mean, lo80, hi80, lo95, hi95] = row[..] else { panic!("{row:?}") };
        assert!(lo95 <= lo80 && lo80 <= mean && mean <= hi80 && hi80 <= hi95, "{row:?}");
    }
    let trace = folder.path().join("load.csv");
    std::fs::write(&trace, wave(600)).unwrap();
    let printed =
        succeeds(&["forecast", "--input", path(&trace), "--horizon", "3", "--output", "-"]);
    assert_eq!(printed.lines().count(), 4, "{printed}");
}

/// Campaigns cause peaks: if the file with the campaigns is given, the forecast contains the next peak.
#[test]
fn events_of_a_file_are_expected() {
    let folder = tempfile::tempdir().unwrap();
    let (load, events) = (folder.path().join("load.csv"), folder.path().join("events.yaml"));
    let sold = |hour: u64| {
        [50, 119, 160, 230, 301, 352, 402].iter().any(|at| (*at..at + 6).contains(&hour))
    };
    let mut text = "time,web\n".to_owned();
    for hour in 0..400_u64 {
        let value = 100 + hour * 7 % 11 + if sold(hour) { 200 } else { 0 };
        writeln!(text, "{},{value}", 1_700_000_000 / 3600 * 3600 + hour * 3600).unwrap();
    }
    std::fs::write(&load, text).unwrap();
    let mut text =
        "kind: calendar_event\nname: sale\nevent: campaign\nservices: [web]\ntimes:\n".to_owned();
    for hour in [50, 119, 160, 230, 301, 352, 402] {
        let start = (1_700_000_000 / 3600 * 3600 + hour * 3600) * 1000_u64;
        writeln!(text, "  - {{start: {start}, duration: 6h}}").unwrap();
    }
    std::fs::write(&events, text).unwrap();
    let forecast = ["forecast", "--input", path(&load), "--horizon", "6", "--output", "-"];
    let fourth = |extra: &[&str]| -> f64 {
        let printed = succeeds(&[&forecast, extra].concat());
        printed.lines().nth(4).unwrap().split(',').nth(2).unwrap().parse().unwrap()
    };
    assert!(fourth(&[]) < 150.0);
    assert!(fourth(&["--events", path(&events)]) > 230.0);
    let other = folder.path().join("other.yaml");
    std::fs::write(&other, "kind: policy\nname: careful\n").unwrap();
    fails(&[&forecast[..], &["--events", path(&other)]].concat(), "policy careful is not an event");
}

#[test]
fn bad_input_is_told_where_it_is_bad() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let empty = file("empty.csv", "");
    let forecast = |input: &Path, says: &str| {
        let out = folder.path().join("out.csv");
        let input = ["--input", path(input), "--output", path(&out)];
        fails(&[&["forecast", "--horizon", "3"], &input[..]].concat(), says);
        assert!(!out.exists(), "a failed forecast leaves nothing behind");
    };
    forecast(&empty, "empty");
    forecast(&file("words.csv", "time,web\n60,1\n120,many\n"), "line 3");
    forecast(Path::new("/no/such/file.csv"), "/no/such/file.csv");
    let yaml = file("bad.yaml", "kind: service\nname: web\nreplica: {capacity: {x: 1}}\n");
    fails(&["apply", "-f", path(&yaml), "--url", "http://127.0.0.1:1"], "bad.yaml");
    let load = file("load.csv", "time,web\n120,1\n60,2\n");
    fails(&["backtest", "--load", path(&load)], "line 3");
    fails(&["serve", "--listen", "0.0.0.0:0", "--data", path(folder.path())], "reverse proxy");
    fails(&["replay", "--data", "/no/such/directory"], "/no/such/directory");
    fails(&["forecast", "--horizon", "0", "--input", path(&load), "--output", "-"], "");
    let module = file("text.wasm", "not wasm");
    fails(&["plugin", "inspect", path(&module)], "not WebAssembly");
}

#[test]
fn plugins_are_compared_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let (input, pictures) = (folder.path().join("load.csv"), folder.path().join("pictures"));
    let cells = |id: &str, phase: u32| -> String {
        let value = |t: u32| 50 + 10 * ((t + phase) % 24 / 12) + t * 7 % 5;
        let values: Vec<String> = (0..200).map(|t| value(t).to_string()).collect();
        format!("{id},{}\n", values.join(","))
    };
    std::fs::write(&input, cells("first", 0) + &cells("a/b", 5)).unwrap();
    let run = |more: &[&str]| {
        let usual = ["evaluate", "--input", path(&input), "--horizon", "6", "--origins", "2"];
        let plugins = ["--plugin", "theta,seasonal-smoothing"];
        succeeds(&[&usual[..], &plugins, more].concat())
    };
    let table = run(&["--season", "24", "--pictures", path(&pictures)]);
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    let of = |name: &str| rows.iter().find(|row| row.first() == Some(&name)).unwrap().clone();
    for name in ["theta", "seasonal-smoothing"] {
        let row = of(name);
        // Two series from two origins each, and none failed.
        assert_eq!(&row[1..3], ["4", "0"], "{table}");
        let mase: f64 = row[3].parse().unwrap();
        assert!((0.0..3.0).contains(&mase), "{table}");
        let milliseconds: f64 = row.last().unwrap().parse().unwrap();
        assert!((0.0..5000.0).contains(&milliseconds), "{table}");
    }
    assert!(table.contains("(seasonal naive)"), "{table}");
    let mut files: Vec<String> = std::fs::read_dir(&pictures)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["0000-first.svg", "0001-a-b.svg"]);
    let svg = std::fs::read_to_string(pictures.join("0000-first.svg")).unwrap();
    assert!(svg.contains(">theta<") && svg.contains(">seasonal-smoothing<"), "{svg}");
    assert!(!svg.contains("naive"), "{svg}");

    // Without a season the baseline is the naive forecast, and the cache folder may be a bare name.
    let output = Command::new(HAGGLE)
        .args(["evaluate", "--input", path(&input), "--horizon", "6", "--origins", "1"])
        .args(["--plugin", "theta", "--cache", "cache", "--json"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found[1]["plugin"], "(naive)");
    assert!(folder.path().join("cache").is_dir());
}

#[test]
fn a_backtest_reports_both_competitors_with_the_same_keys() {
    let folder = tempfile::tempdir().unwrap();
    let (load, report) = (folder.path().join("load.csv"), folder.path().join("report.json"));
    std::fs::write(&load, wave(1500)).unwrap();
    succeeds(&["backtest", "--load", path(&load), "--json", path(&report)]);
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&report).unwrap()).unwrap();
    for competitor in ["haggle", "hpa"] {
        for key in [
            "over_capacity_time_share",
            "over_capacity_request_share",
            "replica_hours",
            "theta_u",
            "theta_o",
            "tau_u",
            "tau_o",
            "scaling_actions",
        ] {
            for figures in [&report[competitor], &report[competitor]["services"]["web"]] {
                assert!(figures[key].is_number(), "{competitor} {key}: {report}");
            }
        }
    }
    assert!(report["haggle"]["replica_hours"].as_f64() > Some(0.0));
}

#[test]
fn the_demo_runs_and_every_decision_of_it_can_be_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let demo = ["demo", "--for", "6s", "--listen", "127.0.0.1:0", "--data", path(&data)];
    let told = succeeds(&demo);
    assert!(told.contains("curl"), "{told}");
    let replayed = succeeds(&["replay", "--data", path(&data)]);
    assert!(replayed.contains("decisions replayed, 0 differ"), "{replayed}");
    assert!(!replayed.starts_with("0 "), "{replayed}");
}

#[test]
fn documents_are_applied_whole_and_plugins_loaded_from_the_shell() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let url = server.url("");
    let url = url.trim_end_matches('/');
    let shop = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/shop.yaml");
    succeeds(&["apply", "-f", shop, "--url", url]);
    let graph = server.get("/v1/graph").is(200);
    assert_eq!(graph["services"].as_array().unwrap().len(), 6, "{graph}");
    succeeds(&["apply", "-f", shop, "--url", url]);
    let calendar = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/calendar.yaml");
    succeeds(&["apply", "-f", calendar, "--dry-run"]);
    let later = folder.path().join("calendar.yaml");
    // The host would delete times that ended before all history.
    let text = std::fs::read_to_string(calendar).unwrap().replace("2026-", "2126-");
    std::fs::write(&later, text).unwrap();
    succeeds(&["apply", "-f", path(&later), "--url", url]);
    let sale = server.get("/v1/calendar/spring-sale").is(200);
    assert_eq!(sale["services"], serde_json::json!(["web", "checkout"]));
    let example =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/dist/example-forecaster.wasm");
    succeeds(&["plugin", "load", "mine", example, "--url", url]);
    let list = succeeds(&["plugin", "list", "--url", url]);
    assert!(list.contains("mine"), "{list}");
    fails(&["plugin", "rollback", "mine", "--url", url], "nothing to roll back to");
    let occupied = ["serve", "--listen", "127.0.0.1:0", "--data", path(&data)];
    fails(&occupied, "in use");
}

#[test]
fn a_service_is_scaled_and_that_is_given_up_from_the_shell() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let url = server.url("");
    let url = url.trim_end_matches('/');
    let shop = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/shop.yaml");
    succeeds(&["apply", "-f", shop, "--url", url]);
    let trial = succeeds(&["scale", "web", "--replicas", "9", "--dry-run", "--url", url]);
    assert!(trial.starts_with("approved: web would get 9 replicas (now 2)"), "{trial}");
    let all =
        &["scale", "web", "--load", "requests_per_second=1e6", "--duration", "2h", "--url", url];
    let reduced = succeeds(all);
    assert!(
        reduced.starts_with("reduced: web gets ") && reduced.contains("\n  cart: "),
        "{reduced}"
    );
    let later = ["scale", "web", "--replicas", "8", "--start", "2126-01-01T00:00:00Z"];
    fails(&[&later[..], &["--url", url]].concat(), "must be over by");
    let soon = succeeds(&["scale", "cart", "--replicas", "3", "--json", "--url", url]);
    let soon: Value = serde_json::from_str(&soon).unwrap();
    assert_eq!(soon["verdict"], "approved", "{soon}");
    let request = soon["negotiation"].as_str().unwrap();
    let given_up = succeeds(&["cancel", request, "--url", url]);
    assert_eq!(given_up, format!("{request} is cancelled\n"));
    fails(&["cancel", "nothing", "--url", url], "there is no scaling request nothing");
    fails(&["scale", "nobody", "--replicas", "1", "--url", url], "nobody");
}
