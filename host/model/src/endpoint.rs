use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a party of negotiations is reached: an `http` address that messages are posted to, for example
/// `http://127.0.0.1:9000/negotiate`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Endpoint(String);

/// Why a text is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is not an endpoint: give an address like http://127.0.0.1:9000/negotiate, of at most {MOST} bytes (TLS is the business of a proxy)"
)]
pub struct InvalidEndpoint {
    given: String,
}

const MOST: usize = 2048;

impl Endpoint {
    /// Reads an address.
    ///
    /// # Errors
    /// [`InvalidEndpoint`] for anything but `http://` with a host.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidEndpoint> {
        let text = text.into();
        let host = text.strip_prefix("http://").map(|rest| rest.split(['/', '?']).next());
        let has_host =
            host.flatten().is_some_and(|host| !host.is_empty() && !host.starts_with(':'));
        let plain = text.len() <= MOST && text.chars().all(|c| c.is_ascii_graphic() && c != '#');
        if has_host && plain {
            Ok(Self(text))
        } else {
            Err(InvalidEndpoint { given: text.chars().take(80).collect() })
        }
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(text).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn is_an_http_address_with_a_host() {
        for good in ["http://a", "http://127.0.0.1:9000/x?y=1", "http://[::1]:80/"] {
            assert!(Endpoint::new(good).is_ok(), "{good}");
        }
        let long = format!("http://a/{}", "x".repeat(2048));
        for bad in [
            "",
            "a",
            "https://a",
            "http://",
            "http:///x",
            "http://:80",
            "http://a b",
            "http://a#b",
            &long,
        ] {
            assert!(Endpoint::new(bad).unwrap_err().to_string().contains("http://127"), "{bad}");
        }
    }
}
