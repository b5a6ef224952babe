use std::time::Duration;

use proptest::prelude::*;

use super::{Breaker, Verdict};

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// Makes a call that takes no time.
fn call(breaker: &mut Breaker, verdict: Verdict, now: Duration) -> bool {
    let ticket = breaker.admit(now);
    ticket.inspect(|ticket| breaker.report(*ticket, verdict, now)).is_some()
}

#[test]
fn the_pause_begins_when_the_failing_call_ends_and_doubles_up_to_half_an_hour() {
    let mut breaker = Breaker::default();
    let mut now = minutes(0);
    for _ in 0..2 {
        assert!(call(&mut breaker, Verdict::Failed, now));
    }
    let stalled = breaker.admit(now).unwrap();
    now = minutes(10);
    breaker.report(stalled, Verdict::Failed, now);
    for pause in [1, 2, 4, 8, 16, 32, 32] {
        assert_eq!(breaker.pauses(now), Some(minutes(pause)));
        assert_eq!(breaker.admit(now + minutes(pause) - Duration::from_millis(1)), None);
        now += minutes(pause);
        let trial = breaker.admit(now).unwrap();
        assert_eq!(breaker.admit(now), None, "one trial at a time");
        now += minutes(1);
        breaker.report(trial, Verdict::Failed, now);
    }
    now += minutes(32);
    assert!(call(&mut breaker, Verdict::Answered, now));
    assert_eq!(breaker, Breaker::default());
}

#[test]
fn a_trial_that_never_reports_does_not_keep_the_breaker_shut() {
    let mut breaker = Breaker::default();
    (0..3).for_each(|_| assert!(call(&mut breaker, Verdict::Failed, minutes(0))));
    assert!(breaker.admit(minutes(1)).is_some());
    assert!(breaker.admit(minutes(1)).is_none());
    assert!(breaker.admit(minutes(2)).is_some());
}

#[test]
fn a_trial_that_says_nothing_makes_room_for_another() {
    let mut breaker = Breaker::default();
    (0..3).for_each(|_| assert!(call(&mut breaker, Verdict::Failed, minutes(0))));
    assert!(call(&mut breaker, Verdict::Unknown, minutes(1)));
    assert!(call(&mut breaker, Verdict::Answered, minutes(1)));
    assert_eq!(breaker, Breaker::default());
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![Just(Verdict::Answered), Just(Verdict::Failed), Just(Verdict::Unknown)]
}

proptest! {
    /// Calls overlap arbitrarily: each step either begins a call or ends a running one.
    #[test]
    fn calls_are_held_back_only_after_failures_and_never_for_ever(
        steps in prop::collection::vec((0_u64..300, any::<bool>(), any::<prop::sample::Index>(), verdict()), 1..200)
    ) {
        let mut breaker = Breaker::default();
        let mut now = Duration::ZERO;
        let mut running = Vec::new();
        let mut failed = 0;
        for (seconds, begins, which, verdict) in steps {
            now += Duration::from_secs(seconds);
            if begins || running.is_empty() {
                match breaker.admit(now) {
                    Some(ticket) => running.push(ticket),
                    None => prop_assert!(failed >= 3, "held back after {failed} failures"),
                }
            } else {
                let ticket = running.swap_remove(which.index(running.len()));
                breaker.report(ticket, verdict, now);
                failed += u32::from(verdict == Verdict::Failed);
            }
            let pause = breaker.pauses(now);
            prop_assert!(pause.is_none_or(|pause| pause <= minutes(32)), "{pause:?}");
            let mut later = breaker;
            prop_assert!(later.admit(now + minutes(32)).is_some());
        }
    }

    #[test]
    fn a_generation_that_answers_between_its_failures_is_always_asked(
        failures in prop::collection::vec(0_u32..3, 1..50)
    ) {
        let mut breaker = Breaker::default();
        for count in failures {
            for _ in 0..count {
                prop_assert!(call(&mut breaker, Verdict::Failed, Duration::ZERO));
            }
            prop_assert!(call(&mut breaker, Verdict::Answered, Duration::ZERO));
        }
    }
}
