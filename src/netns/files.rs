//! The contents of a container's `/etc/hosts` and `/etc/resolv.conf`. Pure text.

use super::HostResolver;
use super::bridge::DOMAIN;
use super::choice::driver;
use super::driver::Tool;
use crate::spec::bridge::Attached;
use crate::spec::network::{DnsSpec, HostEntry};
use crate::spec::{NetworkMode, NetworkSpec};
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

/// How many `nameserver` lines a C library reads (resolv.conf(5), `MAXNS`).
const SERVERS_MAX: usize = 3;
/// The names under which a container finds its host.
const HOST_NAMES: [&str; 2] = ["host.containers.internal", "host.docker.internal"];
/// Localhost lines, the same in every container.
const LOCALHOST: &str =
    "127.0.0.1\tlocalhost localhost.localdomain\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// The text of `/etc/resolv.conf`; `None` leaves the image's (`--dns none`).
///
/// With user-mode networking its program's server comes first where it can relay: it asks whatever the
/// host uses at that moment, its loopback resolver included, so a laptop may change networks.
/// The host's servers that a container can reach follow. Lists given by the user replace the host's.
///
/// On networks that it shares with others, their name servers are the only ones: they pass on what they do not know, to
/// those that the user has named too. Internal networks come last: they pass on nothing.
pub fn resolv_conf(net: &NetworkSpec, networks: &[&Attached], resolver: &HostResolver) -> Option<String> {
    let DnsSpec { keep_image, servers, search, options } = &net.dns;
    if *keep_image {
        return None;
    }
    let own_servers = driver(&net.mode).is_some() || matches!(net.mode, NetworkMode::Bridge(_));
    if !own_servers && net.dns == DnsSpec::default() {
        return Some(resolver.text.clone());
    }
    let host = parse(&resolver.text);
    let mut text = String::new();
    let search = if search.is_empty() { &host.search } else { search };
    let own = networks.iter().any(|network| network.dns).then_some(DOMAIN);
    let search: Vec<&str> = own.into_iter().chain(search.iter().map(String::as_str)).collect();
    if !search.is_empty() && !search.contains(&".") {
        let _ = writeln!(text, "search {}", search.join(" "));
    }
    let servers = if !networks.is_empty() {
        let asked = asked(networks).into_iter().flat_map(|network| network.servers.iter().copied());
        asked.take(SERVERS_MAX).collect()
    } else if servers.is_empty() {
        reachable(&net.mode, &host.servers, resolver)
    } else {
        servers.clone()
    };
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    let options = if options.is_empty() { &host.options } else { options };
    if !options.is_empty() {
        let _ = writeln!(text, "options {}", options.join(" "));
    }
    Some(text)
}

/// The networks whose name servers are asked: those that answer for names of containers, and one that passes on the rest.
fn asked<'a>(networks: &[&'a Attached]) -> Vec<&'a Attached> {
    let (open, internal): (Vec<&Attached>, Vec<&Attached>) =
        networks.iter().copied().partition(|network| !network.internal);
    let with_names = |all: &[&'a Attached]| all.iter().copied().filter(|network| network.dns).collect();
    let mut asked: Vec<&Attached> = with_names(&open);
    if asked.is_empty() {
        asked.extend(open.first());
    }
    let closed: Vec<&Attached> = with_names(&internal);
    asked.extend(closed);
    if asked.is_empty() {
        asked.extend(internal.first());
    }
    asked
}

/// The name servers to use when the user named none.
fn reachable(mode: &NetworkMode, listed: &[IpAddr], host: &HostResolver) -> Vec<IpAddr> {
    let Some(driver) = driver(mode) else { return listed.to_vec() };
    let mut servers: Vec<IpAddr> = Vec::new();
    for server in driver.servers(listed, host) {
        if !servers.contains(&server) && servers.len() < SERVERS_MAX {
            servers.push(server);
        }
    }
    servers
}

/// What matters of a resolv.conf(5).
#[derive(Debug, Default, PartialEq)]
struct Resolver {
    servers: Vec<IpAddr>,
    search: Vec<String>,
    options: Vec<String>,
}

/// Reads a resolv.conf(5); the last of `search` and `domain` counts, options add up.
fn parse(text: &str) -> Resolver {
    let mut found = Resolver::default();
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or("");
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("nameserver") => {
                // A zone such as %eth0 names an interface that the container does not have.
                found.servers.extend(words.next().and_then(|ip| ip.parse::<IpAddr>().ok()));
            }
            Some("search" | "domain") => found.search = words.map(str::to_owned).collect(),
            Some("options") => found.options.extend(words.map(str::to_owned)),
            _ => {}
        }
    }
    found
}

/// The servers that a resolv.conf(5) names.
pub(super) fn name_servers(text: &str) -> Vec<IpAddr> {
    parse(text).servers
}

/// What a container's `/etc/hosts` is made of.
#[derive(Debug, Clone)]
pub struct HostsFacts<'a> {
    /// The container's host name.
    pub hostname: &'a str,
    /// The container's name.
    pub name: &'a str,
    /// The networks that it shares with others.
    pub networks: &'a [&'a Attached],
    /// The host's primary address ([`super::host_address`]).
    pub host_address: Option<Ipv4Addr>,
    /// The host's own `/etc/hosts`, used with `--network host`.
    pub host_file: &'a str,
    /// What it is made from, when it is neither that nor our own lines.
    pub base: Option<&'a str>,
    /// The program that connects it, where there is one.
    pub tool: Option<&'a Tool>,
}

/// The text of `/etc/hosts`.
///
/// The user's entries come first and win. `host.containers.internal` and `host.docker.internal` are the
/// address under which the container reaches its host: the host's primary address, the gateway when
/// that reaches the host's loopback or the host has no other address, 127.0.0.1 in the host's network.
pub fn hosts(net: &NetworkSpec, facts: &HostsFacts<'_>) -> String {
    let host = host_gateway(&net.mode, facts);
    let mut text = String::new();
    for HostEntry { name, address } in &net.hosts {
        if let Some(address) = address.or(host) {
            let _ = writeln!(text, "{address}\t{name}");
        }
    }
    let mut own = vec![facts.hostname];
    if facts.name != facts.hostname {
        own.push(facts.name);
    }
    let own = own.join(" ");
    text.push_str(facts.base.unwrap_or(match &net.mode {
        NetworkMode::Host => facts.host_file,
        _ => LOCALHOST,
    }));
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let mut addresses: Vec<IpAddr> =
        facts.networks.iter().flat_map(|network| network.addresses.iter().map(|has| has.address)).collect();
    if addresses.is_empty() {
        let address =
            driver(&net.mode).and_then(|driver| driver.reach(facts.tool).four).map(|four| four.address);
        addresses.push(address.unwrap_or(Ipv4Addr::LOCALHOST).into());
    }
    for address in addresses {
        let _ = writeln!(text, "{address}\t{own}");
    }
    let free: Vec<&str> = HOST_NAMES.into_iter().filter(|n| net.hosts.iter().all(|h| h.name != *n)).collect();
    if let Some(host) = host
        && !free.is_empty()
    {
        let _ = writeln!(text, "{host}\t{}", free.join(" "));
    }
    text
}

/// The host as the container reaches it; `None` when it cannot.
fn host_gateway(mode: &NetworkMode, facts: &HostsFacts<'_>) -> Option<IpAddr> {
    match mode {
        NetworkMode::Ns(_) | NetworkMode::Bridge(_) => facts.host_address.map(Into::into),
        NetworkMode::Host => Some(Ipv4Addr::LOCALHOST.into()),
        mode => driver(mode)?.host(facts.host_address, facts.tool),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::netns::{dns_plan, parse_add_host, parse_network};

    fn net(mode: &str) -> NetworkSpec {
        NetworkSpec { mode: parse_network(mode).unwrap(), ..NetworkSpec::default() }
    }

    /// The text that follows from a host's, relayed by slirp4netns.
    fn resolved(net: &NetworkSpec, host: &str) -> Option<String> {
        resolv_conf(net, &[], &HostResolver { text: host.to_owned(), relayed: true })
    }

    const HOST: &str = "# made by hand\ndomain old.example\nsearch a.example b.example\nnameserver 9.9.9.9 ; quad\n\
                        nameserver 2620:fe::fe\nnameserver fe80::1%eth0\noptions edns0 trust-ad\n";

    #[test]
    fn resolv_conf_asks_slirp_first_then_what_can_be_reached() {
        assert_eq!(
            resolved(&net("slirp4netns"), HOST).unwrap(),
            "search a.example b.example\nnameserver 10.0.2.3\nnameserver 9.9.9.9\noptions edns0 trust-ad\n"
        );
        let with_six = resolved(&net("slirp4netns:enable_ipv6=true"), HOST).unwrap();
        assert!(with_six.contains("nameserver 2620:fe::fe\n"), "{with_six}");
    }

    #[test]
    fn resolv_conf_replaces_loopback_resolvers() {
        for host in
            ["nameserver 127.0.0.53\n", "nameserver ::1\n", "", "nameserver 127.0.0.1\nnameserver ::1\n"]
        {
            assert_eq!(resolved(&net("slirp4netns"), host).unwrap(), "nameserver 10.0.2.3\n", "{host}");
        }
        let other = resolved(&net("slirp4netns:cidr=10.9.0.0/16"), "nameserver 127.0.0.53\n").unwrap();
        assert_eq!(other, "nameserver 10.9.0.3\n");
    }

    #[test]
    fn resolv_conf_without_relay_is_the_hosts_servers() {
        let resolver = |text: &str| HostResolver { text: text.to_owned(), relayed: false };
        let text = resolv_conf(&net("slirp4netns"), &[], &resolver("nameserver 172.29.0.1\n"));
        assert_eq!(text.unwrap(), "nameserver 172.29.0.1\n");
        let text = resolv_conf(&net("slirp4netns"), &[], &resolver("nameserver 127.0.0.1\n"));
        assert_eq!(text.unwrap(), "nameserver 10.0.2.3\n");
    }

    #[test]
    fn resolv_conf_holds_three_servers_at_most() {
        let text = resolved(
            &net("slirp4netns"),
            "nameserver 1.1.1.1\nnameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\n",
        );
        assert_eq!(text.unwrap(), "nameserver 10.0.2.3\nnameserver 1.1.1.1\nnameserver 2.2.2.2\n");
    }

    #[test]
    fn resolv_conf_lets_the_user_replace_each_list() {
        let mut plan = net("slirp4netns");
        plan.dns = dns_plan(&["8.8.4.4"], &["x.example"], &["ndots:2"]).unwrap();
        assert_eq!(resolved(&plan, HOST).unwrap(), "search x.example\nnameserver 8.8.4.4\noptions ndots:2\n");
        plan.dns = dns_plan(&[], &["."], &[]).unwrap();
        assert_eq!(
            resolved(&plan, HOST).unwrap(),
            "nameserver 10.0.2.3\nnameserver 9.9.9.9\noptions edns0 trust-ad\n"
        );
        plan.dns = dns_plan(&["none"], &[], &[]).unwrap();
        assert_eq!(resolved(&plan, HOST), None);
    }

    #[test]
    fn resolv_conf_of_the_hosts_network_is_the_hosts() {
        assert_eq!(resolved(&net("host"), HOST).unwrap(), HOST);
        let mut plan = net("host");
        plan.dns = dns_plan(&[], &["x"], &[]).unwrap();
        let text = resolved(&plan, "nameserver 127.0.0.53\n").unwrap();
        assert_eq!(text, "search x\nnameserver 127.0.0.53\n");
    }

    #[test]
    fn resolv_conf_asks_networks_with_a_way_out_first() {
        let network = |number: u8, internal: bool, dns: bool| Attached {
            network: format!("net{number}"),
            id: String::new(),
            interface: format!("eth{number}"),
            mac: crate::spec::mac::MacAddress::local([2, 0, 0, 0, 0, number]),
            addresses: Vec::new(),
            names: Vec::new(),
            servers: vec![Ipv4Addr::new(10, 89, number, 1).into()],
            internal,
            dns,
        };
        let servers = |all: &[(bool, bool)]| {
            let made: Vec<Attached> =
                (0..).zip(all).map(|(number, (internal, dns))| network(number, *internal, *dns)).collect();
            let made: Vec<&Attached> = made.iter().collect();
            let host = HostResolver { text: String::new(), relayed: true };
            let text = resolv_conf(&net("bridge"), &made, &host).unwrap();
            let lines = text.lines().filter_map(|line| line.strip_prefix("nameserver 10.89."));
            lines.map(|rest| rest[..1].to_owned()).collect::<String>()
        };
        let (open, internal) = ((false, true), (true, true));
        let (open_without_names, internal_without_names) = ((false, false), (true, false));
        assert_eq!(servers(&[internal, open]), "10");
        assert_eq!(servers(&[internal, internal, internal, open]), "301");
        assert_eq!(servers(&[internal, open_without_names]), "10");
        assert_eq!(servers(&[open_without_names, open, internal]), "12");
        assert_eq!(servers(&[internal_without_names, internal]), "1");
        assert_eq!(servers(&[internal_without_names, open_without_names]), "1");
        assert_eq!(servers(&[internal_without_names]), "0");
    }

    fn facts(host_file: &str) -> HostsFacts<'_> {
        HostsFacts {
            hostname: "box",
            name: "web-1",
            networks: &[],
            host_address: Some(Ipv4Addr::new(192, 0, 2, 2)),
            host_file,
            base: None,
            tool: None,
        }
    }

    #[test]
    fn hosts_names_the_container_and_its_host() {
        assert_eq!(
            hosts(&net("slirp4netns"), &facts("")),
            "127.0.0.1\tlocalhost localhost.localdomain\n::1\tlocalhost ip6-localhost ip6-loopback\n\
             10.0.2.100\tbox web-1\n192.0.2.2\thost.containers.internal host.docker.internal\n"
        );
        let alone = HostsFacts { host_address: None, name: "box", ..facts("") };
        let text = hosts(&net("slirp4netns"), &alone);
        assert!(
            text.ends_with("10.0.2.100\tbox\n10.0.2.2\thost.containers.internal host.docker.internal\n"),
            "{text}"
        );
        let loopback = hosts(&net("slirp4netns:allow_host_loopback=true"), &facts(""));
        assert!(loopback.contains("10.0.2.2\thost.containers"), "{loopback}");
    }

    #[test]
    fn hosts_lets_the_users_entries_win() {
        let mut plan = net("slirp4netns");
        plan.hosts = ["db:10.1.1.1", "gw:host-gateway", "host.docker.internal:10.1.1.2"]
            .map(|t| parse_add_host(t).unwrap())
            .concat();
        let text = hosts(&plan, &facts(""));
        assert!(
            text.starts_with("10.1.1.1\tdb\n192.0.2.2\tgw\n10.1.1.2\thost.docker.internal\n127.0.0.1"),
            "{text}"
        );
        assert!(text.ends_with("192.0.2.2\thost.containers.internal\n"), "{text}");
    }

    #[test]
    fn hosts_without_a_network_and_with_the_hosts() {
        let text = hosts(&net("none"), &facts(""));
        assert!(text.ends_with("127.0.0.1\tbox web-1\n") && !text.contains("internal"), "{text}");
        let text = hosts(&net("host"), &facts("127.0.0.1 localhost\n127.0.1.1 laptop"));
        assert_eq!(
            text,
            "127.0.0.1 localhost\n127.0.1.1 laptop\n127.0.0.1\tbox web-1\n\
             127.0.0.1\thost.containers.internal host.docker.internal\n"
        );
    }
}
