//! `volume create`, `ls`, `inspect`, `exists`, `rm` and `prune`.

use super::ps::{IDLE, start};
use crate::common::TestEnv;

/// A finished or running container `name` with these options.
fn container(env: &TestEnv, name: &str, options: &[&str], script: &str) {
    start(env, name, options, script);
}

fn volumes(env: &TestEnv, options: &[&str]) -> Vec<String> {
    env.coracle(["volume", "ls", "-q"]).args(options).ok().lines()
}

#[test]
fn a_volume_is_made_shown_and_removed() {
    let env = TestEnv::new();
    let made =
        env.coracle(["volume", "create", "-l", "a=b", "--label", "c", "-o", "o=uid=1000,gid=7", "data"]);
    assert_eq!(made.ok().text(), "data");
    let shown = &env.coracle(["volume", "inspect", "data"]).ok().json()[0];
    assert_eq!(shown["Name"], "data");
    assert_eq!(shown["Driver"], "local");
    assert_eq!(shown["Scope"], "local");
    assert_eq!(shown["Labels"], serde_json::json!({"a": "b", "c": ""}));
    assert_eq!(shown["Options"], serde_json::json!({"o": "uid=1000,gid=7"}));
    assert_eq!((shown["UID"].as_u64(), shown["GID"].as_u64()), (Some(1000), Some(7)));
    assert_eq!(shown["MountCount"], 0);
    let place = shown["Mountpoint"].as_str().unwrap();
    assert!(std::path::Path::new(place).is_dir(), "{place}");
    let owner = env.coracle(["unshare", "stat", "-c", "%u:%g", place]).ok();
    assert_eq!(owner.text(), "1000:7");
    env.coracle(["volume", "exists", "data"]).ok();
    env.coracle(["volume", "exists", "dat"]).fails(1);
    env.coracle(["volume", "create", "data"])
        .fails(125)
        .says("volume with name data already exists: volume already exists")
        .says("--ignore");
    assert_eq!(env.coracle(["volume", "create", "--ignore", "data"]).ok().text(), "data");
    assert_eq!(env.coracle(["volume", "rm", "dat"]).ok().text(), "data");
    env.coracle(["volume", "exists", "data"]).fails(1);
    assert_eq!(env.coracle(["volume", "create"]).ok().text().len(), 64);
}

#[test]
fn what_a_volume_cannot_be_is_refused_before_anything_changes() {
    let env = TestEnv::new();
    for (options, says) in [
        (&["--driver", "nfs", "x"][..], "no plugins"),
        (&["--driver", "image", "-o", "image=busybox", "x"], "--mount type=image"),
        (&["-o", "type=ext4", "-o", "device=/dev/sda1", "x"], "by root only"),
        (&["-o", "o=size=1g", "x"], "project quotas"),
        (&["-o", "nosuch=1", "x"], "not known"),
        (&["-o", "type=bind", "-o", "device=/nosuch/dir", "x"], "/nosuch/dir does not exist"),
        (&["-o", "type=none", "-o", "o=bind", "-o", "device=/etc/passwd", "x"], "is not a directory"),
        (&["../x"], "not a valid name"),
    ] {
        env.coracle(["volume", "create"]).args(options).fails(125).says(says);
    }
    assert!(volumes(&env, &[]).is_empty());
}

#[test]
fn ls_has_every_filter_and_format() {
    let env = TestEnv::new();
    env.coracle(["volume", "create", "-l", "tier=db", "one"]).ok();
    env.coracle(["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "two"]).ok();
    container(&env, "c", &["-v", "one:/data", "-v", "/anon"], "exit 0");
    env.coracle(["wait", "c"]).ok();
    let anonymous = volumes(&env, &["-f", "anonymous=true"]);
    assert_eq!(anonymous.len(), 1);
    for (filter, expected) in [
        ("name=^o", "one"),
        ("label=tier", "one"),
        ("label=tier=db", "one"),
        ("opt=type=tmpfs", "two"),
        ("dangling=true", "two"),
        ("until=1h", ""),
        ("since=1h,name=w", "two"),
        ("label!=tier,name=t", "two"),
        ("driver=image", ""),
        ("scope=global", ""),
    ] {
        assert_eq!(
            volumes(&env, &["--filter", filter, "-f", "anonymous=false"]).join(" "),
            expected,
            "{filter}"
        );
    }
    assert_eq!(volumes(&env, &["-f", "name=one", "-f", "name=two", "-f", "driver=local"]), ["one", "two"]);
    env.coracle(["volume", "ls", "-f", "colour=red"]).fails(125).says("colour").says("dangling");
    env.coracle(["volume", "ls", "-f", "dangling=maybe"]).fails(125).says("neither true nor false");
    let table = env.coracle(["volume", "ls", "-f", "name=one"]).ok().lines();
    assert_eq!(table, ["DRIVER    VOLUME NAME", "local     one"]);
    let bare = env.coracle(["volume", "ls", "--noheading", "-f", "name=one"]).ok().lines();
    assert_eq!(bare, ["local     one"]);
    let fields = "{{.Name}} {{.Driver}} {{.Scope}} {{.Labels}} {{.Options}} {{.UID}} {{.GID}} {{.Anonymous}} \
                  {{.MountCount}} {{.NeedsCopyUp}} {{.NeedsChown}} {{.Mountpoint}} {{.CreatedAt}}";
    let line = env.coracle(["volume", "list", "-f", "name=two", "--format", fields]).ok();
    assert!(
        line.text().starts_with("two local local  map[device:tmpfs type:tmpfs] 0 0 false 0 true true /"),
        "{line}"
    );
    let json = env.coracle(["volume", "ls", "--format", "json"]).ok().json();
    assert_eq!(json.as_array().unwrap().len(), 3);
    assert_eq!(json.as_array().unwrap().iter().filter(|v| v["Anonymous"] == true).count(), 1);
}

#[test]
fn inspect_takes_beginnings_templates_and_all() {
    let env = TestEnv::new();
    env.coracle(["volume", "create", "aa1"]).ok();
    env.coracle(["volume", "create", "aa2"]).ok();
    assert_eq!(
        env.coracle(["volume", "inspect", "-f", "{{.Name}} {{.Driver}}", "aa1"]).ok().text(),
        "aa1 local"
    );
    env.coracle(["volume", "inspect", "aa"]).fails(125).says("2 volumes begin");
    let both = env.coracle(["volume", "inspect", "--all", "--format", "{{.Name}}"]).ok().lines();
    assert_eq!(both, ["aa1", "aa2"]);
    let some = env.coracle(["volume", "inspect", "nobody", "aa2"]).fails(125).says("nobody");
    assert_eq!(some.json()[0]["Name"], "aa2");
    env.coracle(["volume", "inspect"]).fails(125).says("no volume was named");
    env.coracle(["volume", "inspect", "-a", "aa1"]).fails(125).says("no arguments are needed with --all");
}

#[test]
fn a_volume_in_use_stays_until_its_containers_go() {
    let env = TestEnv::new();
    container(&env, "user", &["-v", "data:/data"], IDLE);
    env.coracle(["volume", "create", "free"]).ok();
    env.coracle(["volume", "rm", "data"])
        .fails(2)
        .says("is being used by the following container(s)")
        .says("--force data");
    env.coracle(["volume", "rm", "nobody"]).fails(1).says("nobody");
    assert_eq!(env.coracle(["volume", "rm", "nobody", "free", "data"]).fails(2).lines(), ["free"]);
    assert_eq!(volumes(&env, &[]), ["data"]);
    assert_eq!(env.coracle(["volume", "rm", "-f", "nobody"]).ok().text(), "");
    assert_eq!(env.coracle(["volume", "rm", "--force", "-t", "0", "data"]).ok().text(), "data");
    assert!(env.containers().is_empty() && volumes(&env, &[]).is_empty());
    env.coracle(["volume", "rm", "-t", "1", "data"]).fails(125);
    env.coracle(["volume", "rm"]).fails(125);
    env.coracle(["volume", "create", "x"]).ok();
    assert_eq!(env.coracle(["volume", "rm", "--all"]).ok().text(), "x");
}

#[test]
fn prune_asks_and_removes_what_no_container_uses() {
    let env = TestEnv::new();
    container(&env, "user", &["-v", "used:/data"], "exit 0");
    env.coracle(["wait", "user"]).ok();
    for (name, label) in [("a", "keep=1"), ("b", "keep=0")] {
        env.coracle(["volume", "create", "-l", label, name]).ok();
    }
    let prune = |args: &[&str]| env.coracle(["volume", "prune"]).args(args);
    let asked = prune(&["-a"]).stdin("n\n").ok();
    assert!(asked.stdout.contains("WARNING!") && asked.stdout.contains("\na\nb\n"), "{asked}");
    prune(&["-a"]).fails(125).says("--force");
    // Named ones have to be asked for.
    assert_eq!(prune(&["-f"]).ok().text(), "");
    assert_eq!(prune(&["--dry-run", "--all"]).ok().lines(), ["a", "b"]);
    assert_eq!(volumes(&env, &[]), ["a", "b", "used"]);
    assert_eq!(prune(&["-af", "--filter", "label!=keep=1"]).ok().lines(), ["b"]);
    prune(&["--filter", "until=1h", "-af"]).ok();
    assert_eq!(volumes(&env, &[]), ["a", "used"]);
    assert!(prune(&["-a"]).stdin("y\n").ok().stdout.ends_with("a\n"));
    assert_eq!(volumes(&env, &[]), ["used"]);
    env.coracle(["volume", "create", "c"]).ok();
    assert_eq!(prune(&["-f", "--filter", "all=true"]).ok().text(), "c");
    prune(&["-f", "--filter", "all=maybe"]).fails(125).says("neither true nor false");
}

#[test]
fn pruned_containers_leave_their_volumes() {
    let env = TestEnv::new();
    for prune in [&["container", "prune", "-f"][..], &["system", "prune", "-f"]] {
        container(&env, "c", &["-v", "named:/n", "-v", "/anonymous"], "echo kept >/anonymous/f");
        env.coracle(["wait", "c"]).ok();
        env.coracle([""; 0]).args(prune).ok();
        assert!(env.containers().is_empty());
        let left = volumes(&env, &["-f", "anonymous=true"]);
        assert_eq!(left.len(), 1, "{prune:?}");
        assert_eq!(env.coracle(["volume", "prune", "-f"]).ok().lines(), left);
    }
    assert_eq!(volumes(&env, &[]), ["named"]);
    container(&env, "c", &["-v", "named:/n", "-v", "/anonymous"], "true");
    env.coracle(["wait", "c"]).ok();
    env.coracle(["system", "prune", "-f", "--volumes"]).ok();
    assert!(volumes(&env, &[]).is_empty());
}

#[test]
fn volumes_exist_from_the_creation_of_their_container_and_anonymous_ones_say_so() {
    let env = TestEnv::new();
    // Refused by the payload: the container was made nevertheless.
    let rootfs = env.busybox_rootfs();
    let call =
        env.coracle(["run", "--name", "c", "--network=none", "-v", "data:/data", "-v", "/x", "--rootfs"]);
    call.arg(format!("{}:O", rootfs.display())).arg("/nosuch").fails(127);
    assert_eq!(volumes(&env, &["-f", "anonymous=false"]), ["data"]);
    assert_eq!(volumes(&env, &["-f", "anonymous=true"]).len(), 1);
    env.coracle(["rm", "-v", "c"]).ok();
    assert_eq!(volumes(&env, &[]), ["data"]);
}
