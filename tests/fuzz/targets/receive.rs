//! For any messages from a stranger to an engine with an open session: the ledger is never overcommitted, and a
//! repeated message has no effect. One line of the input is the `content` of one message.
#![no_main]

use haggle_model::{
    Dependency, DependencyGraph, Name, NegotiationPolicy, Owner, Provider, Quantities, Resource,
    Service, Span, Strength, Tier, Timestamp, Window,
};
use haggle_negotiate::{
    Content, Demand, Engine, EngineOptions, Ledger, Message, MessageId, Party, Purpose, Setting,
    Snapshot, World,
};
use libfuzzer_sys::fuzz_target;

struct Pair {
    graph: DependencyGraph,
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a valid name")
}

fn rps(amount: f64) -> Quantities {
    Quantities::of(Resource::RequestsPerSecond, amount).expect("a valid amount")
}

impl World for Pair {
    fn graph(&self) -> &DependencyGraph {
        &self.graph
    }

    fn snapshot(&self, service: &Name) -> Option<Snapshot> {
        let json = format!(
            r#"{{"name": "{service}", "replica": {{"capacity": {{"requests_per_second": 100}}}}}}"#
        );
        let service: Service = serde_json::from_str(&json).ok()?;
        Some(Snapshot {
            tier: Tier::Silver,
            planned: Quantities::new(),
            target_utilization: 1.0,
            budget_per_hour: None,
            service,
        })
    }

    fn providers(&self) -> Vec<&Provider> {
        Vec::new()
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut world = Pair { graph: DependencyGraph::new() };
    let mut ledger = Ledger::new();
    for service in ["web", "db"] {
        world.graph.add_service(&name(service));
        ledger.set_capacity(&Owner::Service(name(service)), &rps(10_000.0));
    }
    let edge = Dependency { strength: Strength::Mandatory, ratios: rps(1.0) };
    world.graph.add(&name("web"), &name("db"), edge).expect("both are there");
    let mut engine = Engine::new(EngineOptions::default());
    let start = Timestamp::from_millis(0);
    let demand = Demand {
        session: "n".into(),
        requester: name("web"),
        load: rps(9000.0),
        purpose: Purpose::Growth,
        window: Window::new(start, Span::from_mins(10)),
        policy: NegotiationPolicy::default(),
        target_utilization: 1.0,
        budget_per_hour: None,
        started_at: start,
        dry_run: false,
    };
    let mut setting = Setting { world: &world, ledger: &mut ledger, now: start };
    engine.open(demand, &mut setting).expect("a sound demand");
    for (second, line) in bytes.split(|byte| *byte == b'\n').take(50).enumerate() {
        let now = start + Span::from_secs(second as u64);
        let Ok(content) = serde_json::from_slice::<Content>(line) else { continue };
        let question = MessageId(1 + second as u64 / 2);
        let message = Message {
            session: "n".into(),
            message: question,
            in_reply_to: Some(question),
            at: now,
            from: Party::Service(name("db")),
            to: Party::Session,
            content,
        };
        let mut setting = Setting { world: &world, ledger: &mut ledger, now };
        engine.tick(&mut setting);
        let _ = engine.receive(message.clone(), &mut setting);
        let again = engine.receive(message, &mut setting).unwrap_or_default();
        assert!(again.is_empty(), "a message counts a second time");
        assert!(ledger.overcommitted(&Owner::Service(name("db"))).is_empty());
    }
});
