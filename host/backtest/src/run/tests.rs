use haggle_actuate::ScaleOrder;
use haggle_model::{Name, Span, Timestamp};
use haggle_observe::{Limits, Trace};
use proptest::prelude::*;

use super::{BacktestError, run};
use crate::{
    Competitor, CompetitorError, CompetitorReport, Hpa, HpaSettings, Negotiations, Observation,
    Oracle, Report, Workload, default_services,
};

/// Gives predefined orders as (seconds, replicas).
struct Script(Vec<(u64, u32)>);

impl Competitor for Script {
    fn name(&self) -> &str {
        "haggle"
    }

    fn interval(&self) -> Span {
        Span::from_secs(10)
    }

    fn step(
        &mut self,
        now: Timestamp,
        services: &[Observation<'_>],
    ) -> Result<Vec<ScaleOrder>, CompetitorError> {
        let due = self.0.iter().find(|(at, _)| at * 1000 == now.as_millis());
        let (service, status) = (services[0].service().name.clone(), services[0].status());
        let order = |(at, to): &(u64, u32)| ScaleOrder {
            service: service.clone(),
            from: status.desired,
            to: *to,
            sequence: *at,
        };
        match due {
            Some((_, 99)) => Err("out of ideas".into()),
            due => Ok(due.map(order).into_iter().collect()),
        }
    }

    fn negotiations(&self) -> Option<Negotiations> {
        Some(Negotiations { approved: 2, reduced: 1, denied: 0 })
    }
}

fn workload(rows: &str) -> Workload {
    let trace = Trace::read(format!("time,web\n{rows}").as_bytes(), Limits::default()).unwrap();
    let mut services = default_services(&trace).unwrap();
    services[0].replica.capacity = serde_json::from_str(r#"{"requests_per_second": 100}"#).unwrap();
    Workload::new(&services, &trace).unwrap()
}

fn outcome(workload: &Workload, mut competitor: impl Competitor) -> CompetitorReport {
    run(workload, &mut competitor, &mut |_| {}).unwrap()
}

/// A minute at 100, one at 350, one unknown, one at 100: 1, 4, ? and 1 replicas.
const ROWS: &str = "0,100\n60,350\n120,\n180,100\n";

#[test]
fn measures_what_the_formulas_say() {
    let workload = workload(ROWS);
    // Two more, ready at 70 s; back to one at 200 s.
    let report = outcome(&workload, Script(vec![(10, 3), (200, 1), (210, 1)]));
    let web = report.total;
    let known = 180.0;
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    // Over capacity for the whole second minute: by 250 for 10 s, by 50 for 50 s.
    close(web.over_capacity_time_share, 60.0 / known);
    close(web.over_capacity_request_share, (250.0 * 10.0 + 50.0 * 50.0) / (550.0 * 60.0));
    close(web.theta_u, 100.0 * (0.75 * 10.0 + 0.25 * 50.0) / known);
    close(web.tau_u, 100.0 * 60.0 / known);
    // Three instead of one from 180 s to 200 s.
    close(web.theta_o, 100.0 * (2.0 * 20.0) / known);
    close(web.tau_o, 100.0 * 20.0 / known);
    // From the order on: one for 10 s, three for 190 s, one for 40 s.
    close(web.replica_hours, (10.0 + 3.0 * 190.0 + 40.0) / 3600.0);
    // The order to stay at one changes nothing.
    assert_eq!(web.scaling_actions, 2);
    assert_eq!(report.services[&Name::new("web").unwrap()], web);
}

#[test]
fn the_oracle_is_never_short_and_never_idle_for_long() {
    let workload = workload(ROWS);
    let web = outcome(&workload, Oracle::new(&workload)).total;
    assert_eq!((web.tau_u, web.over_capacity_time_share), (0.0, 0.0));
    // The three that start are ordered at 0 s and released at 120 s, where the load is unknown but will be
    // 100.
    let hours = (4.0 * 120.0 + 120.0) / 3600.0;
    assert!((web.replica_hours - hours).abs() < 1e-12, "{}", web.replica_hours);
}

#[test]
fn the_autoscaler_follows_the_load() {
    let rows: String = (0..40)
        .map(|minute| format!("{},{}\n", minute * 60, if minute < 10 { 100 } else { 1000 }))
        .collect();
    let web = outcome(&workload(&rows), Hpa::new(HpaSettings::default())).total;
    // 1 becomes 2 at the target of 70%. The usage is visible at 615 s; 2, 6, 12 and 15 are ordered 15 s
    // apart and are ready a minute later.
    assert_eq!(web.scaling_actions, 4);
    let over = (1000.0 - 200.0) * 75.0 + (1000.0 - 600.0) * 15.0;
    let all = 100.0 * 600.0 + 1000.0 * 1800.0;
    assert!((web.over_capacity_request_share - over / all).abs() < 1e-12);
    assert!((web.over_capacity_time_share - 90.0 / 2400.0).abs() < 1e-12);
}

#[test]
fn says_who_failed_and_when() {
    let workload = workload(ROWS);
    let error = run(&workload, &mut Script(vec![(30, 99)]), &mut |_| {}).unwrap_err();
    assert_eq!(
        error.to_string(),
        "haggle cannot decide at 1970-01-01T00:00:30Z of the recording: out of ideas"
    );
    let absurd = Script(vec![(30, u32::MAX)]);
    let error = run(&workload, &mut { absurd }, &mut |_| {}).unwrap_err();
    assert!(matches!(error, BacktestError::Order { .. }), "{error}");
}

#[test]
fn reports_under_the_names_that_scripts_read() {
    let workload = workload(ROWS);
    let mut report = Report::default();
    let scripted = outcome(&workload, Script(Vec::new()));
    report.competitors.insert("haggle".to_owned(), scripted);
    let hpa = outcome(&workload, Hpa::new(HpaSettings::default()));
    report.competitors.insert("hpa".to_owned(), hpa);
    let json = serde_json::to_value(&report).unwrap();
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let metrics = [
        "over_capacity_request_share",
        "over_capacity_time_share",
        "replica_hours",
        "scaling_actions",
        "tau_o",
        "tau_u",
        "theta_o",
        "theta_u",
    ];
    assert_eq!(keys(&json), ["haggle", "hpa"]);
    assert_eq!(keys(&json["hpa"]["services"]["web"]), metrics);
    assert_eq!(json["haggle"]["negotiations"]["reduced"], 1);
    assert!(json["hpa"].get("negotiations").is_none());
    for metric in metrics {
        assert!(json["hpa"][metric].is_number(), "{metric}");
    }
    assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
}

#[test]
fn tells_how_far_it_is() {
    let mut told = Vec::new();
    let mut script = Script(Vec::new());
    run(&workload(ROWS), &mut script, &mut |share| told.push(share)).unwrap();
    assert!(told.is_sorted() && told.last() == Some(&1.0), "{told:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No scaler that is never short uses less than the oracle, and the oracle itself is never short.
    #[test]
    fn the_oracle_bounds_everybody(
        loads in prop::collection::vec(prop::option::weighted(0.9, 0_u32..3000), 2..60),
        step in prop::sample::select(vec![15_u64, 60, 70, 300]),
    ) {
        let row = |(i, load): (usize, &Option<u32>)| {
            format!("{},{}\n", i as u64 * step, load.map_or_else(String::new, |l| l.to_string()))
        };
        let rows: String = loads.iter().enumerate().map(row).collect();
        let workload = workload(&rows);
        let oracle = outcome(&workload, Oracle::new(&workload)).total;
        // Replicas ordered at the start are ready a minute later.
        let short = loads.iter().take(60_usize.div_ceil(step as usize)).count() as f64;
        let most = 100.0 * short / loads.len() as f64;
        if loads.iter().flatten().count() == loads.len() {
            prop_assert!(oracle.tau_u <= most + 1e-9);
        }
        let hpa = outcome(&workload, Hpa::new(HpaSettings::default())).total;
        if hpa.tau_u == 0.0 {
            prop_assert!(oracle.tau_u == 0.0);
        }
        for metrics in [oracle, hpa] {
            prop_assert!((0.0..=1.0).contains(&metrics.over_capacity_time_share));
            prop_assert!((0.0..=1.0).contains(&metrics.over_capacity_request_share));
            prop_assert!((0.0..=100.0 + 1e-9).contains(&(metrics.tau_u + metrics.tau_o)));
            prop_assert!((0.0..=100.0).contains(&metrics.theta_u));
            // Over capacity implies under-provisioning, and vice versa.
            prop_assert!((100.0 * metrics.over_capacity_time_share - metrics.tau_u).abs() < 1e-9);
        }
    }
}
