use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A host and optional port, as in the `Host` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
}

/// Names in lower case and addresses in canonical form, so that equal hosts compare equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Name(String),
    Address(IpAddr),
}

/// A host that clients may use: a name or address such as `haggle.example`, which allows no port and the port
/// that the front listens on, or with a different port such as `haggle.example:8443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost(pub(crate) Authority);

/// The error for an invalid host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is not a host: give a name or an address, and if clients use another port than the one listened on, a colon and that port; without http:// and without a path"
)]
pub struct InvalidHost {
    given: String,
}

const MOST_NAME: usize = 253;

impl Authority {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port_of(port)?)),
            _ => (text, None),
        };
        let host = match host.strip_prefix('[') {
            Some(rest) => Host::address(rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.into()),
            None => match host.parse::<Ipv4Addr>() {
                Ok(address) => Host::address(address.into()),
                Err(_) if is_name(host) => Host::Name(host.to_ascii_lowercase()),
                Err(_) => return None,
            },
        };
        Some(Self { host, port })
    }
}

impl Host {
    fn address(address: IpAddr) -> Self {
        Self::Address(address.to_canonical())
    }
}

fn port_of(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn is_name(host: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    (1..=MOST_NAME).contains(&host.len()) && host.bytes().all(plain)
}

impl FromStr for AllowedHost {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let invalid = || InvalidHost { given: text.chars().take(80).collect() };
        Authority::parse(text).map(Self).ok_or_else(invalid)
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => f.write_str(name)?,
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}")?,
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{AllowedHost, Authority};

    #[test]
    fn equal_hosts_are_equal_and_nonsense_is_none() {
        for (text, shown) in [
            ("a", "a"),
            ("LOCALHOST:4870", "localhost:4870"),
            ("my_service.local", "my_service.local"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("[0:0::1]", "[::1]"),
            ("[::1]:80", "[::1]:80"),
            ("[::ffff:10.0.0.1]:80", "10.0.0.1:80"),
        ] {
            assert_eq!(Authority::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "", ":80", "a:", "a:x", "a:+1", "a:65536", "a/b", "a b", "u@a", "[::1", "::1", "[a]",
            "[::1]x", "http://a", "a,b", "é", "a:1:2",
        ] {
            assert_eq!(Authority::parse(text), None, "{text}");
            assert!(text.parse::<AllowedHost>().unwrap_err().to_string().contains("is not a host"));
        }
    }
}
