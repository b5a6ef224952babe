use haggle_sdk::{
    Fault,
    types::{Quantity, ResourceKind},
};

/// Amounts must be finite and not negative.
pub(crate) fn validate(field: &str, quantities: &[Quantity]) -> Result<(), Fault> {
    quantities.iter().try_for_each(|quantity| check(field, quantity.kind, quantity.amount))
}

/// An amount must be finite and not negative.
pub(crate) fn check(field: &str, kind: ResourceKind, amount: f64) -> Result<(), Fault> {
    if amount.is_finite() && amount >= 0.0 {
        return Ok(());
    }
    let name = name(kind);
    Err(Fault::InvalidInput(format!(
        "{field}: {name} is {amount}: it must be finite and not negative"
    )))
}

/// The name of a resource, as documents spell it.
pub(crate) fn name(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::CpuCores => "cpu_cores",
        ResourceKind::MemoryBytes => "memory_bytes",
        ResourceKind::GpuCount => "gpu_count",
        ResourceKind::NetworkBitsPerSecond => "network_bits_per_second",
        ResourceKind::DiskIops => "disk_iops",
        ResourceKind::StorageBytes => "storage_bytes",
        ResourceKind::RequestsPerSecond => "requests_per_second",
    }
}
