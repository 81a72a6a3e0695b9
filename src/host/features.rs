//! The kernel features that the program uses, the kernel version that introduced each, and the fallback without it.
//! docs/kernel-features.md is generated from this table; a test checks that it is current.

use super::doctor::{Check, State};
use crate::sys::probe;
use nix::libc;
use serde::Serialize;

/// Oldest supported kernel.
const OLDEST: (u32, u32) = (5, 14);

/// One kernel feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Feature {
    /// The kernel's name for it.
    pub name: &'static str,
    /// First kernel that has it, such as `5.12`.
    pub since: &'static str,
    /// What it is used for here.
    pub usage: &'static str,
    /// The fallback; empty if nothing works without it.
    pub without: &'static str,
    /// Whether this kernel has it: probed where that is harmless, otherwise inferred from the version.
    pub available: bool,
}

/// How a feature is detected.
enum Probe {
    Call(libc::c_long),
    Path(&'static str),
    Version,
}

type Row = (&'static str, &'static str, &'static str, &'static str, Probe);

const TABLE: [Row; 16] = [
    (
        "user namespaces",
        "3.8",
        "everything: the user is root only inside the container",
        "",
        Probe::Path("/proc/self/ns/user"),
    ),
    (
        "cgroup namespaces",
        "4.6",
        "containers see their own cgroup as the root cgroup",
        "",
        Probe::Path("/proc/self/ns/cgroup"),
    ),
    (
        "user.max_* limits",
        "4.9",
        "messages that name the limit that was reached",
        "messages without the limit's name",
        Probe::Path("/proc/sys/user/max_user_namespaces"),
    ),
    (
        "TIOCGPTPEER",
        "4.13",
        "terminals opened by descriptor, never by a path in the container",
        "",
        Probe::Version,
    ),
    (
        "FUSE in user namespaces",
        "4.18",
        "containers with their own id map, overlays where the kernel refuses to mount one",
        "neither",
        Probe::Version,
    ),
    (
        "pidfd_send_signal",
        "5.1",
        "signals that cannot hit a reused process id",
        "",
        Probe::Call(libc::SYS_pidfd_send_signal),
    ),
    (
        "open_tree, move_mount, fsopen",
        "5.2",
        "mounts by descriptor, never by path",
        "",
        Probe::Call(libc::SYS_open_tree),
    ),
    (
        "clone3, pidfd_open",
        "5.3",
        "processes referred to by descriptor from the start",
        "",
        Probe::Call(libc::SYS_clone3),
    ),
    (
        "openat2",
        "5.6",
        "paths in images and containers resolved inside their root",
        "",
        Probe::Call(libc::SYS_openat2),
    ),
    ("close_range", "5.9", "no descriptors leak into a container", "", Probe::Call(libc::SYS_close_range)),
    (
        "seccomp user notification with descriptors",
        "5.9",
        "accelerated connections",
        "connections by slirp4netns",
        Probe::Version,
    ),
    (
        "overlay in user namespaces",
        "5.11",
        "image layers below a writable one, without copying",
        "coracle's own FUSE overlay",
        Probe::Version,
    ),
    ("close_range with CLOEXEC", "5.11", "descriptors closed when a program is executed", "", Probe::Version),
    (
        "mount_setattr",
        "5.12",
        "read-only mounts, recursively and by descriptor",
        "",
        Probe::Call(libc::SYS_mount_setattr),
    ),
    (
        "cgroup.kill",
        "5.14",
        "containers in the host's PID namespace are killed as a whole",
        "their processes are killed one by one",
        Probe::Version,
    ),
    (
        "overlay layers by descriptor",
        "6.13",
        "layers that no path can redirect",
        "mount(2) with descriptor numbers as names",
        Probe::Version,
    ),
];

/// The whole table, checked against this kernel.
pub fn features() -> Vec<Feature> {
    let running = running();
    TABLE
        .iter()
        .map(|(name, since, usage, without, probe)| Feature {
            name,
            since,
            usage,
            without,
            available: match probe {
                Probe::Call(number) => probe::knows(*number),
                Probe::Path(path) => std::path::Path::new(path).exists(),
                Probe::Version => parse(since) <= running,
            },
        })
        .collect()
}

/// The running kernel's release, such as `6.1.0-25-amd64`.
pub fn release() -> String {
    nix::sys::utsname::uname().map(|u| u.release().to_string_lossy().into_owned()).unwrap_or_default()
}

fn running() -> (u32, u32) {
    parse(&release())
}

/// Major and minor number at the start of a release.
fn parse(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The check `kernel`.
pub(super) fn kernel() -> Check {
    let release = release();
    let lacking: Vec<&str> = features()
        .into_iter()
        .filter(|feature| !feature.available && feature.without.is_empty())
        .map(|feature| feature.name)
        .collect();
    let (state, detail, cure) = if !lacking.is_empty() {
        let detail = format!("Linux {release} lacks {}", lacking.join(", "));
        (State::Missing, detail, vec![format!("Use Linux {}.{} or newer", OLDEST.0, OLDEST.1)])
    } else if parse(&release) < OLDEST {
        let detail = format!("Linux {release} is older than {}.{}", OLDEST.0, OLDEST.1);
        (State::Limited, detail, Vec::new())
    } else {
        (State::Ok, format!("Linux {release}"), Vec::new())
    };
    Check { name: "kernel", state, detail, cure }
}

/// docs/kernel-features.md.
pub fn markdown() -> String {
    let mut text = format!(
        "# Kernel features\n\nThe kernel features that coracle uses, and what happens without them. `coracle info` shows \
         the same table for\nthe running kernel. The oldest supported kernel is {}.{}. This file is generated from \
         src/host/features.rs.\n\n| Feature | Since | Used for | Without it |\n|---|---|---|---|\n",
        OLDEST.0, OLDEST.1
    );
    for (name, since, usage, without, _) in &TABLE {
        let without = if without.is_empty() { "coracle does not run" } else { without };
        text.push_str(&format!("| {name} | {since} | {usage} | {without} |\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_has_what_the_program_cannot_do_without() {
        assert_eq!(parse("5.14.0-503.el9.x86_64"), (5, 14));
        assert_eq!(parse("6.13-rc2"), (6, 13));
        assert_eq!(parse(""), (0, 0));
        assert_ne!(kernel().state, State::Missing, "{:?}", kernel());
    }

    #[test]
    fn unknown_calls_are_known_as_unknown() {
        assert!(!probe::knows(100_000));
        assert!(probe::knows(libc::SYS_openat2));
    }
}
