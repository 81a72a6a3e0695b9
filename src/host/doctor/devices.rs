//! Devices and programs needed by networks and by containers with their own id map.

use super::check::Check;
use super::packages;
use crate::netns::{pasta, slirp};
use crate::sys::read::text_of;
use std::fs::OpenOptions;
use std::io::ErrorKind;

/// The check `tun-device`.
pub(in crate::host) fn tun() -> Check {
    device("tun-device", "/dev/net/tun", "tun", "containers have only --network none or host")
}

/// The check `fuse-device`.
pub(in crate::host) fn fuse() -> Check {
    device(
        "fuse-device",
        "/dev/fuse",
        "fuse",
        "containers cannot have their own id map (--userns=keep-id), nor run where the kernel refuses an \
         overlay",
    )
}

fn device(name: &'static str, path: &str, module: &str, without: &str) -> Check {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(_) => Check::ok(name, path),
        Err(e) if e.kind() == ErrorKind::PermissionDenied => Check::limited(
            name,
            format!("{path} cannot be opened: {without}"),
            vec![format!("sudo chmod 0666 {path}")],
        ),
        Err(e) => Check::limited(
            name,
            format!("{path}: {e}: {without}"),
            vec![format!(
                "sudo modprobe {module} && echo {module} | sudo tee /etc/modules-load.d/{module}.conf"
            )],
        ),
    }
}

/// The check `ping`: programs that connect containers may send echo requests only as this account may (icmp(7)).
pub(super) fn ping() -> Check {
    let file = "/proc/sys/net/ipv4/ping_group_range";
    let range = text_of(file).unwrap_or_default();
    let mut ends = range.split_whitespace().filter_map(|end| end.parse::<u32>().ok());
    let allowed = match (ends.next(), ends.next()) {
        (Some(first), Some(last)) => {
            let groups = nix::unistd::getgroups().unwrap_or_default();
            groups
                .into_iter()
                .chain([nix::unistd::getegid()])
                .any(|group| (first..=last).contains(&group.as_raw()))
        }
        _ => false,
    };
    if allowed || nix::unistd::geteuid().is_root() {
        return Check::ok("ping", "containers may ping the outside");
    }
    Check::limited(
        "ping",
        "net.ipv4.ping_group_range has none of this account's groups: pings from containers to the outside get no answer",
        vec![
            "echo 'net.ipv4.ping_group_range = 0 2147483647' | sudo tee /etc/sysctl.d/50-ping.conf && sudo sysctl --system"
                .to_owned(),
        ],
    )
}

/// The check `pasta`: whether it is there matters to those who want it.
pub(super) fn pasta() -> Option<Check> {
    let path = pasta::find().ok()?;
    Some(Check::ok(pasta::NAME, path.display().to_string()))
}

/// The check `slirp4netns`.
pub(super) fn slirp4netns() -> Check {
    let without = "containers have only --network none or host";
    let wrong = match slirp::find() {
        Ok(path) => match slirp::too_old(&path) {
            None => return Check::ok(slirp::NAME, path.display().to_string()),
            Some((major, minor)) => {
                format!("{} is version {major}.{minor}, older than 1.2: {without}", path.display())
            }
        },
        Err(_) if pasta::find().is_ok() => {
            "slirp4netns is not installed: pasta connects containers, and networks that they share have no way out"
                .to_owned()
        }
        Err(_) => format!("slirp4netns is not installed: {without}"),
    };
    Check::limited(slirp::NAME, wrong, vec![packages::install(slirp::NAME, slirp::NAME)])
}
