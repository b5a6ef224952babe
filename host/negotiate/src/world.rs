use haggle_model::{
    DependencyGraph, Lease, LeaseState, Name, Owner, Provider, Quantities, Service, Tier,
    Timestamp, Window,
};

use crate::Ledger;

/// The services and providers, as a negotiation sees them.
pub trait World {
    /// The dependency graph.
    fn graph(&self) -> &DependencyGraph;

    /// The state of a service; `None` if it does not exist.
    fn snapshot(&self, service: &Name) -> Option<Snapshot>;

    /// All providers. If there are none, replicas are neither bought nor counted.
    fn providers(&self) -> Vec<&Provider>;
}

/// The state of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The service.
    pub service: Service,
    /// The current tier.
    pub tier: Tier,
    /// The load that the service plans for itself, without its promises. It includes the load of replicas
    /// that the service keeps on purpose; otherwise a session of a dependent would request fewer replicas
    /// than a session of its own.
    pub planned: Quantities,
    /// The planned share of a replica's capacity, above 0 and at most 1.
    pub target_utilization: f64,
    /// The maximum total price per hour of all its replicas at any moment, including the staying ones. If
    /// existing leases already exceed it because the budget was larger before, they may stay until they
    /// end, but the session adds nothing that has a price.
    pub budget_per_hour: Option<f64>,
}

/// The environment of one step of a session.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The services and providers.
    pub world: &'a dyn World,
    /// The ledger of promised capacity.
    pub ledger: &'a Ledger,
    /// The current time.
    pub now: Timestamp,
}

/// The capacity of a service in the ledger: the load of its maximum number of replicas, each used up to
/// `target_utilization`.
#[must_use]
pub fn service_capacity(service: &Service, target_utilization: f64) -> Quantities {
    service.carries(service.replicas.max).scaled(target_utilization)
}

/// The number of replicas that the confirmed leases of `service` place throughout the window: the minimum
/// over all moments. Leases for smaller replicas than the current size do not count, nor do leases of
/// removed providers.
#[must_use]
pub fn leased_replicas(ledger: &Ledger, service: &Service, window: Window) -> u32 {
    least_of(placements(ledger, service, window).collect(), window)
}

/// The confirmed leases that place replicas of one service. Use it to query many windows.
#[derive(Debug)]
pub struct Placements<'a>(Vec<&'a Lease>);

impl<'a> Placements<'a> {
    /// Collects the leases of the service that fit the current size of its replicas.
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

/// The minimum number of replicas that these leases place over the window.
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

/// The confirmed leases that place replicas of the service within the window, at the current size of its
/// replicas.
pub(crate) fn placements<'a>(
    ledger: &'a Ledger,
    service: &'a Service,
    window: Window,
) -> impl Iterator<Item = &'a Lease> {
    let leases = ledger.leases_of(&service.name);
    leases.filter(move |lease| lease.window.overlaps(&window) && places(ledger, service, lease))
}

/// Whether a confirmed lease places replicas of the service at their current size.
pub(crate) fn places(ledger: &Ledger, service: &Service, lease: &Lease) -> bool {
    matches!(lease.owner, Owner::Unit { .. })
        && lease.state == LeaseState::Confirmed
        && lease.amounts.covers(&service.replica.requests.scaled(f64::from(lease.replicas)))
        && ledger.capacity(&lease.owner).is_some()
}
