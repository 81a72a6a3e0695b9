//! `run --restart`: who is started again, and who is not.

use super::ps::{IDLE, field, kill_monitor, start};
use crate::common::{TestEnv, eventually};
use std::net::{TcpListener, TcpStream};

/// Counts its runs in `/runs` and ends with `code`.
fn counting(code: u8) -> String {
    format!("echo x >>/runs; exit {code}")
}

fn runs(env: &TestEnv) -> usize {
    std::fs::read_to_string(env.path().join("rootfs/runs")).unwrap_or_default().lines().count()
}

fn state(env: &TestEnv, name: &str) -> String {
    field(env, name, "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}")
}

#[test]
fn failures_are_tried_again_as_often_as_asked() {
    let env = TestEnv::new();
    start(&env, "twice", &["--restart", "on-failure:2"], &counting(3));
    eventually("it has given up", || state(&env, "twice") == "exited 3 2");
    assert_eq!(runs(&env), 3);
    assert_eq!(field(&env, "twice", "{{.HostConfig.RestartPolicy.Name}}"), "on-failure");
    assert_eq!(field(&env, "twice", "{{.HostConfig.RestartPolicy.MaximumRetryCount}}"), "2");
    // Success is not repeated.
    start(&env, "once", &["--restart", "on-failure"], &counting(0));
    eventually("it has ended", || state(&env, "once") == "exited 0 0");
    assert_eq!(runs(&env), 4);
}

/// A pause is a state of its own: shown, and ended by everything that ends a container.
#[test]
fn between_two_runs_a_container_is_restarting() {
    let env = TestEnv::new();
    let pausing = |name: &str| {
        start(&env, name, &["--restart", "always"], &counting(7));
        // The pauses double, so that soon one is long enough to be met.
        eventually("it pauses", || state(&env, name).starts_with("restarting 7"));
        eventually("the pauses are long", || {
            field(&env, name, "{{.RestartCount}}").parse::<u32>().unwrap() >= 4
        });
        eventually("it pauses", || state(&env, name).starts_with("restarting 7"));
    };
    pausing("web");
    let row = env.coracle(["ps", "--format", "{{.Names}} {{.State}} {{.Status}}"]).ok();
    assert!(row.stdout.starts_with("web restarting Restarting (7) "), "{row}");
    assert_eq!(env.coracle(["ps", "-q", "-f", "status=restarting"]).ok().lines().len(), 1);
    env.coracle(["rm", "web"]).fails(2).says("restarting");
    env.coracle(["exec", "web", "true"]).fails(255);
    env.coracle(["stop", "web"]).ok();
    assert!(state(&env, "web").starts_with("exited 7"), "{}", state(&env, "web"));
    let done = runs(&env);
    env.coracle(["rm", "web"]).ok();
    pausing("web");
    env.coracle(["rm", "-f", "web"]).ok();
    assert!(env.containers().is_empty());
    pausing("web");
    env.coracle(["kill", "web"]).ok();
    assert!(state(&env, "web").starts_with("exited"), "{}", state(&env, "web"));
    assert!(runs(&env) > done);
    env.coracle(["rm", "web"]).ok();
    // Without its monitor it is one that ended.
    pausing("web");
    kill_monitor(&env, "web");
    eventually("it is seen", || state(&env, "web").starts_with("exited 7"));
    env.coracle(["rm", "web"]).ok();
}

/// What is stopped stays stopped, whatever the policy.
#[test]
fn a_stop_is_final() {
    let env = TestEnv::new();
    for end in
        [&["stop", "web"][..], &["stop", "-t", "0", "web"], &["kill", "web"], &["kill", "-s", "TERM", "web"]]
    {
        start(&env, "web", &["--restart", "always"], IDLE);
        env.coracle(end).ok();
        env.coracle(["wait", "web"]).ok();
        assert!(state(&env, "web").starts_with("exited"), "{end:?}: {}", state(&env, "web"));
        env.coracle(["rm", "web"]).ok();
    }
    // A signal for the payload's own use is no stop.
    let script = "trap 'exit 4' USR1; echo x >>/runs; while :; do sleep 0.05; done";
    start(&env, "web", &["--restart", "unless-stopped"], script);
    eventually("it runs", || runs(&env) == 1);
    env.coracle(["kill", "-s", "USR1", "web"]).ok();
    eventually("it runs again", || runs(&env) == 2);
    eventually("it is seen", || state(&env, "web") == "running 0 1");
}

/// The note of a stop comes before its signal: whoever is killed after it, nothing is started again.
#[test]
fn a_stop_that_is_killed_is_final_too() {
    let env = TestEnv::new();
    start(&env, "web", &["--restart", "always"], "trap 'sleep 1; exit 5' TERM; while :; do sleep 0.05; done");
    let stop = env.coracle(["stop", "-t", "30", "web"]).start();
    let id = field(&env, "web", "{{.Id}}");
    eventually("the stop is noted", || env.root().join("containers").join(&id).join("stop").exists());
    eventually("it is stopped or about to be", || {
        stop.signal(nix::sys::signal::Signal::SIGKILL);
        true
    });
    stop.wait();
    env.coracle(["kill", "-s", "TERM", "web"]).run();
    env.coracle(["wait", "web"]).ok();
    assert!(state(&env, "web").starts_with("exited 5"), "{}", state(&env, "web"));
}

/// The same port after a restart, a free one of the kernel's choice as well, and new namespaces.
#[test]
fn ports_and_output_outlive_a_restart() {
    let env = TestEnv::new();
    let script = "echo begin; trap 'exit 1' USR1; nc -l -p 80 -e echo hello & while :; do sleep 0.05; done";
    let id = env
        .coracle(["run", "-d", "--name", "web", "--restart", "always", "-p", "127.0.0.1::80", "--rootfs"])
        .arg(env.busybox_rootfs())
        .args(["sh", "-c", script])
        .run();
    if id.code != 0 && id.stderr.contains("slirp4netns") {
        eprintln!("skipped: {}", id.stderr);
        return;
    }
    let port = || env.coracle(["ps", "-a", "--format", "{{.Ports}}"]).ok().text().to_owned();
    let before = port();
    let number: u16 = before.split([':', '-']).nth(1).unwrap().parse().unwrap();
    env.coracle(["kill", "-s", "USR1", "web"]).ok();
    eventually("it runs again", || state(&env, "web") == "running 0 1");
    assert_eq!(port(), before);
    eventually("it can be reached", || TcpStream::connect(("127.0.0.1", number)).is_ok());
    let log = || env.coracle(["logs", "web"]).ok().stdout;
    eventually("both runs are in the log", || log().matches("begin").count() == 2);
    env.coracle(["rm", "-f", "-t", "0", "web"]).ok();
    TcpListener::bind(("127.0.0.1", number)).unwrap();
}

/// As with podman the command is attached to the first run and gives the code of the last.
#[test]
fn an_attached_command_gives_the_code_of_the_last_run() {
    let env = TestEnv::new();
    let script = "echo out; echo x >>/codes; exit $(grep -c x /codes)";
    let call = |rm: &str| {
        let call = env.coracle(["run", rm, "--name", "a", "--network", "none", "--restart", "on-failure:2"]);
        call.arg("--rootfs").arg(env.busybox_rootfs()).args(["sh", "-c", script])
    };
    assert_eq!(call("--rm=false").fails(3).stdout, "out\n");
    assert_eq!(state(&env, "a"), "exited 3 2");
    assert_eq!(env.coracle(["start", "-a", "a"]).fails(6).stdout, "out\n");
    env.coracle(["rm", "a"]).ok();
    assert_eq!(call("--rm").fails(9).stdout, "out\n");
    assert!(env.containers().is_empty());
    // One that gets well ends well.
    let well = "test -e /well && exit 0; touch /well; exit 1";
    let call =
        env.coracle(["run", "--name", "b", "--network", "none", "--restart", "on-failure", "--rootfs"]);
    call.arg(env.busybox_rootfs()).args(["sh", "-c", well]).ok();
    env.coracle(["rm", "b"]).ok();
    // `--rm` removes what has given up.
    let call = env.coracle([
        "run",
        "--rm",
        "-d",
        "--network",
        "none",
        "--name",
        "b",
        "--restart",
        "on-failure:1",
        "--rootfs",
    ]);
    call.arg(env.busybox_rootfs()).args(["sh", "-c", &counting(6)]).ok();
    eventually("it is gone", || env.containers().is_empty());
    assert_eq!(runs(&env), 2);
}

#[test]
fn a_monitor_that_is_told_to_end_restarts_nothing() {
    let env = TestEnv::new();
    start(&env, "web", &["--restart", "always"], IDLE);
    let pid: i32 = field(&env, "web", "{{.State.ConmonPid}}").parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).unwrap();
    eventually("it has ended", || state(&env, "web") == "exited 0 0");
}

#[test]
fn policies_are_checked() {
    let env = TestEnv::new();
    for bad in ["wat", "always:3", "on-failure:x"] {
        env.coracle(["run", "--restart", bad, "--rootfs", "/:O", "true"]).fails(125).says("restart policy");
    }
    for bad in ["always", "unless-stopped"] {
        env.coracle(["run", "--rm", "--restart", bad, "--rootfs", "/:O", "true"]).fails(125).says("--rm");
    }
}
