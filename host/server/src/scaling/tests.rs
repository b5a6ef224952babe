use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use haggle_model::{Dependency, Name, Service, Timestamp};

use crate::{Clock, Host, HostOptions, ScalingRequest, Verdict, testing::options};

/// Half a second goes by every time that somebody looks at it.
struct Hasty {
    now: AtomicU64,
    real: bool,
}

impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.fetch_add(500, Ordering::SeqCst))
    }

    fn is_real(&self) -> bool {
        self.real
    }
}

#[test]
fn parties_in_this_process_use_up_the_time_of_a_session() {
    for (real, deadline, verdict) in [
        (true, "2s", Verdict::Denied),
        (true, "1h", Verdict::Approved),
        (false, "2s", Verdict::Approved),
    ] {
        let clock = Arc::new(Hasty { now: AtomicU64::new(1_750_000_000_000), real });
        let host = Host::open(HostOptions { clock, ..options() }).unwrap();
        for name in ["web", "db"] {
            let service = format!(
                r#"{{"name": "{name}", "replica": {{"serves": {{"requests_per_second": 10}}}}}}"#
            );
            host.put_service(serde_json::from_str::<Service>(&service).unwrap()).unwrap();
        }
        let (web, db) = (Name::new("web").unwrap(), Name::new("db").unwrap());
        let edge = r#"{"ratios": {"requests_per_second": 1}}"#;
        let edge = serde_json::from_str::<Dependency>(edge).unwrap();
        host.put_dependency(&web, &db, edge).unwrap();
        let request = format!(r#"{{"service": "web", "replicas": 4, "deadline": "{deadline}"}}"#);
        let request = serde_json::from_str::<ScalingRequest>(&request).unwrap();
        let answer = host.request_scaling(request).unwrap();
        assert_eq!(answer.verdict, verdict, "{answer:?}");
        if verdict == Verdict::Denied {
            assert!(answer.reasons[0].text.contains("deadline"), "{answer:?}");
        }
    }
}
