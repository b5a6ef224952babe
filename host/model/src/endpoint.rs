mod grammar;

use std::{fmt, net::IpAddr};

use serde::{Deserialize, Serialize};

use grammar::{HIDDEN, MOST, Parts, address, check, decoded, split};

/// The address of a remote party of negotiations: an `http` address that messages are posted to, for
/// example `http://127.0.0.1:9000/negotiate`.
///
/// It may contain secrets: `user:password@` before the host, and tokens in the query. `Display` and `Debug`
/// show `***` in their place. Serialisation writes the full text, which a store needs; a view for clients
/// shows [`redacted`](Self::redacted) instead.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Endpoint(String);

/// The error for a text that is not an endpoint. The message never repeats the text, which may contain
/// secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not an endpoint: {reason}. Give an address like http://127.0.0.1:9000/negotiate, of at most {MOST} bytes"
)]
pub struct InvalidEndpoint {
    reason: &'static str,
}

/// The host of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointHost<'a> {
    /// A DNS name, as written.
    Name(&'a str),
    /// An IP address.
    Address(IpAddr),
}

/// The user and password of an endpoint, percent-decoded. It has no `Debug`, so that logs cannot contain
/// it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user; never contains a colon.
    pub user: Vec<u8>,
    /// The password; empty if there is none.
    pub password: Vec<u8>,
}

const SCHEME: &str = "http";
const DEFAULT_PORT: u16 = 80;

impl Endpoint {
    /// Parses an address: `http://`, optionally `user:password@`, a host, optionally a port, a path and a
    /// query. The host is a DNS name, four decimal numbers with dots, or an IPv6 address in brackets. Other
    /// spellings of addresses, such as `0x7f.1` or `2130706433`, are rejected, because the code that checks
    /// addresses and the code that connects to them might parse them differently.
    ///
    /// # Errors
    /// [`InvalidEndpoint`] for anything else.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidEndpoint> {
        let text = text.into();
        match check(&text) {
            Ok(()) => Ok(Self(text)),
            Err(reason) => Err(InvalidEndpoint { reason }),
        }
    }

    /// The full address, including secrets. Use it for connecting and storing, not for views, logs or
    /// errors.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The address with `***` in place of the user, the password and the query. [`Endpoint::new`] rejects
    /// this text, so that a client that writes back a view cannot replace the secrets.
    #[must_use]
    pub fn redacted(&self) -> String {
        self.to_string()
    }

    /// The scheme, which selects the transport.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        SCHEME
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> EndpointHost<'_> {
        let host = self.parts().host;
        match address(host) {
            Some(address) => EndpointHost::Address(address),
            None => EndpointHost::Name(host),
        }
    }

    /// The port; the default is 80.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.parts().port.and_then(|port| port.parse().ok()).unwrap_or(DEFAULT_PORT)
    }

    /// The host and the port, if one is given: the value of the HTTP header `Host`.
    #[must_use]
    pub fn authority(&self) -> String {
        let parts = self.parts();
        match parts.port {
            Some(port) => format!("{}:{port}", parts.host),
            None => parts.host.to_owned(),
        }
    }

    /// The path and the query, which may contain secrets; `/` if there is neither.
    #[must_use]
    pub fn target(&self) -> String {
        let parts = self.parts();
        let path = if parts.path.is_empty() { "/" } else { parts.path };
        match parts.query {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        }
    }

    /// The user and the password.
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        let (user, password) =
            self.parts().userinfo.map(|info| info.split_once(':').unwrap_or((info, "")))?;
        Some(Credentials { user: decoded(user), password: decoded(password) })
    }

    fn parts(&self) -> Parts<'_> {
        split(self.0.strip_prefix("http://").unwrap_or_default())
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
        let parts = self.parts();
        let user = parts.userinfo.map_or_else(String::new, |_| format!("{HIDDEN}@"));
        let query = parts.query.map_or_else(String::new, |_| format!("?{HIDDEN}"));
        f.pad(&format!("{SCHEME}://{user}{}{}{query}", self.authority(), parts.path))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Endpoint, EndpointHost};

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::new(text).unwrap()
    }

    #[test]
    fn is_an_http_address_with_a_host() {
        for good in [
            "http://a",
            "http://127.0.0.1:9000/x?y=1",
            "http://[::1]:80/",
            "http://[::ffff:169.254.169.254]/",
            "http://user:pass@xn--bcher-kva.example:65535/a/b;c=1?d=/e?f",
            "http://a?x",
            "http://a-b.c3/%7e",
            "http://user@a/@b",
            "http://localhost/",
            "http://3com.example/",
        ] {
            assert!(Endpoint::new(good).is_ok(), "{good}");
        }
        let long = format!("http://a/{}", "x".repeat(2048));
        let label = format!("http://{}/", "x".repeat(64));
        for bad in [
            "",
            "a",
            "https://a",
            "HTTP://a",
            "http://",
            "http:///x",
            "http://:80",
            "http://a b",
            "http://a#b",
            "http://a/\"x",
            "http://a/%zz",
            "http://a/%a",
            "http://a/é",
            "http://bücher.example/",
            "http://0x7f.1/",
            "http://0x7f/",
            "http://0X7F/",
            "http://2130706433/",
            "http://127.1/",
            "http://0177.0.0.1/",
            "http://256.1.1.1/",
            "http://1.2.3.4./",
            "http://a./",
            "http://a..b/",
            "http://-a/",
            "http://a_b/",
            "http://[::1/",
            "http://::1/",
            "http://[fe80::1%25eth0]/",
            "http://[127.0.0.1]/",
            "http://[::1]x:80/",
            "http://a:99999/",
            "http://a:0/",
            "http://a:/",
            "http://a:+1/",
            "http://a:1:2/",
            "http://@/",
            "http://@a/",
            "http://:pass@a/",
            "http://a@b@c/",
            "http://a%00b/",
            "http://127.0.0.1:4939\\@x/",
            "http://***@a/",
            "http://a/?***",
            &long,
            &label,
        ] {
            assert!(Endpoint::new(bad).unwrap_err().to_string().contains("http://127"), "{bad}");
        }
    }

    #[test]
    fn has_parts() {
        let full = endpoint("http://us%65r:p%3Aw:x@Host.example:81/a@b?t=1");
        assert_eq!(full.host(), EndpointHost::Name("Host.example"));
        assert_eq!((full.scheme(), full.port()), ("http", 81));
        assert_eq!(full.authority(), "Host.example:81");
        assert_eq!(full.target(), "/a@b?t=1");
        let credentials = full.credentials().unwrap();
        assert_eq!(credentials.user, b"user");
        assert_eq!(credentials.password, b"p:w:x");
        let bare = endpoint("http://[::1]?x");
        assert_eq!(bare.host(), EndpointHost::Address([0, 0, 0, 0, 0, 0, 0, 1].into()));
        assert_eq!(
            (bare.port(), bare.authority(), bare.target()),
            (80, "[::1]".into(), "/?x".into())
        );
        assert!(bare.credentials().is_none());
        assert_eq!(endpoint("http://10.0.0.1").host(), EndpointHost::Address([10, 0, 0, 1].into()));
    }

    #[test]
    fn shows_stars_for_secrets_and_keeps_them_in_the_store() {
        let text = "http://user:hunter2@a:81/x?token=s3cr3t";
        let endpoint = endpoint(text);
        assert_eq!(endpoint.to_string(), "http://***@a:81/x?***");
        assert_eq!(format!("{endpoint:?}"), "Endpoint(http://***@a:81/x?***)");
        assert!(Endpoint::new(endpoint.redacted()).is_err());
        assert_eq!(endpoint.expose(), text);
        let stored = serde_json::to_string(&endpoint).unwrap();
        assert_eq!(stored, format!("{text:?}"));
        assert_eq!(serde_json::from_str::<Endpoint>(&stored).unwrap(), endpoint);
    }

    proptest! {
        #[test]
        fn no_secret_is_shown(
            user in "zq[a-z0-9!$&'()*+,;=~.]{1,12}",
            password in "qz([a-z0-9:!$&']|%[0-9a-f]{2}){1,12}",
            token in "xq([a-z0-9=&/?:@]|%[0-9a-f]{2}){1,12}",
            broken in prop::sample::select(vec!["", " ", "#", "%", "\\"]),
        ) {
            let text = format!("http://{user}:{password}@a.example/p?{token}{broken}");
            let shown = match Endpoint::new(text.clone()) {
                Ok(endpoint) => {
                    prop_assert_eq!(endpoint.expose(), text);
                    format!("{endpoint} {endpoint:?} {}", endpoint.redacted())
                }
                Err(error) => format!("{error} {error:?}"),
            };
            prop_assert_eq!(shown.contains("a.example"), broken.is_empty());
            for secret in [&user, &password, &token] {
                prop_assert!(!shown.contains(secret.as_str()), "{}", shown);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(http://)?[ -~]{0,40}") {
            if let Ok(endpoint) = Endpoint::new(text) {
                prop_assert!(endpoint.port() > 0);
                prop_assert!(endpoint.target().starts_with('/'));
                prop_assert!(!endpoint.authority().contains('@'));
            }
        }
    }
}
