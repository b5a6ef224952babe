//! Events that change demand: described by somebody, kept until nothing can be learnt from them any more,
//! and told to forecasters.

use std::{collections::BTreeMap, sync::Arc};

use haggle_model::{CalendarEvent, ForecastPolicy, Name, Timestamp, Window};
use haggle_sandbox::types;
use haggle_store::{Batch, Calendar};

use crate::{
    convert::events_within,
    documents::catalog::{Catalog, not_found},
    error::HostError,
    host::Host,
    views::Put,
};

/// The most events that are kept: forecasters are told of each.
const MOST_EVENTS: usize = 1000;

impl Host {
    /// Adds an event or changes it. Forecasts expect it from the next turn on; its effect is learnt with the
    /// next fit.
    ///
    /// # Errors
    /// [`HostError::Calendar`] saying which field is wrong, [`HostError::Missing`] for a service that is not
    /// known, [`HostError::CalendarFull`].
    pub fn put_event(&self, event: CalendarEvent) -> Result<Put, HostError> {
        event.validate()?;
        let _changing = self.changing();
        let mut catalog = self.catalog().as_ref().clone();
        if let Some(unknown) = event.services.iter().find(|s| !catalog.services.contains_key(*s)) {
            return Err(HostError::Missing {
                what: "event",
                name: event.name.to_string(),
                field: "services",
                missing: format!("service {unknown}"),
            });
        }
        if catalog.calendar.len() >= MOST_EVENTS && !catalog.calendar.contains_key(&event.name) {
            return Err(HostError::CalendarFull(MOST_EVENTS));
        }
        let mut batch = Batch::new();
        batch.put::<Calendar>(&event.name, &event)?;
        self.persistence.commit(batch)?;
        let name = event.name.clone();
        let old = catalog.calendar.insert(name.clone(), Arc::new(event));
        self.show(catalog, "event", &name, old.is_some())
    }

    /// An event.
    ///
    /// # Errors
    /// [`HostError::NotFound`].
    pub fn event(&self, name: &Name) -> Result<CalendarEvent, HostError> {
        self.catalog().event(name).map(|event| event.as_ref().clone())
    }

    /// All events by name.
    #[must_use]
    pub fn calendar(&self) -> Vec<CalendarEvent> {
        self.catalog().calendar.values().map(|event| event.as_ref().clone()).collect()
    }

    /// Deletes an event.
    ///
    /// # Errors
    /// [`HostError::NotFound`].
    pub fn delete_event(&self, name: &Name) -> Result<(), HostError> {
        let _changing = self.changing();
        let mut catalog = self.catalog().as_ref().clone();
        catalog.calendar.remove(name).ok_or_else(|| not_found("event", name))?;
        let mut batch = Batch::new();
        batch.delete::<Calendar>(name)?;
        self.persistence.commit(batch)?;
        self.show(catalog, "event", name, true).map(drop)
    }

    /// Deletes the events that were over before any history begins.
    pub(crate) fn sweep_calendar(&self, now: Timestamp) -> Result<(), HostError> {
        let catalog = self.catalog();
        let oldest = now.before(catalog.longest_history());
        for event in catalog.calendar.values().filter(|event| event.end() <= oldest) {
            match self.delete_event(&event.name) {
                // Somebody else was faster.
                Err(HostError::NotFound { .. }) => {}
                other => other?,
            }
        }
        Ok(())
    }
}

/// The events of a catalogue by the services that they concern.
pub(crate) struct Concerns<'a> {
    everybody: Vec<&'a CalendarEvent>,
    named: BTreeMap<&'a Name, Vec<&'a CalendarEvent>>,
}

impl<'a> Concerns<'a> {
    pub(crate) fn of(catalog: &'a Catalog) -> Self {
        let mut all = Self { everybody: Vec::new(), named: BTreeMap::new() };
        for event in catalog.calendar.values() {
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
        forecast: &ForecastPolicy,
        now: Timestamp,
    ) -> Vec<types::Event> {
        let start = now.before(forecast.history + forecast.step);
        let window = Window { start, end: now + forecast.horizon + forecast.step };
        events_within(self.everybody.iter().chain(own).copied(), window)
    }
}
