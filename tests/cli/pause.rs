//! `pause` and `unpause`. They need a cgroup of version 2 that this account may change; without one only
//! the refusals are tested. As root one can be lent for a test run:
//! `mkdir CGROUP/x; chown coracle-test CGROUP/x CGROUP/x/cgroup.procs; echo $$ >CGROUP/x/cgroup.procs`.

use super::ps::{IDLE, field, start};
use crate::common::{TestEnv, eventually};
use std::path::{Path, PathBuf};

/// The cgroup that this process is in, when it may be changed.
pub(crate) fn own_cgroup() -> Option<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
    let place = mounts.iter().find(|place| Path::new(place).join("cgroup.procs").exists())?;
    let own = PathBuf::from(format!("{place}{path}"));
    let may = |name: &str| std::fs::OpenOptions::new().write(true).open(own.join(name)).is_ok();
    if !may("cgroup.procs") || nix::unistd::access(&own, nix::unistd::AccessFlags::W_OK).is_err() {
        eprintln!("not tested: {} may not be changed by this account", own.display());
        return None;
    }
    Some(own)
}

/// A counter that grows while the container's processes run.
const COUNTS: &str = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done";

fn count(env: &TestEnv, name: &str) -> usize {
    env.coracle(["logs", name]).ok().stdout.lines().count()
}

#[test]
fn a_paused_container_stands_still() {
    let Some(own) = own_cgroup() else { return };
    let env = TestEnv::new();
    let id = start(&env, "web", &[], COUNTS);
    env.coracle(["exec", "-d", "web", "sh", "-c", "while :; do echo x >>/beat; sleep 0.01; done"]).ok();
    let beats = || std::fs::read(env.busybox_rootfs().join("beat")).map_or(0, |text| text.len());
    eventually("both count", || count(&env, "web") > 2 && beats() > 2);
    assert_eq!(env.coracle(["pause", "web"]).ok().text(), "web");
    assert_eq!(field(&env, "web", "{{.State.Status}} {{.State.Paused}}"), "paused true");
    assert_eq!(env.coracle(["ps", "--filter", "status=paused", "--format", "{{.Names}}"]).ok().text(), "web");
    let group = own.join(format!("coracle-{}", &id[..12]));
    assert!(std::fs::read_to_string(group.join("cgroup.events")).unwrap().contains("frozen 1"));
    let before = (count(&env, "web"), beats());
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!((count(&env, "web"), beats()), before);
    // What podman refuses, and what it does.
    env.coracle(["pause", "web"]).fails(125).says("paused");
    env.coracle(["exec", "web", "true"]).fails(125).says("unpause");
    env.coracle(["stop", "web"]).fails(125).says("unpause");
    env.coracle(["rm", "web"]).fails(2).says("paused");
    assert!(env.coracle(["top", "web", "args"]).ok().stdout.contains("sh -c"));
    env.coracle(["cp", "web:/bin/busybox", "copied"]).ok();
    env.file("new", "new");
    env.coracle(["cp", "new", "web:/new"]).ok();
    assert_eq!(env.coracle(["stats", "--no-stream", "--format", "{{.Name}}", "web"]).ok().text(), "web");
    assert_eq!(env.coracle(["unpause", "web"]).ok().text(), "web");
    eventually("it goes on", || count(&env, "web") > before.0 && beats() > before.1);
    assert_eq!(field(&env, "web", "{{.State.Status}} {{.State.Paused}}"), "running false");
    assert_eq!(env.coracle(["exec", "web", "cat", "/new"]).ok().text(), "new");
    // Again, in the cgroup that is there; killed while it is frozen.
    env.coracle(["container", "pause", "-l"]).ok();
    env.coracle(["kill", "web"]).ok();
    assert_eq!(field(&env, "web", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
    eventually("the cgroup is gone", || !group.exists());
    env.coracle(["unpause", "web"]).fails(125).says("exited");
    env.coracle(["pause", "web"]).fails(125).says("exited");
}

#[test]
fn several_are_paused_and_ended() {
    let Some(own) = own_cgroup() else { return };
    let env = TestEnv::new();
    let ids = [
        start(&env, "a", &["-l", "tier=front"], IDLE),
        start(&env, "b", &["--pid", "host"], "sleep 1000; true"),
        start(&env, "c", &["--rm"], IDLE),
    ];
    start(&env, "gone", &[], "exit 0");
    env.coracle(["wait", "gone"]).ok();
    assert_eq!(env.coracle(["pause", "--filter", "label=tier=front"]).ok().lines().len(), 1);
    assert_eq!(env.coracle(["pause", "--all"]).ok().lines().len(), 2);
    assert_eq!(env.coracle(["pause", "--all"]).ok().text(), "");
    assert_eq!(env.coracle(["unpause", "a", "nobody"]).fails(125).says("nobody").stdout, "");
    assert_eq!(env.called("docker", ["unpause", "a", "nobody"]).fails(1).says("nobody").text(), "a");
    let file = env.file("cid", "");
    std::fs::write(&file, field(&env, "b", "{{.Id}}")).unwrap();
    env.coracle(["unpause", "--cidfile"]).arg(&file).ok();
    env.coracle(["unpause", "-a"]).ok();
    assert_eq!(env.coracle(["ps", "-q", "--filter", "status=running"]).ok().lines().len(), 3);
    env.coracle(["pause", "-a"]).ok();
    env.coracle(["rm", "-f", "-a", "-t", "0"]).ok();
    assert!(env.containers().is_empty());
    eventually("no cgroup is left", || {
        ids.iter().all(|id| !own.join(format!("coracle-{}", &id[..12])).exists())
    });
    let events = env.coracle(["events", "--stream=false", "--format", "{{.Status}}"]).ok().stdout;
    assert!(events.contains("pause") && events.contains("unpause"), "{events}");
}

#[test]
fn without_a_cgroup_of_ones_own_the_reason_is_given() {
    let env = TestEnv::new();
    start(&env, "web", &[], IDLE);
    env.coracle(["unpause", "web"]).fails(125).says("running");
    env.coracle(["pause", "nobody"]).fails(125).says("nobody");
    env.coracle(["pause"]).fails(125);
    if own_cgroup().is_none() {
        env.coracle(["pause", "web"]).fails(125).says("cgroup").says("Hint:");
        assert_eq!(field(&env, "web", "{{.State.Status}}"), "running");
    }
}
