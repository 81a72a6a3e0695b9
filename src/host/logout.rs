//! Whether processes started now survive the user's logout.

use crate::sys::read::text_of;
use nix::unistd::{User, geteuid};
use std::fs;
use std::path::Path;

/// Where the session manager keeps which users' managers run without a login.
const LINGER: &str = "/var/lib/systemd/linger";
/// The session manager's settings, later ones over earlier ones (logind.conf(5)).
const SETTINGS: [&str; 4] = [
    "/usr/lib/systemd/logind.conf.d",
    "/etc/systemd/logind.conf",
    "/run/systemd/logind.conf.d",
    "/etc/systemd/logind.conf.d",
];

/// Whether the session manager ends this process's children when the user logs out.
pub fn ends_at_logout() -> bool {
    if !Path::new("/run/systemd/system").exists() {
        return false;
    }
    let Ok(Some(user)) = User::from_uid(geteuid()) else { return false };
    let cgroup = text_of("/proc/self/cgroup").unwrap_or_default();
    judge(&cgroup, user.uid.as_raw(), Path::new(LINGER).join(&user.name).exists(), kills_sessions)
}

/// By the name of the control group: below the user's manager everything ends with it, and it ends at
/// logout unless lingering is enabled; in a session only if logind is configured to.
fn judge(cgroup: &str, uid: u32, lingers: bool, kills: impl Fn() -> bool) -> bool {
    let manager = format!("/user@{uid}.service");
    let names = || cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    if lingers || uid == 0 {
        return false;
    }
    names().any(|name| name.contains(&manager)) || names().any(|name| name.contains("/session-")) && kills()
}

/// `KillUserProcesses=`.
fn kills_sessions() -> bool {
    let mut texts = Vec::new();
    for place in SETTINGS.map(Path::new) {
        if place.is_file() {
            texts.push(place.to_owned());
        }
        let mut files: Vec<_> =
            fs::read_dir(place).into_iter().flatten().flatten().map(|e| e.path()).collect();
        files.sort();
        texts.extend(files);
    }
    let texts = texts.iter().map(|file| text_of(file).unwrap_or_default());
    setting(&texts.collect::<Vec<_>>().join("\n"))
}

fn setting(text: &str) -> bool {
    let last = text.lines().filter_map(|line| line.trim().strip_prefix("KillUserProcesses=")).next_back();
    last.is_some_and(|value| matches!(value.trim(), "yes" | "true" | "on" | "1"))
}

#[cfg(test)]
mod tests {
    use super::{judge, setting};

    #[test]
    fn the_control_group_and_the_settings_decide() {
        let manager = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope\n";
        let session = "1:name=systemd:/user.slice/user-1000.slice/session-3.scope\n";
        let service = "0::/system.slice/ci.service\n";
        assert!(judge(manager, 1000, false, || false));
        assert!(!judge(manager, 1000, true, || true));
        assert!(judge(session, 1000, false, || true));
        assert!(!judge(session, 1000, false, || false));
        assert!(!judge(service, 1000, false, || true));
        assert!(!judge(session, 0, false, || true));
    }

    #[test]
    fn the_last_setting_counts() {
        assert!(!setting("#KillUserProcesses=yes\n"));
        assert!(setting("[Login]\nKillUserProcesses=no\nKillUserProcesses = x\nKillUserProcesses=yes\n"));
        assert!(!setting("KillUserProcesses=yes\nKillUserProcesses=no"));
    }
}
