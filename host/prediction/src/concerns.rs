use std::collections::BTreeMap;

use haggle_control::Catalog;
use haggle_model::{CalendarEvent, ForecastingPolicy, Name, Timestamp, Window};
use haggle_plugins::convert;
use haggle_sandbox::types;

/// The calendar events, indexed by the services that they concern.
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

    /// Returns the events that name this service. Events that concern all services are not included. Only
    /// services with the same events are fitted together.
    pub(crate) fn own(&self, service: &Name) -> &[&'a CalendarEvent] {
        self.named.get(service).map_or(&[], Vec::as_slice)
    }

    /// Returns the events that a forecaster receives: those that concern all services and its services'
    /// `own`, with the occurrences that overlap the history or the horizon.
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
