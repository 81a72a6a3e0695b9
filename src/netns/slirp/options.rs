//! Parses the options of `--network slirp4netns`.

use crate::spec::network::SlirpOptions;
use crate::text::boolean;
use std::net::{Ipv4Addr, Ipv6Addr};

/// MTU range that slirp4netns takes, in bytes.
const MTU: std::ops::RangeInclusive<u32> = 68..=65521;

/// Reads `name=value,...` after `slirp4netns:`.
pub(in crate::netns) fn slirp_options(text: &str) -> Result<SlirpOptions, String> {
    let mut options = SlirpOptions::default();
    let mut outbound6 = false;
    let mut ipv6_off = false;
    for option in text.split(',').filter(|o| !o.is_empty()) {
        let (name, value) = match option {
            "accelerate" => (option, "true"),
            _ => option.split_once('=').ok_or(format!("option {option:?} has no value"))?,
        };
        match name {
            "accelerate" => options.accelerate = Some(truth(name, value)?),
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
    if options.accelerate == Some(true) && options.has_outbound() {
        return Err("accelerate cannot be used with outbound_addr and outbound_addr6".to_owned());
    }
    options.ipv6 |= outbound6;
    Ok(options)
}

fn truth(name: &str, value: &str) -> Result<bool, String> {
    boolean(value).ok_or_else(|| format!("{name} {value:?} is neither true nor false"))
}

/// Accepts what may be an interface's name: 1 to 15 bytes without blank, slash or colon (netdevice(7)).
/// Digits and dots alone are a mistyped address.
pub(in crate::netns) fn interface(name: &str, value: &str, family: &str) -> Result<(), String> {
    let shape = (1..=15).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b':')
        && !value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if shape {
        Ok(())
    } else {
        Err(format!("{name} {value:?} is neither an {family} address nor an interface"))
    }
}
