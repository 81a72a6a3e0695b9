//! Whether this account can create user namespaces.

use super::check::{Check, State};
use crate::sys::read::text_of;
use std::path::Path;

/// The check `user-namespaces`.
pub(in crate::host) fn user_namespaces() -> Check {
    let program = std::env::current_exe().unwrap_or_else(|_| "/usr/bin/coracle".into());
    // Root in the initial namespace is not held back by any of these.
    if crate::userns::inside() {
        return Check::ok("user-namespaces", "this process can create namespaces");
    }
    judge(
        line("/proc/sys/kernel/unprivileged_userns_clone").as_deref(),
        line("/proc/sys/user/max_user_namespaces").as_deref(),
        line("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_deref(),
        label().as_deref(),
        &program,
    )
}

/// What the settings allow, tried: a security module or a seccomp filter may forbid it all the same.
pub(super) fn tried(settings: Check, runtime: &Path) -> Check {
    if settings.state != State::Ok {
        return settings;
    }
    match crate::userns::in_child(runtime, &[], || Ok(())) {
        Ok(()) => settings,
        Err(error) => {
            let mut detail = error.to_string();
            for cause in error.causes() {
                detail.push_str(&format!(": {cause}"));
            }
            let mut cure: Vec<String> = error.hints().into_iter().map(str::to_owned).collect();
            if cure.is_empty() {
                cure.extend(confinement());
            }
            Check::missing(settings.name, detail, cure)
        }
    }
}

fn judge(
    clone: Option<&str>,
    most: Option<&str>,
    apparmor: Option<&str>,
    profile: Option<&str>,
    program: &Path,
) -> Check {
    let name = "user-namespaces";
    if clone == Some("0") {
        return Check::missing(
            name,
            "kernel.unprivileged_userns_clone is 0: only root can create user namespaces",
            persistent("kernel.unprivileged_userns_clone", 1),
        );
    }
    if most == Some("0") {
        return Check::missing(
            name,
            "user.max_user_namespaces is 0: nobody can create user namespaces",
            persistent("user.max_user_namespaces", 15_000),
        );
    }
    if most.is_none() && clone.is_none() && !Path::new("/proc/self/ns/user").exists() {
        return Check::missing(name, "this kernel is built without user namespaces", Vec::new());
    }
    let confined = profile.is_some_and(|p| !p.is_empty() && p != "unconfined");
    if apparmor == Some("1") && !confined {
        return Check::missing(
            name,
            "kernel.apparmor_restrict_unprivileged_userns is 1 and no AppArmor profile allows this program \
             to create user namespaces",
            vec![load_profile(program)],
        );
    }
    Check::ok(name, most.map_or_else(|| "allowed".to_owned(), |most| format!("allowed, at most {most}")))
}

/// Sets a sysctl now and at every start.
fn persistent(key: &str, value: u32) -> Vec<String> {
    vec![format!("echo {key}={value} | sudo tee /etc/sysctl.d/90-userns.conf && sudo sysctl {key}={value}")]
}

/// The commands that write and load a profile which lets this very program make user namespaces. They can
/// be pasted with any indentation.
fn load_profile(program: &Path) -> String {
    let file = format!("/etc/apparmor.d/{}", profile_name(program));
    let text = profile(program).replace('\'', r"'\''");
    format!("printf '%s\\n' '{text}' | sudo tee {file} && sudo apparmor_parser -r {file}")
}

/// One name for each path, so that several copies of the program can be let at the same time.
fn profile_name(program: &Path) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let path = program.to_string_lossy();
    let name: String = path.trim_start_matches('/').replace('/', ".");
    name.chars().map(|c| if plain(c) { c } else { '_' }).collect()
}

/// The profile's text: unconfined except for the right to make user namespaces (AppArmor 4).
fn profile(program: &Path) -> String {
    let mut path = String::new();
    for c in program.to_string_lossy().chars() {
        if "*?[]{}^\"\\".contains(c) {
            path.push('\\');
        }
        path.push(c);
    }
    let name = profile_name(program);
    format!(
        "abi <abi/4.0>,\ninclude <tunables/global>\nprofile {name} \"{path}\" flags=(unconfined) {{\n  userns,\n  \
         include if exists <local/{name}>\n}}"
    )
}

/// What to look at when a step was refused to a program that an AppArmor profile confines.
pub(in crate::host) fn confinement() -> Option<String> {
    suspect(&label()?)
}

/// A label such as `lxc-container (enforce)`; profiles in another mode refuse nothing.
fn suspect(label: &str) -> Option<String> {
    let name = label.strip_suffix(" (enforce)")?;
    Some(format!(
        "The AppArmor profile {name} confines this program; to see whether it is the cause: sudo dmesg | \
         grep apparmor"
    ))
}

/// This process's AppArmor label.
fn label() -> Option<String> {
    let label = line("/proc/self/attr/apparmor/current").or_else(|| line("/proc/self/attr/current"))?;
    Some(label.trim_end_matches('\0').to_owned())
}

/// The limits of user.max_*_namespaces that are zero or may be reached, with their fixes.
/// clone(2) and unshare(2) answer ENOSPC when one is reached.
pub(in crate::host) fn namespace_limits() -> Vec<String> {
    let mut cures = Vec::new();
    for kind in ["user", "pid", "net", "mnt", "uts", "ipc", "cgroup"] {
        let key = format!("user.max_{kind}_namespaces");
        let limit =
            line(&format!("/proc/sys/user/max_{kind}_namespaces")).and_then(|l| l.parse::<u64>().ok());
        if let Some(limit) = limit.filter(|limit| *limit < 1000) {
            let raise = persistent(&key, 15_000);
            cures.extend(raise.into_iter().map(|command| format!("{key} is {limit}; raise it: {command}")));
        }
    }
    cures
}

/// The first line of a small file, trimmed; `None` when it cannot be read.
fn line(path: &str) -> Option<String> {
    let text = text_of(path).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(clone: Option<&str>, most: &str, apparmor: Option<&str>, profile: Option<&str>) -> Check {
        judge(clone, Some(most), apparmor, profile, Path::new("/home/al ice/[bin]/coracle"))
    }

    #[test]
    fn each_obstacle_is_named_with_its_cure() {
        let debian = check(Some("0"), "100", None, None);
        assert!(debian.detail.starts_with("kernel.unprivileged_userns_clone is 0"));
        assert!(debian.cure[0].ends_with("sudo sysctl kernel.unprivileged_userns_clone=1"));
        let none = check(Some("1"), "0", None, None);
        assert!(none.cure[0].contains("user.max_user_namespaces=15000"));
        let ubuntu = check(None, "100", Some("1"), Some("unconfined"));
        assert_eq!(ubuntu.state, State::Missing);
        assert!(ubuntu.cure[0].contains(
            "profile home.al_ice._bin_.coracle \"/home/al ice/\\[bin\\]/coracle\" flags=(unconfined) {"
        ));
        assert!(
            ubuntu.cure[0].ends_with("&& sudo apparmor_parser -r /etc/apparmor.d/home.al_ice._bin_.coracle")
        );
    }

    /// `info` indents fixes, and a path may contain anything, so the profile is quoted for a shell.
    #[test]
    fn the_profile_survives_a_shell_and_indentation() {
        let program = Path::new("/home/o'neill/%s\\x/coracle");
        let write = load_profile(program).split(" | sudo").next().unwrap().replace('\n', "\n    ");
        let output = std::process::Command::new("sh").arg("-c").arg(format!("    {write}")).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap().replace("\n    ", "\n");
        assert_eq!(text, profile(program) + "\n");
        assert!(text.contains(r#""/home/o'neill/%s\\x/coracle""#), "{text}");
    }

    #[test]
    fn only_a_profile_that_is_enforced_is_suspected() {
        assert!(
            suspect("lxc-container//one (enforce)").unwrap().contains("profile lxc-container//one confines")
        );
        for other in ["unconfined", "usr.bin.coracle (unconfined)", "x (complain)", ""] {
            assert_eq!(suspect(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_allowed_is_ok() {
        for (clone, apparmor, profile) in [
            (None, None, None),
            (Some("1"), Some("0"), Some("unconfined")),
            (None, Some("1"), Some("coracle (unconfined)")),
        ] {
            assert_eq!(check(clone, "100", apparmor, profile).state, State::Ok);
        }
    }
}
