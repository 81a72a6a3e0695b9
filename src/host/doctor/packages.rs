//! How to install a program on this distribution.

use crate::host::machine::os_release;
use crate::sys::read::text_of;

/// The command that installs a package; names are Debian's, Fedora's where it differs.
pub(super) fn install(debian: &str, fedora: &str) -> String {
    let release = text_of("/etc/os-release").unwrap_or_default();
    command(&release, debian, fedora)
}

/// By the `ID` and `ID_LIKE` words of os-release(5).
fn command(release: &str, debian: &str, fedora: &str) -> String {
    let like = format!("{} {}", os_release(release, "ID"), os_release(release, "ID_LIKE"));
    let is = |names: &[&str]| like.split_whitespace().any(|word| names.contains(&word));
    if is(&["debian", "ubuntu"]) {
        format!("sudo apt install {debian}")
    } else if is(&["fedora", "rhel", "centos"]) {
        format!("sudo dnf install {fedora}")
    } else if is(&["suse", "opensuse", "sles"]) {
        format!("sudo zypper install {}", if debian == "uidmap" { "shadow" } else { debian })
    } else if is(&["arch"]) {
        format!("sudo pacman -S {}", if debian == "uidmap" { "shadow" } else { debian })
    } else if is(&["alpine"]) {
        format!("sudo apk add {}", if debian == "uidmap" { "shadow-uidmap" } else { debian })
    } else {
        format!("Install the package {debian} (in some distributions {fedora})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_gets_its_own_command() {
        for (release, expected) in [
            ("ID=debian\n", "sudo apt install uidmap"),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "sudo apt install uidmap"),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "sudo dnf install shadow-utils"),
            ("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", "sudo zypper install shadow"),
            ("ID=arch\n", "sudo pacman -S shadow"),
            ("ID=alpine\n", "sudo apk add shadow-uidmap"),
            ("", "Install the package uidmap (in some distributions shadow-utils)"),
        ] {
            assert_eq!(command(release, "uidmap", "shadow-utils"), expected);
        }
    }
}
