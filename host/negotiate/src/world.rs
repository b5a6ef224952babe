use haggle_model::{
    DependencyGraph, Lease, LeaseState, Name, Owner, Provider, Quantities, Service, Tier,
    Timestamp, Window,
};

use crate::Ledger;

/// What a negotiation sees of the services and providers.
pub trait World {
    /// Who depends on whom.
    fn graph(&self) -> &DependencyGraph;

    /// Where a service stands; none where it does not exist.
    fn snapshot(&self, service: &Name) -> Option<Snapshot>;

    /// Everybody who has compute units. Where nobody has, replicas are not bought and not counted.
    fn providers(&self) -> Vec<&Provider>;
}

/// Where a service stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The service.
    pub service: Service,
    /// Its tier as of now.
    pub tier: Tier,
    /// The load that it plans for by itself, whatever it has promised; the load of replicas that it keeps on
    /// purpose included, or a session of a dependent asks for fewer replicas than its own.
    pub planned: Quantities,
    /// The share of a replica's capacity that it plans with, above 0 and at most 1.
    pub target_utilization: f64,
    /// The most that all its replicas may cost together at any moment, per hour: what stays counts beside what
    /// is bought. Where they cost more already, since the budget was larger when they were leased, they may stay
    /// until they end, and nothing that costs is added beside them.
    pub budget_per_hour: Option<f64>,
}

/// What a session sees at one step.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The services and providers.
    pub world: &'a dyn World,
    /// The capacity that is promised.
    pub ledger: &'a Ledger,
    /// The present.
    pub now: Timestamp,
}

/// What a service has to promise to others: what it carries with all the replicas it may have, each
/// used up to `target_utilization`. This is its capacity in the ledger.
#[must_use]
pub fn service_capacity(service: &Service, target_utilization: f64) -> Quantities {
    service.carries(service.replicas.max).scaled(target_utilization)
}

/// How many replicas of its present size `holder` can count on throughout the window, by the leases it
/// has confirmed: the least at any moment of it. Leases of providers that are gone do not count.
#[must_use]
pub fn leased_replicas(ledger: &Ledger, service: &Service, window: Window) -> u32 {
    least_of(placements(ledger, service, window).collect(), window)
}

/// The confirmed leases that place replicas of one service, for whoever asks about many windows.
#[derive(Debug)]
pub struct Placements<'a>(Vec<&'a Lease>);

impl<'a> Placements<'a> {
    /// Those of the service, in the size that a replica has now.
    #[must_use]
    pub fn of(ledger: &'a Ledger, service: &'a Service) -> Self {
        let leases = ledger.leases_of(&service.name);
        Self(leases.filter(|lease| places(ledger, service, lease)).collect())
    }

    /// As [`leased_replicas`].
    #[must_use]
    pub fn least(&self, window: Window) -> u32 {
        let within = self.0.iter().filter(|lease| lease.window.overlaps(&window));
        least_of(within.copied().collect(), window)
    }
}

/// The fewest replicas that these leases place at any moment of the window.
fn least_of(leases: Vec<&Lease>, window: Window) -> u32 {
    leases
        .iter()
        .flat_map(|lease| [lease.window.start, lease.window.end])
        .filter(|at| window.contains(*at))
        .chain([window.start])
        .map(|at| {
            let here = leases.iter().filter(|lease| lease.window.contains(at));
            here.map(|lease| lease.replicas).sum()
        })
        .min()
        .unwrap_or(0)
}

/// The confirmed leases that place replicas of the service within the window, in the size that a
/// replica has now.
pub(crate) fn placements<'a>(
    ledger: &'a Ledger,
    service: &'a Service,
    window: Window,
) -> impl Iterator<Item = &'a Lease> {
    let leases = ledger.leases_of(&service.name);
    leases.filter(move |lease| lease.window.overlaps(&window) && places(ledger, service, lease))
}

/// Whether a lease of the service is confirmed and places replicas of it, in the size that a replica has now.
pub(crate) fn places(ledger: &Ledger, service: &Service, lease: &Lease) -> bool {
    matches!(lease.owner, Owner::Unit { .. })
        && lease.state == LeaseState::Confirmed
        && lease.amounts.covers(&service.replica.requests.scaled(f64::from(lease.replicas)))
        && ledger.capacity(&lease.owner).is_some()
}
