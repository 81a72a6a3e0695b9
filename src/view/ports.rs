//! Published ports as listings show them.

use crate::spec::network::host_address;
use crate::storage::containers::PortRecord;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Published ports with runs of them as ranges: the first port, and how many.
pub(super) fn merged(ports: &[PortRecord]) -> Vec<(PortRecord, u16)> {
    let mut sorted = ports.to_vec();
    sorted.sort_by(|a, b| {
        (&a.protocol, &a.host_ip, a.host_port, a.container_port).cmp(&(
            &b.protocol,
            &b.host_ip,
            b.host_port,
            b.container_port,
        ))
    });
    let mut runs: Vec<(PortRecord, u16)> = Vec::new();
    for port in sorted {
        if let Some((first, count)) = runs.last_mut()
            && first.protocol == port.protocol
            && first.host_ip == port.host_ip
            && first.host_port != 0
            && first.host_port.checked_add(*count) == Some(port.host_port)
            && first.container_port.checked_add(*count) == Some(port.container_port)
        {
            *count += 1;
        } else {
            runs.push((port, 1));
        }
    }
    runs
}

/// Ports of every address as docker lists them, once for each family.
pub fn both_families(ports: &[PortRecord]) -> Vec<PortRecord> {
    let families: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let each = |port: &PortRecord| match port.host_ip {
        Some(_) => vec![port.clone()],
        None => families.map(|ip| PortRecord { host_ip: Some(ip), ..port.clone() }).to_vec(),
    };
    ports.iter().flat_map(each).collect()
}

/// A port that is only exposed, `80/tcp`: it has no port of the host.
pub(super) fn exposed_port(text: &str) -> Option<PortRecord> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (container_port, protocol) = (port.parse().ok()?, protocol.parse().ok()?);
    Some(PortRecord { host_ip: None, host_port: 0, container_port, protocol })
}

/// Ports as listings show them: `0.0.0.0:8080->80/tcp, 127.0.0.1:2000-2006->2000-2006/tcp`.
pub(super) fn ports(ports: &[PortRecord]) -> String {
    let range = |first: u16, count: u16| match count {
        1 => first.to_string(),
        _ => format!("{first}-{}", first.saturating_add(count - 1)),
    };
    let one = |(first, count): &(PortRecord, u16)| {
        let inside = format!("{}/{}", range(first.container_port, *count), first.protocol);
        if first.host_port == 0 {
            return inside;
        }
        format!("{}:{}->{inside}", host_address(first.host_ip), range(first.host_port, *count))
    };
    merged(ports).iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: Option<&str>, host: u16, inside: u16, protocol: &str) -> PortRecord {
        PortRecord {
            host_ip: ip.map(|ip| ip.parse().unwrap()),
            host_port: host,
            container_port: inside,
            protocol: protocol.parse().unwrap(),
        }
    }

    #[test]
    fn ports_are_merged_into_ranges() {
        let list = [
            port(None, 8080, 80, "tcp"),
            port(None, 2002, 2002, "tcp"),
            port(None, 2000, 2000, "tcp"),
            port(None, 2001, 2001, "tcp"),
            port(Some("127.0.0.1"), 53, 53, "udp"),
            port(Some("::1"), 443, 443, "tcp"),
            port(None, 0, 90, "tcp"),
            port(None, 65535, 65535, "udp"),
            port(None, 36412, 36412, "sctp"),
        ];
        assert_eq!(
            ports(&list),
            "90/tcp, 0.0.0.0:2000-2002->2000-2002/tcp, 0.0.0.0:8080->80/tcp, [::1]:443->443/tcp, \
             0.0.0.0:65535->65535/udp, 127.0.0.1:53->53/udp, 0.0.0.0:36412->36412/sctp"
        );
        assert_eq!(ports(&[]), "");
    }
}
