use std::{
    sync::{Arc, Barrier, mpsc},
    time::{Duration, Instant},
};

use haggle_model::Name;
use haggle_plugins::Timeliness;

use super::{Lane, Lanes};

fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

/// Blocks a lane until the barrier is passed.
fn block(lanes: &Lanes, lane: Lane) -> Arc<Barrier> {
    let gate = Arc::new(Barrier::new(2));
    let blocked = Arc::clone(&gate);
    assert!(lanes.run(lane, move || {
        blocked.wait();
    }));
    gate
}

#[test]
fn a_blocked_lane_holds_up_no_other() {
    let lanes = Lanes::new(1);
    let (slow, quick) = (name("slow"), name("quick"));
    let gate = block(&lanes, Lane::Predictions(slow.clone()));
    let (done, results) = mpsc::channel();
    let tell = |what: &'static str| {
        let done = done.clone();
        move || done.send(what).unwrap()
    };
    assert!(lanes.run(Lane::Predictions(slow.clone()), tell("behind")));
    assert!(lanes.run(Lane::Predictions(quick), tell("quick")));
    assert_eq!(results.recv().unwrap(), "quick");
    // Questions in negotiations do not wait for predictions of the same plugin.
    assert!(lanes.run(Lane::Questions(slow), tell("question")));
    assert_eq!(results.recv().unwrap(), "question");
    gate.wait();
    assert_eq!(results.recv().unwrap(), "behind");
}

#[test]
fn a_job_that_panics_frees_its_lane() {
    let lanes = Lanes::new(1);
    let lane = Lane::Questions(name("bad"));
    let (done, results) = mpsc::channel();
    assert!(lanes.run(lane.clone(), || panic!("as planned")));
    assert!(lanes.run(lane, move || done.send(()).unwrap()));
    results.recv().unwrap();
}

#[test]
fn a_question_that_waits_for_too_long_leaves_its_lane() {
    let lanes = Lanes::new(1);
    let plugin = name("slow");
    let gate = block(&lanes, Lane::Questions(plugin.clone()));
    let (done, results) = mpsc::channel();
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    for seconds in [30, 10, 20] {
        let done = done.clone();
        assert!(lanes.ask(&plugin, after(seconds), move |timeliness| {
            done.send((seconds, timeliness)).unwrap()
        }));
    }
    assert_eq!(lanes.pass_late(after(9)), Some(after(10)));
    assert_eq!(lanes.pass_late(after(20)), Some(after(30)));
    let mut late = [results.recv().unwrap(), results.recv().unwrap()];
    late.sort_by_key(|(seconds, _)| *seconds);
    assert_eq!(late, [(10, Timeliness::Late), (20, Timeliness::Late)]);
    gate.wait();
    assert_eq!(results.recv().unwrap(), (30, Timeliness::InTime));
    assert_eq!(lanes.pass_late(after(60)), None, "what has begun is not late");
}
