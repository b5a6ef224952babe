//! Invariants under random inputs.

use haggle_model::{LeaseState, Owner, Span, Tier, Window};
use haggle_negotiate::leased_replicas;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    Change, Input, ReclaimRequest, Risk, TierAssignment,
    testing::{Manner, Script, World, name},
};

const SERVICES: [&str; 4] = ["web", "app", "db", "cart"];
const PROVIDERS: [&str; 2] = ["rack", "hall"];
const CART: &str = "http://cart:9000/";

#[derive(Clone, Debug)]
enum Act {
    Pass(u64),
    Load(usize, f64),
    Ask { service: usize, replicas: u32, start: Option<u64>, lease: Option<u64>, early: bool },
    Windows { service: usize, replicas: u32, start: u64 },
    Amend { pick: usize, replicas: u32, start: u64, lease: u64 },
    Cancel { pick: usize },
    Reclaim { provider: usize, count: u32, notice: u64 },
    Restock(usize),
    Provider { provider: usize, count: u32 },
    Risk(usize, f64),
    Tier(usize, Tier),
    Depend(bool),
    Fail,
    Hold,
    ReleaseSome(usize),
    Release,
    Restart,
    Plugin(Manner),
    Party(Script),
    Clock(i64),
}

fn calm() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1_u64..400).prop_map(Act::Pass),
        3 => (0_usize..3, 0.0..120.0_f64).prop_map(|(service, load)| Act::Load(service, load)),
        4 => (0_usize..3, 1_u32..20, proptest::option::of(1_u64..900),
              proptest::option::of(1_u64..600), any::<bool>())
            .prop_map(|(service, replicas, start, lease, early)| {
                Act::Ask { service, replicas, start, lease, early }
            }),
        1 => (0_usize..3, 1_u32..12, 1_u64..600)
            .prop_map(|(service, replicas, start)| Act::Windows { service, replicas, start }),
        1 => (0_usize..9, 1_u32..12, 0_u64..600, 1_u64..600).prop_map(
            |(pick, replicas, start, lease)| Act::Amend { pick, replicas, start, lease }),
        2 => (0_usize..9).prop_map(|pick| Act::Cancel { pick }),
    ]
}

fn wild() -> impl Strategy<Value = Act> {
    let manners = [Manner::Fair, Manner::Refusing, Manner::Silent, Manner::Failing, Manner::Absurd];
    let scripts = [Script::Agreeable, Script::Offers(0.5), Script::Faithless, Script::Silent];
    let tiers = [Tier::Gold, Tier::Silver, Tier::Bronze];
    prop_oneof![
        10 => calm(),
        2 => (0_usize..2, 1_u32..4, 0_u64..300)
            .prop_map(|(provider, count, notice)| Act::Reclaim { provider, count, notice }),
        1 => (0_usize..2).prop_map(Act::Restock),
        1 => (0_usize..2, 1_u32..6).prop_map(|(provider, count)| Act::Provider { provider, count }),
        1 => (0_usize..3, 0.0..1.0_f64).prop_map(|(service, risk)| Act::Risk(service, risk)),
        1 => (0_usize..3, proptest::sample::select(tiers.to_vec()))
            .prop_map(|(service, tier)| Act::Tier(service, tier)),
        1 => any::<bool>().prop_map(Act::Depend),
        2 => Just(Act::Fail),
        1 => Just(Act::Hold),
        1 => (0_usize..4).prop_map(Act::ReleaseSome),
        1 => Just(Act::Release),
        1 => Just(Act::Restart),
        1 => proptest::sample::select(manners.to_vec()).prop_map(Act::Plugin),
        1 => proptest::sample::select(scripts.to_vec()).prop_map(Act::Party),
        1 => (-4000_i64..4000).prop_map(Act::Clock),
    ]
}

fn world(alternatives: Value) -> World {
    let mut world = World::new();
    world.policy_with(
        json!({"stabilization": "30s"}),
        json!({"alternatives": alternatives, "lease": "3m", "renew_before": "40s",
               "max_delay": "2m", "preemption_notice": "30s", "deadline": "20s"}),
    );
    world.provider("rack", &[("m", 4)], 1.0);
    world.provider("hall", &[("m", 2)], 2.0);
    for service in ["web", "app", "db"] {
        world.service(service, "silver");
    }
    world.depend("web", "db", 0.5);
    world.depend("app", "db", 1.0);
    world
}

impl World {
    fn act(&mut self, act: &Act) {
        let after = |seconds: u64| self.now + Span::from_secs(seconds);
        match *act {
            Act::Pass(seconds) => self.pass(Span::from_secs(seconds)),
            Act::Load(service, load) => self.load(SERVICES[service], load),
            Act::Ask { service, replicas, start, lease, early } => {
                let mut request = json!({"service": SERVICES[service], "replicas": replicas});
                if let Some(start) = start {
                    request["start"] = json!(after(start));
                }
                if let Some(lease) = lease {
                    request["duration"] = json!(Span::from_secs(lease));
                }
                self.begin(request, early);
            }
            Act::Windows { service, replicas, start } => {
                let windows = json!([
                    {"start": after(start), "duration": "1m", "replicas": replicas},
                    {"start": after(start + 60), "duration": "90s", "replicas": replicas + 3},
                ]);
                self.begin(json!({"service": SERVICES[service], "windows": windows}), false);
            }
            Act::Amend { pick, replicas, start, lease } => {
                let Some(id) = self.known(pick) else { return };
                let window = json!({"start": after(start), "duration": Span::from_secs(lease), "replicas": replicas});
                let window = Box::new(serde_json::from_value(window).unwrap());
                let caller = self.caller();
                self.step(Input::Amend { caller, id, window });
            }
            Act::Cancel { pick } => {
                let Some(id) = self.known(pick) else { return };
                let caller = self.caller();
                self.step(Input::Cancel { caller, id });
            }
            Act::Reclaim { provider, count, notice } => {
                let at = Some(after(notice));
                let (caller, provider) = (self.caller(), name(PROVIDERS[provider]));
                let request = ReclaimRequest { unit: name("m"), count, at };
                self.step(Input::Reclaim { caller, provider, request });
            }
            Act::Restock(provider) => {
                let (caller, provider) = (self.caller(), name(PROVIDERS[provider]));
                self.step(Input::Restock { caller, provider, unit: name("m") });
            }
            Act::Provider { provider, count } => {
                let provider = json!({"name": PROVIDERS[provider], "units": [
                    {"id": "m", "count": count, "resources": {"cpu_cores": 4}, "cost_per_hour": 1.0,
                     "interruption_notice": "30s"}]});
                let provider = serde_json::from_value(provider).unwrap();
                self.begin_change(Change::PutProvider(provider));
            }
            Act::Risk(service, risk) => {
                let (service, explanation) = (name(SERVICES[service]), String::new());
                self.step(Input::Risks(vec![Risk {
                    service,
                    probability: Some(risk),
                    explanation,
                }]));
            }
            Act::Tier(service, tier) => {
                let (service, reason) = (name(SERVICES[service]), String::new());
                self.step(Input::Tiers(vec![TierAssignment { service, tier, share: 0.3, reason }]));
            }
            Act::Depend(there) => {
                let (web, cart) = (name("web"), name("cart"));
                let edge = json!({"ratios": {"requests_per_second": 1}});
                self.begin_change(match there {
                    true => Change::PutDependency(web, cart, serde_json::from_value(edge).unwrap()),
                    false => Change::DeleteDependency(web, cart),
                });
            }
            Act::Fail => self.fail_next_commit(),
            Act::Hold => self.hold_commits(),
            Act::ReleaseSome(count) => self.release_some(count),
            Act::Release => self.release(),
            Act::Restart => self.restart(),
            Act::Plugin(manner) => drop(self.plugins.insert(name("price-performance"), manner)),
            Act::Party(script) => drop(self.parties.insert(CART.to_owned(), script)),
            Act::Clock(seconds) => {
                let span = Span::from_secs(seconds.unsigned_abs());
                let now = if seconds < 0 { self.now.before(span) } else { self.now + span };
                self.restart_clock(now);
            }
        }
    }

    fn known(&self, pick: usize) -> Option<String> {
        let requests = &self.state().requests;
        let place = pick.checked_rem(requests.len())?;
        requests.keys().nth(place).cloned()
    }

    /// Lets everything settle, and checks that nothing is left over.
    fn come_to_rest(&mut self) {
        self.release();
        self.plugins.clear();
        self.parties.clear();
        self.pass(Span::from_mins(60));
        let state = self.state();
        assert!(state.requests.values().all(|request| !request.is_pending()));
        assert!(state.waiting.is_empty(), "{:?}", state.waiting);
        let soon = |purpose: &crate::purpose::Purpose| {
            self.now < purpose.demand.started_at + purpose.demand.policy.deadline
        };
        assert!(state.sessions.values().all(|purpose| soon(purpose)));
        let held = state.ledger().leases().filter(|lease| lease.state == LeaseState::Held);
        assert!(held.count() == 0 || !state.sessions.is_empty());
        let open: u32 = state.negotiating.values().sum();
        assert!(open as usize <= state.sessions.len());
        assert!(state.recorded.is_empty(), "{:?}", state.recorded);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn what_always_holds_holds(acts in prop::collection::vec(wild(), 1..40), later in any::<bool>()) {
        let alternatives = if later { json!(["delayed", "preempt", "partial"]) } else { json!(["partial"]) };
        let mut world = world(alternatives);
        let more = json!({"endpoint": CART, "replica": {"capacity": {"requests_per_second": 10}}});
        world.service_with("cart", more);
        for act in &acts {
            world.act(act);
        }
        world.come_to_rest();
        world.restart();
    }

    #[test]
    fn nobody_promises_more_than_its_replicas_carry(acts in prop::collection::vec(calm(), 1..40)) {
        let mut world = world(json!(["partial"]));
        world.pass(Span::from_secs(10));
        for act in &acts {
            world.act(act);
            let state = world.state();
            for (service, known) in state.services() {
                let moment = Window::new(world.now, Span::from_millis(1));
                let owner = Owner::Service(service.name.clone());
                let promised = state.ledger().committed(&owner, moment, &[]);
                // The ledger rounds each promise up to thousandths.
                let rounding = crate::testing::rps(0.1);
                let needed = service.replicas_for(&promised.minus(&rounding), 1.0);
                let leased = leased_replicas(state.ledger(), service, moment);
                let has = known.replicas;
                prop_assert!(
                    promised.is_zero() || leased >= needed,
                    "{}: {} promised, {leased} leased, {has} there", service.name, promised
                );
            }
        }
        world.come_to_rest();
    }
}
