//! Shared test support.

use std::collections::BTreeMap;

use haggle_model::{
    Dependency, DependencyGraph, Lease, Name, NegotiationPolicy, Owner, Provider, Quantities,
    Resource, Span, Strength, Timestamp, Window,
};

use crate::{
    Answer, Bid, Demand, Ending, Guarantees, Inquiry, InventoryUnit, Ledger, Offer, OpenError,
    Purpose, Request, Snapshot, World, leased_replicas, service_capacity,
};

mod driver;

pub(crate) use driver::drive;

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn rps(amount: f64) -> Quantities {
    Quantities::of(Resource::RequestsPerSecond, amount).unwrap()
}

pub(crate) fn cores(amount: f64) -> Quantities {
    Quantities::of(Resource::CpuCores, amount).unwrap()
}

pub(crate) fn calls(ratio: f64, strength: Strength) -> Dependency {
    Dependency { strength, ratios: rps(ratio) }
}

/// A graph from (dependent, dependency, calls per request, strength).
pub(crate) fn graph(edges: &[(&str, &str, f64, Strength)]) -> DependencyGraph {
    let mut graph = DependencyGraph::new();
    for (from, to, ratio, strength) in edges {
        graph.add_service(&name(from));
        graph.add_service(&name(to));
        graph.add(&name(from), &name(to), calls(*ratio, *strength)).unwrap();
    }
    graph
}

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(0) + Span::from_secs(seconds)
}

pub(crate) fn window(start: u64, end: u64) -> Window {
    Window { start: at(start), end: at(end) }
}

/// A small world with its ledger and scripted parties.
pub(crate) struct Fixture {
    pub(crate) graph: DependencyGraph,
    pub(crate) snapshots: BTreeMap<Name, Snapshot>,
    pub(crate) providers: Vec<Provider>,
    pub(crate) ledger: Ledger,
    pub(crate) parties: Parties,
    pub(crate) now: u64,
    sessions: u32,
}

/// By default, services accept, providers bid all units at cost, and buyers prefer low prices.
#[derive(Default)]
pub(crate) struct Parties {
    pub(crate) answers: BTreeMap<Name, Result<Answer, String>>,
    pub(crate) bids: BTreeMap<Name, Result<Vec<Bid>, String>>,
    /// The maximum offer of a service by round; the last entry applies to all later rounds.
    pub(crate) concedes: BTreeMap<Name, Vec<f64>>,
    pub(crate) scores: Option<Result<Vec<f64>, String>>,
    pub(crate) refuse_to_persist: bool,
    pub(crate) asked: Vec<Inquiry>,
    pub(crate) told: Vec<Inquiry>,
    pub(crate) persisted: Vec<Lease>,
}

pub(crate) struct Services<'a> {
    graph: &'a DependencyGraph,
    snapshots: &'a BTreeMap<Name, Snapshot>,
    providers: &'a [Provider],
}

impl World for Services<'_> {
    fn graph(&self) -> &DependencyGraph {
        self.graph
    }

    fn snapshot(&self, service: &Name) -> Option<Snapshot> {
        self.snapshots.get(service).cloned()
    }

    fn providers(&self) -> Vec<&Provider> {
        self.providers.iter().collect()
    }
}

impl Fixture {
    /// Creates services with 100 requests per second and 1 core per replica, and at most 10 replicas, all
    /// of which are planned.
    pub(crate) fn new(edges: &[(&str, &str, f64, Strength)]) -> Self {
        let mut fixture = Self {
            graph: graph(edges),
            snapshots: BTreeMap::new(),
            providers: Vec::new(),
            ledger: Ledger::new(),
            parties: Parties::default(),
            now: 0,
            sessions: 0,
        };
        let names: Vec<Name> = fixture.graph.services().cloned().collect();
        for name in names {
            fixture.service(name.as_str(), 10);
        }
        fixture
    }

    /// Adds a service, or sets its maximum number of replicas.
    pub(crate) fn service(&mut self, service: &str, most: u32) {
        let json = format!(
            r#"{{"name": "{service}", "replica": {{"requests": {{"cpu_cores": 1}}, "capacity": {{"requests_per_second": 100}}}},
                "replicas": {{"min": 0, "max": {most}}}}}"#
        );
        let service: haggle_model::Service = serde_json::from_str(&json).unwrap();
        self.graph.add_service(&service.name);
        let owner = Owner::Service(service.name.clone());
        self.ledger.set_capacity(&owner, &service_capacity(&service, 1.0));
        let snapshot = Snapshot {
            tier: service.tier,
            planned: Quantities::new(),
            target_utilization: 1.0,
            budget_per_hour: None,
            service,
        };
        self.snapshots.insert(snapshot.service.name.clone(), snapshot);
    }

    /// Adds a provider with machines of 4 cores.
    pub(crate) fn provider(&mut self, provider: &str, count: u32, cost_per_hour: f64) {
        let json = format!(
            r#"{{"name": "{provider}", "location": "here",
                "units": [{{"id": "m", "count": {count}, "resources": {{"cpu_cores": 4}}, "cost_per_hour": {cost_per_hour}}}]}}"#
        );
        let provider: Provider = serde_json::from_str(&json).unwrap();
        let owner = Owner::Unit { provider: provider.name.clone(), unit: name("m") };
        self.ledger.set_capacity(&owner, &cores(4.0 * f64::from(count)));
        self.providers.push(provider);
    }

    /// A demand of `requester` for this load over the next ten minutes.
    pub(crate) fn demand(&mut self, requester: &str, load: f64) -> Demand {
        self.sessions += 1;
        Demand {
            session: format!("n{}", self.sessions),
            requester: name(requester),
            load: rps(load),
            purpose: Purpose::Growth,
            window: window(self.now, self.now + 600),
            policy: NegotiationPolicy::default(),
            target_utilization: 1.0,
            budget_per_hour: None,
            started_at: at(self.now),
            dry_run: false,
        }
    }

    pub(crate) fn world(&self) -> Services<'_> {
        let Self { graph, snapshots, providers, .. } = self;
        Services { graph, snapshots, providers }
    }

    pub(crate) fn run(&mut self, demand: Demand) -> Ending {
        let now = at(self.now);
        self.run_with(demand, &mut || now)
    }

    pub(crate) fn run_with(
        &mut self,
        demand: Demand,
        clock: &mut dyn FnMut() -> Timestamp,
    ) -> Ending {
        self.try_with(demand, clock).unwrap()
    }

    pub(crate) fn try_with(
        &mut self,
        demand: Demand,
        clock: &mut dyn FnMut() -> Timestamp,
    ) -> Result<Ending, OpenError> {
        let Self { graph, snapshots, providers, ledger, parties, .. } = self;
        let world = Services { graph, snapshots, providers };
        drive(demand, &world, ledger, parties, clock)
    }

    pub(crate) fn answer(&mut self, service: &str, answer: Answer) {
        self.parties.answers.insert(name(service), Ok(answer));
    }

    /// The load of `service` that `holder` has leased throughout the next ten minutes.
    pub(crate) fn agreed(&self, holder: &str, service: &str) -> f64 {
        let owner = Owner::Service(name(service));
        let window = window(self.now, self.now + 600);
        self.ledger.agreed(&name(holder), &owner, window).get(Resource::RequestsPerSecond)
    }

    /// The number of replicas of `service` that are placed throughout the next ten minutes.
    pub(crate) fn placed(&self, service: &str) -> u32 {
        let service = &self.snapshots[&name(service)].service;
        leased_replicas(&self.ledger, service, window(self.now, self.now + 600))
    }
}

impl Parties {
    pub(crate) fn respond(&mut self, inquiries: &[Inquiry]) -> Vec<Result<Answer, String>> {
        self.asked.extend(inquiries.iter().cloned());
        inquiries
            .iter()
            .map(|inquiry| {
                let Inquiry { service, round, asks, .. } = inquiry;
                let requested = &asks.requested;
                let told = self.answers.get(service).cloned();
                let mut free = asks.free();
                if let Some(offers) = self.concedes.get(service) {
                    let place = (*round as usize).min(offers.len()) - 1;
                    free = rps(offers[place].min(free.get(Resource::RequestsPerSecond)));
                }
                told.unwrap_or_else(|| {
                    Ok(match free.share_of(requested) {
                        1.0 => Answer::Accept,
                        0.0 => Answer::Reject("full".into()),
                        share => counter(requested.scaled(share)),
                    })
                })
                .map(|answer| match answer {
                    // A sensible service offers no more than was requested.
                    Answer::Counter(offer)
                        if offer.quantities.covers(requested) && offer.reason != "greedy" =>
                    {
                        Answer::Accept
                    }
                    answer => answer,
                })
            })
            .collect()
    }

    pub(crate) fn bid(
        &mut self,
        provider: &Name,
        request: &Request,
        inventory: &[InventoryUnit],
    ) -> Result<Vec<Bid>, String> {
        self.bids.get(provider).cloned().unwrap_or_else(|| {
            let bids = inventory.iter().map(|unit| Bid {
                unit: unit.unit.id.to_string(),
                provider: provider.to_string(),
                location: unit.location.clone(),
                count: request.count,
                price_per_hour: unit.unit.cost_per_hour,
                performance: 1.0,
                guarantees: Guarantees {
                    availability: 1.0,
                    interruption_rate: 0.0,
                    interruption_notice: Span::ZERO,
                },
            });
            Ok(bids.collect())
        })
    }

    pub(crate) fn rank(&mut self, _: &Request, bids: &[Bid]) -> Result<Vec<f64>, String> {
        let cheap = || Ok(bids.iter().map(|bid| -bid.price_per_hour).collect());
        self.scores.clone().unwrap_or_else(cheap)
    }

    pub(crate) fn persist(&mut self, leases: &[Lease]) -> Result<(), String> {
        self.persisted.extend(leases.iter().cloned());
        if self.refuse_to_persist { Err("the disk is full".into()) } else { Ok(()) }
    }

    pub(crate) fn inform(&mut self, inquiries: &[Inquiry]) {
        self.told.extend(inquiries.iter().cloned());
    }
}

pub(crate) fn counter(quantities: Quantities) -> Answer {
    Answer::Counter(Offer { quantities, reason: "that is all".into() })
}
