//! The kinds of resources.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// A kind of resource that can be requested, offered and reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Processor cores.
    CpuCores,
    /// Memory in bytes.
    MemoryBytes,
    /// Whole accelerators.
    GpuCount,
    /// Network bandwidth in bits per second.
    NetworkBitsPerSecond,
    /// Disk operations per second.
    DiskIops,
    /// Storage in bytes.
    StorageBytes,
    /// Requests per second that a service answers.
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

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(ByName)
        } else {
            let position = Position::deserialize(deserializer)?;
            Self::ALL
                .get(position as usize)
                .copied()
                .ok_or_else(|| de::Error::custom("there is no such resource"))
        }
    }
}

/// Reads a resource by its name, with underscores or hyphens.
struct ByName;

impl de::Visitor<'_> for ByName {
    type Value = Resource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a resource")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Resource, E> {
        let name = text.replace('-', "_");
        Resource::ALL.into_iter().find(|resource| resource.as_str() == name).ok_or_else(|| {
            let known: Vec<&str> = Resource::ALL.iter().map(|resource| resource.as_str()).collect();
            let (text, known) = (crate::concise(text), known.join(", "));
            E::custom(format!("there is no resource `{text}`: use one of {known}"))
        })
    }
}

/// A resource in binary formats, which write the position of a variant.
#[derive(Clone, Copy, Deserialize)]
enum Position {
    CpuCores,
    MemoryBytes,
    GpuCount,
    NetworkBitsPerSecond,
    DiskIops,
    StorageBytes,
    RequestsPerSecond,
}

#[cfg(test)]
mod tests {
    use super::{Position, Resource};

    #[test]
    fn an_unknown_resource_is_told_what_is_known() {
        for name in ["memory_bytes", "memory-bytes"] {
            let read: Resource = serde_json::from_str(&format!("{name:?}")).unwrap();
            assert_eq!(read, Resource::MemoryBytes);
        }
        for wrong in ["memory", "cpu", "", "Memory_Bytes"] {
            let error = serde_json::from_str::<Resource>(&format!("{wrong:?}")).unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains(&format!("no resource `{wrong}`: use one of cpu_cores, ")),
                "{error}"
            );
        }
    }

    #[test]
    fn binary_formats_write_the_position() {
        let positions = [
            Position::CpuCores,
            Position::MemoryBytes,
            Position::GpuCount,
            Position::NetworkBitsPerSecond,
            Position::DiskIops,
            Position::StorageBytes,
            Position::RequestsPerSecond,
        ];
        for (position, resource) in positions.into_iter().zip(Resource::ALL) {
            assert_eq!(position as usize, resource as usize);
        }
    }
}
