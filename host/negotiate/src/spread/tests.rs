use haggle_model::{DependencyGraph, Quantities, Resource, Strength};
use proptest::prelude::*;

use super::{Edge, Spread, SpreadError, cycle_gain};
use crate::testing::{calls, graph, name, rps};

use Strength::{BestEffort, Mandatory, Optional};

fn load(spread: &Spread, service: &str) -> f64 {
    spread.shares()[&name(service)].load.get(Resource::RequestsPerSecond)
}

fn strength(spread: &Spread, service: &str) -> Strength {
    spread.shares()[&name(service)].strength
}

#[test]
fn runs_down_a_chain() {
    let graph = graph(&[("web", "cart", 2.0, Mandatory), ("cart", "db", 1.5, Mandatory)]);
    let spread = Spread::new(&graph, &name("web"), &rps(100.0)).unwrap();
    assert_eq!((load(&spread, "cart"), load(&spread, "db")), (200.0, 300.0));
    assert_eq!(spread.waves(), [[name("db")], [name("cart")], [name("web")]]);
    let from_cart = Spread::new(&graph, &name("cart"), &rps(10.0)).unwrap();
    assert_eq!(from_cart.shares().len(), 2);
}

#[test]
fn a_diamond_adds_up_once_an_edge() {
    let graph = graph(&[
        ("web", "a", 1.0, Mandatory),
        ("web", "b", 0.5, Optional),
        ("a", "db", 1.0, Mandatory),
        ("b", "db", 4.0, Mandatory),
    ]);
    let spread = Spread::new(&graph, &name("web"), &rps(100.0)).unwrap();
    assert_eq!(load(&spread, "db"), 300.0);
    assert_eq!((strength(&spread, "db"), strength(&spread, "b")), (Mandatory, Optional));
    let edge = Edge { from: name("web"), to: name("b") };
    let without = spread.without(|from, to, _| *from == edge.from && *to == edge.to).unwrap();
    assert_eq!(load(&without, "db"), 100.0);
    assert!(!without.shares().contains_key(&name("b")));
}

#[test]
fn every_resource_flows_by_itself() {
    let mut graph = DependencyGraph::new();
    graph.add_service(&name("web"));
    graph.add_service(&name("db"));
    let mut edge = calls(2.0, Mandatory);
    edge.ratios.set(Resource::DiskIops, 0.1).unwrap();
    graph.add(&name("web"), &name("db"), edge).unwrap();
    let mut both = rps(10.0);
    both.set(Resource::DiskIops, 50.0).unwrap();
    let spread = Spread::new(&graph, &name("web"), &both).unwrap();
    let mut wanted = rps(20.0);
    wanted.set(Resource::DiskIops, 5.0).unwrap();
    assert_eq!(spread.shares()[&name("db")].load, wanted);
}

#[test]
fn a_cycle_is_solved_together_and_shares_a_wave() {
    let graph = graph(&[
        ("web", "a", 1.0, Mandatory),
        ("a", "b", 1.0, Mandatory),
        ("b", "a", 0.5, Mandatory),
        ("b", "db", 1.0, Mandatory),
    ]);
    let spread = Spread::new(&graph, &name("web"), &rps(100.0)).unwrap();
    for service in ["a", "b", "db"] {
        assert!((load(&spread, service) - 200.0).abs() < 1e-9, "{service}");
    }
    let waves = [vec![name("db")], vec![name("a"), name("b")], vec![name("web")]];
    assert_eq!(spread.waves(), waves);
    assert_eq!(cycle_gain(&graph), Ok(()));
}

#[test]
fn the_load_on_a_member_of_a_cycle_includes_what_comes_back_to_it() {
    let graph = graph(&[("a", "b", 2.0, Mandatory), ("b", "a", 0.3, Mandatory)]);
    let spread = Spread::new(&graph, &name("a"), &rps(90.0)).unwrap();
    assert_eq!((load(&spread, "a"), load(&spread, "b")), (90.0, 180.0));
    assert_eq!(spread.waves(), [vec![name("b")], vec![name("a")]]);
}

#[test]
fn a_cycle_that_grows_is_named() {
    let graph = graph(&[
        ("web", "a", 1.0, Mandatory),
        ("a", "b", 2.0, Mandatory),
        ("b", "a", 0.75, Mandatory),
    ]);
    let error = Spread::new(&graph, &name("web"), &rps(100.0)).unwrap_err();
    let SpreadError::Divergent { cycle, gain, .. } = &error else { panic!("{error}") };
    assert!(cycle == "a -> b -> a" || cycle == "b -> a -> b", "{cycle}");
    assert!((gain - 1.5).abs() < 1e-9);
    assert!(Spread::new(&graph, &name("web"), &rps(0.0)).is_ok(), "nothing grows from nothing");
    assert_eq!(cycle_gain(&graph), Err(error), "whoever is asked for it");
}

#[test]
fn absurd_products_of_ratios_are_refused() {
    let graph = graph(&[("a", "b", 1e9, Mandatory), ("b", "c", 1e9, Mandatory)]);
    let error = Spread::new(&graph, &name("a"), &rps(1.0)).unwrap_err();
    assert!(matches!(error, SpreadError::TooLarge { ref service, .. } if *service == name("c")));
    let error = Spread::new(&graph, &name("z"), &rps(1.0)).unwrap_err();
    assert_eq!(error, SpreadError::UnknownService(name("z")));
}

#[test]
fn the_strongest_path_counts() {
    let graph = graph(&[
        ("web", "a", 1.0, BestEffort),
        ("a", "db", 1.0, Mandatory),
        ("web", "b", 1.0, Optional),
        ("b", "db", 1.0, Mandatory),
        ("a", "log", 1.0, Mandatory),
    ]);
    let spread = Spread::new(&graph, &name("web"), &rps(1.0)).unwrap();
    assert_eq!(strength(&spread, "db"), Optional);
    assert_eq!(strength(&spread, "log"), BestEffort);
}

#[test]
fn a_long_chain_needs_no_deep_stack() {
    let names: Vec<String> = (0..20_000).map(|i| format!("s{i}")).collect();
    let edges: Vec<_> =
        names.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str(), 1.0, Mandatory)).collect();
    let spread = Spread::new(&graph(&edges), &name("s0"), &rps(7.0)).unwrap();
    assert_eq!(load(&spread, "s19999"), 7.0);
    assert_eq!(spread.waves().len(), 20_000);
}

proptest! {
    /// In a graph without cycles, the load is the sum over all paths of the product of their ratios.
    #[test]
    fn sums_over_all_paths(ratios in prop::collection::vec(prop_oneof![Just(0.0), 0.1..2.0_f64], 36)) {
        let names: Vec<String> = (0..6).map(|i| format!("s{i}")).collect();
        let mut edges = Vec::new();
        let mut wanted = [100.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        for i in 0..6 {
            for j in i + 1..6 {
                let ratio = ratios[i * 6 + j];
                wanted[j] += wanted[i] * ratio;
                if ratio > 0.0 {
                    edges.push((names[i].as_str(), names[j].as_str(), ratio, Mandatory));
                }
            }
        }
        let mut graph = graph(&edges);
        graph.add_service(&name("s0"));
        let spread = Spread::new(&graph, &name("s0"), &rps(100.0)).unwrap();
        for (service, wanted) in names.iter().zip(wanted) {
            let got = spread.shares().get(&name(service)).map_or(&Quantities::new(), |s| &s.load)
                .get(Resource::RequestsPerSecond);
            prop_assert!((got - wanted).abs() <= 1e-9 * wanted.max(1.0));
        }
        let position = |service: &haggle_model::Name| spread.waves().iter().position(|w| w.contains(service));
        for (from, to, _) in spread.graph.dependencies() {
            prop_assert!(position(to) < position(from));
        }
    }
}
