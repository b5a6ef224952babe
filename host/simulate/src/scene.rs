//! The random world of a run and what is wanted in it.

use std::collections::BTreeMap;

use haggle_model::{
    Alternative, ComputeUnit, Dependency, DependencyGraph, Lease, Name, NegotiationPolicy, Owner,
    Provider, Quantities, Replica, Replicas, Resource, Service, Span, Strength, Tier, Timestamp,
    Window,
};
use haggle_negotiate::{Demand, Purpose, Standing, World, service_capacity};

use crate::{chance::Chance, options::Options};

/// Services, providers and who depends on whom; the same throughout a run.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    graph: DependencyGraph,
    standings: BTreeMap<Name, Standing>,
    providers: Vec<Provider>,
}

/// A negotiation that is to be opened.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) at: Timestamp,
    pub(crate) demand: Demand,
    /// When its requester loses interest.
    pub(crate) cancel: Option<Timestamp>,
    /// When it has to be over, where that is known beforehand.
    pub(crate) by: Option<Timestamp>,
    /// How often its requester wants to go on when what was agreed comes to its end.
    pub(crate) renewals: u32,
    /// What it is to go on with.
    pub(crate) renews: Option<String>,
}

/// Capacity that its provider is going to take back.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    /// When it says so.
    pub(crate) at: Timestamp,
    pub(crate) owner: Owner,
    pub(crate) left: Quantities,
    /// How long after that it is gone.
    pub(crate) notice: Span,
}

impl World for Scene {
    fn graph(&self) -> &DependencyGraph {
        &self.graph
    }

    fn standing(&self, service: &Name) -> Option<Standing> {
        self.standings.get(service).cloned()
    }

    fn providers(&self) -> Vec<&Provider> {
        self.providers.iter().collect()
    }
}

impl Scene {
    pub(crate) fn random(options: &Options, chance: Chance) -> Self {
        let mut scene = Self::default();
        let mut rng = chance.rng("scene", 0);
        let services = rng.usize(options.services.div_ceil(2)..=options.services);
        let names: Vec<Name> = (0..services).filter_map(|i| name("s", i)).collect();
        for name in &names {
            scene.graph.add_service(name);
            scene.standings.insert(name.clone(), standing(name, &mut rng));
        }
        for (i, from) in names.iter().enumerate() {
            for (j, to) in names.iter().enumerate() {
                let (likely, ratio) = match i.cmp(&j) {
                    std::cmp::Ordering::Less => (3.0 / services as f64, 0.2 + 1.3 * rng.f64()),
                    // Rare and weak, so that most circles converge.
                    std::cmp::Ordering::Greater => (0.05, 0.02 + 0.1 * rng.f64()),
                    std::cmp::Ordering::Equal => continue,
                };
                let strength = match rng.u8(0..10) {
                    0..6 => Strength::Mandatory,
                    6..9 => Strength::Optional,
                    _ => Strength::BestEffort,
                };
                if rng.f64() < likely {
                    let ratios = amount(Resource::RequestsPerSecond, ratio);
                    // Never a duplicate: each pair comes once.
                    let _ = scene.graph.add(from, to, Dependency { strength, ratios });
                }
            }
        }
        let providers = rng.usize(1..=options.providers);
        for i in 0..providers {
            scene.providers.extend(name("p", i).map(|name| provider(name, &mut rng)));
        }
        scene
    }

    pub(crate) fn services(&self) -> impl Iterator<Item = &Name> {
        self.standings.keys()
    }

    pub(crate) fn suppliers(&self) -> impl Iterator<Item = &Name> {
        self.providers.iter().map(|provider| &provider.name)
    }

    /// What every owner has.
    pub(crate) fn capacities(&self) -> BTreeMap<Owner, Quantities> {
        let services = self.standings.values().map(|standing| {
            let owner = Owner::Service(standing.service.name.clone());
            (owner, service_capacity(&standing.service, standing.target_utilization))
        });
        let units = self.providers.iter().flat_map(|provider| {
            provider.units.iter().map(|unit| {
                let (provider, name) = (provider.name.clone(), unit.id.clone());
                (Owner::Unit { provider, unit: name }, unit.total())
            })
        });
        services.chain(units).collect()
    }

    pub(crate) fn wishes(&self, options: &Options, chance: Chance) -> Vec<Wish> {
        let mut rng = chance.rng("wishes", 0);
        let count = rng.usize(options.sessions.div_ceil(2)..=options.sessions);
        (0..count).filter_map(|i| self.wish(i, &mut chance.rng("wish", i as u64))).collect()
    }

    /// At most one of each compute unit: some or all of it.
    pub(crate) fn notices(&self, chance: Chance) -> Vec<Notice> {
        let mut rng = chance.rng("notices", 0);
        let mut notices = Vec::new();
        for provider in &self.providers {
            for unit in &provider.units {
                let at = Timestamp::from_millis(2000 + rng.u64(0..28_000));
                let notice = Span::from_millis(1000 + rng.u64(0..8000));
                let left = f64::from(rng.u32(0..unit.count));
                if rng.u8(0..4) == 0 {
                    let (provider, left) = (provider.name.clone(), unit.has.scaled(left));
                    let owner = Owner::Unit { provider, unit: unit.id.clone() };
                    notices.push(Notice { at, owner, left, notice });
                }
            }
        }
        notices
    }

    /// What a holder wants in place of replicas that it loses at the end of their lease.
    pub(crate) fn replacement(&self, session: String, lost: &Lease) -> Option<Wish> {
        let standing = self.standings.get(&lost.holder)?;
        let end = lost.window.end;
        let carried = standing.service.carries(lost.replicas);
        let demand = Demand {
            session,
            requester: lost.holder.clone(),
            load: carried.scaled(standing.target_utilization),
            purpose: Purpose::Renegotiation,
            window: Window::new(end, Span::from_secs(10)),
            policy: NegotiationPolicy {
                max_rounds: 3,
                alternatives: vec![Alternative::Elsewhere, Alternative::Smaller],
                ..NegotiationPolicy::default()
            },
            target_utilization: standing.target_utilization,
            budget_per_hour: standing.budget_per_hour,
            started_at: Timestamp::default(),
            dry_run: false,
        };
        let (at, by) = (Timestamp::default(), Some(end));
        Some(Wish { at, demand, cancel: None, by, renewals: 0, renews: None })
    }

    fn wish(&self, number: usize, rng: &mut fastrand::Rng) -> Option<Wish> {
        let names: Vec<&Name> = self.services().collect();
        let requester = (*names.get(rng.usize(0..names.len().max(1)))?).clone();
        let at = Timestamp::from_millis(1000 + rng.u64(0..20_000));
        let start = at + Span::from_millis(rng.u64(0..8000));
        let all = [
            Alternative::Smaller,
            Alternative::Later,
            Alternative::Elsewhere,
            Alternative::Borrowed,
            Alternative::Degraded,
        ];
        let mut alternatives: Vec<Alternative> =
            all.into_iter().filter(|_| rng.u8(0..3) > 0).collect();
        rng.shuffle(&mut alternatives);
        let policy = NegotiationPolicy {
            max_rounds: rng.u32(1..7),
            deadline: Span::from_millis(rng.u64(1500..9000)),
            alternatives,
            notice: Span::from_millis(rng.u64(500..4000)),
            later_within: Span::from_secs(30),
            ..NegotiationPolicy::default()
        };
        let demand = Demand {
            session: format!("n{number}"),
            requester,
            load: amount(Resource::RequestsPerSecond, 10.0 + 700.0 * rng.f64()),
            purpose: Purpose::Growth,
            window: Window::new(start, Span::from_millis(rng.u64(4000..30_000))),
            policy,
            target_utilization: [0.7, 0.9, 1.0].get(rng.usize(0..3)).copied().unwrap_or(1.0),
            budget_per_hour: rng.bool().then(|| 5.0 + 40.0 * rng.f64()),
            started_at: at,
            dry_run: false,
        };
        let cancel = (rng.u8(0..20) == 0).then(|| at + Span::from_millis(rng.u64(0..1500)));
        let renewals = rng.u32(0..6).saturating_sub(3);
        Some(Wish { at, demand, cancel, by: None, renewals, renews: None })
    }
}

fn standing(name: &Name, rng: &mut fastrand::Rng) -> Standing {
    let tier = [Tier::Gold, Tier::Silver, Tier::Bronze];
    let place = ["here", "there"];
    let service = Service {
        name: name.clone(),
        replica: Replica {
            uses: amount(Resource::CpuCores, f64::from(rng.u8(1..4)) * 0.5),
            serves: amount(Resource::RequestsPerSecond, 100.0),
            startup: Span::ZERO,
        },
        replicas: Replicas { min: 0, max: rng.u32(2..16) },
        policy: name.clone(),
        tier: tier.get(rng.usize(0..3)).copied().unwrap_or_default(),
        objective: None,
        weight: 1.0,
        location: (rng.u8(0..4) == 0)
            .then(|| place.get(rng.usize(0..2)).copied().unwrap_or_default().to_owned()),
        gpu_type: None,
        endpoint: None,
    };
    Standing {
        tier: service.tier,
        planned: amount(Resource::RequestsPerSecond, 50.0 * rng.f64()),
        target_utilization: if rng.bool() { 1.0 } else { 0.8 },
        budget_per_hour: None,
        service,
    }
}

fn provider(name: Name, rng: &mut fastrand::Rng) -> Provider {
    let units = (0..rng.usize(1..3)).filter_map(|i| {
        Some(ComputeUnit {
            id: self::name("u", i)?,
            count: rng.u32(1..8),
            has: amount(Resource::CpuCores, f64::from(rng.u8(2..9))),
            gpu_type: None,
            cost_per_hour: 0.1 + rng.f64(),
            performance: 0.5 + rng.f64(),
            interruption_rate: 0.0,
            interruption_notice: Span::ZERO,
        })
    });
    let units = units.collect();
    let location = if rng.bool() { "here" } else { "there" };
    Provider { name, location: location.into(), bidding: None, endpoint: None, units }
}

/// Of what lies within the range of an amount.
fn amount(resource: Resource, amount: f64) -> Quantities {
    Quantities::of(resource, amount).unwrap_or_default()
}

fn name(letter: &str, number: usize) -> Option<Name> {
    Name::new(&format!("{letter}{number}")).ok()
}
