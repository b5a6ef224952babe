//! The kinds of resources.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of resource that can be requested, offered and reserved.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Processor cores.
    #[serde(alias = "cpu-cores")]
    CpuCores,
    /// Memory in bytes.
    #[serde(alias = "memory-bytes")]
    MemoryBytes,
    /// Whole accelerators.
    #[serde(alias = "gpu-count")]
    GpuCount,
    /// Network bandwidth in bits per second.
    #[serde(alias = "network-bits-per-second")]
    NetworkBitsPerSecond,
    /// Disk operations per second.
    #[serde(alias = "disk-iops")]
    DiskIops,
    /// Storage in bytes.
    #[serde(alias = "storage-bytes")]
    StorageBytes,
    /// Requests per second that a service answers.
    #[serde(alias = "requests-per-second")]
    RequestsPerSecond,
}

impl Resource {
    /// All resources, in order.
    pub const ALL: [Self; 7] = [
        Self::CpuCores,
        Self::MemoryBytes,
        Self::GpuCount,
        Self::NetworkBitsPerSecond,
        Self::DiskIops,
        Self::StorageBytes,
        Self::RequestsPerSecond,
    ];

    /// The name in JSON, YAML and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CpuCores => "cpu_cores",
            Self::MemoryBytes => "memory_bytes",
            Self::GpuCount => "gpu_count",
            Self::NetworkBitsPerSecond => "network_bits_per_second",
            Self::DiskIops => "disk_iops",
            Self::StorageBytes => "storage_bytes",
            Self::RequestsPerSecond => "requests_per_second",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
