//! Agreements for windows that partly overlap.

use haggle_model::{Alternative, Owner, Strength::Mandatory};

use super::{Fixture, fraction};
use crate::{
    Demand,
    testing::{name, rps, window},
};

fn shop() -> Fixture {
    let mut shop = Fixture::new(&[("web", "db", 1.0, Mandatory), ("app", "db", 1.0, Mandatory)]);
    shop.provider("alder", 4, 1.0);
    shop.service("db", 20);
    shop
}

fn run(shop: &mut Fixture, who: &str, load: f64, start: u64, end: u64) {
    let demand = shop.demand(who, load);
    let done = shop.run(Demand { window: window(start, end), ..demand });
    assert_eq!(fraction(&done), 1.0, "{who} {load}");
}

/// The number of replicas placed at that second.
fn placed(shop: &Fixture, who: &str, second: u64) -> u32 {
    let who = name(who);
    let leases = shop.ledger.leases_of(&who);
    leases.filter(|l| l.window.contains(super::at(second))).map(|l| l.replicas).sum()
}

fn ids(shop: &Fixture, holder: &str, owner: impl Fn(&Owner) -> bool) -> Vec<String> {
    let holder = name(holder);
    let leases = shop.ledger.leases_of(&holder).filter(|lease| owner(&lease.owner));
    leases.map(|lease| lease.id.0.clone()).collect()
}

#[test]
fn growth_adds_to_what_lasts_longer() {
    let mut shop = shop();
    run(&mut shop, "web", 300.0, 0, 3600);
    let before = shop.ledger.leases().cloned().collect::<Vec<_>>();
    run(&mut shop, "web", 500.0, 0, 600);
    assert_eq!((placed(&shop, "web", 0), placed(&shop, "web", 600)), (5, 3));
    assert_eq!((placed(&shop, "db", 0), placed(&shop, "db", 3599)), (5, 3));
    assert_eq!(shop.agreed("web", "db"), 500.0);
    for lease in &before {
        assert_eq!(shop.ledger.lease(&lease.id), Some(lease), "it stands as it was agreed");
    }
    // Only the addition is renewed.
    shop.now = 300;
    run(&mut shop, "web", 600.0, 300, 900);
    assert_eq!((placed(&shop, "web", 300), placed(&shop, "web", 900)), (6, 3));
    let promises = ids(&shop, "web", |owner| matches!(owner, Owner::Service(_)));
    assert_eq!(promises.len(), 2, "{promises:?}");
}

#[test]
fn whoever_asks_for_less_gives_back_what_lasts_longer() {
    let mut shop = shop();
    run(&mut shop, "web", 500.0, 0, 3600);
    run(&mut shop, "web", 200.0, 0, 600);
    assert_eq!((placed(&shop, "web", 0), placed(&shop, "web", 3000)), (2, 0));
    assert_eq!(shop.agreed("web", "db"), 200.0);
}

#[test]
fn what_begins_later_is_neither_replaced_nor_bought_twice() {
    let mut shop = shop();
    shop.snapshots.get_mut(&name("db")).unwrap().planned = rps(800.0);
    run(&mut shop, "web", 600.0, 300, 3600);
    shop.snapshots.get_mut(&name("db")).unwrap().planned = rps(0.0);
    let reserved = shop.ledger.leases().cloned().collect::<Vec<_>>();
    run(&mut shop, "app", 100.0, 0, 600);
    assert_eq!((placed(&shop, "db", 299), placed(&shop, "db", 300)), (7, 8));
    for lease in &reserved {
        assert_eq!(shop.ledger.lease(&lease.id), Some(lease));
    }
}

#[test]
fn several_renew_together_what_they_have_though_it_is_nearly_all() {
    // Each sees 9 of 16 free, including its own 7, although the leases of both end within the window.
    for (load, later) in [(700.0, 700.0), (700.0, 800.0), (800.0, 800.0), (800.0, 300.0)] {
        let mut shop = shop();
        run(&mut shop, "web", load, 0, 600);
        shop.now = 540;
        run(&mut shop, "web", later, 540, 1140);
        let replicas = (later / 100.0) as u32;
        assert_eq!((placed(&shop, "web", 1000), placed(&shop, "db", 1000)), (replicas, replicas));
    }
    // One of them has renewed on its own in the meantime.
    let mut shop = shop();
    run(&mut shop, "web", 700.0, 0, 600);
    shop.now = 500;
    shop.snapshots.get_mut(&name("db")).unwrap().planned = rps(700.0);
    run(&mut shop, "db", 0.001, 500, 1100);
    shop.now = 540;
    run(&mut shop, "web", 800.0, 540, 1140);
    assert_eq!((placed(&shop, "web", 1120), placed(&shop, "db", 1120)), (8, 8));
}

#[test]
fn a_renewal_leaves_alone_what_is_reserved_for_later() {
    let mut shop = shop();
    shop.service("other", 10);
    run(&mut shop, "web", 600.0, 0, 600);
    run(&mut shop, "other", 1000.0, 600, 2000);
    shop.now = 540;
    let mut demand = shop.demand("web", 600.0);
    demand.policy.alternatives = vec![Alternative::Partial];
    let done = shop.run(Demand { window: window(540, 1140), ..demand });
    // Until then, both hold more than the later reservation leaves free.
    assert_eq!(fraction(&done), 0.5, "{:?}", done.outcome);
    let all = ["web", "db", "other"].map(|who| placed(&shop, who, 1000));
    assert_eq!(all, [3, 3, 10]);
}
