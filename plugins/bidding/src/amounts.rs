use haggle_sdk::{
    Fault,
    types::{Quantity, Resource},
};

/// Amounts must be finite and not negative.
pub(crate) fn validate(what: &str, quantities: &[Quantity]) -> Result<(), Fault> {
    match quantities.iter().find(|q| !(q.amount.is_finite() && q.amount >= 0.0)) {
        None => Ok(()),
        Some(q) => Err(Fault::InvalidInput(format!(
            "{what}: {} is {}: it must be finite and not negative",
            name(q.resource),
            q.amount
        ))),
    }
}

pub(crate) fn amount(quantities: &[Quantity], resource: Resource) -> Option<f64> {
    quantities.iter().find(|q| q.resource == resource).map(|q| q.amount)
}

pub(crate) fn name(resource: Resource) -> &'static str {
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
