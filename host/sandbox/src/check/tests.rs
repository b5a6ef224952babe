use super::{
    Broken, Fault, Interval, LEARNT_MODEL, Outlook, SERIES_MODEL, SHARED_MODEL, Task, answers,
    assignments, bids, fitted, learnt, outlooks, risks, short,
};
use crate::{
    answering::{Answer, Ask, Inquiry, Offer, Strength},
    failure_prediction::{Contribution, Risk, Vitals},
    forecasting::{Bounds, Fitted, Panel, Series},
    market::{Bid, Guarantees},
    selling::ComputeUnit,
    text,
    tiering::{Assignment, ServiceState},
    types::{Purpose, Quantity, ResourceKind, Tier, Window},
};

const LONG: usize = text::MOST + 1;

fn series(non_negative: bool) -> Series {
    Series { id: String::new(), last_at_ms: 0, step_ms: 1, values: vec![1.0], non_negative }
}

fn task(non_negative: bool) -> Task {
    let series = series(non_negative);
    let levels = vec![0.8, 0.95];
    Task { series, model: None, horizon_steps: 1, seasons_steps: Vec::new(), levels }
}

fn outlook(mean: f64, lower: [f64; 2], upper: [f64; 2], confidence: f64) -> Outlook {
    let bounds = |i: usize| vec![Bounds { lower: lower[i], upper: upper[i] }];
    let interval = |i: usize, level| Interval { level, bounds: bounds(i) };
    Outlook { mean: vec![mean], intervals: vec![interval(0, 0.8), interval(1, 0.95)], confidence }
}

fn good() -> Outlook {
    outlook(2.0, [1.0, 0.0], [3.0, 4.0], 0.5)
}

/// The violation of an outlook between two valid ones.
fn wrong(outlook: Outlook) -> Option<String> {
    let mut all = [Ok(good()), Ok(outlook), Ok(good())];
    let broken = outlooks(&[task(true), task(true), task(true)], &mut all).unwrap();
    assert!(all[0].is_ok() && all[2].is_ok());
    let [Broken { item: 1, what }] = broken.as_slice() else {
        assert!(broken.is_empty() && all[1].is_ok(), "{broken:?}");
        return None;
    };
    assert_eq!(all[1], Err(Fault::Internal(format!("nonsense: {what}"))));
    Some(what.clone())
}

#[test]
fn an_outlook_that_breaks_the_contract_becomes_a_fault_and_the_others_stand() {
    assert_eq!(wrong(good()), None);
    let with = |change: fn(&mut Outlook)| {
        let mut outlook = good();
        change(&mut outlook);
        outlook
    };
    for (outlook, text) in [
        (outlook(f64::NAN, [1.0, 0.0], [3.0, 4.0], 0.5), "a mean is NaN"),
        (outlook(-1.0, [1.0, 0.0], [3.0, 4.0], 0.5), "a mean is -1, and the series is never"),
        (outlook(2.0, [1.0, -0.1], [3.0, 4.0], 0.5), "a lower bound is -0.1, and"),
        (outlook(2.0, [1.0, 0.0], [f64::INFINITY, 4.0], 0.5), "an upper bound is inf"),
        (outlook(2.0, [3.0, 0.0], [1.0, 4.0], 0.5), "wrong way round"),
        (outlook(2.0, [1.0, 2.0], [3.0, 4.0], 0.5), "does not enclose"),
        (outlook(2.0, [1.0, 0.0], [3.0, 4.0], 1.5), "confidence is 1.5"),
        (with(|o| o.mean.push(1.0)), "2 means for 1 steps"),
        (with(|o| drop(o.intervals.pop())), "1 intervals for 2 levels"),
        (with(|o| o.intervals[1].level = 0.9), "interval 0.9 where 0.95 was asked for"),
        (with(|o| o.intervals[0].bounds.clear()), "0 bounds for 1 steps"),
    ] {
        let what = wrong(outlook);
        assert!(what.as_ref().is_some_and(|what| what.contains(text)), "{what:?}");
    }
}

#[test]
fn what_may_be_negative_is_and_rounding_is_no_fault() {
    assert_eq!(wrong(outlook(2.0, [1.0, -1e-12], [3.0, 4.0], 0.5)), None);
    let mut all = [Ok(outlook(-2.0, [-3.0, -4.0], [1.0, 2.0], 0.5))];
    assert_eq!(outlooks(&[task(false)], &mut all), Ok(Vec::new()));
}

#[test]
fn a_wrong_number_of_answers_is_nonsense_as_a_whole() {
    let error = outlooks(&[task(true)], &mut [Ok(good()), Ok(good())]).unwrap_err();
    assert_eq!(error, "2 outlooks for 1 tasks");
}

#[test]
fn a_model_too_large_costs_its_series_the_model_and_a_shared_one_the_call() {
    let series = vec![series(true); 2];
    let panel = Panel { series, horizon_steps: 1, seasons_steps: vec![], events: vec![] };
    let fit = |own: usize, shared: usize| {
        let models = vec![Ok(vec![0; own]), Ok(Vec::new())];
        let mut all = Fitted { shared: Some(vec![0; shared]), models, lookback_steps: None };
        fitted(&panel, &mut all).map(|broken| (broken.len(), all.models[1].is_ok()))
    };
    assert_eq!(fit(SERIES_MODEL, SHARED_MODEL), Ok((0, true)));
    assert_eq!(fit(SERIES_MODEL + 1, 0), Ok((1, true)));
    assert!(fit(0, SHARED_MODEL + 1).unwrap_err().contains("the shared model has"));
    assert!(learnt(&vec![0; LEARNT_MODEL]).is_ok());
    assert!(learnt(&vec![0; LEARNT_MODEL + 1]).is_err());
}

#[test]
fn one_risk_that_is_none_is_a_fault_of_that_instance() {
    let vitals = Vitals {
        service: "s".into(),
        instance: "a".into(),
        last_at_ms: 0,
        step_ms: 1,
        metrics: Vec::new(),
    };
    let contribution = |log_odds| Contribution { metric: "x".repeat(LONG), log_odds };
    let risk = |probability, contributions| Ok(Risk { probability, contributions });
    let mut all = [
        risk(0.5, vec![contribution(1.0)]),
        risk(1.5, Vec::new()),
        risk(0.5, vec![contribution(f64::NAN)]),
        risk(0.5, vec![contribution(1.0); 11]),
        Err(Fault::InsufficientData("y".repeat(LONG))),
    ];
    let broken = risks(&vec![vitals; 5], &mut all).unwrap();
    assert_eq!(broken.iter().map(|broken| broken.item).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(all[0].as_ref().unwrap().contributions[0].metric.len() <= text::MOST);
    let Err(Fault::InsufficientData(why)) = &all[4] else { panic!("{:?}", all[4]) };
    assert!(why.len() <= text::MOST && why.ends_with('…'));
}

fn rps(amount: f64) -> Vec<Quantity> {
    vec![Quantity { kind: ResourceKind::RequestsPerSecond, amount }]
}

fn inquiry() -> Inquiry {
    Inquiry {
        session: "s".into(),
        round: 1,
        service: "b".into(),
        tier: Tier::Silver,
        requester: "a".into(),
        purpose: Purpose::Growth,
        strength: Strength::Mandatory,
        window: Window { start_ms: 0, end_ms: 1 },
        asks: vec![Ask {
            kind: ResourceKind::RequestsPerSecond,
            requested: 5.0,
            capacity: 9.0,
            committed: 0.0,
            agreed: 0.0,
            sustainable: 9.0,
        }],
    }
}

#[test]
fn one_answer_that_is_none_is_a_fault_of_that_inquiry() {
    let offer = |quantities| Ok(Answer::Counter(Offer { quantities, reason: "z".repeat(LONG) }));
    let twice = [rps(1.0), rps(1.0)].concat();
    let cores = vec![Quantity { kind: ResourceKind::CpuCores, amount: 1.0 }];
    let mut all = [
        offer(rps(5.0)),
        Ok(Answer::Reject("z".repeat(LONG))),
        offer(rps(5.1)),
        offer(rps(f64::NAN)),
        offer(twice),
        offer(cores),
        Ok(Answer::Accept),
    ];
    let broken = answers(&vec![inquiry(); 7], &mut all).unwrap();
    assert_eq!(broken.iter().map(|broken| broken.item).collect::<Vec<_>>(), [2, 3, 4, 5]);
    let (Ok(Answer::Counter(Offer { reason, .. })), Ok(Answer::Reject(why))) = (&all[0], &all[1])
    else {
        panic!("{all:?}")
    };
    assert!(reason.len() <= text::MOST && why.len() <= text::MOST);
}

#[test]
fn a_bid_that_is_none_is_left_out_unless_it_is_the_only_one() {
    let unit = ComputeUnit {
        id: "m".into(),
        provider: "p".into(),
        location: String::new(),
        resources: Vec::new(),
        count: 1,
        gpu_type: None,
        cost_per_hour: 1.0,
        performance: 1.0,
        interruption_rate: 0.0,
        interruption_notice_ms: 0,
    };
    let bid = |count, price_per_hour| Bid {
        unit: "m".into(),
        provider: "p".into(),
        location: String::new(),
        count,
        price_per_hour,
        performance: 1.0,
        guarantees: Guarantees {
            availability: 1.0,
            interruption_rate: 0.0,
            interruption_notice_ms: 0,
        },
    };
    let strange = Bid { unit: "other".into(), ..bid(1, 1.0) };
    let mut all = vec![bid(0, 1.0), bid(1, 1.0), bid(1, -1.0), bid(2, 1.0), strange];
    let broken = bids(std::slice::from_ref(&unit), &mut all).unwrap();
    assert_eq!(broken.iter().map(|broken| broken.item).collect::<Vec<_>>(), [0, 2, 4]);
    assert_eq!(all, [bid(1, 1.0), bid(2, 1.0)]);
    assert!(bids(std::slice::from_ref(&unit), &mut vec![bid(1, f64::NAN)]).is_err());
    assert_eq!(bids(&[unit], &mut Vec::new()), Ok(Vec::new()));
}

#[test]
fn reasons_are_cut() {
    let service = ServiceState {
        service: "a".into(),
        tier: Tier::Silver,
        since_ms: 0,
        load: 0.1,
        forecast_mean: 0.1,
        forecast_upper: 0.2,
        upper_quantile: 0.975,
        confidence: 0.5,
        objective: None,
        weight: 1.0,
    };
    let mut all = [Assignment { tier: Tier::Gold, share: 0.5, reason: "ä".repeat(LONG) }];
    assignments(&[service], &mut all).unwrap();
    assert!(all[0].reason.len() <= text::MOST && all[0].reason.ends_with('…'));
    let Fault::Internal(why) = short(Fault::Internal("w".repeat(LONG))) else { panic!() };
    assert_eq!(why.len(), text::MOST);
}
