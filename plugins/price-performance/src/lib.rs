//! Bidding by capacity and price: a service accepts what it can carry and counters with what it can
//! carry of more; a provider offers the units that fit, priced by the dominant share of each; a buyer
//! ranks by performance per price, less for what may be taken back.

mod bids;
mod configuration;
mod ranking;
mod response;

use haggle_sdk::{
    Bidder, Fault, Policy,
    bidding::{Answer, Bid, ComputeUnit, Inquiry, Request},
    metadata::Description,
    types::{Context, Quantity, Resource},
};

pub use bids::bids;
pub use configuration::{ByTier, Configuration};
pub use ranking::score;
pub use response::answer;

/// The policy.
#[derive(Debug)]
pub struct PricePerformance;

impl Policy for PricePerformance {
    fn describe() -> Description {
        Description {
            name: "price-performance".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary:
                "Accepts what capacity and dependencies can carry, counters with less, bids by the \
                      dominant share and ranks by performance per price and risk of interruption."
                    .into(),
            configuration_schema: configuration::SCHEMA.into(),
        }
    }
}

impl Bidder for PricePerformance {
    fn respond(ctx: &Context, inquiries: &[Inquiry]) -> Vec<Result<Answer, Fault>> {
        match configuration(ctx) {
            Ok(configuration) => inquiries.iter().map(|i| answer(i, &configuration)).collect(),
            Err(fault) => inquiries.iter().map(|_| Err(fault.clone())).collect(),
        }
    }

    fn make_bids(
        ctx: &Context,
        request: &Request,
        inventory: &[ComputeUnit],
    ) -> Result<Vec<Bid>, Fault> {
        validate("request", &request.resources)?;
        Ok(bids(request, inventory, &configuration(ctx)?))
    }

    fn rank(ctx: &Context, request: &Request, bids: &[Bid]) -> Result<Vec<f64>, Fault> {
        let configuration = configuration(ctx)?;
        Ok(bids.iter().map(|bid| score(request, bid, &configuration)).collect())
    }
}

fn configuration(ctx: &Context) -> Result<Configuration, Fault> {
    let configuration: Configuration = haggle_sdk::configuration::read(ctx)?;
    configuration.validate()?;
    Ok(configuration)
}

/// Amounts must be finite and not negative.
fn validate(what: &str, quantities: &[Quantity]) -> Result<(), Fault> {
    match quantities.iter().find(|q| !(q.amount.is_finite() && q.amount >= 0.0)) {
        None => Ok(()),
        Some(q) => Err(Fault::InvalidInput(format!(
            "{what}: {} is {}: it must be finite and not negative",
            name(q.resource),
            q.amount
        ))),
    }
}

fn name(resource: Resource) -> &'static str {
    match resource {
        Resource::CpuCores => "cpu_cores",
        Resource::MemoryBytes => "memory_bytes",
        Resource::GpuCount => "gpu_count",
        Resource::NetworkBitsPerSecond => "network_bits_per_second",
        Resource::DiskIops => "disk_iops",
        Resource::StorageBytes => "storage_bytes",
        Resource::RequestsPerSecond => "requests_per_second",
    }
}

haggle_sdk::export_bidder!(PricePerformance);

#[cfg(test)]
mod tests;
