//! What the user mounts over the places that are ours: whose files are seen there, and with which flags.

use crate::common::{Call, TestEnv, coracle_binary, skip};
use expectrl::Expect;
use std::fs;

fn sh(env: &TestEnv, options: &[&str], script: &str) -> Call {
    env.coracle(["run", "--rm", "--network=none"]).args(options).args(["busybox", "sh", "-c", script])
}

#[test]
fn a_mount_on_etc_keeps_name_resolution() {
    let env = TestEnv::with_images();
    let etc = env.path().join("etc");
    fs::create_dir(&etc).unwrap();
    let directory = format!("{}:/etc", etc.display());
    let script =
        "hostname; cat /etc/hostname; grep -c localhost /etc/hosts; test -f /etc/resolv.conf && echo there";
    for options in
        [["-v", directory.as_str()], ["-v", "vol:/etc"], ["-v", "bare:/etc:nocopy"], ["--tmpfs", "/etc"]]
    {
        let seen = sh(&env, &[&options[..], &["--hostname", "box"]].concat(), script).ok();
        assert_eq!(seen.lines(), ["box", "box", "2", "there"], "{options:?}");
    }
    // Only the places for them are made there.
    let made = |name: &str| fs::metadata(etc.join(name)).unwrap().len();
    assert_eq!(["hostname", "hosts", "resolv.conf"].map(made), [0, 0, 0]);
    assert_eq!(fs::read_dir(&etc).unwrap().count(), 3);
    // What is mounted at such a place is the user's.
    fs::write(env.path().join("own"), "mine\n").unwrap();
    let own = format!("{}:/etc/hosts", env.path().join("own").display());
    assert_eq!(sh(&env, &["-v", &directory, "-v", &own], "cat /etc/hosts").ok().text(), "mine");
    // A read-only one goes without.
    let closed = format!("{}:ro", directory.replace("/etc:", "/empty:"));
    fs::create_dir(env.path().join("empty")).unwrap();
    sh(&env, &["-v", &closed], "ls /etc").ok();
}

#[test]
fn something_else_on_sys_is_what_is_seen_there() {
    let env = TestEnv::with_images();
    env.file("own/firmware/f", "mine");
    let own = format!("{}:/sys", env.path().join("own").display());
    assert_eq!(sh(&env, &["-v", &own], "cat /sys/firmware/f").ok().text(), "mine");
    // The host's keeps its secrets.
    assert_eq!(sh(&env, &["-v", "/sys:/sys"], "ls /sys/firmware").ok().text(), "");
}

#[test]
fn a_mount_on_sys_keeps_the_containers_cgroups() {
    let env = TestEnv::with_images();
    let seen = |options: &[&str]| {
        let script = "grep ' /sys/fs/cgroup ' /proc/self/mountinfo | tail -n1 | sed 's/.* - \\([a-z0-9]*\\) .*/\\1/'; \
                      ls /sys/fs/cgroup/cgroup.procs; touch /sys/fs/cgroup/x 2>/dev/null || echo closed";
        sh(&env, options, script).ok().text().to_owned()
    };
    let usual = seen(&[]);
    if !usual.starts_with("cgroup2") {
        return skip("there is no cgroup v2 to be mounted");
    }
    for options in
        [&["-v", "/sys:/sys:rslave"][..], &["--network=host"], &["-v", "/sys:/sys", "--network=host"]]
    {
        assert_eq!(seen(options), usual, "{options:?}");
    }
}

/// As distrobox and toolbox ask for it.
#[test]
fn the_hosts_dev_has_devices_and_terminals() {
    let env = TestEnv::with_images();
    let base = ["run", "--rm", "-it", "--network=none", "-v", "/dev:/dev:rslave"];
    let script = "echo x >/dev/null && head -c 4 /dev/zero | wc -c && ls /dev/pts/ptmx";
    assert_eq!(sh(&env, &["-v", "/dev:/dev:rslave"], script).ok().text(), "4\n/dev/pts/ptmx");
    // The shared memory is the container's, as it is with podman.
    let size = ["--shm-size=123k", "-v", "/dev:/dev:rslave"];
    assert_eq!(sh(&env, &size, "df -k /dev/shm | tail -n1 | awk '{print $2}'").ok().text(), "124");
    let mut shell = env.coracle(base).args(["--name", "c", "busybox", "sh"]).pty();
    let works = |session: &mut expectrl::session::OsSession| {
        session.send_line("test -t 0 && ls $(tty) && echo read''y").unwrap();
        session.expect("/dev/pts/").unwrap();
        session.expect("ready").unwrap();
    };
    works(&mut shell);
    for user in [&[][..], &["-u", "4321"]] {
        let mut more = env.coracle(["exec", "-it"]).args(user).args(["c", "sh"]).pty();
        works(&mut more);
        more.send_line("exit").unwrap();
        more.expect(expectrl::Eof).unwrap();
    }
    shell.send_line("exit").unwrap();
    shell.expect(expectrl::Eof).unwrap();
}

/// Attack case 18.
#[test]
fn case_18_what_the_container_calls_ptmx_is_looked_at() {
    let env = TestEnv::with_images();
    env.coracle(["run", "-d", "--name", "c", "--network=none", "busybox", "sleep", "1000"]).ok();
    for make in ["ln -s null /dev/ptmx", "mkfifo /dev/ptmx", "touch /dev/ptmx", "mkdir /dev/ptmx", "true"] {
        env.coracle(["exec", "c", "sh", "-c", &format!("rm -rf /dev/ptmx; {make}")]).ok();
        let refused = env.coracle(["exec", "-t", "c", "true"]).run();
        assert_eq!(refused.code, 125, "{make}: {refused}");
        assert!(refused.stderr.contains("/dev/ptmx"), "{make}: {refused}");
    }
}

#[test]
fn the_mark_of_a_container_is_the_dialects() {
    let env = TestEnv::with_images();
    let script = "stat -c '%a %s' /run/.containerenv; ls -a / | grep -c dockerenv";
    assert_eq!(sh(&env, &[], script).run().text(), "644 0\n0");
    let told = sh(&env, &["--privileged", "--name", "told"], "cat /run/.containerenv").ok();
    for line in ["engine=\"coracle-", "name=\"told\"", "id=\"", "image=\"", "imageid=\"", "rootless=1"] {
        assert!(told.stdout.contains(line), "{line}: {told}");
    }
    let link = env.path().join("docker");
    std::os::unix::fs::symlink(coracle_binary(), &link).unwrap();
    let docker = env.program(&link).arg("--root").arg(env.root()).arg("--runroot").arg(env.runroot());
    let docker = docker.args(["run", "--rm", "--network=none", "--rootfs"]).arg(env.busybox_rootfs());
    let docker = docker.args(["sh", "-c", "ls -a / /run"]).ok();
    assert!(docker.stdout.contains(".dockerenv") && !docker.stdout.contains(".containerenv"), "{docker}");
}

/// Where the account has a cgroup of its own to give; with whichever ids, network and `/sys`.
#[test]
fn a_first_process_like_systemd_manages_its_cgroups() {
    if super::pause::own_cgroup().is_none() {
        return;
    }
    let env = TestEnv::with_images();
    let script = "cd /sys/fs/cgroup && mkdir below && echo $$ >below/cgroup.procs && stat -c %u:%g . below";
    for options in [
        &[][..],
        &["--network=host"],
        &["-v", "/sys:/sys:rslave"],
        &["--userns=nomap"],
        &["--uidmap=0:1:1000", "--network=host"],
        &["--userns=keep-id", "-u", "0"],
    ] {
        let seen = sh(&env, &[&["--systemd=always"], options].concat(), script).ok();
        assert_eq!(seen.text(), "0:0\n0:0", "{options:?}");
    }
}
