use std::collections::BTreeMap;

use haggle_control::Catalog;
use haggle_model::{CalendarEvent, ForecastingPolicy, Name, Timestamp, Window};
use haggle_plugins::convert;
use haggle_sandbox::types;

/// The calendar events by the services that they concern.
pub(crate) struct Concerns<'a> {
    everybody: Vec<&'a CalendarEvent>,
    named: BTreeMap<&'a Name, Vec<&'a CalendarEvent>>,
}

impl<'a> Concerns<'a> {
    pub(crate) fn of(catalog: &'a Catalog) -> Self {
        let mut all = Self { everybody: Vec::new(), named: BTreeMap::new() };
        for event in catalog.calendar() {
            if event.services.is_empty() {
                all.everybody.push(event);
            }
            for service in &event.services {
                all.named.entry(service).or_default().push(event);
            }
        }
        all
    }

    /// The events that concern this service and not everybody: services are fitted together only where these
    /// are the same.
    pub(crate) fn own(&self, service: &Name) -> &[&'a CalendarEvent] {
        self.named.get(service).map_or(&[], Vec::as_slice)
    }

    /// What a forecaster is told of the events that concern everybody and of its services' `own`: the times
    /// that touch the history or the horizon.
    pub(crate) fn told(
        &self,
        own: &[&CalendarEvent],
        forecast: &ForecastingPolicy,
        now: Timestamp,
    ) -> Vec<types::CalendarEvent> {
        let start = now.before(forecast.history + forecast.step);
        let window = Window { start, end: now + forecast.horizon + forecast.step };
        convert::events_within(self.everybody.iter().chain(own).copied(), window)
    }
}
