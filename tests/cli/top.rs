//! `top`: what the host's procfs says, in podman's columns.

use super::ps::{IDLE, start};
use crate::common::{TestEnv, eventually};
use std::os::unix::fs::PermissionsExt;

fn rows(env: &TestEnv, words: &[&str]) -> Vec<Vec<String>> {
    let lines = env.coracle(["top", "web"]).args(words).ok().lines();
    lines.iter().map(|l| l.split_whitespace().map(str::to_owned).collect()).collect()
}

#[test]
fn processes_are_shown_as_podman_shows_them() {
    let env = TestEnv::new();
    start(&env, "web", &["--hostname", "web"], "(sleep 1000) & (sleep 1000) & exec sleep 2000");
    eventually("all run", || rows(&env, &["pid", "args"]).iter().filter(|r| r[1] == "sleep").count() == 3);
    let table = env.coracle(["top", "web"]).ok().lines();
    let header: Vec<&str> = table[0].split_whitespace().collect();
    assert_eq!(header, ["USER", "PID", "PPID", "%CPU", "ELAPSED", "TTY", "TIME", "COMMAND"]);
    assert_eq!(table.len(), 4);
    let first: Vec<&str> = table[1].split_whitespace().collect();
    assert_eq!((&first[..3], &first[5..]), (&["root", "1", "0"][..], &["?", "0s", "sleep", "2000"][..]));
    assert!(table[2].contains(" 1 ") && table[2].ends_with("sleep 1000"), "{table:?}");
    // Numbers, names and sets.
    assert_eq!(rows(&env, &["pid,seccomp", "state", "capamb"])[1], ["1", "filter", "S", "none"]);
    let host = &rows(&env, &["hpid", "huser", "hgroup", "%p"])[1];
    let account = env.program("id").arg("-un").ok();
    assert_eq!((host[1].as_str(), host[3].as_str()), (account.text(), "1"));
    let state = env.coracle(["inspect", "-f", "{{.State.Pid}}", "web"]).ok();
    assert_eq!(host[0], state.text());
    let caps = &rows(&env, &["capeff"])[1][0];
    assert!(caps.split(',').any(|cap| cap == "CHOWN") && !caps.contains("SYS_ADMIN"), "{caps}");
    assert_eq!(rows(&env, &["-ef"])[0][2], "PPID");
    assert_eq!(rows(&env, &["aux"])[0][4], "VSZ");
    assert_eq!(rows(&env, &["-o", "pid,comm"])[1], ["1", "sleep"]);
    assert_eq!(env.coracle(["top", "--latest", "pid"]).ok().lines().len(), 4);
    assert_eq!(env.coracle(["container", "top", "web", "ppid"]).ok().lines()[1].trim(), "0");
    env.coracle(["top", "web", "colour"]).fails(125).says("colour");
}

#[test]
fn users_are_those_of_the_container() {
    let env = TestEnv::new();
    std::fs::create_dir_all(env.busybox_rootfs().join("etc")).unwrap();
    std::fs::write(env.busybox_rootfs().join("etc/passwd"), "root:x:0:0::/:\nsailor:x:33:44::/:\n").unwrap();
    std::fs::write(env.busybox_rootfs().join("etc/group"), "crew:x:44:\n").unwrap();
    start(&env, "web", &["-u", "sailor"], "exec sleep 1000");
    assert_eq!(rows(&env, &["user", "group", "ruser"])[1], ["sailor", "crew", "sailor"]);
    // A process that came by exec has its parent outside.
    env.coracle(["exec", "-u", "5:6", "-d", "web", "sleep", "500"]).ok();
    // Until it has become its user, it shows as root.
    eventually("it shows", || {
        rows(&env, &["user", "group", "ppid"]).get(2).is_some_and(|row| *row == ["5", "6", "0"])
    });
}

#[test]
fn without_a_pid_namespace_it_shows_the_containers_own() {
    let env = TestEnv::new();
    start(&env, "web", &["--pid", "host"], "sleep 1000; true");
    eventually("both run", || rows(&env, &["pid"]).len() == 3);
    let rows = rows(&env, &["pid", "hpid", "comm"]);
    assert!(rows[1..].iter().all(|row| row[0] == row[1]), "{rows:?}");
}

#[test]
fn only_what_runs_has_processes() {
    let env = TestEnv::new();
    start(&env, "web", &[], "exit 0");
    env.coracle(["wait", "web"]).ok();
    env.coracle(["top", "web"]).fails(125).says("container web is exited, not running");
    env.coracle(["top", "nobody"]).fails(125).says("nobody");
    env.coracle(["top"]).fails(125).says("--latest");
}

/// podman ran the container's nsenter with the host's rights (CVE-2022-1227), and falls back to its ps
/// to this day. Here every program that could be asked leaves a mark, and a name service would too.
#[test]
fn case_32_no_program_of_the_container_is_run() {
    let env = TestEnv::new();
    let root = env.busybox_rootfs();
    start(&env, "web", &[], IDLE);
    for place in ["bin", "usr/bin", "sbin", "usr/sbin", "usr/local/bin"] {
        std::fs::create_dir_all(root.join(place)).unwrap();
        for name in ["ps", "nsenter", "tar", "getent", "id", "cat"] {
            let program = root.join(place).join(name);
            let _ = std::fs::remove_file(&program);
            std::fs::write(&program, "#!/bin/sh\ntouch /was-run\n").unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    std::fs::create_dir_all(root.join("etc")).unwrap();
    std::fs::write(root.join("etc/nsswitch.conf"), "passwd: evil\ngroup: evil\n").unwrap();
    env.coracle(["top", "web"]).ok();
    env.coracle(["top", "web", "user", "huser", "label", "args"]).ok();
    env.coracle(["top", "web", "aux"]).ok();
    env.coracle(["top", "web", "--forest"]).fails(125);
    assert!(!root.join("was-run").exists());
}
