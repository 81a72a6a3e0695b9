//! Who is on a network: their addresses and names. Pure.

use crate::container::ContainerId;
use crate::netns::subnets::{address, bits, hosts, is_for_hosts};
use crate::spec::bridge::{Attached, AttachedAddress, Subnet, UserNetwork};
use crate::spec::network::MacAddress;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a container asks for when it comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wish {
    /// The container.
    pub container: ContainerId,
    /// Its own names, under which others are to find it.
    pub names: Vec<String>,
    /// Further ones.
    pub aliases: Vec<String>,
    /// Its IPv4 address.
    pub ip: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub ip6: Option<Ipv6Addr>,
    /// Its hardware address.
    pub mac: Option<MacAddress>,
    /// The interface's name inside.
    pub interface: String,
    /// Whom it has asked for other names than the network's, if not whom the network asks.
    pub servers: Vec<IpAddr>,
    /// The other networks that it is on: it finds names there, too, whichever of its name servers it asks.
    #[serde(default)]
    pub others: Vec<OtherNetwork>,
}

/// Another network of a member's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherNetwork {
    /// Its id.
    pub id: String,
    /// Whether names of the outside are answered there.
    pub outside: bool,
}

impl Wish {
    /// What it is found by, in the form in which names are compared.
    pub(super) fn all_names(&self) -> Vec<String> {
        clean(self.names.iter().chain(&self.aliases))
    }

    /// Whether both ask for the same place; what the container itself is called does not matter.
    pub fn is_of_same_place(&self, other: &Wish) -> bool {
        let place = |wish: &Wish| (wish.ip, wish.ip6, wish.mac, wish.interface.clone(), wish.aliases.clone());
        place(self) == place(other)
    }
}

/// Why a container does not get what it asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// Somebody has this address.
    Taken(IpAddr),
    /// The address is in none of the network's ranges, or is one of those that nobody can have.
    Outside(IpAddr),
    /// The network has no IPv6, or no IPv4, of which an address was asked for.
    NoFamily(IpAddr),
    /// Nothing is free in this range.
    Full(IpNet),
}

/// The members of a network, by a number that their connection has.
#[derive(Debug)]
pub(super) struct Members {
    network: UserNetwork,
    all: HashMap<u64, Member>,
    /// Whose addresses they are, and those that are of nobody here but in use all the same.
    taken: HashMap<IpAddr, Option<u64>>,
    /// The address that was given last, of each range: the next one is looked for behind it, so that an address rests
    /// before somebody else has it.
    last: Vec<Option<IpAddr>>,
    /// Which numbers have a name, in the order in which they came.
    names: HashMap<String, Vec<u64>>,
}

#[derive(Debug)]
struct Member {
    container: ContainerId,
    attached: Attached,
    /// Whom it wants asked for other names, if not whom the network asks.
    servers: Vec<IpAddr>,
    /// The other networks that it is on.
    others: Vec<OtherNetwork>,
}

impl Members {
    pub(super) fn new(network: UserNetwork) -> Members {
        let last = vec![None; network.subnets.len()];
        Members { network, all: HashMap::new(), taken: HashMap::new(), last, names: HashMap::new() }
    }

    /// Keeps addresses from being given, which are in use by members who have yet to say so.
    pub(super) fn reserve(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        for address in addresses {
            self.taken.entry(address).or_insert(None);
        }
    }

    /// Gives what was reserved and is not a member's free.
    pub(super) fn end_reservations(&mut self) -> Vec<IpAddr> {
        let unclaimed: Vec<IpAddr> =
            self.taken.iter().filter(|(_, owner)| owner.is_none()).map(|(address, _)| *address).collect();
        self.taken.retain(|_, owner| owner.is_some());
        unclaimed
    }

    /// Takes a container in.
    ///
    /// # Errors
    /// It asks for what cannot be had; nothing has changed then.
    pub(super) fn join(&mut self, number: u64, wish: &Wish) -> Result<Attached, Refusal> {
        let wanted = [wish.ip.map(IpAddr::V4), wish.ip6.map(IpAddr::V6)];
        for address in wanted.into_iter().flatten() {
            if !self.network.subnets.iter().any(|s| s.gateway.is_ipv4() == address.is_ipv4()) {
                return Err(Refusal::NoFamily(address));
            }
        }
        let mut addresses: Vec<AttachedAddress> = Vec::new();
        let mut last = self.last.clone();
        for (at, subnet) in self.network.subnets.iter().enumerate() {
            let four = subnet.gateway.is_ipv4();
            let asked = wanted.into_iter().flatten().find(|address| address.is_ipv4() == four);
            let address = match asked {
                // Of several ranges of a family, the one that has it.
                Some(address) if !subnet.subnet.contains(&address) => continue,
                Some(address) => self.own(subnet, address, &wish.container)?,
                None if addresses.iter().any(|has| has.address.is_ipv4() == four) => continue,
                None => {
                    let address = self.free(subnet, last[at]).ok_or(Refusal::Full(subnet.subnet))?;
                    last[at] = Some(address);
                    address
                }
            };
            addresses.push(AttachedAddress {
                address,
                prefix: subnet.subnet.prefix_len(),
                gateway: subnet.gateway,
            });
        }
        for address in wanted.into_iter().flatten() {
            if !addresses.iter().any(|has| has.address == address) {
                return Err(Refusal::Outside(address));
            }
        }
        self.last = last;
        let mac = wish.mac.unwrap_or_else(|| mac_for(&addresses, &wish.container));
        let names = if self.network.dns { wish.all_names() } else { Vec::new() };
        let attached = Attached {
            network: self.network.name.clone(),
            id: self.network.id.clone(),
            interface: wish.interface.clone(),
            mac,
            servers: addresses.iter().map(|a| a.gateway).collect(),
            addresses,
            names,
            internal: self.network.internal,
            dns: self.network.dns,
        };
        for has in &attached.addresses {
            self.taken.insert(has.address, Some(number));
        }
        self.enter(number, &attached.names);
        let Wish { container, servers, others, .. } = wish.clone();
        self.all.insert(number, Member { container, attached: attached.clone(), servers, others });
        Ok(attached)
    }

    /// Lets a container go; gives the addresses that nobody has any more, and the hardware address that had them. It may have come again with its own before
    /// its first connection was seen to end.
    pub(super) fn leave(&mut self, number: u64) -> Vec<(IpAddr, MacAddress)> {
        let Some(Member { attached: gone, .. }) = self.all.remove(&number) else { return Vec::new() };
        let had = gone.addresses.iter().map(|has| has.address);
        let free = had.filter(|address| self.taken.get(address) == Some(&Some(number))).collect::<Vec<_>>();
        for address in &free {
            self.taken.remove(address);
        }
        self.strike(number, &gone.names);
        free.into_iter().map(|address| (address, gone.mac)).collect()
    }

    /// Has a member found by these names alone, in the form in which they are compared.
    pub(super) fn rename(&mut self, number: u64, names: &[String]) {
        let Some(member) = self.all.get_mut(&number).filter(|_| self.network.dns) else { return };
        let before = std::mem::replace(&mut member.attached.names, names.to_vec());
        self.strike(number, &before);
        self.enter(number, names);
    }

    fn enter(&mut self, number: u64, names: &[String]) {
        for name in names {
            self.names.entry(name.clone()).or_default().push(number);
        }
    }

    fn strike(&mut self, number: u64, names: &[String]) {
        for name in names {
            if let Some(numbers) = self.names.get_mut(name) {
                numbers.retain(|other| *other != number);
                if numbers.is_empty() {
                    self.names.remove(name);
                }
            }
        }
    }

    /// Notes which other networks a member is on by now.
    pub(super) fn introduce(&mut self, number: u64, others: Vec<OtherNetwork>) {
        if let Some(member) = self.all.get_mut(&number) {
            member.others = others;
        }
    }

    /// The other networks of the member with this address.
    pub(super) fn others_of(&self, address: IpAddr) -> &[OtherNetwork] {
        self.member(address).map_or(&[], |member| &member.others)
    }

    /// Whether names of containers are answered at all.
    pub(super) fn have_names(&self) -> bool {
        self.network.dns
    }

    /// The addresses of everybody who has a name, in the order in which they came; `None` when nobody has it.
    pub(super) fn addresses_of(&self, name: &str) -> Option<Vec<IpAddr>> {
        let numbers = self.names.get(&name.to_ascii_lowercase())?;
        let members = numbers.iter().filter_map(|number| self.all.get(number));
        let addresses = members.flat_map(|member| member.attached.addresses.iter().map(|has| has.address));
        Some(addresses.collect())
    }

    /// The first name of who has an address.
    pub(super) fn name_of(&self, address: IpAddr) -> Option<&str> {
        self.member(address)?.attached.names.first().map(String::as_str)
    }

    /// Whom the member with this address wants asked.
    pub(super) fn servers_of(&self, address: IpAddr) -> Option<&[IpAddr]> {
        self.member(address).map(|member| member.servers.as_slice()).filter(|servers| !servers.is_empty())
    }

    fn member(&self, address: IpAddr) -> Option<&Member> {
        self.all.get(&(*self.taken.get(&address)?)?)
    }

    /// Whether an address is in one of the network's ranges.
    pub(super) fn covers(&self, address: IpAddr) -> bool {
        self.network.subnets.iter().any(|subnet| subnet.subnet.contains(&address))
    }

    /// An address that was asked for, when it can be had.
    fn own(&self, subnet: &Subnet, address: IpAddr, container: &ContainerId) -> Result<IpAddr, Refusal> {
        if address == subnet.gateway || !is_for_hosts(&subnet.subnet, address) {
            return Err(Refusal::Outside(address));
        }
        match self.taken.get(&address) {
            None => Ok(address),
            // After the keeper's end members come again with what they have.
            Some(None) => Ok(address),
            Some(Some(_)) if self.member(address).is_some_and(|member| member.container == *container) => {
                Ok(address)
            }
            Some(Some(_)) => Err(Refusal::Taken(address)),
        }
    }

    /// The next address that nobody has.
    fn free(&self, subnet: &Subnet, last: Option<IpAddr>) -> Option<IpAddr> {
        let (first, end) = subnet.range.unwrap_or_else(|| hosts(&subnet.subnet));
        let (first, end) = (bits(first), bits(end));
        let four = subnet.gateway.is_ipv4();
        let start = last.map(bits).map_or(first, |last| last.saturating_add(1));
        // More than there are members never have to be looked at.
        let most = self.taken.len() as u128 + 3;
        let behind = (start.max(first)..=end).take(usize::try_from(most).unwrap_or(usize::MAX));
        let before = (first..=end).take(usize::try_from(most).unwrap_or(usize::MAX));
        behind.chain(before).map(|bits| address(bits, four)).find(|address| {
            *address != subnet.gateway
                && is_for_hosts(&subnet.subnet, *address)
                && !self.taken.contains_key(address)
        })
    }
}

/// A hardware address that is another one on each network: of the IPv4 address, as docker makes it, or of the
/// container's id.
fn mac_for(addresses: &[AttachedAddress], container: &ContainerId) -> MacAddress {
    let four = addresses.iter().find_map(|has| match has.address {
        IpAddr::V4(ip) => Some(ip.octets()),
        IpAddr::V6(_) => None,
    });
    let of_id = || {
        let digits = container.as_str().as_bytes();
        std::array::from_fn(|i| digits.get(i).copied().unwrap_or_default())
    };
    let [a, b, c, d] = four.unwrap_or_else(of_id);
    MacAddress::local([0x02, 0x42, a, b, c, d])
}

/// Names in the one form in which they are compared, each once.
fn clean<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut seen = HashSet::new();
    names.map(|name| name.to_ascii_lowercase()).filter(|name| seen.insert(name.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(subnets: &[(&str, &str)]) -> UserNetwork {
        let subnet = |(subnet, gateway): &(&str, &str)| Subnet {
            subnet: subnet.parse().unwrap(),
            gateway: gateway.parse().unwrap(),
            range: None,
        };
        UserNetwork {
            version: 1,
            name: "net".to_owned(),
            id: "1".repeat(64),
            created: chrono::DateTime::UNIX_EPOCH,
            subnets: subnets.iter().map(subnet).collect(),
            ipv6: subnets.len() > 1,
            internal: false,
            dns: true,
            dns_servers: Vec::new(),
            interface: "br0".to_owned(),
            routes: Vec::new(),
            labels: Default::default(),
            options: Default::default(),
        }
    }

    fn wish(number: u64, names: &[&str]) -> Wish {
        Wish {
            container: format!("{number:064x}").parse().unwrap(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            aliases: Vec::new(),
            ip: None,
            ip6: None,
            mac: None,
            interface: "eth0".to_owned(),
            servers: Vec::new(),
            others: Vec::new(),
        }
    }

    fn given(attached: &Attached) -> Vec<String> {
        attached.addresses.iter().map(|has| format!("{}/{}", has.address, has.prefix)).collect()
    }

    #[test]
    fn everybody_gets_an_address_of_each_family() {
        let mut members = Members::new(network(&[("10.89.0.0/24", "10.89.0.1"), ("fd01::/64", "fd01::1")]));
        assert_eq!(given(&members.join(1, &wish(1, &["a"])).unwrap()), ["10.89.0.2/24", "fd01::2/64"]);
        assert_eq!(given(&members.join(2, &wish(2, &["b"])).unwrap()), ["10.89.0.3/24", "fd01::3/64"]);
        assert_eq!(members.leave(1).len(), 2);
        // An address rests as long as there are others.
        assert_eq!(given(&members.join(3, &wish(3, &["c"])).unwrap())[0], "10.89.0.4/24");
    }

    #[test]
    fn a_range_is_used_up_to_its_last_address_and_then_refused() {
        let mut members = Members::new(network(&[("10.1.1.0/29", "10.1.1.3")]));
        let mut seen = HashSet::new();
        for number in 0..5 {
            let attached = members.join(number, &wish(number, &[])).unwrap();
            assert!(seen.insert(attached.addresses[0].address));
        }
        assert!(!seen.contains(&"10.1.1.3".parse().unwrap()));
        assert_eq!(members.join(9, &wish(9, &[])), Err(Refusal::Full("10.1.1.0/29".parse().unwrap())));
        assert_eq!(members.leave(3).len(), 1);
        members.join(9, &wish(9, &[])).unwrap();
    }

    #[test]
    fn what_is_asked_for_is_given_or_refused() {
        let mut members = Members::new(network(&[("10.1.1.0/24", "10.1.1.1")]));
        let ask = |ip: &str| Wish { ip: Some(ip.parse().unwrap()), ..wish(ip.len() as u64, &[]) };
        assert_eq!(given(&members.join(1, &ask("10.1.1.9")).unwrap()), ["10.1.1.9/24"]);
        let other = Wish { container: "f".repeat(64).parse().unwrap(), ..ask("10.1.1.9") };
        assert_eq!(members.join(2, &other), Err(Refusal::Taken("10.1.1.9".parse().unwrap())));
        for bad in ["10.1.1.1", "10.1.1.0", "10.1.1.255", "10.2.1.9"] {
            assert_eq!(members.join(3, &ask(bad)), Err(Refusal::Outside(bad.parse().unwrap())), "{bad}");
        }
        let six = Wish { ip6: Some("fd00::9".parse().unwrap()), ..wish(5, &[]) };
        assert_eq!(members.join(4, &six), Err(Refusal::NoFamily("fd00::9".parse().unwrap())));
    }

    #[test]
    fn addresses_in_use_before_the_keeper_came_are_given_to_who_has_them() {
        let mut members = Members::new(network(&[("10.1.1.0/24", "10.1.1.1")]));
        members.reserve(["10.1.1.2".parse().unwrap()]);
        assert_eq!(given(&members.join(1, &wish(1, &[])).unwrap()), ["10.1.1.3/24"]);
        let back = Wish { ip: Some("10.1.1.2".parse().unwrap()), ..wish(2, &[]) };
        members.join(2, &back).unwrap();
        assert!(members.end_reservations().is_empty());
    }

    #[test]
    fn who_comes_again_before_the_end_of_the_first_connection_keeps_the_address() {
        let mut members = Members::new(network(&[("10.1.1.0/24", "10.1.1.1")]));
        let mine: IpAddr = members.join(1, &wish(7, &["a"])).unwrap().addresses[0].address;
        let again = Wish { ip: Some("10.1.1.2".parse().unwrap()), ..wish(7, &["a"]) };
        members.join(2, &again).unwrap();
        assert!(members.leave(1).is_empty());
        assert_eq!((members.name_of(mine), members.addresses_of("a")), (Some("a"), Some(vec![mine])));
        let other = Wish { ip: Some("10.1.1.2".parse().unwrap()), ..wish(8, &[]) };
        assert_eq!(members.join(3, &other), Err(Refusal::Taken(mine)));
        assert_eq!(members.leave(2).first().map(|(address, _)| *address), Some(mine));
    }

    #[test]
    fn names_are_found_whatever_their_case_and_by_all_who_have_them() {
        let mut members = Members::new(network(&[("10.1.1.0/24", "10.1.1.1")]));
        members.join(1, &wish(1, &["Web", "app", "web"])).unwrap();
        members.join(2, &wish(2, &["db", "app"])).unwrap();
        let of = |members: &Members, name: &str| members.addresses_of(name).map(|all| all.len());
        assert_eq!((of(&members, "APP"), of(&members, "web"), of(&members, "x")), (Some(2), Some(1), None));
        assert_eq!(members.name_of("10.1.1.3".parse().unwrap()), Some("db"));
        members.rename(2, &["base".to_owned(), "app".to_owned()]);
        assert_eq!((of(&members, "app"), of(&members, "db"), of(&members, "base")), (Some(2), None, Some(1)));
        assert_eq!(members.name_of("10.1.1.3".parse().unwrap()), Some("base"));
        members.leave(2);
        assert_eq!((of(&members, "app"), of(&members, "base")), (Some(1), None));
        assert!(members.covers("10.1.1.77".parse().unwrap()));
    }
}
