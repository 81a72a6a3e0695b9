//! The account's id range and the programs that map it.

use super::check::Check;
use super::packages;
use crate::sys::probe;
use crate::sys::read::text_of;
use crate::userns;
use nix::unistd::{getegid, geteuid};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Ids that images use: 0 to 65535.
const WANTED: u32 = 65536;
/// Where distributions start to give out ranges, and the end of what they give.
const FIRST: u64 = 100_000;
const LAST: u64 = 600_100_000;

/// The checks `id-map-programs` and `id-range`.
pub(in crate::host) fn id_maps() -> Vec<Check> {
    if userns::inside() {
        let why = "not needed: this process can map ids itself";
        return vec![Check::ok("id-map-programs", why), Check::ok("id-range", why)];
    }
    let (uid, gid) = (geteuid(), getegid());
    let map = userns::IdMap::of_user(uid, gid);
    let count =
        |extents: &[userns::Extent]| extents.iter().skip(1).map(|e| e.count).fold(0, u32::saturating_add);
    let name = userns::account_names(uid).pop().unwrap_or_else(|| uid.to_string());
    let text = |file| text_of(file).unwrap_or_default();
    vec![
        programs(),
        range(&name, count(&map.uids), count(&map.gids), &text("/etc/subuid"), &text("/etc/subgid")),
    ]
}

/// The map that containers get, as podman's `info` shows it.
pub fn id_map() -> serde_json::Value {
    let map = userns::IdMap::of_user(geteuid(), getegid());
    let lines = |extents: &[userns::Extent]| {
        let all = extents.iter();
        all.map(|e| serde_json::json!({ "container_id": e.inside, "host_id": e.outside, "size": e.count }))
            .collect::<Vec<_>>()
    };
    serde_json::json!({ "uidmap": lines(&map.uids), "gidmap": lines(&map.gids) })
}

fn programs() -> Check {
    let name = "id-map-programs";
    let install = packages::install("uidmap", "shadow-utils");
    let mut found = Vec::new();
    for (program, capability) in [("newuidmap", "cap_setuid"), ("newgidmap", "cap_setgid")] {
        let Some(path) = userns::tool(program) else {
            let detail = format!("{program} is not installed; without it containers see one user id only");
            return Check::limited(name, detail, vec![install]);
        };
        if !privileged(&path) {
            let detail = format!("{} has neither the set-uid bit nor file capabilities", path.display());
            let repair = format!("sudo setcap {capability}=ep {}", path.display());
            return Check::missing(name, detail, vec![repair]);
        }
        found.push(path.display().to_string());
    }
    Check::ok(name, found.join(", "))
}

fn privileged(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.uid() == 0 && m.mode() & 0o4000 != 0)
        || probe::has_file_capabilities(path)
}

/// Judges the number of ids the account may map, besides its own.
fn range(name: &str, uids: u32, gids: u32, subuid: &str, subgid: &str) -> Check {
    let label = "id-range";
    if uids >= WANTED - 1 && gids >= WANTED - 1 {
        return Check::ok(label, format!("{uids} user ids and {gids} group ids"));
    }
    let first = free_range(&[subuid, subgid]);
    let last = first + u64::from(WANTED) - 1;
    let mut options = String::new();
    for (count, option) in [(uids, "--add-subuids"), (gids, "--add-subgids")] {
        if count < WANTED - 1 {
            options.push_str(&format!("{option} {first}-{last} "));
        }
    }
    let cure = format!("sudo usermod {options}{name}");
    if uids == 0 || gids == 0 {
        let file = if uids == 0 { "/etc/subuid" } else { "/etc/subgid" };
        let detail = format!("{name} has no range in {file}; containers see one user id only");
        return Check::limited(label, detail, vec![cure]);
    }
    let detail =
        format!("{uids} user ids and {gids} group ids; images that use higher ids cannot be unpacked");
    Check::limited(label, detail, vec![cure])
}

/// The first range of [`WANTED`] ids that nobody has, in either file.
fn free_range(files: &[&str]) -> u64 {
    let lines = files.iter().flat_map(|text| text.lines());
    let mut taken: Vec<(u64, u64)> = lines
        .filter_map(|line| {
            let mut fields = line.trim().split(':').skip(1);
            let start: u64 = fields.next()?.parse().ok()?;
            let count: u64 = fields.next()?.parse().ok()?;
            Some((start, start.saturating_add(count)))
        })
        .collect();
    taken.sort_unstable();
    let mut first = FIRST;
    for (start, end) in taken {
        if end > first && start < first + u64::from(WANTED) {
            first = end.min(LAST);
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::State;

    #[test]
    fn an_account_without_a_range_gets_the_exact_command() {
        let check = range("alice", 0, 0, "bob:100000:65536\n", "");
        assert_eq!(check.state, State::Limited);
        assert_eq!(check.detail, "alice has no range in /etc/subuid; containers see one user id only");
        assert_eq!(
            check.cure,
            ["sudo usermod --add-subuids 165536-231071 --add-subgids 165536-231071 alice"]
        );
        let check = range("alice", 0, 0, "", "");
        assert_eq!(
            check.cure,
            ["sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 alice"]
        );
        let check = range("alice", 65536, 0, "alice:100000:65536", "");
        assert_eq!(check.cure, ["sudo usermod --add-subgids 165536-231071 alice"]);
        assert_eq!(range("alice", 65536, 65536, "", "").state, State::Ok);
        assert_eq!(range("alice", 1000, 65536, "", "").state, State::Limited);
    }

    #[test]
    fn free_ranges_avoid_every_line_of_both_files() {
        assert_eq!(free_range(&["a:100000:65536\nb:250000:10", "c:165536:65536"]), 250_010);
        assert_eq!(free_range(&["a:500000:65536"]), 100_000);
        assert_eq!(free_range(&["a:120000:10", "malformed\nx:y:z\n"]), 120_010);
    }
}
