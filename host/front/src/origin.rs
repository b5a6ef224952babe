//! Protects the host from web pages of other sites. Browsers send requests to wherever a page says, but they
//! do not lie about the page's origin:
//!
//! - Under DNS rebinding, the page's own name resolves to this host. `Host` then contains that name, which is
//!   not one of this host's.
//! - A request from a form or script of another origin carries that `Origin`, or reports it in
//!   `Sec-Fetch-Site`.
//!
//! Clients other than browsers send neither `Origin` nor `Sec-Fetch-Site`, and are not affected.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, Method, Version, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    AllowedHost, Problem, Refusal,
    authority::{Authority, Host},
    connection::Connection,
};

/// The allowed hosts of this server.
#[derive(Debug)]
pub(crate) struct Guard {
    allowed: Vec<AllowedHost>,
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

pub(crate) async fn check_origin(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let local = parts.extensions.get::<Arc<Connection>>().map(|connection| connection.local());
    let checked = match local {
        Some(local) => guard.check(&parts, local),
        None => Err(Problem::new(Refusal::Misdirected, "the request came over no connection")),
    };
    match checked {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

impl Guard {
    pub(crate) const fn new(allowed: Vec<AllowedHost>) -> Self {
        Self { allowed }
    }

    /// Checks that the request is for this host, whose end of the connection is `local`, and that no page of
    /// another origin caused it.
    fn check(&self, request: &Parts, local: SocketAddr) -> Result<(), Problem> {
        let host = host_of(request)?;
        if let Some(host) = &host
            && !self.allows(host, local)
        {
            return Err(self.misdirected(host, local));
        }
        if matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(());
        }
        for site in texts(&request.headers, SEC_FETCH_SITE) {
            if !matches!(site, "same-origin" | "none") {
                return Err(forbidden(&format!("the browser says `Sec-Fetch-Site: {site:.100}`")));
            }
        }
        for origin in texts(&request.headers, header::ORIGIN) {
            if !self.is_own(origin, host.as_ref(), local) {
                return Err(forbidden(&format!("the browser says `Origin: {origin:.100}`")));
            }
        }
        Ok(())
    }

    /// Whether this server answers for that host.
    fn allows(&self, asked: &Authority, local: SocketAddr) -> bool {
        let own_port = asked.port.is_none_or(|port| port == local.port());
        let own_host = match &asked.host {
            Host::Name(name) => name == "localhost",
            Host::Address(address) => {
                address.is_loopback() || *address == local.ip().to_canonical()
            }
        };
        own_host && own_port || self.lists(asked, own_port)
    }

    fn lists(&self, asked: &Authority, own_port: bool) -> bool {
        self.allowed.iter().any(|AllowedHost(allowed)| {
            let port = match allowed.port {
                // Browsers omit the default ports of their schemes.
                Some(80 | 443) if asked.port.is_none() => true,
                Some(port) => asked.port == Some(port),
                None => own_port,
            };
            port && allowed.host == asked.host
        })
    }

    /// Whether a page of that origin belongs to this server: it has the request's host, or one of the allowed
    /// hosts. A proxy in between may have replaced `Host`.
    fn is_own(&self, origin: &str, host: Option<&Authority>, local: SocketAddr) -> bool {
        let Some((scheme, authority)) = origin.split_once("://") else { return false };
        let default_port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return false,
        };
        let Some(page) = Authority::parse(authority) else { return false };
        let port = |authority: &Authority| authority.port.unwrap_or(default_port);
        let same = host.is_some_and(|host| host.host == page.host && port(host) == port(&page));
        same || self.lists(&page, page.port.is_none_or(|port| port == local.port()))
    }

    fn misdirected(&self, asked: &Authority, local: SocketAddr) -> Problem {
        let port = local.port();
        let mut own = format!("localhost:{port}, loopback addresses and {local}");
        for host in &self.allowed {
            own = format!("{own}, {host}");
        }
        let detail = format!(
            "this server does not answer for {asked}, only for {own}: ask for one of these, or add {asked} to the hosts that the server allows"
        );
        Problem::new(Refusal::Misdirected, detail)
    }
}

/// Returns the host that a request is for; `None` if it gives none, which only HTTP/1.0 allows.
fn host_of(request: &Parts) -> Result<Option<Authority>, Problem> {
    let invalid = |detail: &str| Problem::new(Refusal::Invalid, detail);
    let mut fields = request.headers.get_all(header::HOST).iter();
    let (first, second) = (fields.next(), fields.next());
    if second.is_some() {
        return Err(invalid("the request has more than one Host header: send one"));
    }
    let host = match first {
        Some(value) => {
            let text = value.to_str().unwrap_or_default();
            let unreadable =
                "the Host header is not a name or address, possibly with a colon and a port";
            Some(Authority::parse(text).ok_or_else(|| invalid(unreadable))?)
        }
        None if request.version < Version::HTTP_11 => None,
        None => return Err(invalid("the request has no Host header: HTTP/1.1 requires one")),
    };
    let Some(target) = request.uri.authority() else { return Ok(host) };
    // A host in the target takes precedence over the header. A request with two different hosts tries to
    // confuse them.
    let target = Authority::parse(target.as_str());
    if target.is_none() || host.is_some() && target != host {
        return Err(invalid("the request's target names another host than its Host header"));
    }
    Ok(target)
}

/// The values of a header; a value that is not text becomes empty.
fn texts(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default())
}

fn forbidden(cause: &str) -> Problem {
    let cause: String = cause.chars().take(300).collect();
    let detail = format!(
        "a page of another site may not change anything here, and {cause}: use a page of this host or a client that is no browser, or add the page's host to those that the server allows"
    );
    Problem::new(Refusal::Forbidden, detail)
}

#[cfg(test)]
mod tests {
    use axum::http::{Request, request::Parts};

    use super::Guard;

    const LOCAL: &str = "10.1.2.3:4870";

    fn request(line: &str) -> Parts {
        let mut words = line.split(' ');
        let method = words.next().unwrap();
        let mut request = Request::builder().method(method).uri(words.next().unwrap());
        for word in words {
            let (name, value) = word.split_once('=').unwrap();
            request = request.header(name, value);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// Returns the status of the guard's refusal; 0 if it admits the request.
    fn status(line: &str) -> u16 {
        let hosts = ["haggle.example", "proxy.example:8443", "tls.example:443"];
        let guard = Guard::new(hosts.map(|host| host.parse().unwrap()).to_vec());
        guard.check(&request(line), LOCAL.parse().unwrap()).err().map_or(0, |problem| {
            assert!(problem.detail.contains(": ") || problem.status == 400, "{problem:?}");
            problem.status
        })
    }

    #[test]
    fn only_own_hosts_are_answered_for() {
        for (host, expected) in [
            ("localhost:4870", 0),
            ("LOCALHOST", 0),
            ("127.0.0.1:4870", 0),
            ("127.9.9.9", 0),
            ("[::1]:4870", 0),
            ("[::ffff:127.0.0.1]:4870", 0),
            ("10.1.2.3:4870", 0),
            ("10.1.2.3", 0),
            ("haggle.example", 0),
            ("Haggle.Example:4870", 0),
            ("proxy.example:8443", 0),
            ("tls.example", 0),
            ("tls.example:443", 0),
            ("localhost:4871", 421),
            ("127.0.0.1:80", 421),
            ("10.1.2.4:4870", 421),
            ("evil.example:4870", 421),
            ("localhost.evil.example:4870", 421),
            ("127.0.0.1.evil.example", 421),
            ("localhost.", 421),
            ("haggle.example:8443", 421),
            ("proxy.example", 421),
            ("tls.example:8443", 421),
            ("2130706433:4870", 421),
            ("0.0.0.0:4870", 421),
            ("", 400),
            ("a:b:c", 400),
            ("user@localhost:4870", 400),
        ] {
            for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "TRACE"] {
                let line = format!("{method} /v1/x host={host}");
                assert_eq!(status(&line), expected, "{line}");
            }
        }
        assert_eq!(status("GET /"), 400);
        assert_eq!(status("GET / host=localhost host=localhost"), 400);
        assert_eq!(status("GET http://evil.example/ host=localhost"), 400);
        assert_eq!(status("GET http://evil.example/ host=evil.example"), 421);
        assert_eq!(status("GET http://localhost/ host=localhost"), 0);
        let mut old = request("GET /");
        old.version = axum::http::Version::HTTP_10;
        assert_eq!(Guard::new(Vec::new()).check(&old, LOCAL.parse().unwrap()), Ok(()));
    }

    #[test]
    fn only_own_pages_change_anything() {
        for (headers, expected) in [
            ("", 0),
            (" sec-fetch-site=none", 0),
            (" sec-fetch-site=same-origin", 0),
            (" origin=http://localhost:4870 sec-fetch-site=same-origin", 0),
            (" origin=http://LOCALHOST:4870", 0),
            (" origin=http://haggle.example:4870", 0),
            (" origin=https://haggle.example", 0),
            (" origin=https://proxy.example:8443", 0),
            (" origin=https://tls.example", 0),
            (" sec-fetch-site=cross-site", 403),
            (" sec-fetch-site=same-site", 403),
            (" sec-fetch-site=", 403),
            (" sec-fetch-site=same-origin sec-fetch-site=cross-site", 403),
            (" origin=http://localhost:4870 sec-fetch-site=cross-site", 403),
            (" origin=null", 403),
            (" origin=", 403),
            (" origin=http://localhost", 403),
            (" origin=http://localhost:3000", 403),
            (" origin=https://localhost", 403),
            (" origin=http://127.0.0.1:4870", 403),
            (" origin=https://evil.example", 403),
            (" origin=http://localhost:4870.evil.example", 403),
            (" origin=http://user@localhost:4870", 403),
            (" origin=http://localhost:4870/", 403),
            (" origin=https://haggle.example:9999", 403),
            (" origin=https://proxy.example", 403),
            (" origin=chrome-extension://localhost:4870", 403),
            (" origin=localhost:4870", 403),
            (" origin=http://localhost:4870 origin=http://evil.example", 403),
        ] {
            for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"] {
                let line = format!("{method} /v1/x host=localhost:4870{headers}");
                assert_eq!(status(&line), expected, "{line}");
            }
            for method in ["GET", "HEAD", "OPTIONS"] {
                let line = format!("{method} /v1/x host=localhost:4870{headers}");
                assert_eq!(status(&line), 0, "{line}");
            }
        }
        assert_eq!(status("POST / host=haggle.example origin=https://haggle.example"), 0);
        assert_eq!(status("POST / host=haggle.example origin=http://localhost:4870"), 403);
        assert_eq!(status("POST / host=evil.example origin=http://evil.example"), 421);
    }
}
