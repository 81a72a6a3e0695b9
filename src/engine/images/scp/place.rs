//! Where an image is copied from or to: `[user@]host::image`, `ssh://[user@]host[:port]::image`, `user@localhost::image`
//! or an image of this store (podman-image-scp(1)).

use crate::error::{Error, Kind, Result};
use crate::image::Reference;
use std::fmt;
use std::net::Ipv6Addr;

const FORM: &str =
    "Write IMAGE, [USER@]HOST::[IMAGE] or ssh://[USER@]HOST[:PORT]::[IMAGE]; see coracle image scp --help.";

/// Whose store it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// This one.
    Here,
    /// That of another user of this machine, reached by sudo.
    User(String),
    /// That of an account on another machine, reached by ssh.
    Machine {
        /// The account there; ssh's configuration decides without one.
        user: Option<String>,
        /// Its name or address, as ssh takes it.
        host: String,
        /// The port of its ssh server, likewise.
        port: Option<u16>,
    },
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Here => f.write_str("this machine"),
            Holder::User(user) => write!(f, "{user}@localhost"),
            Holder::Machine { user: Some(user), host, .. } => write!(f, "{user}@{host}"),
            Holder::Machine { host, .. } => f.write_str(host),
        }
    }
}

/// A store, and an image in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whose it is.
    pub holder: Holder,
    /// The image by name or id, where one was written.
    pub image: Option<String>,
}

impl Place {
    /// This store, no image named.
    pub fn here() -> Place {
        Place { holder: Holder::Here, image: None }
    }

    /// Reads what a user has written. What comes on a command line elsewhere can hold nothing that a shell or ssh takes
    /// for anything but a name.
    ///
    /// # Errors
    /// `Usage` for a malformed host, user or image.
    pub fn parse(text: &str) -> Result<Place> {
        let bad = |why: &str| Error::new(Kind::Usage, format!("{text:?}: {why}")).hint(FORM);
        let Some((head, image)) = halves(text) else {
            return Ok(Place { holder: Holder::Here, image: Some(image(text)?) });
        };
        let image = Some(image).filter(|text| !text.is_empty()).map(self::image).transpose()?;
        let address = head.strip_prefix("ssh://");
        if address.is_none() && head.contains("://") {
            return Err(bad("images are copied by ssh only"));
        }
        // The path of podman's socket has no meaning here.
        let target = address.unwrap_or(head);
        let target = target.split_once('/').map_or(target, |(target, _)| target);
        if target.is_empty() && address.is_none() {
            return Ok(Place { holder: Holder::Here, image });
        }
        let (user, host) = match target.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, target),
        };
        if user.is_some_and(|user| !is_word(user)) {
            return Err(bad("invalid user name"));
        }
        let (host, port) = host_and_port(host).ok_or_else(|| bad("invalid host"))?;
        let holder = match user {
            Some(user) if host == "localhost" && port.is_none() && address.is_none() => {
                Holder::User(user.to_owned())
            }
            _ => Holder::Machine { user: user.map(str::to_owned), host: host.to_owned(), port },
        };
        Ok(Place { holder, image })
    }
}

/// Both sides of the first `::` that is no part of an address in brackets.
fn halves(text: &str) -> Option<(&str, &str)> {
    let from = match (text.find('['), text.find(']')) {
        (Some(open), Some(close)) if open < close => close,
        _ => 0,
    };
    let at = from + text[from..].find("::")?;
    Some((&text[..at], &text[at + 2..]))
}

/// The name or id of an image, which every program reads alike.
fn image(text: &str) -> Result<String> {
    text.parse::<Reference>()?;
    Ok(text.to_owned())
}

fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']')?;
            let address = host.split_once('%').map_or(host, |(address, _)| address);
            address.parse::<Ipv6Addr>().ok()?;
            (host, rest)
        }
        None => match text.find(':') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        },
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-:%".contains(c);
    if host.is_empty() || host.starts_with('-') || !host.chars().all(is_name) {
        return None;
    }
    match rest {
        "" => Some((host, None)),
        rest => {
            let port = rest.strip_prefix(':')?.parse().ok().filter(|port| *port > 0)?;
            Some((host, Some(port)))
        }
    }
}

fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    !text.is_empty() && !text.starts_with('-') && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(user: Option<&str>, host: &str, port: Option<u16>) -> Holder {
        Holder::Machine { user: user.map(str::to_owned), host: host.to_owned(), port }
    }

    #[test]
    fn places_as_podman_writes_them() {
        let place = |text: &str| Place::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let wanted = |holder, image: &str| Place {
            holder,
            image: Some(image.to_owned()).filter(|image| !image.is_empty()),
        };
        assert_eq!(place("alpine"), wanted(Holder::Here, "alpine"));
        assert_eq!(place("::alpine"), wanted(Holder::Here, "alpine"));
        assert_eq!(place("host::"), wanted(machine(None, "host", None), ""));
        assert_eq!(place("host::alpine:3"), wanted(machine(None, "host", None), "alpine:3"));
        assert_eq!(place("me@host::q.io/a/b"), wanted(machine(Some("me"), "host", None), "q.io/a/b"));
        assert_eq!(place("ssh://me@host:2222::a"), wanted(machine(Some("me"), "host", Some(2222)), "a"));
        let socket = place("me@10.0.0.1:22/run/user/1000/podman/podman.sock::a");
        assert_eq!(socket, wanted(machine(Some("me"), "10.0.0.1", Some(22)), "a"));
        assert_eq!(place("[fe80::1%eth0]::a"), wanted(machine(None, "fe80::1%eth0", None), "a"));
        assert_eq!(place("ssh://me@[::1]:22::a"), wanted(machine(Some("me"), "::1", Some(22)), "a"));
        assert_eq!(place("root@localhost::a"), wanted(Holder::User("root".to_owned()), "a"));
        assert_eq!(place("localhost::a"), wanted(machine(None, "localhost", None), "a"));
        assert_eq!(place("ssh://me@localhost::a"), wanted(machine(Some("me"), "localhost", None), "a"));
    }

    /// Nothing gets to ssh, sudo or a shell that any of them could take for an option or a command.
    #[test]
    fn nothing_but_names_gets_through() {
        for bad in [
            "-oProxyCommand=x::a",
            "me@-oProxyCommand=x::a",
            "-l@host::a",
            "a b::a",
            "$(x)::a",
            "`x`@host::a",
            "me;x@host::a",
            "me:secret@host::a",
            "host:0::a",
            "host:x::a",
            "host:99999::a",
            "[::1::a",
            "[nonsense]::a",
            "[::1]x::a",
            "@host::a",
            "tcp://host::a",
            "unix:///run/podman.sock::a",
            "ssh://::a",
            "host::-a",
            "host::a;x",
            "host::$(x)",
            "host::a'b",
            "host::a b",
            "host::a::b",
            "host::\n",
            "a\0::a",
            "-a",
            "$(x)",
        ] {
            assert!(Place::parse(bad).is_err(), "{bad:?}");
        }
    }
}
