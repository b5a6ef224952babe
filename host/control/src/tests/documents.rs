//! Documents, reclaims and plugin generations.

use haggle_model::{Span, Strength};
use serde_json::json;

use crate::{
    Answer, Change, ControlError, ErrorKind, Key, PluginChange, Put, Reclaim, Verdict,
    testing::{PASS, World, name, service},
};

fn world() -> World {
    let mut world = World::new();
    world.policy(json!({"alternatives": ["partial"], "lease": "10m", "renew_before": "1m"}));
    world.provider("rack", &[("m", 4)], 1.0);
    world.service("web", "silver");
    world
}

fn reclaims(world: &World, provider: &str) -> Vec<Reclaim> {
    let provider = name(provider);
    world.state().reclaims(&provider).flat_map(|(_, all)| all.to_vec()).collect()
}

#[test]
fn the_same_documents_change_and_write_nothing() {
    let mut world = world();
    world.service("db", "silver");
    world.depend("web", "db", 0.5);
    let event = json!({"name": "sale", "event": "campaign", "services": ["web"],
                       "times": [{"start": world.now, "end": world.at_minute(60)}]});
    world.change(Change::PutEvent(serde_json::from_value(event).unwrap())).unwrap();
    world.ask(json!({"service": "web", "replicas": 5}));
    world.reclaim("rack", "m", 1, Span::from_mins(3));
    let (writes, version) = (world.disk.writes, world.events.len());
    let records: Vec<_> = world.disk.records.values().cloned().collect();
    for record in records {
        let change = match record {
            crate::Record::Service(service) => Change::PutService(service.as_ref().clone()),
            crate::Record::Provider(provider) => Change::PutProvider(provider.as_ref().clone()),
            crate::Record::Policy(policy) => Change::PutPolicy(policy.as_ref().clone()),
            crate::Record::Event(event) => Change::PutEvent(event.as_ref().clone()),
            crate::Record::Dependency(edge) => {
                Change::PutDependency(edge.from.clone(), edge.to.clone(), edge.into())
            }
            _ => continue,
        };
        assert_eq!(world.change(change), Ok(Put::Updated));
    }
    assert_eq!((world.disk.writes, world.events.len()), (writes, version));
    assert_eq!(reclaims(&world, "rack").len(), 1);
}

#[test]
fn a_provider_that_is_put_again_keeps_what_it_announced() {
    let mut world = world();
    world.ask(json!({"service": "web", "replicas": 16}));
    let at = world.now + Span::from_mins(2);
    let announced = [Reclaim { count: 2, at }];
    world.reclaim("rack", "m", 2, Span::from_mins(2));
    world.provider("rack", &[("m", 4)], 1.0);
    assert_eq!(reclaims(&world, "rack"), announced);
    // A price change does not affect the announcements.
    world.provider("rack", &[("m", 4)], 3.0);
    assert_eq!(reclaims(&world, "rack"), announced);
    assert_eq!((world.leased_at("web", world.now), world.leased_at("web", at)), (16, 8));
    world.restart();
    assert_eq!((world.leased_at("web", world.now), world.leased_at("web", at)), (16, 8));
    world.pass(Span::from_mins(3));
    assert_eq!(world.replicas("web"), 8);
    // A new description of the unit removes them.
    world.provider("rack", &[("m", 3)], 1.0);
    assert_eq!(reclaims(&world, "rack"), []);
    assert_eq!(world.ask(json!({"service": "web", "replicas": 16})).to, 12);
}

#[test]
fn reclaims_add_up_and_leave_the_description_alone() {
    let mut world = world();
    world.ask(json!({"service": "web", "replicas": 16}));
    let first = world.reclaim("rack", "m", 1, Span::from_mins(2));
    assert_eq!((first.count, first.total, first.leases.len()), (1, 1, 1));
    let second = world.reclaim("rack", "m", 2, Span::from_mins(1));
    assert_eq!((second.count, second.total), (2, 3));
    let error = world.try_reclaim("rack", "m", 2, None).unwrap_err();
    assert!(error.to_string().contains("give a count from 1 to 1"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let described = world.state().catalog().provider(&name("rack")).unwrap();
    assert_eq!(described.units[0].count, 4);
    world.pass(Span::from_mins(4));
    assert_eq!(world.replicas("web"), 4);
    assert_eq!(world.ask(json!({"service": "web", "replicas": 16})).to, 4);
    let described = world.state().catalog().provider(&name("rack")).unwrap();
    assert_eq!(described.units[0].count, 4);
    world.restock("rack", "m").unwrap();
    world.restock("rack", "m").unwrap();
    assert_eq!(world.disk.count(|key| matches!(key, Key::Reclaim(..))), 0);
    assert_eq!(world.ask(json!({"service": "web", "replicas": 16})).to, 16);
}

#[test]
fn each_of_several_notices_cuts_at_its_own_time() {
    let mut world = world();
    for service in ["web", "app", "db"] {
        world.service(service, "silver");
        world.ask(json!({"service": service, "replicas": 5, "duration": "10m"}));
    }
    let begun = world.now;
    let leased = |world: &World, minute| -> u32 {
        let at = begun + Span::from_mins(minute);
        ["web", "app", "db"].iter().map(|service| world.leased_at(service, at)).sum()
    };
    world.reclaim("rack", "m", 1, Span::from_mins(5));
    assert_eq!([1, 4, 5].map(|minute| leased(&world, minute)), [15, 15, 12]);
    world.reclaim("rack", "m", 1, Span::from_mins(2));
    let steps = [1, 2, 4, 5].map(|minute| leased(&world, minute));
    assert_eq!(steps[0], 15);
    assert!(steps[1] <= 12 && steps[1] > 8 && steps[3] <= 8 && steps[3] > 4, "{steps:?}");
}

#[test]
fn what_is_taken_back_at_once_goes_though_more_is_announced() {
    let mut world = world();
    world.ask(json!({"service": "web", "replicas": 16}));
    world.reclaim("rack", "m", 1, Span::from_mins(5));
    let now = world.reclaim("rack", "m", 1, Span::ZERO);
    assert_eq!(now.total, 2);
    let left = world.leased_at("web", world.now);
    assert!((8..=12).contains(&left), "{:?}", world.places("web"));
    world.pass(PASS);
    assert_eq!(world.replicas("web"), left);
    world.pass(Span::from_mins(6));
    assert_eq!(world.replicas("web"), 8);
}

#[test]
fn what_is_announced_can_be_withdrawn_and_restocked_before_it_is_due() {
    let mut world = world();
    world.reclaim("rack", "m", 4, Span::from_mins(5));
    let verdict = world.ask(json!({"service": "web", "replicas": 8, "duration": "20m"}));
    assert_eq!(verdict.verdict, Verdict::Denied, "{verdict:?}");
    world.restock("rack", "m").unwrap();
    let verdict = world.ask(json!({"service": "web", "replicas": 8, "duration": "20m"}));
    assert_eq!(verdict.verdict, Verdict::Approved, "{verdict:?}");
    world.pass(Span::from_mins(10));
    assert_eq!(world.replicas("web"), 8);
}

#[test]
fn many_reclaims_that_are_gone_are_kept_as_one() {
    let mut world = World::new();
    world.thorough = false;
    world.provider("rack", &[("m", 5000)], 1.0);
    for _ in 0..50 {
        world.reclaim("rack", "m", 1, Span::from_secs(1));
        world.pass(Span::from_secs(2));
    }
    world.reclaim("rack", "m", 1, Span::from_secs(1));
    assert_eq!(reclaims(&world, "rack").iter().map(|one| one.count).collect::<Vec<_>>(), [50, 1]);
    let mut refused = None;
    for second in 0..1100 {
        let at = Some(world.now + Span::from_secs(10 + second));
        refused = refused.or(world.try_reclaim("rack", "m", 1, at).err());
    }
    let refused = refused.unwrap();
    assert!(refused.to_string().contains("1000 reclaims"), "{refused}");
}

#[test]
fn a_cycle_that_amplifies_load_is_refused() {
    let mut world = world();
    world.service("db", "silver");
    world.service("cache", "silver");
    world.depend("web", "db", 2.0);
    world.depend("db", "cache", 1.0);
    let edge = |ratio: f64| json!({"ratios": {"requests_per_second": ratio}});
    let writes = world.disk.writes;
    for ratio in [0.5, 1.0, 3.0] {
        let error = world.depend_with("cache", "web", edge(ratio)).unwrap_err();
        assert!(matches!(error, ControlError::Cycle { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    assert_eq!(world.disk.writes, writes);
    assert!(world.state().catalog().graph().dependencies.len() == 2);
    world.depend_with("cache", "web", edge(0.25)).unwrap();
    // A dependency on the cycle may not exceed that bound either.
    assert!(world.depend_with("web", "db", edge(4.0)).is_err());
    let kept = world.state().catalog().graph();
    let kept = kept.dependencies.iter().find(|edge| edge.from == name("web")).unwrap();
    assert_eq!(
        (kept.strength, kept.ratios.clone()),
        (Strength::Mandatory, crate::testing::rps(2.0))
    );
    assert_eq!(world.ask(json!({"service": "web", "replicas": 1})).verdict, Verdict::Approved);
}

#[test]
fn a_service_in_use_stays_and_a_deleted_one_leaves_nothing() {
    let mut world = world();
    world.service("db", "silver");
    world.depend("web", "db", 1.0);
    let start = world.now + Span::from_mins(10);
    world.ask(json!({"service": "web", "replicas": 3}));
    let later = json!({"service": "web", "replicas": 5, "start": start, "duration": "10m"});
    let later = world.ask(later).negotiation;
    let error = world.change(Change::DeleteService(name("web"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    world.change(Change::DeleteDependency(name("web"), name("db"))).unwrap();
    world.change(Change::DeleteService(name("web"))).unwrap();
    assert!(world.leases("web").is_empty());
    assert!(!world.driver.contains_key(&name("web")));
    let progress = world.progress(&later);
    assert!(progress.is_none_or(|progress| !progress.pending));
    world.pass(Span::from_mins(20));
    assert_eq!(world.leased_at("db", world.now), world.replicas("db"));
    world.change(Change::PutService(service("web"))).unwrap();
    world.pass(PASS);
    assert_eq!(world.replicas("web"), 1);
}

#[test]
fn the_same_upload_changes_nothing() {
    let mut world = world();
    let first = world.generation("mine", 1, "aa");
    let answer = world.plugin(PluginChange::Promote(first.into())).unwrap();
    let Answer::Promoted { put, current } = answer else { panic!() };
    assert_eq!((put, current.map(|current| current.number)), (Put::Created, Some(1)));
    let (writes, events) = (world.disk.writes, world.events.len());
    let same = world.generation("mine", 2, "aa");
    let answer = world.plugin(PluginChange::Promote(same.into())).unwrap();
    let Answer::Promoted { put, current } = answer else { panic!() };
    assert_eq!((put, current.map(|current| current.number)), (Put::Updated, Some(1)));
    assert_eq!((world.disk.writes, world.events.len()), (writes, events));
    // Another configuration makes another generation.
    let mut other = world.generation("mine", 2, "aa");
    other.configuration = json!({"margin": 0.1});
    world.plugin(PluginChange::Promote(other.into())).unwrap();
    assert_eq!(world.deciding[&name("mine")], Some(2));
    let stale = world.generation("mine", 2, "bb");
    let error = world.plugin(PluginChange::Promote(stale.into())).unwrap_err();
    assert!(matches!(error, ControlError::StaleGeneration { highest: 2, .. }), "{error}");
}

#[test]
fn a_rollback_to_a_built_in_plugin_survives_a_restart() {
    let mut world = world();
    let mine = name("price-performance");
    let upload = world.generation("price-performance", 2, "aa");
    world.plugin(PluginChange::Promote(upload.into())).unwrap();
    assert_eq!(world.deciding[&mine], Some(2));
    world.plugin(PluginChange::RollBack(mine.clone())).unwrap();
    assert_eq!(world.deciding[&mine], None);
    world.restart();
    assert_eq!(world.deciding[&mine], None);
    // Another rollback returns to the newer generation.
    world.plugin(PluginChange::RollBack(mine.clone())).unwrap();
    assert_eq!(world.deciding[&mine], Some(2));
    world.restart();
    assert_eq!(world.deciding[&mine], Some(2));
}

#[test]
fn numbers_of_generations_never_start_anew() {
    let mut world = world();
    for number in 1..4 {
        let upload = world.generation("mine", number, &format!("digest {number}"));
        world.plugin(PluginChange::Promote(upload.into())).unwrap();
    }
    world.plugin(PluginChange::Delete(name("mine"))).unwrap();
    let gone = world.plugin(PluginChange::Delete(name("mine"))).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    world.restart();
    assert_eq!(world.state().plugin(&name("mine")).unwrap().highest(), 3);
    let stale = world.generation("mine", 3, "new");
    assert!(world.plugin(PluginChange::Promote(stale.into())).is_err());
    let next = world.generation("mine", 4, "digest 3");
    let answer = world.plugin(PluginChange::Promote(next.into())).unwrap();
    assert!(matches!(answer, Answer::Promoted { put: Put::Created, .. }), "{answer:?}");
    world.plugin(PluginChange::Delete(name("mine"))).unwrap();
    assert_eq!(world.disk.count(|key| matches!(key, Key::Plugin(..))), 1);
}

#[test]
fn a_plugin_in_use_keeps_its_roles_and_its_place() {
    let mut world = world();
    let upload = world.generation("mine", 1, "aa");
    world.plugin(PluginChange::Promote(upload.into())).unwrap();
    let rack = json!({"name": "rack", "selling": "mine", "units": [
        {"id": "m", "count": 4, "resources": {"cpu_cores": 4}, "cost_per_hour": 1}]});
    world.change(Change::PutProvider(serde_json::from_value(rack).unwrap())).unwrap();
    let error = world.plugin(PluginChange::Delete(name("mine"))).unwrap_err();
    assert!(error.to_string().contains("provider rack"), "{error}");
    let mut less = world.generation("mine", 2, "bb");
    less.roles = vec!["tiering".to_owned()];
    let error = world.plugin(PluginChange::Promote(less.into())).unwrap_err();
    assert!(matches!(error, ControlError::RoleInUse { .. }), "{error}");
    // A rollback to a generation without the role is refused too.
    assert!(world.plugin(PluginChange::RollBack(name("mine"))).is_err());
}

#[test]
fn all_providers_together_have_a_bounded_number_of_units() {
    let mut world = World::new();
    let provider = |name: &str, units: u32| {
        let unit =
            |n| json!({"id": format!("m{n}"), "resources": {"cpu_cores": 1}, "cost_per_hour": 1});
        let units: Vec<_> = (0..units).map(unit).collect();
        let provider = json!({"name": name, "units": units});
        Change::PutProvider(serde_json::from_value(provider).unwrap())
    };
    for n in 0..20 {
        world.change(provider(&format!("rack{n}"), 1000)).unwrap();
    }
    let error = world.change(provider("one-more", 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("20001 kinds of units, and 20000 are the most"), "{error}");
    world.change(provider("rack0", 999)).unwrap();
    world.change(provider("one-more", 1)).unwrap();
    world.check();
}
