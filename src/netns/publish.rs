//! Parses `--publish` and `--expose` into ports.

use crate::error::{Error, Kind, Result};
use crate::spec::network::{PortPublish, Protocol};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The example in every refusal of a `--publish` value.
const PUBLISH_HINT: &str = "Write --publish [IP:][HOST_PORT:]CONTAINER_PORT[/tcp|/udp|/sctp], for example -p 8080:80, \
     -p 127.0.0.1:8080:80, -p 127.0.0.1::80 or -p 8000-8010:8000-8010/udp.";

/// What to do about a word that is no protocol.
const PROTOCOL_HINT: &str = "Use /tcp (the default), /udp or /sctp, for example -p 5353:53/udp.";

/// A port that an image or `--expose` declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExposedPort {
    /// Port inside, 1 to 65535.
    pub port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
}

impl fmt::Display for ExposedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.port, self.protocol)
    }
}

/// Reads one `--publish` value, `[[ip:][host_port]:]container_port[/protocol]`; ranges are expanded.
///
/// A host range over a single container port stays one entry that takes any free port of the range.
///
/// # Errors
/// `Usage`, naming the part that is wrong.
pub fn parse_publish(text: &str) -> Result<Vec<PortPublish>> {
    let refuse = |why: String| Error::new(Kind::Usage, format!("cannot publish {text:?}: {why}"));
    let bad = |why: String| refuse(why).hint(PUBLISH_HINT);
    let (ports, protocol) = split_protocol(text).map_err(|why| refuse(why).hint(PROTOCOL_HINT))?;
    let (left, container) = match ports.rsplit_once(':') {
        Some((left, container)) => (Some(left), container),
        None => (None, ports),
    };
    let (ip, host) = match left {
        None => (None, ""),
        Some(left) => split_address(left).map_err(bad)?,
    };
    let inside = port_range(container, "container port").map_err(bad)?;
    let entry = |host_port, host_port_end, container_port| PortPublish {
        host_ip: ip,
        host_port,
        host_port_end,
        container_port,
        protocol,
    };
    if host.is_empty() || host == "0" {
        return Ok(inside.map(|port| entry(0, None, port)).collect());
    }
    let outside = port_range(host, "host port").map_err(bad)?;
    if inside.len() == outside.len() {
        return Ok(outside.zip(inside).map(|(outer, inner)| entry(outer, None, inner)).collect());
    }
    if inside.len() == 1 {
        return Ok(vec![entry(*outside.start(), Some(*outside.end()), *inside.start())]);
    }
    Err(bad(format!(
        "the host range {host} has {} ports and the container range {container} has {}",
        outside.len(),
        inside.len()
    )))
}

/// Reads one `--expose` value or image `ExposedPorts` key, `port[-port][/protocol]`.
///
/// # Errors
/// `Usage`, naming the part that is wrong.
pub fn parse_expose(text: &str) -> Result<Vec<ExposedPort>> {
    let refuse = |why: String| Error::new(Kind::Usage, format!("cannot expose {text:?}: {why}"));
    let (ports, protocol) = split_protocol(text).map_err(|why| refuse(why).hint(PROTOCOL_HINT))?;
    let range = port_range(ports, "port").map_err(|why| {
        refuse(why).hint(
            "Write --expose PORT[-PORT][/tcp|/udp|/sctp], for example --expose 8080 or --expose 53/udp.",
        )
    })?;
    Ok(range.map(|port| ExposedPort { port, protocol }).collect())
}

/// What `--publish-all` adds: every exposed port that is not yet published, on a free host port.
pub fn publish_exposed(exposed: &[ExposedPort], published: &[PortPublish]) -> Vec<PortPublish> {
    let taken: BTreeSet<ExposedPort> =
        published.iter().map(|p| ExposedPort { port: p.container_port, protocol: p.protocol }).collect();
    let wanted: BTreeSet<ExposedPort> = exposed.iter().copied().collect();
    wanted
        .difference(&taken)
        .map(|e| PortPublish {
            host_ip: None,
            host_port: 0,
            host_port_end: None,
            container_port: e.port,
            protocol: e.protocol,
        })
        .collect()
}

/// Refuses two entries that need the same host port; drops exact repetitions.
///
/// # Errors
/// `Usage`, naming both entries.
pub fn check_publish(ports: &mut Vec<PortPublish>) -> Result<()> {
    let mut kept: Vec<PortPublish> = Vec::with_capacity(ports.len());
    for port in ports.drain(..) {
        let same = |k: &&PortPublish| {
            k.host_port == port.host_port
                && k.protocol == port.protocol
                && k.host_port != 0
                && k.host_port_end.is_none()
                && port.host_port_end.is_none()
                && addresses_meet(k.host_ip, port.host_ip)
        };
        match kept.iter().find(same) {
            Some(twin) if *twin == port => {}
            Some(twin) => {
                return Err(Error::new(
                    Kind::Usage,
                    format!("host port {} is published twice: {twin} and {port}", port.host_port),
                )
                .hint(
                    "Give each published port its own host port, or leave the host port out for a free one.",
                ));
            }
            None => kept.push(port),
        }
    }
    *ports = kept;
    Ok(())
}

/// Whether listening on both addresses with one port is impossible.
fn addresses_meet(a: Option<IpAddr>, b: Option<IpAddr>) -> bool {
    match (a, b) {
        (None, _) | (_, None) => true,
        (Some(a), Some(b)) => {
            a.is_ipv4() == b.is_ipv4() && (a == b || a.is_unspecified() || b.is_unspecified())
        }
    }
}

/// Cuts `/protocol` off; TCP when there is none.
fn split_protocol(text: &str) -> Result<(&str, Protocol), String> {
    let Some((ports, protocol)) = text.split_once('/') else { return Ok((text, Protocol::Tcp)) };
    match protocol.parse() {
        Ok(protocol) => Ok((ports, protocol)),
        Err(()) => Err(format!("{protocol:?} is not a protocol")),
    }
}

/// Splits `[ip:][host_port]`, what stands before the container port.
fn split_address(left: &str) -> Result<(Option<IpAddr>, &str), String> {
    if let Some(rest) = left.strip_prefix('[') {
        let (ip, after) = rest.split_once(']').ok_or("the bracket of the IPv6 address is not closed")?;
        let ip = ip.parse().map_err(|_| format!("{ip:?} is not an IPv6 address"))?;
        let host = match after.strip_prefix(':') {
            Some(host) => host,
            None if after.is_empty() => {
                return Err("a host port, or nothing and a colon, must follow the address".into());
            }
            None => return Err(format!("{after:?} after the address is not a port")),
        };
        return Ok((Some(IpAddr::V6(ip)), host));
    }
    match left.rsplit_once(':') {
        None => match left.parse::<IpAddr>() {
            Ok(ip) => {
                Err(format!("{ip} stands where the host port is expected; write {ip}::PORT for a free one"))
            }
            Err(_) => Ok((None, left)),
        },
        Some(("", host)) => Ok((None, host)),
        Some((ip, _)) if ip.contains(':') => {
            Err("an IPv6 address must be in brackets, for example [::1]:8080:80".into())
        }
        Some((ip, host)) => match ip.parse() {
            Ok(ip) => Ok((Some(IpAddr::V4(ip)), host)),
            Err(_) => Err(format!("{ip:?} is not an IP address")),
        },
    }
}

/// Reads `port` or `first-last`, 1 to 65535.
fn port_range(text: &str, what: &str) -> Result<RangeInclusive<u16>, String> {
    let one = |part: &str| -> Result<u16, String> {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        match (part, u16::from_str(part)) {
            ("", _) => Err(format!("the {what} is missing")),
            (_, Ok(port)) if digits && port > 0 => Ok(port),
            _ if digits => Err(format!("the {what} {part} is not between 1 and 65535")),
            _ => Err(format!("the {what} {part:?} is not a number")),
        }
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (one(first)?, one(last)?),
        None => (one(text)?, one(text)?),
    };
    if first > last {
        return Err(format!("the {what} range {text} ends before it starts"));
    }
    Ok(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries of a value in listing form, or the refusal's message.
    fn shown(text: &str) -> String {
        match parse_publish(text) {
            Ok(ports) => ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            Err(e) => {
                assert!(!e.hints().is_empty(), "{text}: no hint");
                assert_eq!(e.kind(), Kind::Usage);
                e.message().rsplit_once("\": ").unwrap().1.to_owned()
            }
        }
    }

    #[test]
    fn publish_takes_every_form() {
        for (text, want) in [
            ("80", "0.0.0.0:0->80/tcp"),
            ("8080:80", "0.0.0.0:8080->80/tcp"),
            (":80", "0.0.0.0:0->80/tcp"),
            ("0:80", "0.0.0.0:0->80/tcp"),
            ("53:53/udp", "0.0.0.0:53->53/udp"),
            ("53/UDP", "0.0.0.0:0->53/udp"),
            ("36412:36412/sctp", "0.0.0.0:36412->36412/sctp"),
            ("9/SCTP", "0.0.0.0:0->9/sctp"),
            ("127.0.0.1:8080:80", "127.0.0.1:8080->80/tcp"),
            ("127.0.0.1::80", "127.0.0.1:0->80/tcp"),
            ("[::1]:80:80", "[::1]:80->80/tcp"),
            ("[::1]::80/udp", "[::1]:0->80/udp"),
            ("[::]:81:80", "[::]:81->80/tcp"),
            ("8000-8002:80-82", "0.0.0.0:8000->80/tcp 0.0.0.0:8001->81/tcp 0.0.0.0:8002->82/tcp"),
            ("8000-8010:80", "0.0.0.0:8000-8010->80/tcp"),
            ("80-81", "0.0.0.0:0->80/tcp 0.0.0.0:0->81/tcp"),
            ("127.0.0.1::80-81", "127.0.0.1:0->80/tcp 127.0.0.1:0->81/tcp"),
            ("65535:65535", "0.0.0.0:65535->65535/tcp"),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
    }

    #[test]
    fn publish_names_the_bad_part() {
        for (text, want) in [
            ("", "the container port is missing"),
            ("80:", "the container port is missing"),
            ("a:80", "the host port \"a\" is not a number"),
            ("80:b", "the container port \"b\" is not a number"),
            ("+80", "the container port \"+80\" is not a number"),
            ("0", "the container port 0 is not between 1 and 65535"),
            ("65536:80", "the host port 65536 is not between 1 and 65535"),
            ("9999999999:80", "the host port 9999999999 is not between 1 and 65535"),
            ("82-80:1-3", "the host port range 82-80 ends before it starts"),
            ("80-:80", "the host port is missing"),
            ("8000-8002:80-81", "the host range 8000-8002 has 3 ports and the container range 80-81 has 2"),
            ("8000:80-81", "the host range 8000 has 1 ports and the container range 80-81 has 2"),
            ("80/icmp", "\"icmp\" is not a protocol"),
            ("80/", "\"\" is not a protocol"),
            ("1.2.3:80:80", "\"1.2.3\" is not an IP address"),
            ("localhost:80:80", "\"localhost\" is not an IP address"),
            (
                "127.0.0.1:80",
                "127.0.0.1 stands where the host port is expected; write 127.0.0.1::PORT for a free one",
            ),
            ("::1:80:80", "an IPv6 address must be in brackets, for example [::1]:8080:80"),
            ("[::1:80:80", "the bracket of the IPv6 address is not closed"),
            ("[x]:80:80", "\"x\" is not an IPv6 address"),
            ("[::1]x:80", "\"x\" after the address is not a port"),
            ("[::1]:80", "a host port, or nothing and a colon, must follow the address"),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
    }

    #[test]
    fn expose_takes_ports_and_ranges() {
        let shown = |text: &str| match parse_expose(text) {
            Ok(ports) => ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            Err(e) => e.message().to_owned(),
        };
        assert_eq!(shown("80"), "80/tcp");
        assert_eq!(shown("53/udp"), "53/udp");
        assert_eq!(shown("80-82/tcp"), "80/tcp 81/tcp 82/tcp");
        assert_eq!(shown("80:80"), "cannot expose \"80:80\": the port \"80:80\" is not a number");
        assert_eq!(shown("9/sctp"), "9/sctp");
        assert_eq!(shown("9/dccp"), "cannot expose \"9/dccp\": \"dccp\" is not a protocol");
    }

    #[test]
    fn publish_all_leaves_out_what_is_published() {
        let exposed: Vec<_> =
            ["80", "443", "53/udp", "80"].iter().flat_map(|t| parse_expose(t).unwrap()).collect();
        let published = parse_publish("8443:443").unwrap();
        let added: Vec<_> = publish_exposed(&exposed, &published).iter().map(ToString::to_string).collect();
        assert_eq!(added, ["0.0.0.0:0->53/udp", "0.0.0.0:0->80/tcp"]);
    }

    #[test]
    fn the_same_host_port_twice_is_refused() {
        let check = |list: &[&str]| {
            let mut ports: Vec<_> = list.iter().flat_map(|t| parse_publish(t).unwrap()).collect();
            check_publish(&mut ports).map(|()| ports.len()).map_err(|e| e.message().to_owned())
        };
        assert_eq!(check(&["80:80", "80:80"]), Ok(1));
        assert_eq!(check(&["80:80", "80:80/udp", "80:80/sctp", "81:80", "90", "90"]), Ok(6));
        assert_eq!(check(&["127.0.0.1:80:80", "127.0.0.2:80:80", "[::1]:80:80"]), Ok(3));
        assert_eq!(
            check(&["80:80", "127.0.0.1:80:81"]),
            Err("host port 80 is published twice: 0.0.0.0:80->80/tcp and 127.0.0.1:80->81/tcp".into())
        );
    }
}
