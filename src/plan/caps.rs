//! Capability names, podman's default set, and how `--cap-add` and `--cap-drop` combine.

use crate::error::{Error, Kind, Result};
use std::fmt;
use std::str::FromStr;

/// Every capability by number, 0 first (capabilities(7); `linux/capability.h` up to Linux 6.18).
pub const ALL: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// What a container holds unless something else is asked for: podman's list.
pub const DEFAULT: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_SETFCAP",
];

/// `--cap-add` and `--cap-drop`: one capability by name, with or without `CAP_`, in either case, or
/// `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapArg {
    /// Every capability.
    All,
    /// One, by its number.
    One(usize),
}

impl CapArg {
    fn contains(self, name: &str) -> bool {
        match self {
            CapArg::All => true,
            CapArg::One(number) => ALL.get(number).is_some_and(|n| *n == name),
        }
    }
}

impl FromStr for CapArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let upper = s.to_ascii_uppercase();
        if upper == "ALL" {
            return Ok(CapArg::All);
        }
        let name = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
        ALL.iter().position(|n| *n == name).map(CapArg::One).ok_or_else(|| {
            Error::new(Kind::Usage, format!("{s:?} is not a capability"))
                .hint("Names are those of capabilities(7), for example NET_RAW or CAP_SYS_PTRACE; ALL means every one.")
        })
    }
}

impl fmt::Display for CapArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CapArg::All => f.write_str("ALL"),
            CapArg::One(number) => f.write_str(ALL.get(*number).copied().unwrap_or_default()),
        }
    }
}

/// The capabilities a container holds, and those of them that were added by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Combined {
    /// All it holds, in the kernel's order.
    pub held: Vec<String>,
    /// What `--cap-add` put there, in the kernel's order.
    pub added: Vec<String>,
}

/// Combines the default set with what was added and dropped. The order on the command line does not
/// matter, as in podman: `--cap-drop all` leaves exactly what was added; otherwise drops come off the
/// default set (off all, with `--cap-add all`), and a name both added and dropped is refused.
///
/// # Errors
/// When something is both added and dropped.
pub fn combine(add: &[CapArg], drop: &[CapArg], privileged: bool) -> Result<Combined> {
    let conflict = |what: &CapArg| {
        Error::new(Kind::Usage, format!("{what} is both added and dropped"))
            .hint("Name it in only one of --cap-add and --cap-drop.")
    };
    let add_all = add.contains(&CapArg::All);
    let drop_all = drop.contains(&CapArg::All);
    if add_all && drop_all {
        return Err(conflict(&CapArg::All));
    }
    if !drop_all && let Some(both) = add.iter().find(|a| drop.contains(a)) {
        return Err(conflict(both));
    }
    let pick = |wanted: &dyn Fn(&str) -> bool| -> Vec<String> {
        ALL.iter().filter(|n| wanted(n)).map(|n| (*n).to_owned()).collect()
    };
    let added = |n: &str| add.iter().any(|a| a.contains(n));
    let dropped = |n: &str| drop.iter().any(|d| d.contains(n));
    let base = |n: &str| privileged || DEFAULT.contains(&n);
    let held = if drop_all { pick(&added) } else { pick(&|n| (base(n) || added(n)) && !dropped(n)) };
    let added = pick(&|n| added(n) && (drop_all || !dropped(n)));
    Ok(Combined { held, added })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<CapArg> {
        text.split_whitespace().map(|w| w.parse().unwrap()).collect()
    }

    #[test]
    fn names_are_read_in_every_spelling() {
        for text in ["NET_RAW", "net_raw", "CAP_NET_RAW", "cap_net_raw", "Net_Raw"] {
            assert_eq!(text.parse::<CapArg>().unwrap().to_string(), "CAP_NET_RAW");
        }
        assert_eq!("all".parse::<CapArg>().unwrap(), CapArg::All);
        for bad in ["", "CAP_", "CAP_ALL", "NETRAW", "CAP_CAP_CHOWN"] {
            assert!(bad.parse::<CapArg>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_default_set_is_podmans() {
        let combined = combine(&[], &[], false).unwrap();
        assert_eq!(combined.held.len(), 11);
        assert!(combined.added.is_empty());
        assert!(!combined.held.contains(&"CAP_NET_RAW".to_owned()));
        assert!(!combined.held.contains(&"CAP_MKNOD".to_owned()));
        assert!(DEFAULT.iter().all(|n| ALL.contains(n)));
    }

    #[test]
    fn adding_and_dropping_combine_as_in_podman() {
        for (add, drop, privileged, count, holds, lacks) in [
            ("NET_RAW", "", false, 12, "CAP_NET_RAW", "CAP_MKNOD"),
            ("CHOWN", "", false, 11, "CAP_CHOWN", "CAP_MKNOD"),
            ("", "CHOWN", false, 10, "CAP_KILL", "CAP_CHOWN"),
            ("", "NET_RAW", false, 11, "CAP_CHOWN", "CAP_NET_RAW"),
            ("", "all", false, 0, "", "CAP_CHOWN"),
            ("NET_RAW CHOWN", "all", false, 2, "CAP_NET_RAW", "CAP_KILL"),
            ("CHOWN", "all CHOWN", false, 1, "CAP_CHOWN", "CAP_KILL"),
            ("all", "", false, 41, "CAP_SYS_ADMIN", ""),
            ("all", "SYS_ADMIN", false, 40, "CAP_NET_RAW", "CAP_SYS_ADMIN"),
            ("", "", true, 41, "CAP_SYS_ADMIN", ""),
            ("", "SYS_ADMIN", true, 40, "CAP_NET_RAW", "CAP_SYS_ADMIN"),
        ] {
            let held = combine(&list(add), &list(drop), privileged).unwrap().held;
            assert_eq!(held.len(), count, "+{add} -{drop}: {held:?}");
            assert!(holds.is_empty() || held.iter().any(|n| n == holds), "+{add} -{drop}: {held:?}");
            assert!(!held.iter().any(|n| n == lacks), "+{add} -{drop}: {held:?}");
        }
        assert_eq!(combine(&list("NET_RAW"), &[], false).unwrap().added, ["CAP_NET_RAW"]);
        assert!(combine(&list("CHOWN"), &list("CHOWN"), false).is_err());
        assert!(combine(&list("all"), &list("all"), false).is_err());
    }
}
