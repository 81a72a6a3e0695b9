//! Limits that a cgroup keeps: what is refused, and why. That they hold is tried where the controllers
//! are, by scripts/smoke.sh in the guest.

use super::pause::own_cgroup;
use crate::common::TestEnv;

/// The controllers that the cgroup of this process has.
fn controllers() -> String {
    let Some(own) = own_cgroup() else { return String::new() };
    std::fs::read_to_string(own.join("cgroup.controllers")).unwrap()
}

/// Whether limits are version 1's here, which no ordinary account can set.
fn is_version_1() -> bool {
    use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
    !statfs("/sys/fs/cgroup").is_ok_and(|found| found.filesystem_type() == CGROUP2_SUPER_MAGIC)
}

#[test]
fn what_the_host_cannot_keep_is_refused_with_the_reason() {
    let env = TestEnv::with_images();
    let run = |option: &str| {
        let call = env.coracle(["run", "--rm", "--name", "web", "--network=none", option, "busybox", "true"]);
        let output = call.run();
        // In podman's words.
        let ignored = "Resource limits are not supported and ignored on cgroups V1 rootless systems";
        assert_eq!(output.stderr.contains(ignored), is_version_1() && output.code == 0, "{option}: {output}");
        output
    };
    let granted = controllers();
    for (option, controller) in [
        ("--memory=64m", "memory"),
        ("--memory-reservation=64m", "memory"),
        ("--cpus=0.5", "cpu"),
        ("--cpu-shares=512", "cpu"),
        ("--cpu-quota=50000", "cpu"),
        ("--cpu-period=50000", "cpu"),
        ("--cpuset-cpus=0", "cpuset"),
        ("--cpuset-mems=0", "cpuset"),
        ("--pids-limit=50", "pids"),
        ("--blkio-weight=500", "io"),
        ("--cgroup-conf=memory.high=67108864", "memory"),
    ] {
        let output = run(option);
        if is_version_1() {
            assert_eq!(output.code, 0, "{option}: {output}");
        }
        if is_version_1() || granted.split_ascii_whitespace().any(|name| name == controller) {
            continue;
        }
        assert_eq!(output.code, 125, "{option}: {output}");
        output.says(controller).says("controllers").says("Hint:");
        assert!(env.containers().is_empty(), "{option} left a container");
    }
    for device in [
        "--device-read-bps",
        "--device-write-bps",
        "--device-read-iops",
        "--device-write-iops",
        "--blkio-weight-device",
    ] {
        let output = run(&format!("{device}=/dev/null:100"));
        assert_eq!(output.code, if is_version_1() { 0 } else { 125 }, "{output}");
    }
    if is_version_1() {
        let create = ["create", "--name", "web", "-m", "64m", "--network=none", "busybox", "true"];
        env.coracle(create).ok().says("cgroups V1");
        env.coracle(["container", "clone", "-m", "128m", "web"]).ok().says("cgroups V1");
        // They are kept for a machine that can have them.
        assert_eq!(super::ps::field(&env, "web", "{{.HostConfig.Memory}}"), "67108864");
        env.coracle(["start", "-a", "web"]).ok().says("cgroups V1");
    }
}

#[test]
fn limits_that_cannot_be_meant_are_refused() {
    let env = TestEnv::with_images();
    let refused = |options: &[&str], why: &str| {
        let call = env.coracle(["run", "--rm", "--network=none"]).args(options);
        call.args(["busybox", "true"]).fails(125).says(why);
    };
    refused(&["--memory-swap", "1g"], "--memory");
    refused(&["-m", "1g", "--memory-swap", "512m"], "--memory-swap");
    refused(&["-m", "1g", "--memory-reservation", "2g"], "--memory-reservation");
    refused(&["-m", "1m"], "6m");
    refused(&["-m", "lots"], "lots");
    refused(&["--cpus", "-1"], "");
    refused(&["--cpus", "1", "--cpu-quota", "1000"], "--cpu-quota");
    refused(&["-c", "1"], "--cpu-shares");
    refused(&["--cpuset-cpus", "first"], "first");
    refused(&["--blkio-weight", "5"], "--blkio-weight");
    refused(&["--device-read-bps", "sda:1"], "sda:1");
    refused(&["--cgroup-conf", "cgroup.procs=1"], "cgroup.procs");
    refused(&["--cgroups", "sometimes"], "sometimes");
    refused(&["--cgroups", "disabled", "-m", "1g"], "--cgroups=disabled");
    for option in
        ["--memory-swappiness=50", "--oom-kill-disable", "--cpu-rt-period=1000", "--cpu-rt-runtime=1000"]
    {
        refused(&[option], "cgroup v1");
    }
    // No kernel has it any more.
    let call = env.coracle(["run", "--rm", "--network=none", "--kernel-memory=1g", "busybox", "true"]);
    call.ok().says("no longer supported");
}

/// What lifts a limit needs no cgroup.
#[test]
fn no_limit_is_no_limit() {
    let env = TestEnv::with_images();
    for options in [
        &["-m", "0", "--memory-swap", "-1"][..],
        &["--cpus", "0"],
        &["--cpu-quota", "-1"],
        &["--pids-limit", "-1"],
        &["--pids-limit", "0"],
        &["--memory-swappiness", "-1"],
        &["--cgroups", "disabled"],
        &["--cgroups", "split"],
        &["--cgroups=no-conmon", "--cgroup-parent", ""],
    ] {
        env.coracle(["run", "--rm", "--network=none"]).args(options).args(["busybox", "true"]).ok();
    }
}

#[test]
fn a_lent_cgroup_keeps_the_place() {
    let Some(own) = own_cgroup() else { return };
    let env = TestEnv::with_images();
    // Files that every cgroup has need no controller.
    let conf = "--cgroup-conf=cgroup.max.depth=3";
    env.coracle(["run", "--rm", "--network=none", conf, "busybox", "true"])
        .fails(125)
        .says("cgroup.max.depth");
    let parent = own.join("below");
    std::fs::create_dir(&parent).unwrap();
    let run =
        ["run", "-d", "--name", "web", "--network=none", "--cgroup-parent=below", "busybox", "sleep", "1000"];
    env.coracle(run).ok();
    let shown =
        env.coracle(["inspect", "-f", "{{.HostConfig.CgroupParent}} {{.HostConfig.Memory}}", "web"]).ok();
    assert_eq!(shown.text(), "below 0");
    env.coracle(["rm", "-f", "-t", "0", "web"]).ok();
    std::fs::remove_dir(&parent).unwrap();
}

#[test]
fn update_is_refused_as_run_is() {
    let env = TestEnv::new();
    super::ps::start(&env, "web", &[], super::ps::IDLE);
    if !controllers().contains("memory") {
        env.coracle(["update", "-m", "64m", "web"]).fails(125).says("memory").says("Hint:");
    }
    env.coracle(["update", "--memory-swap", "1g", "web"]).fails(125).says("--memory");
    env.coracle(["update", "--cpu-shares", "1", "web"]).fails(125).says("--cpu-shares");
    env.coracle(["update", "web"]).fails(125).says("nothing to change");
    env.coracle(["update", "--pids-limit=-1", "web"]).ok();
    assert_eq!(super::ps::field(&env, "web", "{{.HostConfig.PidsLimit}} {{.State.Status}}"), "-1 running");
}
