//! Concurrent sessions of one requester: in the end, it has the leases of exactly one agreement.

use super::Bench;
use crate::testing::name;

/// The load that `db` has promised to `web`, and the negotiations that agreed it.
fn promised(bench: &Bench) -> (f64, Vec<&str>) {
    let web = name("web");
    let leases = bench.world.ledger.leases_of(&web).map(|lease| lease.negotiation.as_str());
    (bench.world.agreed("web", "db"), leases.collect())
}

#[test]
fn the_one_that_ends_last_takes_the_place_of_the_other() {
    for order in [[300.0, 500.0], [500.0, 300.0]] {
        let mut bench = Bench::new();
        let [first, second] = order.map(|load| bench.open(load));
        bench.agree();
        // One commit is in progress. The other session waits for it and asks no party in the meantime.
        assert!(bench.ends.is_empty() && bench.said.is_empty());
        assert_eq!(bench.writes.iter().filter(|write| write.awaited).count(), 1);
        bench.written(&first, Ok(()));
        bench.agree();
        bench.written(&second, Ok(()));
        bench.agree();
        assert_eq!(bench.ends.len(), 2);
        assert!(bench.ends.iter().all(|end| end.outcome.agreement().is_some()));
        assert_eq!(promised(&bench), (order[1], vec![second.as_str()]));
    }
}

#[test]
fn what_could_not_be_written_is_in_nobodys_way() {
    let mut bench = Bench::new();
    let (first, second) = (bench.open(300.0), bench.open(500.0));
    bench.agree();
    bench.written(&first, Err("the disk is full".into()));
    bench.agree();
    bench.written(&second, Ok(()));
    assert_eq!(promised(&bench), (500.0, vec![second.as_str()]));
}

#[test]
fn whoever_waits_ends_at_its_deadline_all_the_same() {
    let mut bench = Bench::new();
    let first = bench.open(300.0);
    bench.open(500.0);
    bench.agree();
    bench.tick(100);
    assert_eq!(bench.ends.len(), 1);
    assert!(bench.ends[0].outcome.agreement().is_none());
    bench.written(&first, Ok(()));
    assert_eq!(promised(&bench).1, [first]);
}
