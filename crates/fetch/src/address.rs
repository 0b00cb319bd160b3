//! Which addresses are on the public Internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Not public: the IANA IPv4 Special-Purpose Address Registry (without the two blocks of AS 112, which anybody may reach),
/// multicast, and an address by which one cloud's machines reach their host.
const NOT_PUBLIC_V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),        // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // carrier-grade NAT; also a cloud's metadata
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local; metadata of most clouds
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // protocol assignments; also a cloud's metadata
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // 6to4 relays, deprecated
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved; broadcast
    (Ipv4Addr::new(168, 63, 129, 16), 32), // the host of an Azure machine
];

/// Public is what lies in here: global unicast. Mapped, compatible and translated IPv4 addresses (`::ffff:0:0/96`,
/// `::/96`, `64:ff9b::/96`), unique local, link-local and multicast addresses lie outside.
const GLOBAL_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// But not in here: the IANA IPv6 Special-Purpose Address Registry.
const NOT_PUBLIC_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, Teredo among them
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4: an IPv4 address, which may be any
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Whether `address` is one that anybody on the Internet could reach as well as this machine.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let within = |&(net, prefix): &(Ipv4Addr, u32)| {
                (address.to_bits() ^ net.to_bits()).leading_zeros() >= prefix
            };
            !NOT_PUBLIC_V4.iter().any(within)
        }
        IpAddr::V6(address) => {
            let within = |&(net, prefix): &(Ipv6Addr, u32)| {
                (address.to_bits() ^ net.to_bits()).leading_zeros() >= prefix
            };
            within(&GLOBAL_UNICAST) && !NOT_PUBLIC_V6.iter().any(within)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_end_where_they_end() {
        let public =
            ["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255"];
        let more =
            ["172.32.0.0", "192.0.1.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.17"];
        let v6 = ["2001:200::1", "2606:4700:4700::1111", "2003::", "3ffe::1", "2a00::1"];
        for text in public.iter().chain(&more).chain(&v6) {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
        let private = ["10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "172.31.255.255"];
        let more = ["198.19.255.255", "224.0.0.0", "255.255.255.255", "168.63.129.16", "0.255.255.255"];
        let v6 = ["::", "::1", "::ffff:8.8.8.8", "::8.8.8.8", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1"];
        let v6_more =
            ["2001::1", "2001:1ff::", "2001:db8::1", "2002:808:808::1", "3fff::1", "5f00::1", "fe80::1"];
        let v6_most = ["fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "4000::1"];
        for text in private.iter().chain(&more).chain(&v6).chain(&v6_more).chain(&v6_most) {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    proptest! {
        /// The standard library knows some of the ranges too.
        #[test]
        fn what_the_standard_library_knows_is_refused(bits in any::<u32>()) {
            let address = Ipv4Addr::from_bits(bits);
            let known = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_documentation() || address.is_broadcast();
            prop_assert!(!known || !is_public(address.into()), "{address}");
            prop_assert!(!is_public(address.to_ipv6_mapped().into()));
            prop_assert!(!is_public(address.to_ipv6_compatible().into()));
        }
    }
}
