use haggle_forecasting::{HOUR, check};
use haggle_sdk::{
    Forecasting,
    forecasting::{Panel, Task},
    types::{CalendarEvent, EventKind, Window},
};

use crate::Ensemble;

fn sale(from: u64) -> CalendarEvent {
    let window = Window { start_ms: from * HOUR, end_ms: (from + 6) * HOUR };
    CalendarEvent { kind: EventKind::Campaign, name: "sale".into(), window }
}

#[test]
fn an_event_that_was_seen_before_is_expected_again() {
    let events: Vec<CalendarEvent> = (0..14).map(|i| sale(40 + 43 * i)).collect();
    let mut values = check::load(600, 7);
    for event in &events {
        let (from, to) = (event.window.start_ms / HOUR, event.window.end_ms / HOUR);
        values.iter_mut().take(to as usize).skip(from as usize).for_each(|value| *value += 150.0);
    }
    // The last sale begins with the last value, so that the rest of it lies ahead.
    let known = &values[..600];
    let panel = Panel {
        series: vec![check::series(known, 0)],
        horizon_steps: 12,
        seasons_steps: vec![24],
        events: events.clone(),
    };
    let mut fitted = Ensemble::fit(&check::context(), &panel, None).unwrap();
    let model = fitted.models.remove(0).unwrap();
    assert!(model.len() <= 4096, "{} bytes", model.len());
    let next = [events, vec![sale(604)]].concat();
    let mean = |events: &[CalendarEvent]| {
        let series = check::series(known, 0);
        let task = Task {
            series,
            model: Some(model.clone()),
            horizon_steps: 12,
            seasons_steps: vec![24],
            levels: vec![0.8],
        };
        let shared = fitted.shared.as_deref();
        Ensemble::forecast(&check::context(), shared, &[task], events).remove(0).unwrap().mean
    };
    let (with, without) = (mean(&next), mean(&[]));
    assert!(with[6] - without[6] > 60.0, "{} against {}", with[6], without[6]);
    assert!((with[11] - without[11]).abs() < 30.0, "the event is over by then");
}
