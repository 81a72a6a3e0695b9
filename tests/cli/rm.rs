//! `rm`.

use super::docker::docker;
use super::ps::{IDLE, field, start};
use crate::common::TestEnv;

fn names(env: &TestEnv) -> Vec<String> {
    env.coracle(["ps", "-a", "--format", "{{.Names}}"]).ok().lines()
}

#[test]
fn what_has_ended_is_removed_and_leaves_nothing() {
    let env = TestEnv::new();
    let a = start(&env, "a", &[], "mkdir -p /x/y; echo >/x/y/z; chmod 0 /x/y /x; exit 0");
    start(&env, "b", &[], "exit 0");
    env.coracle(["wait", "a", "b"]).ok();
    // As in podman, all are looked up before any is removed.
    assert_eq!(env.coracle(["rm", "a", "nobody", "b"]).fails(1).says("nobody").stdout, "");
    assert_eq!(names(&env).len(), 2);
    assert_eq!(env.coracle(["rm", "-i", "a", "nobody"]).ok().lines(), ["a"]);
    assert_eq!(docker(&env, &["rm", "nobody", "b"]).fails(1).says("nobody").lines(), ["b"]);
    assert!(names(&env).is_empty());
    for place in ["containers", "names", "trash"] {
        let left: Vec<_> = std::fs::read_dir(env.root().join(place)).unwrap().collect();
        assert!(left.is_empty(), "{place}: {left:?}");
    }
    env.coracle(["rm", &a]).fails(1);
    // 1 stands for "was not there, and no other failures" (podman-rm(1)).
    start(&env, "runs", &[], "sleep 1000");
    env.coracle(["rm", "runs", "nobody"]).fails(1).says("nobody");
    env.coracle(["rm", "nobody", "runs"]).fails(1).says("nobody");
    env.coracle(["stop", "-t", "0", "runs", "nobody"]).fails(125).says("nobody");
    assert_eq!(field(&env, "runs", "{{.State.Running}}"), "true");
    env.coracle(["rm", "-f", "-t", "0", "runs"]).ok();
}

#[test]
fn files_of_other_ids_are_removed() {
    let env = TestEnv::new();
    let rootfs = env.busybox_rootfs();
    let call = env.coracle(["run", "--name", "a", "--network", "none", "--rootfs"]);
    let script = "mkdir -m 700 /tmp/d && echo x >/tmp/d/f && chown -R 1000:1000 /tmp/d";
    let rootfs = format!("{}:O", rootfs.display());
    call.args([&rootfs, "sh", "-c", &format!("mkdir -p /tmp; {script}")]).ok();
    env.coracle(["rm", "a"]).ok();
    let left: Vec<_> = std::fs::read_dir(env.root().join("trash")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_runs_is_refused_without_force() {
    let env = TestEnv::new();
    start(&env, "web", &[], IDLE);
    let refused = env.coracle(["rm", "web"]).fails(2).says("running").says("coracle rm -f web");
    assert!(refused.stdout.is_empty());
    assert_eq!(names(&env), ["web"]);
    assert_eq!(env.coracle(["rm", "-f", "web"]).ok().text(), "web");
    assert!(names(&env).is_empty());
}

#[test]
fn force_always_wins() {
    let env = TestEnv::new();
    start(&env, "deaf", &[], "trap '' TERM; while :; do sleep 0.05; done");
    start(&env, "self", &["--rm"], IDLE);
    start(&env, "lost", &[], "exit 0");
    env.coracle(["wait", "lost"]).ok();
    let id = field(&env, "lost", "{{.Id}}");
    for record in ["plan.json", "settings.json", "run.json", "exit.json", "summary"] {
        std::fs::write(env.root().join("containers").join(&id).join(record), "{").unwrap();
    }
    assert_eq!(env.coracle(["rm", "-f", "-t", "0", "deaf", "self", &id[..12]]).ok().lines().len(), 3);
    assert!(names(&env).is_empty());
    assert_eq!(env.coracle(["rm", "-f", "nobody"]).ok().text(), "");
    // A stopped monitor does not stop us.
    start(&env, "stuck", &[], IDLE);
    let monitor: i32 = field(&env, "stuck", "{{.State.ConmonPid}}").parse().unwrap();
    let monitor = nix::unistd::Pid::from_raw(monitor);
    nix::sys::signal::kill(monitor, nix::sys::signal::Signal::SIGSTOP).unwrap();
    env.coracle(["rm", "-f", "-t", "0", "stuck"]).ok();
    assert!(names(&env).is_empty());
}

#[test]
fn every_way_of_naming() {
    let env = TestEnv::new();
    let ids: Vec<String> = ["a", "b", "c", "d"].map(|name| start(&env, name, &[], "exit 0")).to_vec();
    env.coracle(["wait", "a", "b", "c", "d"]).ok();
    // As in podman, the first line counts.
    let cidfile = env.file("cid", format!("{}\nnobody\n", ids[0]));
    env.coracle(["container", "rm", "--cidfile"]).arg(&cidfile).ok();
    assert_eq!(env.coracle(["rm", "--filter", "name=b"]).ok().text(), ids[1]);
    assert_eq!(env.coracle(["rm", "-l"]).ok().text(), ids[3]);
    assert_eq!(env.coracle(["rm", "-i", "nobody", "c"]).ok().text(), "c");
    assert_eq!(env.coracle(["rm", "-a"]).ok().text(), "");
    env.coracle(["rm"]).fails(125);
    env.coracle(["rm", "-a", "x"]).fails(125);
    env.coracle(["rm", "-t", "3", "x"]).fails(125);
}

#[test]
fn anonymous_volumes_go_when_asked() {
    let env = TestEnv::new();
    let volumes = || std::fs::read_dir(env.root().join("volumes")).unwrap().count();
    start(&env, "a", &["-v", "/data", "-v", "kept:/kept"], "exit 0");
    start(&env, "b", &["-v", "/data"], "exit 0");
    env.coracle(["wait", "a", "b"]).ok();
    assert_eq!(volumes(), 3);
    env.coracle(["rm", "-v", "a"]).ok();
    assert_eq!(volumes(), 2);
    env.coracle(["rm", "b"]).ok();
    assert_eq!(volumes(), 2);
}

#[test]
fn what_shares_namespaces_goes_first() {
    let env = TestEnv::new();
    let main = start(&env, "main", &[], IDLE);
    let side = start(&env, "side", &[], "exit 0");
    env.coracle(["wait", "side"]).ok();
    // As `run --ipc container:main` writes it.
    let file = env.root().join("containers").join(side).join("plan.json");
    let mut plan: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    plan["namespaces"]["ipc"] = serde_json::json!({ "container": main });
    std::fs::write(&file, serde_json::to_vec(&plan).unwrap()).unwrap();
    env.coracle(["rm", "-f", "main"]).fails(125).says("--depend");
    assert_eq!(env.coracle(["rm", "-f", "-t", "1", "--depend", "main"]).ok().lines().len(), 2);
    assert!(names(&env).is_empty());
}

#[test]
fn force_wins_every_race() {
    let env = TestEnv::new();
    for round in 0..3 {
        start(&env, "web", &[], IDLE);
        let others = [
            ["stop", "-t", "0", "web"].as_slice(),
            &["kill", "web"],
            &["ps", "-a"],
            &["inspect", "web"],
            &["rm", "web"],
        ];
        let others: Vec<_> = others.map(|args| env.coracle(args).start()).into();
        env.coracle(["rm", "-f", "-t", "0", "web"]).ok();
        // Whoever came first, the name is free now.
        assert!(names(&env).is_empty(), "round {round}");
        for other in others {
            let output = other.wait();
            assert!(output.code <= 2 || output.code == 125, "{output}");
        }
    }
}

#[test]
fn a_container_that_never_ran_is_removed() {
    let env = TestEnv::new();
    let call = env.coracle(["run", "--name", "bad", "--network", "none", "--rootfs"]);
    call.arg(env.busybox_rootfs()).arg("nosuchprogram").fails(127);
    assert_eq!(field(&env, "bad", "{{.State.Status}} {{.State.ExitCode}}"), "created 127");
    assert_eq!(env.coracle(["wait", "bad"]).ok().text(), "127");
    assert_eq!(env.coracle(["logs", "bad"]).ok().stdout, "");
    env.coracle(["rm", "bad"]).ok();
    assert!(names(&env).is_empty());
}

/// A directory given to `--rootfs` is mounted in the container's directory while its monitor lives; it
/// was emptied when another command had moved that directory to the trash before the monitor unmounted.
#[test]
fn what_is_mounted_in_the_trash_is_left_alone() {
    let env = TestEnv::new();
    env.coracle(["ps"]).ok();
    let victim = env.file("victim/precious", "data");
    let item = env.root().join("trash/item");
    std::fs::create_dir_all(item.join("merged")).unwrap();
    std::fs::write(item.join("own"), "").unwrap();
    let script = r#"mount --bind "$1/victim" "$2/merged" && shift 2 && exec "$@""#;
    let call = env.program("unshare").args(["-rm", "sh", "-c", script, "sh"]).arg(env.path()).arg(&item);
    let call = call.arg(crate::common::coracle_binary()).arg("--root").arg(env.root());
    call.arg("--runroot").arg(env.runroot()).args(["rm", "-f", "nobody"]).ok();
    assert_eq!(std::fs::read_to_string(victim).unwrap(), "data");
    // Where nothing is mounted it goes.
    env.coracle(["rm", "-f", "nobody"]).ok();
    assert!(!item.exists());
}

/// What an `rm` that was killed left holds no name.
#[test]
fn a_name_is_free_when_its_removal_had_begun() {
    let env = TestEnv::with_images();
    for again in [&["create"][..], &["create", "--replace"]] {
        let id = env.coracle(["create", "--name", "web", "busybox"]).ok().text().to_owned();
        std::fs::remove_file(env.root().join("containers").join(&id).join("summary")).unwrap();
        env.coracle(["container"]).args(again).args(["--name", "web", "busybox"]).ok();
        assert_eq!(env.containers().len(), 1);
        env.coracle(["rm", "web"]).ok();
    }
}
