//! Measures the sessions per second, the memory of an open session, market clearing against an exact solver, and
//! how the cost of a session grows with the number of services.
//!
//! `cargo bench -p haggle-negotiate --profile dev`. The exact solver is the mixed-integer solver of
//! `microlp`.
#![allow(missing_docs)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    collections::BTreeMap,
    error::Error,
    io::Write,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use haggle_model::{
    ComputeUnit, Dependency, DependencyGraph, Name, NegotiationPolicy, Owner, Provider, Quantities,
    Resource, Service, Span, Strength, Tier, Timestamp, Window,
};
use haggle_negotiate::{
    Bid, Call, Content, Demand, Effect, Engine, EngineOptions, Guarantees, Information,
    InventoryUnit, Ledger, Message, Proposed, Purpose, Request, ScoredBid, Setting, Snapshot,
    World, clear, service_capacity,
};
use microlp::{ComparisonOp, OptimizationDirection, Problem, SolveOutcome};

#[path = "negotiation/copies.rs"]
mod copies;
#[path = "negotiation/together.rs"]
mod together;

type Failure = Box<dyn Error>;

/// Counts the bytes that are allocated and not freed.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

#[allow(unsafe_code, reason = "the one way to count what is allocated")]
// SAFETY: every call is forwarded to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Town {
    graph: DependencyGraph,
    snapshots: BTreeMap<Name, Snapshot>,
    ledger: Ledger,
}

struct View<'a>(&'a DependencyGraph, &'a BTreeMap<Name, Snapshot>);

impl World for View<'_> {
    fn graph(&self) -> &DependencyGraph {
        self.0
    }

    fn snapshot(&self, service: &Name) -> Option<Snapshot> {
        self.1.get(service).cloned()
    }

    fn providers(&self) -> Vec<&Provider> {
        Vec::new()
    }
}

fn main() -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let per_second = sessions_per_second(6)?;
    writeln!(out, "6 services, messages one by one: {per_second:.0} sessions/s")?;
    memory(&mut out)?;
    growth(&mut out)?;
    copies::copies(&mut out)?;
    market(&mut out)
}

/// A tree of services in which each calls three others.
fn town(services: usize) -> Result<Town, Failure> {
    let mut town =
        Town { graph: DependencyGraph::new(), snapshots: BTreeMap::new(), ledger: Ledger::new() };
    let mut names = Vec::new();
    for i in 0..services {
        let name = Name::new(&format!("s{i}"))?;
        let json = format!(
            r#"{{"name": "{name}", "replica": {{"capacity": {{"requests_per_second": 1000000}}}}, "replicas": {{"min": 0, "max": 100000}}}}"#
        );
        let service: Service = serde_json::from_str(&json)?;
        town.graph.add_service(&name);
        town.ledger.set_capacity(&Owner::Service(name.clone()), &service_capacity(&service, 1.0));
        let snapshot = Snapshot {
            tier: Tier::Silver,
            planned: Quantities::new(),
            target_utilization: 1.0,
            budget_per_hour: None,
            service,
        };
        town.snapshots.insert(name.clone(), snapshot);
        if let Some(parent) = names.get(i.saturating_sub(1) / 3) {
            let ratios = Quantities::of(Resource::RequestsPerSecond, 0.9)?;
            let edge = Dependency { strength: Strength::Mandatory, ratios };
            town.graph.add(parent, &name, edge)?;
        }
        names.push(name);
    }
    Ok(town)
}

fn demand(number: u64, now: Timestamp) -> Result<Demand, Failure> {
    Ok(Demand {
        session: format!("n{number}"),
        requester: Name::new("s0")?,
        load: Quantities::of(Resource::RequestsPerSecond, 10.0 + (number % 100) as f64)?,
        purpose: Purpose::Growth,
        window: Window::new(now, Span::from_mins(10)),
        policy: NegotiationPolicy::default(),
        target_utilization: 1.0,
        budget_per_hour: None,
        started_at: now,
        dry_run: false,
    })
}

fn reply(message: &Message, now: Timestamp) -> Option<Message> {
    let content = match &message.content {
        Content::CallForProposals(Call::Load(_)) => Content::Propose(Proposed::All),
        Content::Accept { .. } => Content::Confirm { leases: Vec::new() },
        Content::Confirm { .. } | Content::Release { .. } => Content::Inform(Information::Received),
        _ => return None,
    };
    Some(message.reply(content, now))
}

/// Runs one session after another, each from its demand until every party has received the result.
fn sessions_per_second(services: usize) -> Result<f64, Failure> {
    let Town { graph, snapshots, mut ledger } = town(services)?;
    let world = View(&graph, &snapshots);
    let options = EngineOptions { transcripts: false, ..EngineOptions::default() };
    let mut engine = Engine::new(options);
    let start = Instant::now();
    let (mut count, mut agreed) = (0_u64, 0_u64);
    while start.elapsed() < Duration::from_secs(2) || count == 0 {
        let now = Timestamp::from_millis(count);
        let mut setting = Setting { world: &world, ledger: &mut ledger, now };
        let mut effects = engine.tick(&mut setting);
        effects.extend(engine.open(demand(count, now)?, &mut setting)?);
        while let Some(effect) = effects.pop() {
            match effect {
                Effect::Deliver(message) => {
                    if let Some(reply) = reply(&message, now) {
                        effects.extend(engine.receive(reply, &mut setting)?);
                    }
                }
                Effect::Persist(persist) if persist.awaited => {
                    effects.extend(engine.persisted(&persist.session, Ok(()), &mut setting));
                }
                Effect::Finished(end) => agreed += u64::from(end.outcome.agreement().is_some()),
                _ => {}
            }
        }
        count += 1;
    }
    if agreed != count {
        return Err(format!("{agreed} of {count} sessions agreed").into());
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

fn memory(out: &mut impl Write) -> Result<(), Failure> {
    let Town { graph, snapshots, mut ledger } = town(6)?;
    let world = View(&graph, &snapshots);
    let options = EngineOptions { transcripts: false, ..EngineOptions::default() };
    let mut engine = Engine::new(options);
    let now = Timestamp::from_millis(0);
    let before = LIVE.load(Ordering::Relaxed);
    for number in 0..10_000 {
        let mut setting = Setting { world: &world, ledger: &mut ledger, now };
        engine.open(demand(number, now)?, &mut setting)?;
    }
    let used = LIVE.load(Ordering::Relaxed).saturating_sub(before);
    let each = used as f64 / engine.len() as f64 / 1024.0;
    writeln!(out, "{} sessions open at once over 6 services: {each:.1} KiB each", engine.len())?;
    Ok(())
}

fn growth(out: &mut impl Write) -> Result<(), Failure> {
    let mut first = None;
    for services in [10, 100, 1000] {
        let each = 1.0 / sessions_per_second(services)?;
        let micros = each * 1e6 / services as f64;
        let base = *first.get_or_insert(micros);
        writeln!(
            out,
            "{services:>5} services: {:>9.2} ms a session, {micros:>6.1} us a service ({:.2}x)",
            each * 1e3,
            micros / base
        )?;
    }
    Ok(())
}

/// Clears requests whose budgets bind. Requests with 40 bids are compared with the exact solver. Requests with
/// 1,000 bids are compared with the linear relaxation, whose score is at least the optimum. Two of these are also
/// compared with the exact solver, which is stopped after [`PATIENCE`].
fn market(out: &mut impl Write) -> Result<(), Failure> {
    clearing(out, 100, 40, 8, true)?;
    clearing(out, 100, 1000, 200, false)?;
    clearing(out, 2, 1000, 200, true)?;
    together::together(out)
}

/// How long the exact solver may take for one request.
const PATIENCE: Duration = Duration::from_secs(10);

fn clearing(
    out: &mut impl Write,
    requests: u64,
    offers: usize,
    units: usize,
    whole: bool,
) -> Result<(), Failure> {
    let (mut ours, mut exact) = (Duration::ZERO, Duration::ZERO);
    let (mut worst, mut total, mut solved) = (0.0_f64, 0.0, 0_u32);
    let count = u32::try_from(offers / 10)?;
    for number in 0..requests {
        let mut draw = Draw(number + 1);
        let stock: Vec<InventoryUnit> =
            (0..units).map(|i| unit(i, &mut draw)).collect::<Result<_, _>>()?;
        let bids: Vec<ScoredBid> = (0..offers).map(|i| bid(i % units, &mut draw)).collect();
        let request = Request {
            id: "r".into(),
            service: Name::new("web")?,
            tier: Tier::Silver,
            resources: Quantities::of(Resource::CpuCores, 1.0)?,
            count,
            window: Window::new(Timestamp::from_millis(0), Span::from_mins(10)),
            budget_per_hour: Some(f64::from(count) * (0.45 + 0.2 * draw.unit())),
            location: None,
            gpu_type: None,
        };
        let start = Instant::now();
        let clearing = clear(&request, &bids, &stock);
        ours += start.elapsed();
        // Each bid has its own price, so unit and price identify the bid of an allocation.
        let score: f64 = clearing
            .allocations
            .iter()
            .filter_map(|won| {
                let found = bids.iter().find(|b| {
                    b.bid.unit == won.unit.as_str() && b.bid.price_per_hour == won.price_per_hour
                })?;
                Some(f64::from(won.count) * found.score)
            })
            .sum();
        let start = Instant::now();
        let best = solve(&request, &bids, &stock, clearing.count, whole)?;
        exact += start.elapsed();
        if let Some(best) = best {
            let gap = (best - score) / best.abs().max(1e-9);
            worst = worst.max(gap);
            total += gap;
            solved += 1;
        }
    }
    let each = |time: Duration| time.as_secs_f64() * 1e3 / requests as f64;
    writeln!(
        out,
        "{offers} bids a request, {requests} requests: {:.3} ms each, {} {:.2} ms ({:.0}x); {solved} solved, gap {:.4}% on average, {:.4}% at worst",
        each(ours),
        if whole { "exact solver" } else { "linear relaxation" },
        each(exact),
        exact.as_secs_f64() / ours.as_secs_f64(),
        100.0 * total / f64::from(solved.max(1)),
        100.0 * worst,
    )?;
    if worst > 0.01 { Err("more than 1% from the optimum".into()) } else { Ok(()) }
}

/// The highest score for exactly `count` replicas within the budget; none if the solver was interrupted. Without
/// `whole`, a bid may supply a fraction of a replica.
fn solve(
    request: &Request,
    bids: &[ScoredBid],
    stock: &[InventoryUnit],
    count: u32,
    whole: bool,
) -> Result<Option<f64>, Failure> {
    let mut problem = Problem::new(OptimizationDirection::Maximize);
    problem.set_time_limit(PATIENCE);
    let add = |b: &ScoredBid| match whole {
        true => {
            let most = i32::try_from(b.bid.count).unwrap_or(i32::MAX);
            problem.add_integer_var(b.score, (0, most))
        }
        false => problem.add_var(b.score, (0.0, f64::from(b.bid.count))),
    };
    let taken: Vec<_> = bids.iter().map(add).collect();
    let pairs = || taken.iter().copied().zip(bids);
    let all: Vec<_> = pairs().map(|(n, _)| (n, 1.0)).collect();
    problem.add_constraint(all, ComparisonOp::Eq, f64::from(count));
    let cost: Vec<_> = pairs().map(|(n, b)| (n, b.bid.price_per_hour)).collect();
    let budget = request.budget_per_hour.unwrap_or(f64::INFINITY);
    problem.add_constraint(cost, ComparisonOp::Le, budget);
    for unit in stock {
        let here: Vec<_> = pairs()
            .filter(|(_, b)| b.bid.unit == unit.unit.id.as_str())
            .map(|(n, _)| (n, 1.0))
            .collect();
        let room = unit.free.get(Resource::CpuCores).floor();
        problem.add_constraint(here, ComparisonOp::Le, room);
    }
    match problem.solve()? {
        SolveOutcome::Solution(solution) => Ok(Some(solution.objective())),
        SolveOutcome::Interrupted(_) => Ok(None),
    }
}

fn unit(number: usize, draw: &mut Draw) -> Result<InventoryUnit, Failure> {
    let unit = ComputeUnit {
        id: Name::new(&format!("u{number}"))?,
        count: 1,
        resources: Quantities::of(Resource::CpuCores, 1.0 + (draw.unit() * 6.0).floor())?,
        gpu_type: None,
        cost_per_hour: 1.0,
        performance: 1.0,
        interruption_rate: 0.0,
        interruption_notice: Span::ZERO,
    };
    let (provider, free) = (Name::new("alder")?, unit.total());
    Ok(InventoryUnit { provider, location: String::new(), unit, free, available: 1 })
}

fn bid(unit: usize, draw: &mut Draw) -> ScoredBid {
    let price = 0.2 + draw.unit();
    let bid = Bid {
        unit: format!("u{unit}"),
        provider: "alder".into(),
        location: String::new(),
        count: 1 + (draw.unit() * 4.0) as u32,
        price_per_hour: price,
        performance: 1.0,
        guarantees: Guarantees {
            availability: 1.0,
            interruption_rate: 0.0,
            interruption_notice: Span::ZERO,
        },
    };
    // Expensive bids mostly score higher.
    ScoredBid { bid, score: price * (0.5 + draw.unit()) }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Draw(u64);

impl Draw {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
