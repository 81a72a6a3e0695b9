//! Parses `--network` into [`NetworkMode`].

use crate::error::{Error, Kind, Result, phrases};
use crate::container::Name;
use crate::spec::{Attachment, NetworkMode};
use crate::spec::network::SlirpOptions;
use crate::text::boolean;
use std::net::{Ipv4Addr, Ipv6Addr};

/// MTU range that slirp4netns takes, in bytes.
const MTU: std::ops::RangeInclusive<u32> = 68..=65521;

/// Reads one `--network` value: `none`, `host`, `slirp4netns[:option,...]`, `container:NAME`, `ns:PATH`, and
/// `private`, `bridge`, `podman` and `default` for the default network.
///
/// # Errors
/// `Usage`, naming the part that is wrong, or saying why a mode is not offered.
pub fn parse_network(text: &str) -> Result<NetworkMode> {
    let (mode, options) = match text.split_once(':') {
        Some((mode, options)) => (mode, Some(options)),
        None => (text, None),
    };
    let bad = |why: &str, hint: &str| {
        Err(Error::new(Kind::Usage, format!("cannot use network {text:?}: {why}")).hint(hint))
    };
    match (mode, options) {
        ("slirp4netns", options) => slirp_options(options.unwrap_or("")).map(NetworkMode::Slirp).or_else(|why| {
            bad(&why, "Options of slirp4netns are allow_host_loopback, mtu, cidr, enable_ipv6, outbound_addr, \
                outbound_addr6 and port_handler, for example --network slirp4netns:mtu=1500,enable_ipv6=true.")
        }),
        ("none", None) => Ok(NetworkMode::None),
        ("host", None) => Ok(NetworkMode::Host),
        ("private" | "bridge" | "default" | "podman", None) => Ok(NetworkMode::default()),
        ("none" | "host" | "private" | "default", Some(_)) => bad("this mode takes no options", "Write --network none, host or private."),
        ("bridge", Some(_)) => bad(
            "in a network of its own a container cannot choose an address or name",
            "Leave the options out; the address inside is set with --network slirp4netns:cidr=10.0.3.0/24.",
        ),
        ("container", Some(name)) if !name.is_empty() => Ok(NetworkMode::Container(name.to_owned())),
        ("ns", Some(path)) if path.starts_with('/') => Ok(NetworkMode::Ns(path.into())),
        ("container", _) => bad("the container is missing", "Name it, for example --network container:web."),
        ("ns", _) => bad("the absolute path is missing", "Write the full path, for example --network \
                                                          ns:/proc/1234/ns/net."),
        ("pasta", _) => bad("pasta is not supported", "Use --network slirp4netns, the default."),
        ("", _) => bad("the mode is missing", "Use --network slirp4netns (the default), host or none."),
        (name, None) if name.parse::<Name>().is_ok() => {
            let network = name.to_owned();
            Ok(NetworkMode::Bridge(vec![Attachment { network, ..Attachment::default() }]))
        }
        _ => Err(phrases::no_network(mode).hint("Use --network slirp4netns (the default), host or none.")),
    }
}

/// Reads `name=value,...` after `slirp4netns:`.
fn slirp_options(text: &str) -> Result<SlirpOptions, String> {
    let mut options = SlirpOptions::default();
    let mut outbound6 = false;
    let mut ipv6_off = false;
    for option in text.split(',').filter(|o| !o.is_empty()) {
        let (name, value) = option.split_once('=').ok_or(format!("option {option:?} has no value"))?;
        match name {
            "allow_host_loopback" => options.allow_host_loopback = truth(name, value)?,
            "enable_ipv6" => {
                options.ipv6 = truth(name, value)?;
                ipv6_off = !options.ipv6;
            }
            "mtu" => {
                options.mtu = value.parse().ok().filter(|mtu| MTU.contains(mtu)).ok_or(format!(
                    "mtu {value:?} is not a number between {} and {}",
                    MTU.start(),
                    MTU.end()
                ))?;
            }
            "cidr" => options.cidr = value.parse()?,
            "outbound_addr" => {
                if value.parse::<Ipv4Addr>().is_err() {
                    interface(name, value, "IPv4")?;
                }
                options.outbound_addr = Some(value.to_owned());
            }
            "outbound_addr6" => {
                if value.parse::<Ipv6Addr>().is_err() {
                    interface(name, value, "IPv6")?;
                }
                options.outbound_addr6 = Some(value.to_owned());
                outbound6 = true;
            }
            "port_handler" => {
                options.keep_client = match value {
                    "slirp4netns" => true,
                    "rootlesskit" => false,
                    _ => {
                        return Err(format!("port_handler {value:?} is neither slirp4netns nor rootlesskit"));
                    }
                };
            }
            _ => return Err(format!("{name:?} is not an option of slirp4netns")),
        }
    }
    if outbound6 && ipv6_off {
        return Err("outbound_addr6 needs IPv6, and enable_ipv6=false turns it off".to_owned());
    }
    options.ipv6 |= outbound6;
    Ok(options)
}

fn truth(name: &str, value: &str) -> Result<bool, String> {
    boolean(value).ok_or_else(|| format!("{name} {value:?} is neither true nor false"))
}

/// Accepts what may be an interface's name: 1 to 15 bytes without blank, slash or colon (netdevice(7)).
/// Digits and dots alone are a mistyped address.
fn interface(name: &str, value: &str, family: &str) -> Result<(), String> {
    let shape = (1..=15).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b':')
        && !value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if shape {
        Ok(())
    } else {
        Err(format!("{name} {value:?} is neither an {family} address nor an interface"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slirp(text: &str) -> SlirpOptions {
        match parse_network(text).unwrap() {
            NetworkMode::Slirp(options) => options,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn modes_and_their_aliases() {
        assert_eq!(parse_network("none").unwrap(), NetworkMode::None);
        assert_eq!(parse_network("host").unwrap(), NetworkMode::Host);
        for text in ["slirp4netns", "slirp4netns:", "private", "bridge", "podman", "default"] {
            assert_eq!(parse_network(text).unwrap(), NetworkMode::default(), "{text}");
        }
    }

    #[test]
    fn slirp_options_are_read() {
        let all = slirp(
            "slirp4netns:mtu=1500,cidr=192.168.128.0/25,enable_ipv6=true,allow_host_loopback=1,\
             outbound_addr=eth0,outbound_addr6=fd00::9,port_handler=rootlesskit",
        );
        assert_eq!(all.mtu, 1500);
        assert_eq!(all.cidr.to_string(), "192.168.128.0/25");
        assert_eq!(all.address().to_string(), "192.168.128.100");
        assert_eq!(all.gateway().to_string(), "192.168.128.2");
        assert_eq!(all.dns().to_string(), "192.168.128.3");
        assert!(all.ipv6 && all.allow_host_loopback && !all.keep_client);
        assert_eq!(all.outbound_addr.as_deref(), Some("eth0"));
        assert_eq!(all.outbound_addr6.as_deref(), Some("fd00::9"));
        assert!(slirp("slirp4netns:outbound_addr6=eth0").ipv6);
    }

    #[test]
    fn refusals_name_the_bad_part() {
        for (text, want) in [
            ("", "the mode is missing"),
            ("ns:netns/x", "the absolute path is missing"),
            ("pasta:-t,80", "pasta is not supported"),
            ("none:x=1", "this mode takes no options"),
            ("bridge:ip=10.88.0.2", "in a network of its own a container cannot choose an address or name"),
            ("slirp4netns:mtu", "option \"mtu\" has no value"),
            ("slirp4netns:mtu=67", "mtu \"67\" is not a number between 68 and 65521"),
            ("slirp4netns:mtu=65522", "mtu \"65522\" is not a number between 68 and 65521"),
            ("slirp4netns:color=red", "\"color\" is not an option of slirp4netns"),
            ("slirp4netns:enable_ipv6=yes", "enable_ipv6 \"yes\" is neither true nor false"),
            ("slirp4netns:cidr=10.0.2.0", "cidr \"10.0.2.0\" is not an IPv4 network such as 10.0.2.0/24"),
            ("slirp4netns:cidr=10.0.2.0/26", "cidr \"10.0.2.0/26\" has a prefix outside 1 to 25"),
            ("slirp4netns:cidr=0.0.0.0/0", "cidr \"0.0.0.0/0\" has a prefix outside 1 to 25"),
            (
                "slirp4netns:cidr=10.0.2.9/24",
                "cidr \"10.0.2.9/24\" is an address in a network; the network is 10.0.2.0/24",
            ),
            (
                "slirp4netns:outbound_addr=1.2.3",
                "outbound_addr \"1.2.3\" is neither an IPv4 address nor an interface",
            ),
            (
                "slirp4netns:outbound_addr6=a b",
                "outbound_addr6 \"a b\" is neither an IPv6 address nor an interface",
            ),
            (
                "slirp4netns:outbound_addr6=eth0,enable_ipv6=0",
                "outbound_addr6 needs IPv6, and enable_ipv6=false turns it off",
            ),
            ("slirp4netns:port_handler=x", "port_handler \"x\" is neither slirp4netns nor rootlesskit"),
        ] {
            let e = parse_network(text).unwrap_err();
            assert_eq!(e.message(), format!("cannot use network {text:?}: {want}"));
            assert_eq!(e.kind(), Kind::Usage);
            assert!(!e.hints().is_empty(), "{text}");
        }
        let e = parse_network("backend").unwrap_err();
        assert_eq!(e.message(), "unable to find network with name or ID backend: network not found");
        assert!(e.kind() == Kind::Usage && !e.hints().is_empty());
    }

    #[test]
    fn the_plan_survives_json() {
        let mode = parse_network("slirp4netns:cidr=10.9.0.0/16,mtu=9000").unwrap();
        let text = serde_json::to_string(&mode).unwrap();
        assert!(text.contains(r#""cidr":"10.9.0.0/16""#), "{text}");
        assert_eq!(serde_json::from_str::<NetworkMode>(&text).unwrap(), mode);
    }
}
