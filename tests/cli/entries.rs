//! Entries for the payload's user in `/etc/passwd` and `/etc/group`: where they are written, and where not.

use crate::common::{TestEnv, busybox, shared_registry};
use std::fs;

#[track_caller]
fn out(env: &TestEnv, options: &[&str], script: &str) -> String {
    let base = ["run", "--rm", "--network=none"];
    env.coracle(base).args(options).args(["busybox", "sh", "-c", script]).ok().text().to_owned()
}

/// `useradd` and its kin write a new file and rename it.
const REPLACE: &str = "cd /etc && for f in passwd group; do cp $f new && echo later:x:9999: >>new && mv new $f; done; \
                       grep -c later passwd group; grep -c ' /etc/' /proc/self/mounts";

#[test]
fn the_files_are_no_mount_points() {
    let env = TestEnv::with_images();
    // Three mounts: hosts, hostname, resolv.conf.
    let replaced = "passwd:1\ngroup:1\n3";
    for user in [&["-u", "0"][..], &["--userns=keep-id", "-u", "0"]] {
        assert_eq!(out(&env, user, REPLACE), replaced);
    }
    assert_eq!(out(&env, &["--hostuser", "games"], REPLACE), replaced);
    env.coracle([
        "run",
        "-d",
        "--name",
        "c",
        "--network=none",
        "--userns=keep-id",
        "busybox",
        "sleep",
        "1000",
    ])
    .ok();
    env.coracle(["exec", "-u", "0", "c", "sh", "-c", REPLACE]).ok();
    assert_eq!(env.coracle(["exec", "c", "sh", "-c", "grep -c later /etc/passwd"]).ok().text(), "1");
}

#[test]
fn entries_are_the_containers_and_are_written_once() {
    let env = TestEnv::with_images();
    let count = "grep -c :4321: /etc/passwd";
    env.coracle(["create", "--name", "c", "--network=none", "-u", "4321", "busybox", "sh", "-c", count]).ok();
    for _ in 0..2 {
        assert_eq!(env.coracle(["start", "-a", "c"]).ok().text(), "1");
    }
    // As podman has it, they are among the container's changes.
    assert!(env.coracle(["diff", "c"]).ok().lines().contains(&"C /etc/passwd".to_owned()));
    env.coracle(["commit", "c", "made"]).ok();
    let base = ["run", "--rm", "--network=none"];
    assert_eq!(env.coracle(base).args(["-u", "0", "made", "sh", "-c", count]).ok().text(), "1");
    // Never in the image itself.
    assert_eq!(out(&env, &["-u", "0"], &format!("{count} || true")), "0");
    // With a text that does not name the user it is not written again at each start.
    let entry = ["--passwd-entry", "other:x:77:77::/:/bin/sh", "-u", "4321"];
    let create = env.coracle(["create", "--name", "d", "--network=none"]).args(entry);
    create.args(["busybox", "grep", "-c", "^other:", "/etc/passwd"]).ok();
    for _ in 0..2 {
        assert_eq!(env.coracle(["start", "-a", "d"]).ok().text(), "1");
    }
}

#[test]
fn what_the_user_mounts_is_left_alone() {
    let env = TestEnv::with_images();
    let etc = env.path().join("etc");
    fs::create_dir(&etc).unwrap();
    fs::write(etc.join("passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
    let file = format!("{}:/etc/passwd", etc.join("passwd").display());
    let directory = format!("{}:/etc", etc.display());
    for options in [["-v", file.as_str()], ["-v", directory.as_str()]] {
        for more in [&["-u", "4321"][..], &["--userns=keep-id"], &["-u", "4321", "--read-only"]] {
            let seen = out(&env, &[&options[..], more].concat(), "id -u; grep -c . /etc/passwd");
            assert!(seen.lines().count() == 2, "{options:?} {more:?} {seen}");
            assert_eq!(fs::read_to_string(etc.join("passwd")).unwrap(), "root:x:0:0::/root:/bin/sh\n");
        }
    }
    assert!(!etc.join("group").exists());
    // A link of the image's into a directory of the user's.
    let layer = crate::common::Layer::new().symlink("etc/passwd", "/mine/passwd");
    busybox().layer(layer).push(shared_registry(), "entries/link", "latest");
    let image = shared_registry().reference("entries/link", "latest");
    let mine = format!("{}:/mine", etc.display());
    env.coracle(["run", "--rm", "--network=none", "-u", "4321", "-v", &mine, &image, "true"]).ok();
    assert_eq!(fs::read_to_string(etc.join("passwd")).unwrap(), "root:x:0:0::/root:/bin/sh\n");
}

#[test]
fn a_read_only_root_shows_them_all_the_same() {
    let env = TestEnv::with_images();
    let script = "id -un; touch /etc/x 2>/dev/null || echo read-only";
    assert_eq!(out(&env, &["--read-only", "-u", "4321"], script), "4321\nread-only");
    assert_eq!(out(&env, &["-u", "4321"], script), "4321\nread-only");
    assert_eq!(
        env.coracle(["run", "--rm", "--network=none", "-u", "4321", "--rootfs", "/:O", "id", "-un"])
            .ok()
            .text(),
        "4321"
    );
}

#[test]
fn added_groups_and_entries_of_groups_stay() {
    let env = TestEnv::with_images();
    env.coracle(["run", "-d", "--name", "c", "--network=none", "--group-add", "77"])
        .args(["busybox", "sleep", "1000"])
        .ok();
    for user in [&[][..], &["-u", "4321"], &["-u", "4321:5"]] {
        let groups = env.coracle(["exec"]).args(user).args(["c", "id", "-G"]).ok();
        assert!(groups.text().split(' ').any(|id| id == "77"), "{user:?} {groups}");
    }
    let host = fs::read_to_string("/etc/passwd").unwrap();
    let host: Vec<&str> = host.lines().find(|line| line.starts_with("games:")).unwrap().split(':').collect();
    let entry = ["--hostuser", "games", "--user", "games", "--group-entry", "of-$GROUPNAME:x:$GID:$USERLIST"];
    assert_eq!(
        out(&env, &entry, "id -un; tail -n1 /etc/group"),
        format!("games\nof-games:x:{}:games", host[3])
    );
}

#[test]
fn a_large_passwd_of_a_read_only_container_has_room() {
    let env = TestEnv::with_images();
    let script = "head -c 1500000 /dev/zero | tr '\\0' '\\n' >> /etc/passwd";
    env.coracle(["run", "--name=made", "--network=none", "busybox", "sh", "-c", script]).ok();
    env.coracle(["commit", "-q", "made", "large"]).ok();
    env.coracle(["rm", "made"]).ok();
    let call = env.coracle(["run", "--rm", "--read-only", "--network=none", "-u=1234", "large", "id", "-un"]);
    assert_eq!(call.ok().text(), "1234");
}
