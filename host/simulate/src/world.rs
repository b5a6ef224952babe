//! The random initial documents of a run, and random replacements for them.

use std::collections::{BTreeMap, BTreeSet};

use haggle_control::{Change, Options as ControlOptions};
use haggle_model::{
    Alternative, ComputeUnit, Dependency, Endpoint, Name, Objective, Provider, Quantities, Replica,
    Replicas, Resource, ScalingPolicy, Service, Span, Strength, Tier,
};
use haggle_negotiate::EngineOptions;

use crate::{chance::Chance, options::Options};

/// The interval between two passes.
pub(crate) const INTERVAL: Span = Span::from_secs(15);

/// A negotiation plugin that usually works.
pub(crate) const STEADY: &str = "price-performance";
/// A negotiation plugin that often fails.
pub(crate) const FLAKY: &str = "flaky";
/// A negotiation plugin without a built-in generation.
pub(crate) const CUSTOM: &str = "custom";

/// The documents of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) policies: Vec<ScalingPolicy>,
    pub(crate) services: Vec<Service>,
    pub(crate) dependencies: Vec<(Name, Name, Dependency)>,
    pub(crate) providers: Vec<Provider>,
}

/// Whether the services form two halves that share no dependencies, providers or policies. The flaky plugin
/// decides only for the first half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Whole,
    Halves,
}

impl World {
    pub(crate) fn random(options: &Options, chance: Chance, shape: Shape) -> Self {
        let mut rng = chance.rng("world", 0);
        let services = rng.usize(options.services.div_ceil(2)..=options.services);
        let providers = match shape {
            Shape::Whole if rng.u8(0..8) == 0 || options.providers == 0 => 0,
            Shape::Whole => rng.usize(1..=options.providers),
            Shape::Halves => options.providers.max(2),
        };
        let mut world = Self::default();
        for number in 0..2 {
            world.policies.extend(policy(number, &mut rng, shape));
        }
        for number in 0..services {
            world.services.extend(service(number, &mut rng, shape));
        }
        for (i, from) in world.services.iter().enumerate() {
            for (j, to) in world.services.iter().enumerate() {
                let (likely, ratio) = match i.cmp(&j) {
                    std::cmp::Ordering::Less => (2.0 / services as f64, 0.2 + 1.3 * rng.f64()),
                    // Rare and weak, so that most cycles converge.
                    std::cmp::Ordering::Greater => (0.05, 0.02 + 0.1 * rng.f64()),
                    std::cmp::Ordering::Equal => continue,
                };
                let together = shape == Shape::Whole || i % 2 == j % 2;
                let dependency = dependency(ratio, &mut rng);
                if rng.f64() < likely && together {
                    world.dependencies.push((from.name.clone(), to.name.clone(), dependency));
                }
            }
        }
        for number in 0..providers {
            world.providers.extend(provider(number, &mut rng, shape));
        }
        world
    }

    /// The documents in an order in which each one's references exist.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let policies = self.policies.iter().cloned().map(Change::PutPolicy);
        let services = self.services.iter().cloned().map(Change::PutService);
        let dependencies = self.dependencies.iter().cloned();
        let dependencies = dependencies.map(|(from, to, d)| Change::PutDependency(from, to, d));
        let providers = self.providers.iter().cloned().map(Change::PutProvider);
        policies.chain(services).chain(dependencies).chain(providers).collect()
    }
}

/// The options of the core in every run.
pub(crate) fn control() -> ControlOptions {
    let roles = [
        ("ensemble", "forecasting"),
        ("logistic-failure", "failure-prediction"),
        ("slo-tiers", "tiering"),
        (STEADY, "answering selling ranking"),
        (FLAKY, "answering selling ranking"),
    ];
    let built_in: BTreeMap<Name, BTreeSet<String>> = roles
        .into_iter()
        .filter_map(|(plugin, roles)| {
            let roles = roles.split(' ').map(str::to_owned).collect();
            Some((Name::new(plugin).ok()?, roles))
        })
        .collect();
    ControlOptions {
        host: "host".to_owned(),
        interval: INTERVAL,
        engine: EngineOptions { transcripts: false, ..EngineOptions::default() },
        built_in,
        ..ControlOptions::default()
    }
}

pub(crate) fn policy(
    number: usize,
    rng: &mut fastrand::Rng,
    shape: Shape,
) -> Option<ScalingPolicy> {
    let mut policy = ScalingPolicy { name: name("q", number)?, ..ScalingPolicy::default() };
    policy.forecasting.levels = vec![0.8, 0.95];
    policy.failure_prediction.horizon = Span::from_secs(rng.u64(15..60));
    policy.scaling.target_utilization = pick(rng, [0.7, 0.9, 1.0])?;
    policy.scaling.stabilization = Span::from_secs(rng.u64(30..120));
    policy.ranking.budget_per_hour = (rng.u8(0..4) == 0).then(|| 2.0 + 20.0 * rng.f64());
    let flaky = match shape {
        Shape::Whole => rng.u8(0..3) == 0,
        Shape::Halves => number == 0,
    };
    let plugin = Name::new(if flaky { FLAKY } else { STEADY }).ok()?;
    policy.answering.plugin = plugin.clone();
    policy.ranking.plugin = plugin;
    let all = [
        Alternative::Partial,
        Alternative::Delayed,
        Alternative::OtherLocation,
        Alternative::Preempt,
        Alternative::WithoutOptional,
    ];
    let mut alternatives: Vec<Alternative> = all.into_iter().filter(|_| rng.bool()).collect();
    if shape == Shape::Halves {
        // Whether and when these apply depends on leases of all services.
        alternatives.retain(|alternative| {
            !matches!(alternative, Alternative::Delayed | Alternative::Preempt)
        });
    }
    rng.shuffle(&mut alternatives);
    let negotiation = &mut policy.negotiation;
    negotiation.alternatives = alternatives;
    negotiation.max_rounds = rng.u32(1..6);
    negotiation.deadline = Span::from_millis(rng.u64(2000..12_000));
    negotiation.lease = Span::from_secs(rng.u64(60..240));
    negotiation.renew_before = Span::from_secs(rng.u64(16..50));
    negotiation.preemption_notice = Span::from_secs(rng.u64(0..40));
    negotiation.max_delay = Span::from_secs(rng.u64(20..120));
    negotiation.tolerance = 0.02 + 0.2 * rng.f64();
    Some(policy)
}

pub(crate) fn service(number: usize, rng: &mut fastrand::Rng, shape: Shape) -> Option<Service> {
    let requests = match rng.u8(0..5) {
        0 => Quantities::new(),
        _ => amount(half(number, shape), f64::from(rng.u8(1..4)) * 0.5),
    };
    let policy = match shape {
        Shape::Whole => rng.usize(0..2),
        Shape::Halves => number % 2,
    };
    Some(Service {
        name: name("s", number)?,
        replica: Replica {
            requests,
            capacity: amount(Resource::RequestsPerSecond, 100.0),
            startup: Span::from_secs(rng.u64(0..20)),
        },
        replicas: Replicas { min: rng.u32(0..2), max: rng.u32(3..14) },
        policy: name("q", policy)?,
        tier: pick(rng, [Tier::Gold, Tier::Silver, Tier::Bronze])?,
        objective: (rng.u8(0..4) == 0)
            .then(|| Objective { target: 0.99, window: Span::from_mins(10) }),
        weight: 1.0,
        location: (rng.u8(0..4) == 0).then(|| place(rng)),
        gpu_type: None,
        endpoint: (shape == Shape::Whole && rng.u8(0..5) == 0)
            .then(|| Endpoint::new(format!("http://s{number}.test/negotiate")).ok())
            .flatten(),
    })
}

pub(crate) fn dependency(ratio: f64, rng: &mut fastrand::Rng) -> Dependency {
    let strength = match rng.u8(0..10) {
        0..6 => Strength::Mandatory,
        6..9 => Strength::Optional,
        _ => Strength::BestEffort,
    };
    Dependency { strength, ratios: amount(Resource::RequestsPerSecond, ratio) }
}

pub(crate) fn provider(number: usize, rng: &mut fastrand::Rng, shape: Shape) -> Option<Provider> {
    let has = half(number, shape);
    let units = (0..rng.usize(1..3)).filter_map(|i| {
        Some(ComputeUnit {
            id: name("u", i)?,
            count: rng.u32(1..8),
            resources: amount(has, f64::from(rng.u8(2..7))),
            gpu_type: None,
            cost_per_hour: 0.1 + rng.f64(),
            performance: 0.5 + rng.f64(),
            interruption_rate: 0.0,
            interruption_notice: Span::from_secs(rng.u64(0..60)),
        })
    });
    let units = units.collect();
    let selling = match shape {
        Shape::Whole if rng.u8(0..4) == 0 => Name::new(FLAKY).ok()?,
        // As the services of its half.
        Shape::Halves if number.is_multiple_of(2) => Name::new(FLAKY).ok()?,
        _ => Name::new(STEADY).ok()?,
    };
    let endpoint = (shape == Shape::Whole && rng.u8(0..4) == 0)
        .then(|| Endpoint::new(format!("http://p{number}.test/negotiate")).ok())
        .flatten();
    Some(Provider { name: name("p", number)?, location: place(rng), selling, endpoint, units })
}

/// Services and providers of different halves have no resource in common.
fn half(number: usize, shape: Shape) -> Resource {
    match shape {
        Shape::Halves if number % 2 == 1 => Resource::GpuCount,
        _ => Resource::CpuCores,
    }
}

fn place(rng: &mut fastrand::Rng) -> String {
    if rng.bool() { "here" } else { "there" }.to_owned()
}

fn pick<T: Copy, const N: usize>(rng: &mut fastrand::Rng, of: [T; N]) -> Option<T> {
    of.get(rng.usize(0..N)).copied()
}

/// The given amount of a resource; empty if it is out of range.
pub(crate) fn amount(resource: Resource, amount: f64) -> Quantities {
    Quantities::of(resource, amount).unwrap_or_default()
}

pub(crate) fn name(letter: &str, number: usize) -> Option<Name> {
    Name::new(&format!("{letter}{number}")).ok()
}
