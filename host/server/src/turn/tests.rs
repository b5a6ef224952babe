use std::sync::Arc;

use haggle_model::{Name, Service, Span, Timestamp};
use haggle_observe::Sample;

use crate::{Clock, Host, HostOptions, ManualClock, SampleBatch, testing::options};

#[test]
fn a_load_is_counted_by_what_the_service_serves() {
    let now = Timestamp::from_millis(1_750_000_000_000).floor(Span::from_mins(1));
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now));
    let host = Host::open(HostOptions { clock, ..options() }).unwrap();
    let service = r#"{"name": "batch", "replica": {"serves": {"cpu_cores": 2}}}"#;
    host.put_service(serde_json::from_str::<Service>(service).unwrap()).unwrap();
    let batch = Name::new("batch").unwrap();
    let sample = |metric: &str, value| Sample {
        service: batch.clone(),
        metric: metric.to_owned(),
        subject: None,
        time: Some(now.before(Span::from_secs(30))),
        value,
    };
    let samples = vec![sample("cpu_cores", 9.0), sample("requests_per_second", 1e6)];
    host.push_samples(SampleBatch { samples, failures: Vec::new() }).unwrap();
    host.turn().unwrap();
    let view = host.service(&batch).unwrap();
    assert_eq!(view.status.observed, Some(9.0));
    let decision = host.decisions(0, 10).unwrap().pop().unwrap();
    // Nine cores of two a replica, and as much above them as a single value leaves open.
    assert!((5..50).contains(&decision.to), "{decision:?}");
    assert!(host.metrics_text().contains("haggle_load{service=\"batch\"} 9.0"));
    host.delete_service(&batch).unwrap();
    assert!(!host.metrics_text().contains("batch"));
}
