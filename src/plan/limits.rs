//! `--ulimit` and `--sysctl`: parsing, and whether they can be set.

use crate::error::{Error, Kind, Result};
use crate::host::Limit;
use crate::spec::{NamespaceSpec, NetworkMode, Share, Ulimit};
use std::collections::BTreeMap;
use std::str::FromStr;

/// `--ulimit NAME=SOFT[:HARD]` or `--ulimit host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UlimitArg {
    /// All limits as the caller has them.
    Host,
    /// One limit; `None` is as high as the caller may go.
    One {
        /// Lower-case name without `RLIMIT_`.
        name: String,
        /// Soft limit.
        soft: Option<u64>,
        /// Hard limit.
        hard: Option<u64>,
    },
}

impl FromStr for UlimitArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        if s == "host" {
            return Ok(UlimitArg::Host);
        }
        let bad = |why: &str| {
            Error::new(Kind::Usage, format!("{s:?} is not a limit: {why}"))
                .hint("Write NAME=SOFT[:HARD], for example --ulimit nofile=1024:4096, or --ulimit host.")
        };
        let (name, values) = s.split_once('=').ok_or_else(|| bad("the value is missing"))?;
        let lower = name.to_ascii_lowercase();
        let name = lower.strip_prefix("rlimit_").unwrap_or(&lower);
        let value = |text: &str| match text {
            "-1" | "unlimited" => Ok(None),
            _ => text.parse::<u64>().map(Some).map_err(|_| bad("a value is neither a number nor unlimited")),
        };
        let (soft, hard) = match values.split_once(':') {
            Some((soft, hard)) => (value(soft)?, value(hard)?),
            None => (value(values)?, value(values)?),
        };
        if let Some(hard) = hard
            && soft.is_none_or(|soft| soft > hard)
        {
            return Err(bad("the soft limit is above the hard one"));
        }
        Ok(UlimitArg::One { name: name.to_owned(), soft, hard })
    }
}

/// The limits to set. Those not named stay as the caller has them.
///
/// # Errors
/// An unknown name, or a value above the caller's hard limit, which no ordinary user can pass.
pub fn ulimits(asked: &[UlimitArg], caller: &[Limit]) -> Result<Vec<Ulimit>> {
    let mut limits: Vec<Ulimit> = Vec::new();
    let mut set = |name: &str, soft, hard| {
        limits.retain(|l| l.name != name);
        limits.push(Ulimit { name: name.to_owned(), soft, hard });
    };
    for argument in asked {
        let UlimitArg::One { name, soft, hard } = argument else {
            caller.iter().for_each(|l| set(l.name, l.soft, l.hard));
            continue;
        };
        let Some(own) = caller.iter().find(|l| l.name == name) else {
            let known: Vec<&str> = caller.iter().map(|l| l.name).collect();
            return Err(Error::new(Kind::Usage, format!("there is no limit called {name:?}"))
                .hint(format!("Use one of {}.", known.join(", "))));
        };
        let hard = hard.unwrap_or(own.hard);
        let soft = soft.unwrap_or(hard);
        if hard > own.hard || soft > own.hard {
            let wanted = hard.max(soft);
            return Err(Error::new(
                Kind::Usage,
                format!("limit {name}={wanted} is above {}, the hard limit of this account", own.hard),
            )
            .hint(format!(
                "Use --ulimit {name}={} or less, or --ulimit {name}=-1 for as high as allowed.",
                own.hard
            )));
        }
        set(name, soft, hard);
    }
    Ok(limits)
}

/// `--sysctl NAME=VALUE`, a kernel parameter that a namespace has of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SysctlArg {
    /// With dots between its parts.
    name: String,
    value: String,
    of: SysctlOf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SysctlOf {
    Network,
    Ipc,
}

const IPC_SYSCTLS: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

impl FromStr for SysctlArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let (name, value) = s.split_once('=').ok_or_else(|| {
            Error::new(Kind::Usage, format!("{s:?} sets no kernel parameter: the value is missing"))
                .hint("Write NAME=VALUE, for example --sysctl net.ipv4.ip_forward=1.")
        })?;
        let part = |p: &str| {
            !p.is_empty()
                && !p.bytes().all(|b| b == b'/')
                && !p.split('/').any(|q| q.is_empty() || q == "..")
                && p.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/'))
        };
        if !name.split('.').all(part) || value.contains(['\0', '\n']) {
            return Err(Error::new(Kind::Usage, format!("{s:?} is not a kernel parameter")));
        }
        let of = if name.starts_with("net.") {
            SysctlOf::Network
        } else if name.starts_with("fs.mqueue.") || IPC_SYSCTLS.contains(&name) {
            SysctlOf::Ipc
        } else {
            return Err(Error::new(Kind::Usage, format!("kernel parameter {name} cannot be set for a \
                                                        container"))
                .hint("Only parameters of the network (net.*) and IPC namespaces (kernel.msg*, kernel.sem, kernel.shm*, fs.mqueue.*) can be set."));
        };
        Ok(SysctlArg { name: name.to_owned(), value: value.to_owned(), of })
    }
}

/// The parameters to set.
///
/// # Errors
/// When the namespace a parameter belongs to is not the container's own.
pub fn sysctls(
    asked: &[SysctlArg],
    namespaces: &NamespaceSpec,
    network: &NetworkMode,
) -> Result<BTreeMap<String, String>> {
    for argument in asked {
        let shared = match argument.of {
            SysctlOf::Network => (!network.is_own()).then(|| format!("--network={network}")),
            SysctlOf::Ipc => (namespaces.ipc != Share::Private).then(|| format!("--ipc={}", namespaces.ipc)),
        };
        if let Some(option) = shared {
            return Err(Error::new(
                Kind::Usage,
                format!("kernel parameter {} cannot be set together with {option}", argument.name),
            )
            .hint(format!("Leave out {option}, so that the container has a namespace of its own.")));
        }
    }
    let mut all: BTreeMap<String, String> = asked.iter().map(|a| (a.name.clone(), a.value.clone())).collect();
    if network.is_own() {
        // As podman does, so that ping works without CAP_NET_RAW (icmp(7)).
        all.entry("net.ipv4.ping_group_range".to_owned()).or_insert_with(|| "0 0".to_owned());
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: [Limit; 2] =
        [Limit { name: "core", soft: 0, hard: u64::MAX }, Limit { name: "nofile", soft: 1024, hard: 4096 }];

    fn given(list: &[&str]) -> Result<Vec<(String, u64, u64)>> {
        let asked: Vec<UlimitArg> = list.iter().map(|s| s.parse().unwrap()).collect();
        Ok(ulimits(&asked, &CALLER)?.into_iter().map(|l| (l.name, l.soft, l.hard)).collect())
    }

    #[test]
    fn limits_are_read_and_held_to_the_callers() {
        for (list, soft, hard) in [
            (&["nofile=100"][..], 100, 100),
            (&["nofile=100:200"], 100, 200),
            (&["NOFILE=100:200"], 100, 200),
            (&["RLIMIT_NOFILE=100:200"], 100, 200),
            (&["nofile=-1"], 4096, 4096),
            (&["nofile=unlimited"], 4096, 4096),
            (&["nofile=10:-1"], 10, 4096),
            (&["nofile=1", "nofile=2"], 2, 2),
            (&["nofile=4096"], 4096, 4096),
        ] {
            assert_eq!(given(list).unwrap(), [("nofile".to_owned(), soft, hard)], "{list:?}");
        }
        assert_eq!(given(&["core=-1"]).unwrap(), [("core".to_owned(), u64::MAX, u64::MAX)]);
        assert_eq!(given(&["host", "core=1"]).unwrap().len(), 2);
        assert!(given(&[]).unwrap().is_empty());
    }

    #[test]
    fn bad_limits_are_refused() {
        for bad in
            ["", "nofile", "nofile=", "nofile=x", "nofile=2:1", "nofile=-1:5", "nofile=-2", "nofile=1:2:3"]
        {
            assert!(bad.parse::<UlimitArg>().is_err(), "{bad:?}");
        }
        assert!(given(&["wat=1"]).unwrap_err().hints()[0].contains("core, nofile"));
        let error = given(&["nofile=4097"]).unwrap_err();
        assert!(error.message().contains("4096") && error.hints()[0].contains("4096"), "{error:?}");
    }

    #[test]
    fn kernel_parameters_need_their_own_namespace() {
        let private = NamespaceSpec::default();
        let shared = NamespaceSpec { ipc: Share::Host, ..NamespaceSpec::default() };
        let read = |s: &str| [s.parse::<SysctlArg>().unwrap()];
        for (text, namespaces, network, allowed) in [
            ("net.ipv4.ip_forward=1", &private, NetworkMode::None, true),
            ("net.ipv4.ip_forward=1", &private, NetworkMode::Host, false),
            ("kernel.msgmax=65536", &private, NetworkMode::Host, true),
            ("kernel.msgmax=65536", &shared, NetworkMode::None, false),
            ("fs.mqueue.msg_max=1", &shared, NetworkMode::None, false),
            ("net.ipv4.conf.eth0/1.rp_filter=1", &private, NetworkMode::None, true),
            ("net.ipv4.ping_group_range=0 0", &private, NetworkMode::None, true),
        ] {
            assert_eq!(sysctls(&read(text), namespaces, &network).is_ok(), allowed, "{text}");
        }
        for bad in [
            "",
            "net.a",
            "kernel.panic=1",
            "vm.swappiness=1",
            "net.../x=1",
            "net.a/../b=1",
            "net./=1",
            "net.a b=1",
            "net.a=1\n2",
        ] {
            assert!(bad.parse::<SysctlArg>().is_err(), "{bad:?}");
        }
    }
}
