//! How the ids of a process map to those of the host.

use super::record::failed;
use crate::error::Result;
use crate::sys::read::text_of;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Which ids of this namespace are which on the host: `[inside, outside, count]`, as in
/// /proc/PID/uid_map (user_namespaces(7)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IdRanges {
    pub(super) uid: Vec<[u32; 3]>,
    pub(super) gid: Vec<[u32; 3]>,
}

impl IdRanges {
    /// The map of this process; outside a user namespace, only the user's own id, as 0.
    pub(super) fn current() -> Result<Self> {
        let read = |name: &str, own: u32| -> Result<Vec<[u32; 3]>> {
            let path = Path::new("/proc/self").join(name);
            let text = text_of(&path).map_err(|e| failed("read", &path, e))?;
            Ok(if nix::unistd::geteuid().is_root() { parse_map(&text) } else { vec![[0, own, 1]] })
        };
        Ok(IdRanges {
            uid: read("uid_map", nix::unistd::getuid().as_raw())?,
            gid: read("gid_map", nix::unistd::getgid().as_raw())?,
        })
    }

    /// Whether files can get owners other than the user.
    pub(super) fn many(&self) -> bool {
        self.uid.iter().map(|r| u64::from(r[2])).sum::<u64>() > 1
    }

    /// Whether every id of `old` is the same id here.
    pub(super) fn extends(&self, old: &IdRanges) -> bool {
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
///
/// # Errors
/// When the process's id maps cannot be read.
pub fn many_ids() -> Result<bool> {
    Ok(nix::unistd::geteuid().is_root() && IdRanges::current()?.many())
}
