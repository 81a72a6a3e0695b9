//! Devices and programs needed by networks and by containers with their own id map.

use super::check::Check;
use super::packages;
use crate::netns::{pasta, slirp};
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
