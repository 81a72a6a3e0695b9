//! The id map that the layers of a store were made with.
//!
//! Owners on the disk are the host's numbers. When the account's ranges in /etc/subuid change, the same
//! numbers are other ids inside; this is noticed by comparing the map of the process with the recorded
//! one, before layers are made or used.

use super::place::Place;
use super::record::{Durability, failed};
use super::{Roots, Version};
use crate::error::{Error, Kind, Result};
use crate::fork::{Failure, Step};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

/// Which ids of this namespace are which on the host: `[inside, outside, count]`, as in
/// /proc/PID/uid_map (user_namespaces(7)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IdRanges {
    uid: Vec<[u32; 3]>,
    gid: Vec<[u32; 3]>,
}

impl IdRanges {
    /// The map of this process; outside a user namespace, only the user's own id, as 0.
    fn current() -> Result<Self> {
        let read = |name: &str, own: u32| -> Result<Vec<[u32; 3]>> {
            let path = Path::new("/proc/self").join(name);
            let text = fs::read_to_string(&path).map_err(|e| failed("read", &path, e))?;
            Ok(if nix::unistd::geteuid().is_root() { parse_map(&text) } else { vec![[0, own, 1]] })
        };
        Ok(IdRanges {
            uid: read("uid_map", nix::unistd::getuid().as_raw())?,
            gid: read("gid_map", nix::unistd::getgid().as_raw())?,
        })
    }

    /// Whether files can get owners other than the user.
    fn many(&self) -> bool {
        self.uid.iter().map(|r| u64::from(r[2])).sum::<u64>() > 1
    }

    /// Whether every id of `old` is the same id here.
    fn extends(&self, old: &IdRanges) -> bool {
        fn holds(new: &[[u32; 3]], old: &[[u32; 3]]) -> bool {
            old.iter().all(|o| new.iter().any(|n| n[0] == o[0] && n[1] == o[1] && n[2] >= o[2]))
        }
        self.many() == old.many() && holds(&self.uid, &old.uid) && holds(&self.gid, &old.gid)
    }
}

fn parse_map(text: &str) -> Vec<[u32; 3]> {
    text.lines()
        .filter_map(|line| {
            let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
            Some([numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?])
        })
        .collect()
}

/// Whether files can get owners other than the user in this process.
pub(super) fn many_ids() -> Result<bool> {
    Ok(nix::unistd::geteuid().is_root() && IdRanges::current()?.many())
}

/// See [`super::Store::check_id_map`].
pub(super) fn check(roots: &Roots, record: bool) -> Result<()> {
    let root = Place::open(&roots.data)?;
    let Some(version) = root.read::<Version>("version")? else { return Ok(()) };
    let now = IdRanges::current()?;
    match &version.id_map {
        Some(old) if *old == now => Ok(()),
        Some(old) if old.many() && !now.many() => Err(one_id_now(roots)),
        Some(old) if !now.extends(old) => Err(Error::new(
            Kind::Conflict,
            format!(
                "the ids of this account have changed since the layers in {} were made",
                roots.data.display()
            ),
        )
        .hint(change_back(old))),
        _ if record => root.replace("version", &Version { id_map: Some(now), ..version }, Durability::Synced),
        _ => Ok(()),
    }
}

/// The range was taken away, or newuidmap: the parent looks which (`host::cures`).
fn one_id_now(roots: &Roots) -> Error {
    let detail = "they hold files of many ids, and now only one can be had";
    Failure::other(Step::UseLayers, roots.data.to_string_lossy(), detail).as_if(Errno::EPERM).into()
}

fn change_back(old: &IdRanges) -> String {
    let again = "remove all containers and images and pull again: coracle rm -fa && coracle rmi -fa";
    let ranges: Vec<String> =
        old.uid.iter().filter(|r| r[0] != 0).map(|r| format!("{}:{}", r[1], r[2])).collect();
    match ranges.as_slice() {
        [] => format!("They were made with one id. To use more, {again}"),
        ranges => {
            format!("Restore the ranges in /etc/subuid and /etc/subgid ({}), or {again}", ranges.join(", "))
        }
    }
}

pub(super) fn forget(roots: &Roots) -> Result<()> {
    // One that cannot be read may stand on layers all the same.
    let empty = match Place::find(&roots.data.join("containers")) {
        Ok(Some(containers)) => super::trash::names(containers.as_fd()).is_ok_and(|names| names.is_empty()),
        other => other?.is_none(),
    };
    if !empty {
        return Ok(());
    }
    let version = Version { format: super::FORMAT, id_map: None };
    Place::open(&roots.data)?.replace("version", &version, Durability::Synced)
}
