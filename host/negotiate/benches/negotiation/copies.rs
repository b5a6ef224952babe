//! Measures the cost of copying a ledger and of changing the copy, while the original stays unchanged.

use std::{
    hint::black_box,
    io::Write,
    time::{Duration, Instant},
};

use haggle_model::{
    Lease, LeaseId, LeaseState, Name, Owner, Quantities, Resource, Timestamp, Window,
};
use haggle_negotiate::{Commitment, Hold, Ledger};

use super::Failure;

const LEASES: u64 = 100_000;

/// Uses 100,000 leases, each with a window of its own, of 1,000 owners and then of 10.
pub(super) fn copies(out: &mut impl Write) -> Result<(), Failure> {
    for owners in [1_000, 10] {
        let mut ledger = Ledger::new();
        for owner in 0..owners {
            let plenty = Quantities::of(Resource::RequestsPerSecond, 1e9)?;
            ledger.set_capacity(&service(owner)?, &plenty);
        }
        let all = (0..LEASES).map(|number| lease(number, owners, LeaseState::Confirmed));
        ledger.restore(all.collect::<Result<Vec<Lease>, Failure>>()?, Timestamp::from_millis(0));
        change(out, &ledger, owners)?;
    }
    Ok(())
}

fn change(out: &mut impl Write, ledger: &Ledger, owners: u64) -> Result<(), Failure> {
    const TIMES: u64 = 2_000;
    let now = Timestamp::from_millis(0);
    let (mut cloning, mut changing) = (Duration::ZERO, Duration::ZERO);
    for number in LEASES..LEASES + TIMES {
        // A different window each time, spread over early and late ones.
        let lease = lease(number.wrapping_mul(2_654_435_761) % LEASES, owners, LeaseState::Held)?;
        let lease = Lease { id: LeaseId(format!("n{number}-1-1")), ..lease };
        let confirm = Commitment { confirm: vec![lease.id.clone()], ..Commitment::default() };
        let start = Instant::now();
        let mut copy = black_box(ledger.clone());
        cloning += start.elapsed();
        let start = Instant::now();
        copy.hold(&[Hold::new(lease)], now)?;
        copy.confirm(&confirm, now)?;
        drop(black_box(copy));
        changing += start.elapsed();
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / TIMES as f64;
    writeln!(
        out,
        "ledger of {LEASES} leases on {owners} owners: {:.2} us to clone it, {:.1} us to hold and confirm one more in the copy",
        micros(cloning),
        micros(changing),
    )?;
    Ok(())
}

fn service(number: u64) -> Result<Owner, Failure> {
    Ok(Owner::Service(Name::new(&format!("s{number}"))?))
}

fn lease(number: u64, owners: u64, state: LeaseState) -> Result<Lease, Failure> {
    let start = Timestamp::from_millis(number);
    Ok(Lease {
        id: LeaseId(format!("n{number}-1-1")),
        negotiation: format!("n{number}"),
        holder: Name::new(&format!("h{}", number % 997))?,
        owner: service(number % owners)?,
        amounts: Quantities::of(Resource::RequestsPerSecond, 1.0)?,
        replicas: 0,
        price_per_hour: 0.0,
        window: Window { start, end: Timestamp::from_millis(1_000_000 + number) },
        state,
        held_until: Timestamp::from_millis(1_000_000),
    })
}
