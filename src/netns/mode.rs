//! Parses `--network` into [`NetworkMode`].

use super::pasta::options::pasta_options;
use super::slirp::options::{interface, slirp_options};
use crate::error::{Error, Kind, Result};
use crate::spec::bridge::BUILT_IN;
use crate::spec::network::MacAddress;
use crate::spec::{Attachment, NetworkMode};
use crate::text::boolean;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads one `--network` value: `none`, `host`, `slirp4netns[:option,...]`, `pasta[:option,...]`, `container:NAME`,
/// `ns:PATH`, `private` and `default` for what is usual here ([`super::usual`]), `bridge[:option,...]` for the built-in network, and names of networks:
/// `NAME[:option,...]` or `NAME,NAME`.
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
                outbound_addr6, port_handler and accelerate, for example --network slirp4netns:mtu=1500,enable_ipv6=true.")
        }),
        ("none", None) => Ok(NetworkMode::None),
        ("host", None) => Ok(NetworkMode::Host),
        ("private" | "default" | "", None) => Ok(NetworkMode::Private),
        ("none" | "host" | "private" | "default", Some(_)) => bad("this mode takes no options", "Write the mode alone, for example --network host. Options are for slirp4netns, pasta, bridge and names of networks."),
        ("container", Some(name)) if !name.is_empty() => Ok(NetworkMode::Container(name.to_owned())),
        ("ns", Some(path)) if path.starts_with('/') => Ok(NetworkMode::Ns(path.into())),
        ("container", _) => bad("the container is missing", "Name it, for example --network container:web."),
        ("ns", _) => bad("the absolute path is missing", "Write the full path, for example --network \
                                                          ns:/proc/1234/ns/net."),
        ("pasta", options) => pasta_options(options.unwrap_or("")).map(NetworkMode::Pasta).or_else(|why| {
            bad(&why, "Give options of pasta(1) with commas between the words, for example --network pasta:--mtu,1500,--map-gw.")
        }),
        ("", _) => bad("the mode is missing", "Use --network slirp4netns (the default), host or none."),
        ("bridge", options) => attachment(BUILT_IN, options).map(|one| NetworkMode::Bridge(vec![one])),
        (names, None) => {
            let name = |name| if name == "bridge" { BUILT_IN } else { name };
            let all = names.split(',').map(|one| attachment(name(one), None));
            all.collect::<Result<Vec<Attachment>>>().map(NetworkMode::Bridge)
        }
        (name, options) => attachment(name, options).map(|one| NetworkMode::Bridge(vec![one])),
    }
}

/// A place on the network of this name, with `option=value,...`.
fn attachment(name: &str, options: Option<&str>) -> Result<Attachment> {
    if name.is_empty() {
        return Err(Error::new(Kind::Usage, "network name cannot be empty")
            .hint("Name a network; list them with: coracle network ls"));
    }
    let mut attachment = Attachment { network: name.to_owned(), ..Attachment::default() };
    for option in options.unwrap_or("").split(',').filter(|option| !option.is_empty()) {
        set(&mut attachment, option).map_err(|why| {
            Error::new(Kind::Usage, format!("invalid option for network {name}: {why}")).hint(
                "Options are ip, ip6, mac, alias, interface_name and accelerate, for example --network backend:ip=10.89.0.9,alias=db.",
            )
        })?;
    }
    Ok(attachment)
}

fn set(attachment: &mut Attachment, option: &str) -> Result<(), String> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let ip = || value.parse::<IpAddr>().map_err(|_| format!("invalid ip address {value:?}"));
    match name {
        "ip" | "ip6" => match ip()? {
            IpAddr::V4(ip) => attachment.ip = Some(ip),
            IpAddr::V6(ip) => attachment.ip6 = Some(ip),
        },
        "mac" => {
            let wrong = |_| format!("{value:?} is not the hardware address of an interface");
            attachment.mac = Some(value.parse().map_err(wrong)?);
        }
        "alias" if value.is_empty() => return Err("alias cannot be empty".to_owned()),
        "alias" => attachment.aliases.push(value.to_owned()),
        "accelerate" => {
            let wrong = || format!("accelerate {value:?} is neither true nor false");
            let is_word = option == "accelerate";
            attachment.accelerate = Some(is_word || boolean(value).ok_or_else(wrong)?);
        }
        "interface_name" if value.is_empty() => return Err("interface_name cannot be empty".to_owned()),
        "interface_name" => {
            let is_name = interface(name, value, "").is_ok() && !matches!(value, "." | ".." | "lo");
            if !is_name {
                return Err(format!(
                    "interface_name {value:?} is not a name of an interface: 1 to 15 characters"
                ));
            }
            attachment.interface = Some(value.to_owned());
        }
        _ => return Err(format!("unknown bridge network option: {name}")),
    }
    Ok(())
}

/// Options that are about a container's place on its only network.
#[derive(Debug, Clone, Default)]
pub struct AddressOptions {
    /// `--ip`.
    pub ip: Option<Ipv4Addr>,
    /// `--ip6`.
    pub ip6: Option<Ipv6Addr>,
    /// `--mac-address`.
    pub mac: Option<MacAddress>,
    /// `--network-alias`.
    pub aliases: Vec<String>,
}

/// Makes one mode of all `--network` options, and of what else is said about the container's place on its networks. A
/// hardware address that is for a driver's interface stays where it is.
///
/// # Errors
/// `Usage` for what does not go together.
pub fn merge_networks(
    mut modes: Vec<NetworkMode>,
    mut options: AddressOptions,
) -> Result<(NetworkMode, Option<MacAddress>)> {
    let invalid =
        |message: String, hint: &str| Err(Error::new(Kind::Usage, message + ": invalid argument").hint(hint));
    // Of those that can only stand alone the last one counts, as of any option that is given again.
    if !modes.iter().any(|mode| matches!(mode, NetworkMode::Bridge(_))) {
        modes.drain(..modes.len().saturating_sub(1));
    }
    let first = if modes.is_empty() { NetworkMode::default() } else { modes.remove(0) };
    let NetworkMode::Bridge(mut all) = first else {
        if !modes.is_empty() {
            return invalid(
                format!("cannot set multiple networks without bridge network mode, selected mode {first}"),
                "Name networks alone, for example --network front --network back.",
            );
        }
        let asked = [
            ("--ip", options.ip.is_some()),
            ("--ip6", options.ip6.is_some()),
            ("--mac-address", options.mac.is_some() && !has_own_interface(&first)),
            ("--network-alias", !options.aliases.is_empty()),
        ];
        if let Some((option, _)) = asked.iter().find(|(_, asked)| *asked) {
            return invalid(
                format!("{option} can only be set when the network mode is bridge"),
                "Name a network: coracle network create backend && coracle run --network backend ...",
            );
        }
        return Ok((first, options.mac));
    };
    for mode in modes {
        match mode {
            NetworkMode::Bridge(more) => all.extend(more),
            other => {
                return invalid(
                    format!("can only set extra network names, selected mode {other} conflicts with bridge"),
                    "Name networks alone, for example --network front --network back.",
                );
            }
        }
    }
    let single = [
        ("--ip", options.ip.is_some()),
        ("--ip6", options.ip6.is_some()),
        ("--mac-address", options.mac.is_some()),
    ];
    match (all.as_mut_slice(), single.iter().find(|(_, asked)| *asked)) {
        ([one], _) => {
            one.ip = options.ip.or(one.ip);
            one.ip6 = options.ip6.or(one.ip6);
            one.mac = options.mac.take().or(one.mac);
        }
        (_, Some((option, _))) => {
            return invalid(
                format!("{option} can only be set for a single network"),
                "Give the address with the network: --network front:ip=10.89.0.9 --network back.",
            );
        }
        _ => {}
    }
    for attachment in &mut all {
        attachment.aliases.extend(options.aliases.iter().cloned());
    }
    Ok((NetworkMode::Bridge(all), None))
}

/// Whether the container has an interface of a driver's, which can be told its hardware address.
fn has_own_interface(mode: &NetworkMode) -> bool {
    matches!(mode, NetworkMode::Private | NetworkMode::Slirp(_) | NetworkMode::Pasta(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::network::SlirpOptions;

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
        for text in ["private", "default", ""] {
            assert_eq!(parse_network(text).unwrap(), NetworkMode::Private, "{text}");
        }
        for text in ["slirp4netns", "slirp4netns:"] {
            assert_eq!(slirp(text), SlirpOptions::default(), "{text}");
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
            (":mtu=1500", "the mode is missing"),
            ("ns:netns/x", "the absolute path is missing"),
            ("pasta:80", "\"80\" is not an option of pasta: they begin with a dash"),
            ("pasta:-t,80,81", "\"81\" is not an option of pasta: they begin with a dash"),
            ("pasta:--netns,/x", "--netns cannot be given: it is set for the container"),
            ("pasta:--pid=/x", "--pid cannot be given: it is set for the container"),
            ("pasta:-P/x", "-P cannot be given: it is set for the container"),
            ("pasta:--", "\"--\" is not an option of pasta"),
            ("none:x=1", "this mode takes no options"),
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
            (
                "slirp4netns:accelerate,outbound_addr=eth0",
                "accelerate cannot be used with outbound_addr and outbound_addr6",
            ),
            ("slirp4netns:accelerate=", "accelerate \"\" is neither true nor false"),
            ("pasta:accelerate", "accelerate works with slirp4netns and bridge networks only"),
            ("slirp4netns:port_handler=x", "port_handler \"x\" is neither slirp4netns nor rootlesskit"),
        ] {
            let e = parse_network(text).unwrap_err();
            assert_eq!(e.message(), format!("cannot use network {text:?}: {want}"));
            assert_eq!(e.kind(), Kind::Usage);
            assert!(!e.hints().is_empty(), "{text}");
        }
    }

    #[test]
    fn acceleration_is_asked_for_or_configured() {
        for (text, asked, configured) in [
            ("slirp4netns", false, true),
            ("slirp4netns:accelerate", true, true),
            ("slirp4netns:mtu=1500,accelerate=true", true, true),
            ("slirp4netns:accelerate=false", false, false),
            ("slirp4netns:outbound_addr=eth0", false, false),
            ("bridge", false, true),
            ("bridge:accelerate", true, true),
            ("back:accelerate,alias=x", true, true),
            ("back:accelerate=false", false, false),
            ("front,back", false, true),
            ("none", false, false),
            ("host", false, false),
            ("pasta", false, false),
        ] {
            let mut mode = parse_network(text).unwrap();
            assert_eq!(mode.is_accelerated(), asked, "{text}");
            mode.accelerate();
            assert_eq!(mode.is_accelerated(), configured, "{text}");
        }
    }

    fn bridge(text: &str) -> Vec<Attachment> {
        match parse_network(text).unwrap() {
            NetworkMode::Bridge(all) => all,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn other_words_are_names_of_networks() {
        for text in ["bridge", "podman"] {
            assert_eq!(bridge(text)[0].network, "podman");
        }
        assert_eq!(bridge("front,back").len(), 2);
        assert_eq!(bridge("bridge,back")[0].network, "podman");
        let all = bridge(
            "back:ip=10.89.0.9,ip6=fd01::9,mac=02:00:00:00:00:01,alias=db,alias=sql,interface_name=db0",
        );
        let [one] = all.as_slice() else { panic!("one network") };
        assert_eq!((one.ip, one.ip6.is_some()), (Some(Ipv4Addr::new(10, 89, 0, 9)), true));
        assert_eq!((one.aliases.len(), one.interface.as_deref()), (2, Some("db0")));
        for (text, want) in [
            ("back:ip=1", "invalid option for network back: invalid ip address \"1\""),
            ("back:ip", "invalid option for network back: invalid ip address \"\""),
            ("back:foo=1", "invalid option for network back: unknown bridge network option: foo"),
            (
                "back:accelerate=x",
                "invalid option for network back: accelerate \"x\" is neither true nor false",
            ),
            ("back:alias=", "invalid option for network back: alias cannot be empty"),
            (",", "network name cannot be empty"),
        ] {
            assert_eq!(parse_network(text).unwrap_err().message(), want);
        }
    }

    #[test]
    fn several_networks_are_one_mode() {
        let merge = |texts: &[&str], options: AddressOptions| {
            merge_networks(texts.iter().map(|text| parse_network(text).unwrap()).collect(), options)
        };
        let ip = || AddressOptions { ip: Some(Ipv4Addr::new(10, 89, 0, 9)), ..AddressOptions::default() };
        let refused = |texts: &[&str], options| merge(texts, options).unwrap_err().message().to_owned();
        let none = AddressOptions::default;
        let (mode, _) = merge(&["front", "back:alias=x"], none()).unwrap();
        assert!(matches!(mode, NetworkMode::Bridge(all) if all.len() == 2));
        assert_eq!(merge(&["none", "host"], none()).unwrap().0, NetworkMode::Host);
        let (mode, _) = merge(&["front"], ip()).unwrap();
        assert!(matches!(mode, NetworkMode::Bridge(all) if all[0].ip.is_some()));
        for (texts, options, want) in [
            (
                &["host", "front"][..],
                none(),
                "cannot set multiple networks without bridge network mode, selected mode host: invalid argument",
            ),
            (
                &["front", "host"],
                none(),
                "can only set extra network names, selected mode host conflicts with bridge: invalid argument",
            ),
            (&["front", "back"], ip(), "--ip can only be set for a single network: invalid argument"),
            (&["host"], ip(), "--ip can only be set when the network mode is bridge: invalid argument"),
            (
                &["slirp4netns"],
                ip(),
                "--ip can only be set when the network mode is bridge: invalid argument",
            ),
        ] {
            assert_eq!(refused(texts, options), want);
        }
    }

    #[test]
    fn the_plan_survives_json() {
        let mode = parse_network("slirp4netns:cidr=10.9.0.0/16,mtu=9000").unwrap();
        let text = serde_json::to_string(&mode).unwrap();
        assert!(text.contains(r#""cidr":"10.9.0.0/16""#), "{text}");
        assert_eq!(serde_json::from_str::<NetworkMode>(&text).unwrap(), mode);
    }
}
