//! The rules of a network's filter, as lists of nftables' expressions.

use super::message::{Content, string};
use ipnet::IpNet;
use std::net::IpAddr;

/// The sets of pairs of a hardware address and an address.
pub(super) const MEMBERS4: &str = "members4";
pub(super) const MEMBERS6: &str = "members6";
/// Ethernet's numbers of protocols.
const ARP: u16 = 0x0806;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// ICMPv6, and its messages about routers and neighbours (RFC 4861).
const ICMPV6: u8 = 58;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;

/// Registers of 16 bytes (1 to 4), and the first of those of four.
const VERDICT: u32 = 0;
const WIDE: u32 = 1;
const NARROW: u32 = 8;

/// Where in a packet (`enum nft_payload_bases`).
const LINK: u32 = 0;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;
/// A hardware address's place in a frame.
const SENDER: u32 = 6;

/// A rule: all its conditions hold, then comes the verdict.
#[derive(Debug)]
pub(super) struct Rule(Vec<Expression>);

#[derive(Debug, Clone)]
enum Expression {
    /// Loads bytes of a packet.
    Payload {
        base: u32,
        offset: u32,
        length: u32,
        to: u32,
    },
    /// Loads what is known about it.
    Meta {
        key: u32,
        to: u32,
    },
    /// Goes on where a register has this value, or not.
    Compare {
        register: u32,
        equal: bool,
        value: Vec<u8>,
    },
    /// Keeps some bits of a register.
    Mask {
        register: u32,
        mask: Vec<u8>,
    },
    /// Goes on where what begins in the register is not in a set.
    IsNotIn {
        set: &'static str,
        register: u32,
    },
    Drop,
    Accept,
}

use Expression::{Accept, Compare, Drop, IsNotIn, Mask, Meta, Payload};

impl Rule {
    /// All of them, in order. What comes by `uplink` is the outside, which has no hardware addresses of ours.
    pub(super) fn all(uplink: &str, ranges: &[IpNet]) -> Vec<Rule> {
        let mut name = uplink.as_bytes().to_vec();
        name.resize(16, 0);
        // NFT_META_IIFNAME
        let by_uplink =
            vec![Meta { key: 6, to: WIDE }, Compare { register: WIDE, equal: true, value: name }, Accept];
        let mut rules = vec![Rule(by_uplink)];
        for range in ranges {
            match range {
                IpNet::V4(_) => {
                    // Who says in ARP that an address is his: the hardware address is the one that neighbours believe.
                    rules.push(Rule::claim(ARP, &[], range, (NETWORK, 14), (NETWORK, 8)));
                    rules.push(Rule::claim(IPV4, &[], range, (NETWORK, 12), (LINK, SENDER)));
                }
                IpNet::V6(_) => {
                    rules.push(Rule::claim(IPV6, &[], range, (NETWORK, 8), (LINK, SENDER)));
                    let about = icmp(NEIGHBOUR_ADVERTISEMENT);
                    rules.push(Rule::claim(IPV6, &about, range, (TRANSPORT, 8), (LINK, SENDER)));
                }
            }
        }
        for kind in [ROUTER_ADVERTISEMENT, REDIRECT] {
            let mut rule = of_protocol(IPV6);
            rule.extend(icmp(kind));
            rule.push(Drop);
            rules.push(Rule(rule));
        }
        let mut others = vec![Payload { base: LINK, offset: 12, length: 2, to: NARROW }];
        let is_not = |protocol: u16| Compare {
            register: NARROW,
            equal: false,
            value: protocol.to_be_bytes().to_vec(),
        };
        others.extend([ARP, IPV4, IPV6].map(is_not));
        others.push(Drop);
        rules.push(Rule(others));
        rules
    }

    /// Drops what names, at this place, an address of the range that is not the one of the hardware address at the other place.
    fn claim(
        protocol: u16,
        conditions: &[Expression],
        range: &IpNet,
        address: (u32, u32),
        mac: (u32, u32),
    ) -> Rule {
        let bytes = |address: IpAddr| match address {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let (first, mask) = (bytes(range.network()), bytes(range.netmask()));
        let length = first.len() as u32;
        let set = if range.network().is_ipv4() { MEMBERS4 } else { MEMBERS6 };
        let load = |to| Payload { base: address.0, offset: address.1, length, to };
        let mut rule = of_protocol(protocol);
        rule.extend(conditions.iter().cloned());
        rule.extend([
            load(WIDE),
            Mask { register: WIDE, mask },
            Compare { register: WIDE, equal: true, value: first },
            // The key: the hardware address in two registers of four bytes, then the address.
            Payload { base: mac.0, offset: mac.1, length: 6, to: NARROW },
            load(NARROW + 2),
            IsNotIn { set, register: NARROW },
            Drop,
        ]);
        Rule(rule)
    }

    pub(super) fn write(&self, list: &mut Content) {
        for expression in &self.0 {
            list.nested(1, |element| {
                element.attribute(1, &string(expression.name()));
                element.nested(2, |data| expression.write(data));
            });
        }
    }
}

fn of_protocol(protocol: u16) -> Vec<Expression> {
    vec![
        Payload { base: LINK, offset: 12, length: 2, to: NARROW },
        Compare { register: NARROW, equal: true, value: protocol.to_be_bytes().to_vec() },
    ]
}

/// The conditions for a message of ICMPv6, whatever headers are before it.
fn icmp(kind: u8) -> Vec<Expression> {
    vec![
        // NFT_META_L4PROTO
        Meta { key: 16, to: NARROW },
        Compare { register: NARROW, equal: true, value: vec![ICMPV6] },
        Payload { base: TRANSPORT, offset: 0, length: 1, to: NARROW },
        Compare { register: NARROW, equal: true, value: vec![kind] },
    ]
}

impl Expression {
    fn name(&self) -> &'static str {
        match self {
            Payload { .. } => "payload",
            Meta { .. } => "meta",
            Compare { .. } => "cmp",
            Mask { .. } => "bitwise",
            IsNotIn { .. } => "lookup",
            Drop | Accept => "immediate",
        }
    }

    /// Its attributes (`linux/netfilter/nf_tables.h`).
    fn write(&self, data: &mut Content) {
        match self {
            Payload { base, offset, length, to } => {
                data.number(1, *to);
                data.number(2, *base);
                data.number(3, *offset);
                data.number(4, *length);
            }
            Meta { key, to } => {
                data.number(1, *to);
                data.number(2, *key);
            }
            Compare { register, equal, value } => {
                data.number(1, *register);
                data.number(2, u32::from(!*equal));
                data.nested(3, |inner| inner.attribute(1, value));
            }
            Mask { register, mask } => {
                data.number(1, *register);
                data.number(2, *register);
                data.number(3, mask.len() as u32);
                data.nested(4, |inner| inner.attribute(1, mask));
                data.nested(5, |inner| inner.attribute(1, &vec![0; mask.len()]));
            }
            IsNotIn { set, register } => {
                data.attribute(1, &string(set));
                data.number(2, *register);
                // NFT_LOOKUP_F_INV
                data.number(5, 1);
            }
            Drop | Accept => {
                data.number(1, VERDICT);
                data.nested(2, |inner| {
                    // NF_DROP and NF_ACCEPT
                    inner.nested(2, |verdict| verdict.number(1, u32::from(matches!(self, Accept))));
                });
            }
        }
    }
}
