//! The kinds of resources.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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
// The derived functions become inherent ones, so that only text is read in another way.
#[serde(rename_all = "snake_case", remote = "Self")]
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

    /// The resource of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.as_str() == name)
    }

    /// The names of all resources, for messages.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }

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

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(ByName)
        } else {
            Self::deserialize(deserializer)
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
        Resource::named(&text.replace('-', "_")).ok_or_else(|| {
            let (text, known) = (crate::concise(text), Resource::names());
            E::custom(format!("there is no resource `{text}`: use one of {known}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Resource;

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
        for (position, resource) in Resource::ALL.into_iter().enumerate() {
            let bytes = postcard::to_allocvec(&resource).unwrap();
            assert_eq!(bytes, [position as u8]);
            assert_eq!(postcard::from_bytes::<Resource>(&bytes), Ok(resource));
        }
    }
}
