//! Inputs to the core, and the answers to them.

use haggle_model::{Owner, Resource, Service, Span, Timestamp};
use serde_json::{Value, json};

use super::World;
use crate::{
    Answer, Caller, Change, ControlError, Forecast, Generation, Input, Observed, Put,
    ReclaimRequest, Reclaimed, ScalingVerdict,
    testing::{name, service},
};

impl World {
    pub(crate) fn caller(&mut self) -> Caller {
        self.last_caller += 1;
        Caller(self.last_caller)
    }

    /// The answer to a caller; panics if there is none.
    pub(crate) fn answer(&self, caller: Caller) -> Result<Answer, ControlError> {
        self.answers.get(&caller).unwrap_or_else(|| panic!("{caller:?} has no answer")).clone()
    }

    pub(crate) fn change(&mut self, change: Change) -> Result<Put, ControlError> {
        let caller = self.begin_change(change);
        match self.answer(caller)? {
            Answer::Put(put) => Ok(put),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn begin_change(&mut self, change: Change) -> Caller {
        let caller = self.caller();
        if let Change::PutProvider(provider) = &change {
            for unit in &provider.units {
                let (provider, id) = (provider.name.clone(), unit.id.clone());
                let owner = Owner::Unit { provider, unit: id };
                self.lowered.insert(owner, self.now + unit.interruption_notice);
            }
        }
        self.step(Input::Change { caller, change: Box::new(change) });
        caller
    }

    pub(crate) fn policy(&mut self, negotiation: Value) {
        self.policy_with(json!({}), negotiation);
    }

    /// Sets a policy that follows the load at once, with these changes.
    pub(crate) fn policy_with(&mut self, scaling: Value, negotiation: Value) {
        let mut all = json!({"target_utilization": 1.0, "min_confidence": 0.0, "stabilization": "0s",
                "cold_start": {"steps": 0, "headroom": 0.0}});
        all.as_object_mut().unwrap().extend(scaling.as_object().unwrap().clone());
        let policy = json!({"name": "default", "scaling": all, "negotiation": negotiation});
        self.change(Change::PutPolicy(serde_json::from_value(policy).unwrap())).unwrap();
    }

    /// Adds a provider of machines with four cores each, as (kind, count), with a notice of 30 seconds.
    pub(crate) fn provider(&mut self, name: &str, units: &[(&str, u32)], cost: f64) -> Put {
        let unit = |(id, count): &(&str, u32)| {
            json!({"id": id, "count": count, "resources": {"cpu_cores": 4}, "cost_per_hour": cost,
                   "interruption_notice": "30s"})
        };
        let units: Vec<Value> = units.iter().map(unit).collect();
        let provider = json!({"name": name, "units": units});
        self.change(Change::PutProvider(serde_json::from_value(provider).unwrap())).unwrap()
    }

    pub(crate) fn service(&mut self, name: &str, tier: &str) {
        self.service_with(name, json!({ "tier": tier }));
    }

    /// Adds a service whose replicas take one core and carry ten requests per second, with these changes.
    pub(crate) fn service_with(&mut self, name: &str, more: Value) {
        let mut service = serde_json::to_value(service(name)).unwrap();
        service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let service: Service = serde_json::from_value(service).unwrap();
        self.change(Change::PutService(service)).unwrap();
    }

    /// Adds a dependency with this ratio of requests.
    pub(crate) fn depend(&mut self, from: &str, to: &str, ratio: f64) {
        self.depend_with(from, to, json!({"ratios": {"requests_per_second": ratio}})).unwrap();
    }

    pub(crate) fn depend_with(
        &mut self,
        from: &str,
        to: &str,
        dependency: Value,
    ) -> Result<Put, ControlError> {
        let dependency = serde_json::from_value(dependency).unwrap();
        self.change(Change::PutDependency(name(from), name(to), dependency))
    }

    pub(crate) fn begin(&mut self, request: Value, respond_early: bool) -> Caller {
        let caller = self.caller();
        let request = serde_json::from_value(request).unwrap();
        let (request, arrived) = (Box::new(request), self.now);
        self.step(Input::Request { caller, request, arrived, respond_early });
        caller
    }

    pub(crate) fn try_ask(&mut self, request: Value) -> Result<ScalingVerdict, ControlError> {
        let caller = self.begin(request, false);
        match self.answer(caller)? {
            Answer::Verdict(verdict) => Ok(verdict),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn ask(&mut self, request: Value) -> ScalingVerdict {
        self.try_ask(request).unwrap()
    }

    pub(crate) fn amend(
        &mut self,
        id: &str,
        window: Value,
    ) -> Result<ScalingVerdict, ControlError> {
        let caller = self.caller();
        let window = serde_json::from_value(window).unwrap();
        self.step(Input::Amend { caller, id: id.to_owned(), window: Box::new(window) });
        match self.answer(caller)? {
            Answer::Verdict(verdict) => Ok(verdict),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn cancel(&mut self, id: &str) -> Result<(), ControlError> {
        let caller = self.caller();
        self.step(Input::Cancel { caller, id: id.to_owned() });
        self.answer(caller).map(|answer| assert_eq!(answer, Answer::Done))
    }

    pub(crate) fn reclaim(
        &mut self,
        provider: &str,
        unit: &str,
        count: u32,
        notice: Span,
    ) -> Reclaimed {
        let at = Some(self.now + notice);
        self.try_reclaim(provider, unit, count, at).unwrap()
    }

    pub(crate) fn try_reclaim(
        &mut self,
        provider: &str,
        unit: &str,
        count: u32,
        at: Option<Timestamp>,
    ) -> Result<Reclaimed, ControlError> {
        let (caller, provider, unit) = (self.caller(), name(provider), name(unit));
        self.step(Input::Reclaim { caller, provider, request: ReclaimRequest { unit, count, at } });
        match self.answer(caller)? {
            Answer::Reclaimed(reclaimed) => Ok(reclaimed),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn restock(&mut self, provider: &str, unit: &str) -> Result<(), ControlError> {
        let (caller, provider, unit) = (self.caller(), name(provider), name(unit));
        self.step(Input::Restock { caller, provider, unit });
        self.answer(caller).map(|answer| assert_eq!(answer, Answer::Done))
    }

    pub(crate) fn plugin(&mut self, change: crate::PluginChange) -> Result<Answer, ControlError> {
        let caller = self.caller();
        self.step(Input::Plugin { caller, change });
        self.answer(caller)
    }

    /// A plugin generation as uploaded.
    pub(crate) fn generation(&self, plugin: &str, number: u64, digest: &str) -> Generation {
        Generation {
            plugin: name(plugin),
            number,
            digest: digest.to_owned(),
            size: 1,
            loaded_at: self.now,
            roles: super::NEGOTIATING.map(str::to_owned).into(),
            configuration: Value::Null,
            granted: Vec::new(),
            status: crate::GenerationStatus::Retired,
        }
    }

    /// Sets the measured load from now on, and forecasts it with full confidence.
    pub(crate) fn load(&mut self, service: &str, load: f64) {
        self.loads.insert(name(service), load);
        let at = self.now;
        let service = name(service);
        self.step(Input::Observed(vec![Observed {
            service: service.clone(),
            at,
            load,
            steps: 60,
        }]));
        self.forecast(service.as_str(), load, 1.0);
    }

    pub(crate) fn forecast(&mut self, service: &str, upper: f64, confidence: f64) {
        let steps = 24 * 60;
        let outlook = haggle_plan::Outlook {
            start: self.now.floor(Span::from_mins(1)),
            step: Span::from_mins(1),
            mean: vec![upper; steps],
            intervals: vec![haggle_plan::Interval {
                level: 0.95,
                lower: vec![upper; steps],
                upper: vec![upper; steps],
            }],
            confidence,
        };
        self.step(Input::Forecasts(vec![Forecast {
            service: name(service),
            resource: Resource::RequestsPerSecond,
            at: self.now,
            plugin: name("ensemble"),
            generation: 1,
            accuracy: haggle_plan::Accuracy::default(),
            outlook: Ok(outlook.into()),
        }]));
    }
}
