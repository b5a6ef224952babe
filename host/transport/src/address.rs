use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The addresses to which the host may connect. Loopback and private addresses are allowed, because sidecars
/// and services use them. Refused are addresses that no party has, and addresses that reveal data of the
/// machine.
///
/// The policy applies to the addresses that a name resolves to, when the host connects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// The host's own listen addresses. The host never sends messages to itself, so a client that may
    /// describe an endpoint cannot make the host act on its own API. An unspecified address, such as
    /// `0.0.0.0:4870`, stands for all addresses of the machine.
    pub own: Vec<SocketAddr>,
    /// Addresses that are allowed although the policy would refuse them.
    pub allowed: Vec<IpAddr>,
}

/// The reason why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedAddress {
    /// It is the host's own address.
    #[error("it is this host's own address: give the address of the party")]
    Own,
    /// `0.0.0.0` or `::`.
    #[error("{0} is no address of a party: give the address of the party")]
    Unspecified(IpAddr),
    /// It is a multicast or broadcast address.
    #[error("{0} is a multicast or broadcast address: give the address of one party")]
    Group(IpAddr),
    /// It is a link-local address.
    #[error("{0} is a link-local address: allow it explicitly if a party is really there")]
    LinkLocal(IpAddr),
    /// It is a cloud metadata service, which reveals credentials.
    #[error("{0} is a metadata service: allow it explicitly if a party is really there")]
    Metadata(IpAddr),
}

/// Cloud metadata services, in addition to the link-local 169.254.169.254.
const METADATA_V4: [Ipv4Addr; 2] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

impl AddressPolicy {
    /// Checks that the host may connect to `address`.
    ///
    /// # Errors
    /// [`RefusedAddress`] with the reason.
    pub fn check(&self, address: SocketAddr) -> Result<(), RefusedAddress> {
        let ip = canonical(address.ip());
        if self.is_own(ip, address.port()) {
            return Err(RefusedAddress::Own);
        }
        if self.allowed.iter().any(|allowed| canonical(*allowed) == ip) {
            return Ok(());
        }
        let (link_local, group, metadata) = match ip {
            IpAddr::V4(v4) => (
                v4.is_link_local() && v4 != Ipv4Addr::new(169, 254, 169, 254),
                v4.is_multicast() || v4.is_broadcast(),
                METADATA_V4.contains(&v4) || v4 == Ipv4Addr::new(169, 254, 169, 254),
            ),
            IpAddr::V6(v6) => {
                (v6.is_unicast_link_local(), v6.is_multicast(), METADATA_V6.contains(&v6))
            }
        };
        // All of 0.0.0.0/8 is "this network"; some systems treat it as loopback.
        let unspecified = match ip {
            IpAddr::V4(v4) => v4.octets().first() == Some(&0),
            IpAddr::V6(v6) => v6.is_unspecified(),
        };
        match () {
            () if unspecified => Err(RefusedAddress::Unspecified(ip)),
            () if group => Err(RefusedAddress::Group(ip)),
            () if metadata => Err(RefusedAddress::Metadata(ip)),
            () if link_local => Err(RefusedAddress::LinkLocal(ip)),
            () => Ok(()),
        }
    }

    /// Checks that an open connection, from `local` to `peer`, does not lead to this host itself by another
    /// address of the machine.
    ///
    /// # Errors
    /// [`RefusedAddress::Own`] if it does.
    pub fn check_connected(
        &self,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> Result<(), RefusedAddress> {
        let same_machine = canonical(local.ip()) == canonical(peer.ip());
        let listens = |own: &SocketAddr| own.ip().is_unspecified() && own.port() == peer.port();
        match same_machine && self.own.iter().any(listens) {
            true => Err(RefusedAddress::Own),
            false => Ok(()),
        }
    }

    fn is_own(&self, ip: IpAddr, port: u16) -> bool {
        self.own.iter().any(|own| {
            let anywhere = own.ip().is_unspecified() && (ip.is_loopback() || ip.is_unspecified());
            // A connection to the unspecified address reaches the same machine.
            let here = canonical(own.ip()) == ip || ip.is_unspecified() || anywhere;
            own.port() == port && here
        })
    }
}

/// The canonical form of an address: an IPv4 address embedded in an IPv6 address becomes the IPv4 address.
fn canonical(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let embedded = match v6.segments() {
        // Translated by NAT64 (RFC 6052), and the deprecated compatible form, except :: and ::1.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some((high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some((high, low)),
        // Tunnelled by 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    match embedded {
        Some((high, low)) => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            Ipv4Addr::new(a, b, c, d).into()
        }
        None => ip.to_canonical(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::{AddressPolicy, RefusedAddress};

    fn at(ip: &str, port: u16) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), port)
    }

    #[test]
    fn some_addresses_are_no_parties() {
        let policy = AddressPolicy::default();
        for (ip, why) in [
            ("127.0.0.1", ""),
            ("::1", ""),
            ("10.0.0.1", ""),
            ("192.168.1.1", ""),
            ("100.64.0.1", ""),
            ("fd00::1", ""),
            ("8.8.8.8", ""),
            ("2001:db8::1", ""),
            ("::ffff:10.0.0.1", ""),
            ("169.254.0.1", "link-local"),
            ("169.254.169.254", "metadata"),
            ("::ffff:169.254.169.254", "metadata"),
            ("::169.254.169.254", "metadata"),
            ("64:ff9b::169.254.169.254", "metadata"),
            ("2002:a9fe:a9fe::", "metadata"),
            ("100.100.100.200", "metadata"),
            ("168.63.129.16", "metadata"),
            ("fd00:ec2::254", "metadata"),
            ("fd20:ce::254", "metadata"),
            ("fe80::1", "link-local"),
            ("febf::1", "link-local"),
            ("0.0.0.0", "no address of a party"),
            ("0.1.2.3", "no address of a party"),
            ("::", "no address of a party"),
            ("::ffff:0.0.0.0", "no address of a party"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("ff02::1", "multicast"),
            ("255.255.255.255", "broadcast"),
        ] {
            let refused = policy.check(at(ip, 80)).err().map_or(String::new(), |r| r.to_string());
            assert_eq!(refused.is_empty(), why.is_empty(), "{ip}: {refused}");
            assert!(refused.contains(why), "{ip}: {refused}");
        }
    }

    #[test]
    fn an_address_can_be_allowed_but_never_the_own() {
        let metadata = at("169.254.169.254", 80);
        let policy = AddressPolicy { own: Vec::new(), allowed: vec![metadata.ip()] };
        assert_eq!(policy.check(metadata), Ok(()));
        assert_eq!(policy.check(at("::ffff:169.254.169.254", 80)), Ok(()));
        assert!(policy.check(at("169.254.169.253", 80)).is_err());
        let own = at("127.0.0.1", 4870);
        let policy = AddressPolicy { own: vec![own], allowed: vec![own.ip()] };
        assert_eq!(policy.check(own), Err(RefusedAddress::Own));
    }

    #[test]
    fn the_own_address_is_known_in_all_its_forms() {
        let one = AddressPolicy { own: vec![at("127.0.0.1", 4870)], ..Default::default() };
        let all = AddressPolicy { own: vec![at("0.0.0.0", 4870)], ..Default::default() };
        let six = AddressPolicy { own: vec![at("::", 4870)], ..Default::default() };
        for (ip, port, by_one, by_all) in [
            ("127.0.0.1", 4870, true, true),
            ("::ffff:127.0.0.1", 4870, true, true),
            ("127.0.0.1", 4871, false, false),
            ("127.0.0.2", 4870, false, true),
            ("::1", 4870, false, true),
            ("0.0.0.0", 4870, true, true),
            ("::", 4870, true, true),
            ("10.0.0.1", 4870, false, false),
        ] {
            let own =
                |policy: &AddressPolicy| policy.check(at(ip, port)) == Err(RefusedAddress::Own);
            assert_eq!((own(&one), own(&all), own(&six)), (by_one, by_all, by_all), "{ip}:{port}");
        }
        let (here, there) = (at("10.0.0.1", 5000), at("10.0.0.2", 4870));
        assert_eq!(all.check_connected(here, at("10.0.0.1", 4870)), Err(RefusedAddress::Own));
        assert_eq!(all.check_connected(here, at("10.0.0.1", 4871)), Ok(()));
        assert_eq!(all.check_connected(here, there), Ok(()));
        assert_eq!(one.check_connected(here, at("10.0.0.1", 4870)), Ok(()));
    }
}
