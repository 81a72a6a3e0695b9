//! Which resource limits can be set.

use super::check::Check;
use crate::sys::read::text_of;
use nix::sys::statfs::statfs;

/// cgroup2's magic number (magic(2) calls it CGROUP2_SUPER_MAGIC).
const CGROUP2: i64 = 0x6367_7270;
/// Where the one hierarchy is mounted.
const MOUNT: &str = "/sys/fs/cgroup";
/// Controllers that limits need.
const WANTED: [&str; 4] = ["cpu", "io", "memory", "pids"];

/// The cgroup version: 2 when the unified hierarchy is the only one, else 1.
pub fn version() -> u8 {
    let unified = statfs(MOUNT).is_ok_and(|s| s.filesystem_type().0 & 0xffff_ffff == CGROUP2);
    if unified { 2 } else { 1 }
}

/// The controllers that this account's part of the hierarchy has; empty on version 1.
pub fn controllers() -> Vec<String> {
    if version() != 2 {
        return Vec::new();
    }
    let own = text_of("/proc/self/cgroup").unwrap_or_default();
    let path = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/").to_owned();
    // What systemd delegates belongs to the user's manager, some levels above this process.
    let user = nix::unistd::geteuid();
    let manager = format!("user@{user}.service");
    let delegated = match path.find(&manager) {
        Some(at) => path[..at + manager.len()].to_owned(),
        None => format!("/user.slice/user-{user}.slice/{manager}"),
    };
    let read = |path: &str| text_of(format!("{MOUNT}{path}/cgroup.controllers")).ok();
    let text = read(&delegated).or_else(|| read(&path)).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// The check `cgroups`.
pub(super) fn check() -> Check {
    judge(version(), &controllers())
}

fn judge(version: u8, controllers: &[String]) -> Check {
    let name = "cgroups";
    if version != 2 {
        return Check::limited(
            name,
            "cgroup version 1, which an ordinary account cannot use: no limits on memory, cpu and processes",
            vec!["Start the kernel with systemd.unified_cgroup_hierarchy=1".to_owned()],
        );
    }
    let lacking: Vec<&str> =
        WANTED.into_iter().filter(|want| !controllers.iter().any(|c| c == want)).collect();
    if lacking.is_empty() {
        return Check::ok(name, format!("version 2 with {}", controllers.join(" ")));
    }
    Check::limited(
        name,
        format!("version 2, but {} is not delegated to this account", lacking.join(" ")),
        vec![
            "sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' \
             | sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload, then log in again"
                .to_owned(),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::State;

    #[test]
    fn missing_delegation_is_named_by_controller() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(judge(2, &words("cpu io memory pids cpuset")).state, State::Ok);
        let half = judge(2, &words("memory pids"));
        assert!(half.detail.contains("cpu io is not delegated"), "{half:?}");
        assert!(half.cure[0].contains("Delegate="));
        assert_eq!(judge(1, &[]).state, State::Limited);
    }
}
