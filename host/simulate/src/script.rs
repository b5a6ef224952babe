//! The script of a run, in addition to its loads: requests, changes and faults.

use std::sync::Arc;

use haggle_control::{Change, Generation, GenerationStatus, PluginChange, ReclaimRequest};
use haggle_model::{
    CalendarEvent, EventKind, EventTime, Name, Provider, Resource, Span, Timestamp,
};

use crate::{
    chance::Chance,
    options::Options,
    world::{self, CUSTOM, FLAKY, INTERVAL, STEADY, Shape, World, amount},
};

/// One entry of the script.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Change(Box<Change>),
    Request(Box<Asking>),
    /// Amends a reservation, if it exists.
    Amend {
        request: usize,
        after: Span,
        lease: Span,
        replicas: u32,
    },
    /// Cancels a request, if it is known.
    Cancel {
        request: usize,
    },
    Reclaim {
        provider: Name,
        request: ReclaimRequest,
        after: Option<Span>,
    },
    Restock {
        provider: Name,
        unit: Name,
    },
    Plugin(PluginChange),
    /// The host crashes after this many further effects.
    Crash {
        effects: u32,
        down: Span,
    },
    /// The store rejects all commits for a while.
    StoreFails {
        lasts: Span,
    },
    /// The store is slow for a while.
    StoreStalls {
        lasts: Span,
    },
    /// The clock jumps forward or back by this many milliseconds.
    Jump(i64),
}

/// A scaling request whose times are relative to its arrival.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    /// The number of the request.
    pub(crate) number: usize,
    pub(crate) service: Name,
    /// The start, length and amount of each window; a window without a length is open-ended.
    pub(crate) windows: Vec<(Option<Span>, Option<Span>, Amount)>,
    pub(crate) several: bool,
    pub(crate) deadline: Option<Span>,
    pub(crate) dry_run: bool,
    pub(crate) respond_early: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Amount {
    Replicas(u32),
    Load(f64),
    /// A resource that no service serves.
    Gpus,
}

/// The script of a run, sorted by time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) happenings: Vec<(Timestamp, Happening)>,
}

impl Script {
    pub(crate) fn random(options: &Options, world: &World, chance: Chance) -> Self {
        let mut script = Self::default();
        let busy = Span::from_millis(INTERVAL.as_millis() * (options.passes * 7 / 10)).as_millis();
        let mut rng = chance.rng("script", 0);
        let at = |rng: &mut fastrand::Rng| Timestamp::from_millis(2000 + rng.u64(0..busy));
        let count = rng.usize(options.requests.div_ceil(2)..=options.requests);
        for number in 0..count {
            let mut rng = chance.rng("request", number as u64);
            let begin = at(&mut rng);
            let Some(asking) = asking(number, world, &mut rng) else { continue };
            script.add(begin, asking);
            for more in 0..2 {
                if rng.u8(0..4) > 0 {
                    continue;
                }
                let later = begin + Span::from_millis(rng.u64(0..200_000));
                let cancel = Happening::Cancel { request: number };
                let amend = Happening::Amend {
                    request: number,
                    after: Span::from_secs(rng.u64(0..100)),
                    lease: Span::from_secs(rng.u64(10..200)),
                    replicas: rng.u32(0..12),
                };
                script.add(later, if more == 0 { amend } else { cancel });
            }
        }
        for number in 0..rng.u64(0..10) {
            let mut rng = chance.rng("change", number);
            let when = at(&mut rng);
            if let Some(happening) = change(world, &mut rng) {
                script.add(when, happening);
            }
        }
        for number in 0..rng.u64(0..4) {
            let mut rng = chance.rng("reclaim", number);
            let when = at(&mut rng);
            script.reclaim(world, when, &mut rng);
        }
        for number in 0..rng.u64(0..3) {
            let mut rng = chance.rng("plugin", number);
            let when = at(&mut rng);
            if let Some(change) = plugin(number, when, &mut rng) {
                script.add(when, Happening::Plugin(change));
            }
        }
        for pass in 0..options.passes * 7 / 10 {
            script.troubles(options, chance, pass);
        }
        script.happenings.sort_by_key(|(at, _)| *at);
        script
    }

    fn add(&mut self, at: Timestamp, happening: Happening) {
        self.happenings.push((at, happening));
    }

    fn reclaim(&mut self, world: &World, when: Timestamp, rng: &mut fastrand::Rng) {
        let Some(provider) = any(&world.providers, rng) else { return };
        let Some(unit) = any(&provider.units, rng) else { return };
        let name = provider.name.clone();
        for _ in 0..rng.u32(1..3) {
            let after = (rng.u8(0..3) > 0).then(|| Span::from_secs(rng.u64(0..120)));
            let count = rng.u32(0..unit.count.max(2));
            let request = ReclaimRequest { unit: unit.id.clone(), count, at: None };
            let later = when + Span::from_millis(rng.u64(0..30_000));
            self.add(later, Happening::Reclaim { provider: name.clone(), request, after });
        }
        if rng.bool() {
            let later = when + Span::from_millis(rng.u64(0..250_000));
            self.add(later, Happening::Restock { provider: name.clone(), unit: unit.id.clone() });
        }
        if rng.u8(0..3) == 0 {
            let later = when + Span::from_millis(rng.u64(0..100_000));
            self.add(later, Happening::Change(Box::new(Change::PutProvider(provider.clone()))));
        }
    }

    fn troubles(&mut self, options: &Options, chance: Chance, pass: u64) {
        let mut rng = chance.rng("trouble", pass);
        let begin = Timestamp::from_millis(pass * INTERVAL.as_millis());
        let mut at = || begin + Span::from_millis(rng.u64(0..INTERVAL.as_millis()));
        let (crash, store, jump) = (at(), at(), at());
        if rng.f64() < options.crash {
            let (effects, down) = (rng.u32(0..8), Span::from_millis(rng.u64(10..40_000)));
            self.add(crash, Happening::Crash { effects, down });
        }
        if rng.f64() < options.store {
            let lasts = match rng.u8(0..3) {
                0 => Span::from_secs(rng.u64(1..20)),
                1 => Span::from_millis(rng.u64(1..500)),
                _ => Span::from_millis(1),
            };
            self.add(store, Happening::StoreFails { lasts });
        }
        if rng.f64() < 0.03 {
            let lasts = Span::from_millis(rng.u64(500..MOST_STALL.as_millis()));
            self.add(store, Happening::StoreStalls { lasts });
        }
        if rng.f64() < options.jump {
            let far = match rng.u8(0..3) {
                0 => rng.i64(0..5000),
                1 => rng.i64(1000..300_000),
                _ => rng.i64(60_000..7_200_000),
            };
            self.add(jump, Happening::Jump(if rng.bool() { far } else { -far }));
        }
    }
}

/// The maximum stall of the store.
pub(crate) const MOST_STALL: Span = Span::from_millis(4000);

fn asking(number: usize, world: &World, rng: &mut fastrand::Rng) -> Option<Happening> {
    let service = any(&world.services, rng)?.name.clone();
    let several = rng.u8(0..4) == 0;
    let count = if several { rng.usize(1..5) } else { 1 };
    let mut windows = Vec::new();
    let mut begin = rng.u64(0..120);
    for _ in 0..count {
        let lease = rng.u64(5..150);
        let now = !several && rng.bool();
        let start = (!now).then(|| Span::from_secs(begin));
        let lease_of = (several || !now || rng.bool()).then(|| Span::from_secs(lease));
        // Sometimes the window overlaps the next.
        begin += if rng.u8(0..12) == 0 { lease / 2 } else { lease + rng.u64(0..30) };
        let amount = match rng.u8(0..30) {
            0 => Amount::Replicas(1_000_000),
            1 => Amount::Gpus,
            2 => Amount::Load(1e14),
            3 => Amount::Replicas(0),
            4..18 => Amount::Replicas(rng.u32(1..12)),
            _ => Amount::Load(20.0 + 900.0 * rng.f64()),
        };
        windows.push((start, lease_of, amount));
    }
    let deadline = match rng.u8(0..10) {
        0 => Some(Span::from_millis(rng.u64(1..300))),
        1..4 => Some(Span::from_millis(rng.u64(300..20_000))),
        4 if rng.u8(0..4) == 0 => Some(Span::from_mins(61)),
        _ => None,
    };
    let (dry_run, respond_early) = (rng.u8(0..8) == 0, rng.u8(0..3) == 0);
    let asking = Asking { number, service, windows, several, deadline, dry_run, respond_early };
    Some(Happening::Request(Box::new(asking)))
}

/// Changes, deletes or repeats a document.
fn change(world: &World, rng: &mut fastrand::Rng) -> Option<Happening> {
    let service = any(&world.services, rng)?;
    let number = number_of(&service.name);
    let shape = Shape::Whole;
    let change = match rng.u8(0..16) {
        0 => Change::PutService(service.clone()),
        1 => Change::PutService(world::service(number, rng, shape)?),
        2 => {
            let mut service = service.clone();
            service.replicas.max = rng.u32(1..15).max(service.replicas.min);
            Change::PutService(service)
        }
        3 => Change::DeleteService(service.name.clone()),
        4 => Change::PutService(world::service(world.services.len(), rng, shape)?),
        5 => {
            let other = any(&world.services, rng)?;
            let ratio = 0.1 + rng.f64();
            let dependency = world::dependency(ratio, rng);
            Change::PutDependency(service.name.clone(), other.name.clone(), dependency)
        }
        6 => {
            let (from, to, _) = any(&world.dependencies, rng)?;
            Change::DeleteDependency(from.clone(), to.clone())
        }
        7 => {
            let (from, to, dependency) = any(&world.dependencies, rng)?.clone();
            Change::PutDependency(from, to, dependency)
        }
        8 => Change::PutProvider(any(&world.providers, rng)?.clone()),
        9 => {
            let mut provider = any(&world.providers, rng)?.clone();
            for unit in &mut provider.units {
                unit.count = rng.u32(0..8);
            }
            Change::PutProvider(provider)
        }
        10 => {
            let mut provider: Provider = any(&world.providers, rng)?.clone();
            if provider.units.len() > 1 {
                provider.units.remove(0);
            }
            Change::PutProvider(provider)
        }
        11 => Change::DeleteProvider(any(&world.providers, rng)?.name.clone()),
        12 => Change::PutPolicy(world::policy(rng.usize(0..2), rng, shape)?),
        13 => Change::PutPolicy(any(&world.policies, rng)?.clone()),
        14 => {
            let mut policy = any(&world.policies, rng)?.clone();
            let plugin = if rng.bool() { CUSTOM } else { FLAKY };
            policy.answering.plugin = Name::new(plugin).ok()?;
            policy.ranking.plugin = policy.answering.plugin.clone();
            Change::PutPolicy(policy)
        }
        _ => {
            let start = Timestamp::from_millis(rng.u64(0..10_000_000_000));
            let duration = Some(Span::from_mins(rng.u64(1..100)));
            let name = world::name("e", rng.usize(0..2))?;
            let times = vec![EventTime { start, end: None, duration }];
            let services = vec![service.name.clone()];
            let event =
                CalendarEvent { name: name.clone(), event: EventKind::Campaign, services, times };
            if rng.u8(0..4) == 0 { Change::DeleteEvent(name) } else { Change::PutEvent(event) }
        }
    };
    Some(Happening::Change(Box::new(change)))
}

fn plugin(number: u64, at: Timestamp, rng: &mut fastrand::Rng) -> Option<PluginChange> {
    let name = [CUSTOM, FLAKY, STEADY].get(rng.usize(0..3)).copied().unwrap_or(CUSTOM);
    let plugin = Name::new(name).ok()?;
    Some(match rng.u8(0..6) {
        0 => PluginChange::RollBack(plugin),
        1 => PluginChange::Delete(plugin),
        _ => PluginChange::Promote(Arc::new(Generation {
            plugin,
            number: number + 2 + rng.u64(0..2),
            digest: format!("{:064x}", rng.u64(0..3)),
            size: 1000,
            loaded_at: at,
            roles: match rng.u8(0..6) {
                0 => vec!["tiering".to_owned()],
                _ => ["answering", "selling", "ranking"].map(str::to_owned).into(),
            },
            configuration: Default::default(),
            granted: Vec::new(),
            status: GenerationStatus::Retired,
        })),
    })
}

pub(crate) fn load_of(amount_of: Amount) -> haggle_model::Quantities {
    match amount_of {
        Amount::Load(load) => amount(Resource::RequestsPerSecond, load),
        Amount::Gpus | Amount::Replicas(_) => amount(Resource::DiskIops, 1.0),
    }
}

fn any<'a, T>(of: &'a [T], rng: &mut fastrand::Rng) -> Option<&'a T> {
    of.get(rng.usize(0..of.len().max(1)))
}

fn number_of(name: &Name) -> usize {
    name.as_str().get(1..).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
