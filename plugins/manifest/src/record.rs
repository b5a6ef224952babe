use serde::{Deserialize, Serialize};

/// `plugins/dist/manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// One entry for each component, by name.
    pub components: Vec<Record>,
}

/// A compiled component and what it was compiled from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The name of the plugin.
    pub name: String,
    /// The size of the component in bytes.
    pub bytes: u64,
    /// The SHA-256 of the component, in hexadecimal.
    pub sha256: String,
    /// The digest of its sources, as [`source_digest`](crate::source_digest) computes it.
    pub sources_sha256: String,
}

impl Manifest {
    /// Reads `manifest.json`.
    ///
    /// # Errors
    /// Where the text is not a manifest.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Writes `manifest.json`, with a line break at its end.
    ///
    /// # Errors
    /// Never in practice: every field can be written as JSON.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// The entry of a component.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Record> {
        self.components.iter().find(|record| record.name == name)
    }
}
