//! Parses `--add-host`, `--dns`, `--dns-search` and `--dns-option` into the lists of the plan.

use crate::error::{Error, Kind, Result};
use crate::spec::network::{DnsSpec, HostEntry};
use std::net::IpAddr;

/// Reads one `--add-host` value: `name:ip` or `name:host-gateway`, also with `=` for the colon (docker), and several
/// names with `;` between them (podman).
///
/// # Errors
/// `Usage`, naming the part that is wrong.
pub fn parse_add_host(text: &str) -> Result<Vec<HostEntry>> {
    let refuse = |why: String| {
        Error::new(Kind::Usage, format!("cannot add host {text:?}: {why}")).hint(
            "Write --add-host NAME:IP or NAME:host-gateway, for example --add-host db:10.0.0.5 or --add-host db:fd00::5.",
        )
    };
    let parts = text.split_once('=').or_else(|| text.split_once(':'));
    let (names, address) = parts.ok_or_else(|| refuse("the address is missing".to_owned()))?;
    for name in names.split(';') {
        if name.is_empty() {
            return Err(refuse("the name is missing".to_owned()));
        }
        if !plain_word(name) {
            return Err(refuse(format!("{name:?} is not a host name")));
        }
    }
    let address = match address {
        "" => return Err(refuse("the address is missing".to_owned())),
        "host-gateway" => None,
        _ => {
            let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
            Some(bare.parse().map_err(|_| refuse(format!("{address:?} is not an IP address")))?)
        }
    };
    Ok(names.split(';').map(|name| HostEntry { name: name.to_owned(), address }).collect())
}

/// Reads all `--dns`, `--dns-search` and `--dns-option` values together.
///
/// # Errors
/// `Usage`, naming the value that is wrong, or when `--dns none` stands with any other.
pub fn dns_plan<S: AsRef<str>>(servers: &[S], search: &[S], options: &[S]) -> Result<DnsSpec> {
    let mut plan = DnsSpec::default();
    for server in servers.iter().map(AsRef::as_ref) {
        match server.parse::<IpAddr>() {
            Ok(ip) => plan.servers.push(ip),
            Err(_) if server == "none" => plan.keep_image = true,
            Err(_) => {
                return Err(Error::new(Kind::Usage, format!("cannot use name server {server:?}: it is not an IP address"))
                    .hint("Write --dns IP, for example --dns 9.9.9.9, or --dns none to keep the image's resolv.conf."));
            }
        }
    }
    if plan.keep_image && !(plan.servers.is_empty() && search.is_empty() && options.is_empty()) {
        return Err(Error::new(
            Kind::Usage,
            "--dns none leaves resolv.conf to the image, so other DNS options cannot be given",
        )
        .hint("Leave out --dns none, or leave out the other --dns, --dns-search and --dns-option."));
    }
    plan.search = words(search, "search domain", "--dns-search example.com, or --dns-search . for none")?;
    plan.options = words(options, "resolver option", "--dns-option ndots:2")?;
    if plan.search.len() > 1 && plan.search.iter().any(|s| s == ".") {
        return Err(Error::new(
            Kind::Usage,
            "search domain \".\" means no search domain, so no other can be given",
        )
        .hint("Leave out --dns-search . or the other search domains."));
    }
    Ok(plan)
}

/// Checks that each value is one word that cannot start another line or a comment.
fn words<S: AsRef<str>>(values: &[S], what: &str, example: &str) -> Result<Vec<String>> {
    let one = |value: &S| match value.as_ref() {
        word if plain_word(word) => Ok(word.to_owned()),
        word => Err(Error::new(Kind::Usage, format!("cannot use {what} {word:?}: it is not one plain word"))
            .hint(format!("Write {example}."))),
    };
    values.iter().map(one).collect()
}

/// One word of printable ASCII, safe in `/etc/hosts` and `/etc/resolv.conf`.
fn plain_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b';')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn add_host_takes_names_with_either_family() {
        for (text, name, address) in [
            ("db:10.0.0.5", "db", Some("10.0.0.5")),
            ("db.example:fd00::5", "db.example", Some("fd00::5")),
            ("db:[::1]", "db", Some("::1")),
            ("db=10.0.0.5", "db", Some("10.0.0.5")),
            ("db=fd00::5", "db", Some("fd00::5")),
            ("db=[::1]", "db", Some("::1")),
            ("gw=host-gateway", "gw", None),
            ("gw:host-gateway", "gw", None),
        ] {
            let [entry] = &parse_add_host(text).unwrap()[..] else { panic!("{text}") };
            assert_eq!(
                (entry.name.as_str(), entry.address.map(|a| a.to_string()).as_deref()),
                (name, address)
            );
        }
    }

    #[test]
    fn add_host_takes_several_names() {
        let entries = parse_add_host("a;b:10.0.0.5").unwrap();
        let shown: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.address.is_some())).collect();
        assert_eq!(shown, [("a", true), ("b", true)]);
        assert!(parse_add_host("a;:10.0.0.5").is_err());
    }

    #[test]
    fn add_host_names_the_bad_part() {
        for (text, want) in [
            ("db", "the address is missing"),
            ("db:", "the address is missing"),
            (":1.2.3.4", "the name is missing"),
            ("a b:1.2.3.4", "\"a b\" is not a host name"),
            ("a\n6.6.6.6 bank:1.2.3.4", "\"a\\n6.6.6.6 bank\" is not a host name"),
            ("db:1.2.3", "\"1.2.3\" is not an IP address"),
            ("db:gateway", "\"gateway\" is not an IP address"),
        ] {
            let e = parse_add_host(text).unwrap_err();
            assert_eq!(e.message(), format!("cannot add host {text:?}: {want}"));
        }
    }

    #[test]
    fn dns_values_become_a_plan() {
        let plan = dns_plan(&["1.1.1.1", "fd00::3"], &["example.com"], &["ndots:2"]).unwrap();
        assert_eq!(plan.servers.len(), 2);
        assert_eq!(
            (plan.search.as_slice(), plan.options.as_slice()),
            (&["example.com".to_owned()][..], &["ndots:2".to_owned()][..])
        );
        assert!(dns_plan(&["none"], &[], &[]).unwrap().keep_image);
        assert_eq!(dns_plan::<&str>(&[], &[], &[]).unwrap(), DnsSpec::default());
    }

    #[test]
    fn dns_refuses_what_would_corrupt_the_file() {
        for (servers, search, options) in [
            (&["one.one"][..], &[][..], &[][..]),
            (&["none", "1.1.1.1"], &[], &[]),
            (&["none"], &["x"], &[]),
            (&[], &["a b"], &[]),
            (&[], &[".", "x"], &[]),
            (&[], &[], &["x\nnameserver 6.6.6.6"]),
            (&[], &[""], &[]),
        ] {
            assert_eq!(dns_plan(servers, search, options).unwrap_err().kind(), Kind::Usage);
        }
    }
}
