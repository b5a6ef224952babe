//! The grammar of endpoints.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The maximum length of an endpoint in bytes, and of a DNS name and one of its labels (RFC 1035).
pub(super) const MOST: usize = 2048;
const MOST_NAME: usize = 253;
const MOST_LABEL: usize = 63;

/// The replacement for secrets in views.
pub(super) const HIDDEN: &str = "***";

/// The parts of an address, as written.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) userinfo: Option<&'a str>,
    pub(super) host: &'a str,
    pub(super) port: Option<&'a str>,
    /// The path; empty, or starting with a slash.
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

/// Splits the text after `http://` into its parts. [`check`] validates the parts.
pub(super) fn split(rest: &str) -> Parts<'_> {
    let (before, query) = match rest.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (rest, None),
    };
    let (authority, path) = before.split_at(before.find('/').unwrap_or(before.len()));
    let (userinfo, host) = match authority.rsplit_once('@') {
        Some((userinfo, host)) => (Some(userinfo), host),
        None => (None, authority),
    };
    // The colons within brackets belong to the address.
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (host, None),
    };
    Parts { userinfo, host, port, path, query }
}

pub(super) fn check(text: &str) -> Result<(), &'static str> {
    if text.len() > MOST {
        return Err("it is too long");
    }
    let Some(rest) = text.strip_prefix("http://") else {
        return Err(match text.starts_with("https://") {
            true => "https is not supported: put a proxy that speaks TLS in between",
            false => "it must begin with http://",
        });
    };
    let Parts { userinfo, host, port, path, query } = split(rest);
    if userinfo.is_some_and(|info| info.is_empty() || info.starts_with(':')) {
        return Err("nothing stands before @: name a user, or leave the @ out");
    }
    if userinfo.is_some_and(|info| !spelled(info, ":")) {
        return Err("write other characters in the user and password as % and two hex digits");
    }
    if userinfo == Some(HIDDEN) || query == Some(HIDDEN) {
        return Err("*** stands for what a view does not show: give the address itself");
    }
    if address(host).is_none() && !is_name(host) {
        return Err(
            "its host must be a DNS name, four decimal numbers with dots, or an IPv6 address in brackets",
        );
    }
    if port.is_some_and(|port| !is_port(port)) {
        return Err("its port must be 1 to 65535");
    }
    if !spelled(path, ":@/") || !query.is_none_or(|query| spelled(query, ":@/?")) {
        return Err("write other characters in the path and query as % and two hex digits");
    }
    Ok(())
}

/// Parses a host that is an address, in the one accepted spelling.
pub(super) fn address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::from),
    }
}

/// Whether a host is a DNS name. Many resolvers would read a name whose last label is a number as an
/// address.
fn is_name(host: &str) -> bool {
    let label = |label: &str| {
        let plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (1..=MOST_LABEL).contains(&label.len())
            && plain
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = host.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let hexadecimal =
        last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    let numeric = hexadecimal || last.bytes().all(|b| b.is_ascii_digit());
    host.len() <= MOST_NAME && !numeric && host.split('.').all(label)
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Whether a text has only characters that RFC 3986 allows unescaped in each component, characters of
/// `also`, and complete escapes.
fn spelled(text: &str, also: &str) -> bool {
    let escapes = text.split('%').skip(1).all(|after| {
        let mut digits = after.bytes().take(2);
        let mut digit = || digits.next().is_some_and(|b| b.is_ascii_hexdigit());
        digit() && digit()
    });
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=%".contains(c);
    escapes && text.chars().all(|c| plain(c) || also.contains(c))
}

/// Decodes percent escapes.
pub(super) fn decoded(text: &str) -> Vec<u8> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        bytes.extend(u8::from_str_radix(digits, 16));
        bytes.extend(rest.as_bytes());
    }
    bytes
}
