//! `ps`: what is listed, how it is shown, and that a lost monitor is noticed.

use crate::common::{TestEnv, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Starts a container in the background on a busybox tree, without a network; gives its id.
pub(crate) fn start(env: &TestEnv, name: &str, options: &[&str], script: &str) -> String {
    let rootfs = env.busybox_rootfs();
    let call = env.coracle(["run", "-d", "--name", name, "--network", "none"]).args(options);
    call.arg("--rootfs").arg(rootfs).args(["sh", "-c", script]).ok().text().to_owned()
}

/// A payload that does nothing until it is told to end, and then ends with 0.
pub(crate) const IDLE: &str = "trap 'exit 0' TERM; while :; do sleep 0.05; done";

/// A field of a container as `inspect` shows it.
pub(crate) fn field(env: &TestEnv, name: &str, template: &str) -> String {
    env.coracle(["inspect", "--type", "container", "-f", template, name]).ok().text().to_owned()
}

/// Kills a container's monitor as a user with `kill -9` would.
pub(crate) fn kill_monitor(env: &TestEnv, name: &str) {
    let pid: i32 = field(env, name, "{{.State.ConmonPid}}").parse().unwrap();
    assert!(pid > 1, "{pid}");
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

#[test]
fn containers_are_listed_as_podman_lists_them() {
    let env = TestEnv::new();
    assert_eq!(
        env.coracle(["ps"]).ok().stdout,
        "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"
    );
    let web = start(&env, "web", &[], IDLE);
    let job = start(&env, "job", &[], "exit 3");
    env.coracle(["wait", "job"]).ok();
    let running = env.coracle(["ps"]).ok().lines();
    assert_eq!(running.len(), 2, "{running:?}");
    assert!(running[1].starts_with(&web[..12]) && running[1].trim_end().ends_with("web"));
    assert!(running[1].contains("sh -c trap 'exit ...") && running[1].contains(" Up "));
    let all = env.coracle(["ps", "-a"]).ok().lines();
    assert!(all[2].contains("Exited (3)") && all[2].contains(" ago"), "the latest is at the bottom: {all:?}");
    assert_eq!(env.coracle(["ps", "-aq"]).ok().lines(), [&web[..12], &job[..12]]);
    assert_eq!(env.coracle(["ps", "-q", "--no-trunc"]).ok().lines(), [web.as_str()]);
    assert_eq!(env.coracle(["ps", "-lq"]).ok().lines(), [&job[..12]]);
    assert_eq!(env.coracle(["ps", "-n", "1", "-q"]).ok().lines(), [&job[..12]]);
    assert_eq!(env.coracle(["container", "ls", "-q"]).ok().lines(), [&web[..12]]);
    assert_eq!(env.coracle(["ps", "--noheading"]).ok().lines().len(), 1);
    assert!(env.coracle(["ps", "--no-trunc"]).ok().stdout.contains(IDLE));
    env.coracle(["ps", "-q", "--sync"]).ok();
}

#[test]
fn formats_and_orders() {
    let env = TestEnv::new();
    start(&env, "bb", &["-l", "tier=back"], IDLE);
    start(&env, "aa", &["--rm"], IDLE);
    let ps = |args: &[&str]| env.coracle(["ps"]).args(args).ok();
    assert_eq!(
        ps(&["--format", "{{.Names}} {{.State}} {{.ExitCode}}"]).lines(),
        ["bb running 0", "aa running 0"]
    );
    assert_eq!(ps(&["--sort", "names", "--format", "{{.Names}}"]).lines(), ["aa", "bb"]);
    // The time itself; how long ago is .CreatedHuman and .RunningFor.
    let times = ps(&["-f", "name=bb", "--format", "{{.Created}}|{{.CreatedAt}}|{{.IsInfra}}"]);
    let times: Vec<&str> = times.text().split('|').collect();
    assert_eq!((times[0], times[2]), (times[1], "false"));
    assert!(times[0].starts_with("20") && times[0].contains(':'), "{times:?}");
    assert_eq!(ps(&["--format", "table {{.Names}}\t{{.Networks}}"]).lines()[0], "NAMES     NETWORKS");
    assert_eq!(ps(&["--format", "{{.Names}}={{.Labels.tier}}", "-f", "name=bb"]).text(), "bb=back");
    let json = ps(&["--format", "json"]).json();
    assert_eq!(json[0]["Names"][0], "bb");
    assert_eq!(json[0]["Labels"]["tier"], "back");
    assert_eq!(json[0]["State"], "running");
    assert_eq!((&json[0]["AutoRemove"], &json[1]["AutoRemove"]), (&false.into(), &true.into()));
    assert_eq!(json[0]["Command"][2], IDLE);
    let pid = json[0]["Pid"].as_i64().unwrap();
    let mnt = std::fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap();
    let shown = json[0]["Namespaces"]["mnt"].as_str().unwrap();
    assert_eq!(mnt.to_str().unwrap(), format!("mnt:[{shown}]"));
    assert!(ps(&["--ns"]).stdout.contains(shown));
    let wrong = env.coracle(["ps", "--format", "{{.Nmaes}}"]).fails(125);
    assert!(wrong.says(".Nmaes").stdout.is_empty());
    env.coracle(["ps", "--sort", "colour"]).fails(125);
}

#[test]
fn filters() {
    let env = TestEnv::new();
    let one = start(&env, "one", &["-l", "a=1", "-l", "b=1"], IDLE);
    start(&env, "two", &["-l", "a=2"], "exit 4");
    start(&env, "three", &[], "exit 0");
    env.coracle(["wait", "two", "three"]).ok();
    let names = |filters: &[&str]| {
        let mut call = env.coracle(["ps", "-a", "--format", "{{.Names}}"]);
        for filter in filters {
            call = call.args(["--filter", filter]);
        }
        call.ok().lines()
    };
    assert_eq!(names(&["name=t"]), ["two", "three"]);
    assert_eq!(names(&["name=^t.o$"]), ["two"]);
    assert_eq!(names(&["name=one", "name=two"]), ["one", "two"]);
    assert_eq!(names(&[&format!("id={}", &one[..5])]), ["one"]);
    assert_eq!(names(&["label=a"]), ["one", "two"]);
    assert_eq!(names(&["label=a=1"]), ["one"]);
    assert_eq!(names(&["label=a", "label=b"]), ["one"]);
    assert_eq!(names(&["label!=a"]), ["three"]);
    assert_eq!(names(&["exited=4"]), ["two"]);
    assert_eq!(names(&["status=exited"]), ["two", "three"]);
    assert_eq!(names(&["status=running", "status=created"]), ["one"]);
    assert_eq!(names(&["status=exited", "name=one"]), [""; 0]);
    assert_eq!(names(&["before=two"]), ["one"]);
    assert_eq!(names(&["since=two"]), ["three"]);
    assert_eq!(names(&["since=one", "before=three"]), ["two"]);
    assert_eq!(names(&["network=none"]).len(), 3);
    assert_eq!(names(&["until=1h"]), [""; 0]);
    // Without -a, a status asks for more than what runs.
    let exited = env.coracle(["ps", "-q", "--filter", "status=exited"]).ok();
    assert_eq!(exited.lines().len(), 2);
    for wrong in ["colour=red", "name", "exited=x", "status=happy", "name=["] {
        let refused = env.coracle(["ps", "--filter", wrong]).fails(125);
        assert!(refused.says(wrong).stdout.is_empty());
    }
    let refused = env.coracle(["ps", "--filter", "status=happy"]).fails(125);
    refused.says("is not created, running, paused, restarting, exited,");
    env.coracle(["ps", "--filter", "before=nobody"]).fails(125).says("nobody");
}

#[test]
fn images_are_ancestors() {
    let env = TestEnv::with_images();
    env.coracle(["run", "-d", "--name", "web", "--network", "none", "busybox", "sh", "-c", IDLE]).ok();
    let id = env.coracle(["inspect", "--type", "image", "-f", "{{.Id}}", "busybox"]).ok();
    for ancestor in ["busybox", "docker.io/library/busybox:latest", id.text(), &id.text()[..12]] {
        let found = env.coracle(["ps", "-q", "--filter", &format!("ancestor={ancestor}")]).ok();
        assert_eq!(found.lines().len(), 1, "{ancestor}");
    }
    assert!(env.coracle(["ps", "-q", "--filter", "ancestor=alpine"]).ok().stdout.is_empty());
    let size = env.coracle(["ps", "-s", "--format", "{{.Size}}"]).ok();
    assert!(size.text().contains("(virtual ") && !size.text().contains("(virtual 0B)"), "{size}");
    let image = env.coracle(["ps", "--format", "{{.Image}} {{.ImageID}}"]).ok();
    assert_eq!(image.text(), format!("docker.io/library/busybox:latest {}", &id.text()[..12]));
}

#[test]
fn what_others_own_inside_counts() {
    let env = TestEnv::with_images();
    let script = "mkdir /own; head -c 100000 /dev/zero >/own/file; chown 5:5 /own; chmod 0 /own";
    env.coracle(["run", "--name=c", "--network=none", "busybox", "sh", "-c", script]).ok();
    let size = env.coracle(["ps", "-as", "--format", "{{.Size}}"]).ok();
    assert!(size.text().starts_with("100kB (virtual "), "{size}");
    let size = env.coracle(["inspect", "--size", "-f", "{{.SizeRw}}", "c"]).ok();
    assert_eq!(size.text(), "100000");
    env.coracle(["ps", "-a", "--sort", "size"]).ok();
}

#[test]
fn a_killed_monitor_is_noticed_by_every_command() {
    let env = TestEnv::new();
    for name in ["a", "b", "c", "d"] {
        start(&env, name, &[], "sleep 1000");
    }
    start(&env, "gone", &["--rm"], "sleep 1000");
    let pid: i32 = field(&env, "a", "{{.State.Pid}}").parse().unwrap();
    for name in ["a", "b", "c", "d", "gone"] {
        kill_monitor(&env, name);
    }
    // Whichever command comes first finishes the monitor's work.
    assert_eq!(env.coracle(["wait", "d"]).ok().text(), "255");
    assert_eq!(field(&env, "c", "{{.State.Status}} {{.State.ExitCode}}"), "exited 255");
    env.coracle(["stop", "b"]).ok();
    let listed =
        env.coracle(["ps", "-a", "--sort", "names", "--format", "{{.Names}} {{.State}} {{.ExitCode}}"]).ok();
    assert_eq!(listed.lines(), ["a exited 255", "b exited 255", "c exited 255", "d exited 255"]);
    assert!(field(&env, "a", "{{.State.Error}}").contains("monitor died"));
    crate::common::eventually("the payload is gone", || {
        std::fs::read_link(format!("/proc/{pid}/ns/pid")).is_err()
    });
    // The name of the --rm container is free.
    start(&env, "gone", &[], "exit 0");
    env.coracle(["rm", "a"]).ok();
}

#[test]
fn a_reboot_leaves_exited_containers() {
    let env = TestEnv::new();
    let id = start(&env, "web", &[], "sleep 1000");
    kill_monitor(&env, "web");
    let file = env.root().join("containers").join(&id).join("run.json");
    let mut run: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    // Another boot, in which the numbers belong to somebody else: to this very test.
    let own = std::process::id();
    run["boot_id"] = "00000000-0000-0000-0000-000000000000".into();
    run["init"]["pid"] = own.into();
    run["monitor"]["pid"] = own.into();
    std::fs::write(&file, serde_json::to_vec(&run).unwrap()).unwrap();
    // A process that was killed takes a moment to let go of its lock.
    eventually("the end is seen", || env.coracle(["ps", "-a"]).ok().stdout.contains("Exited (255)"));
    assert!(field(&env, "web", "{{.State.Error}}").contains("restarted"));
    env.coracle(["kill", "web"]).fails(125).says("can only kill running containers");
    env.coracle(["rm", "-f", "web"]).ok();
}
