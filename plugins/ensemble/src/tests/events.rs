use haggle_forecasting::{HOUR, check};
use haggle_sdk::{
    Forecaster,
    forecasting::{Panel, Task},
    types::{Event, EventKind, Window},
};

use crate::Ensemble;

fn sale(from: u64) -> Event {
    let window = Window { start: from * HOUR, end: (from + 6) * HOUR };
    Event { kind: EventKind::Campaign, name: "sale".into(), window }
}

#[test]
fn an_event_that_was_seen_before_is_expected_again() {
    let events: Vec<Event> = (0..14).map(|i| sale(40 + 43 * i)).collect();
    let mut values = check::load(600, 7);
    for event in &events {
        let (from, to) = (event.window.start / HOUR, event.window.end / HOUR);
        values.iter_mut().take(to as usize).skip(from as usize).for_each(|value| *value += 150.0);
    }
    // The last sale begins an hour before the last value, so that the rest of it lies ahead.
    let known = &values[..600];
    let panel = Panel {
        series: vec![check::series(known, 0)],
        horizon: 12,
        seasons: vec![24],
        events: events.clone(),
    };
    let mut fitted = Ensemble::fit(&check::context(), &panel, None).unwrap();
    let model = fitted.per_series.remove(0).unwrap();
    assert!(model.len() <= 4096, "{} bytes", model.len());
    let next = [events, vec![sale(604)]].concat();
    let mean = |events: &[Event]| {
        let series = check::series(known, 0);
        let task = Task { series, model: Some(model.clone()), horizon: 12, levels: vec![0.8] };
        let shared = fitted.shared.as_deref();
        Ensemble::forecast(&check::context(), shared, &[task], events).remove(0).unwrap().mean
    };
    let (with, without) = (mean(&next), mean(&[]));
    assert!(with[6] - without[6] > 60.0, "{} against {}", with[6], without[6]);
    assert!((with[11] - without[11]).abs() < 30.0, "the event is over by then");
}
