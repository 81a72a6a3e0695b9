//! `wait`.

use super::ps::{IDLE, field, kill_monitor, start};
use crate::common::{Running, TestEnv, eventually};
use std::path::PathBuf;

#[test]
fn exit_codes_come_in_the_order_of_the_names() {
    let env = TestEnv::new();
    start(&env, "a", &[], "sleep 0.3; exit 3");
    let b = start(&env, "b", &[], "exit 4");
    start(&env, "c", &[], "kill -KILL $$; sleep 9");
    assert_eq!(env.coracle(["wait", "a", &b[..12], "a"]).ok().lines(), ["3", "4", "3"]);
    env.coracle(["kill", "c"]).run();
    assert_eq!(env.coracle(["container", "wait", "--latest"]).ok().text(), "137");
}

#[test]
fn waiting_ends_when_the_container_does() {
    let env = TestEnv::new();
    start(&env, "web", &[], "trap 'exit 9' USR1; while :; do sleep 0.05; done");
    let mut waiting = env.coracle(["wait", "-i", "1s", "web"]).start();
    let running = env.coracle(["wait", "--condition", "running", "web"]).ok();
    assert_eq!(running.text(), "-1");
    assert!(!waiting.has_ended());
    env.coracle(["kill", "-s", "USR1", "web"]).ok();
    let output = waiting.wait();
    assert_eq!((output.code, output.text()), (0, "9"));
}

/// Whether a process has something open whose name ends like this.
fn holds(pid: i32, end: &str) -> bool {
    std::fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|fds| {
        let names = fds.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok());
        names.into_iter().any(|name| name.to_string_lossy().ends_with(end))
    })
}

/// Of several conditions the first one that holds ends the wait.
#[test]
fn what_health_checks_find_is_waited_for() {
    let env = TestEnv::new();
    let check = ["--health-cmd", "test -e /well", "--health-interval", "200ms", "--health-retries", "1"];
    start(&env, "web", &check, IDLE);
    let unhealthy = env.coracle(["wait", "--condition", "unhealthy", "--condition=healthy", "web"]).ok();
    assert_eq!(unhealthy.text(), "-1");
    assert_eq!(field(&env, "web", "{{.State.Health.Status}}"), "unhealthy");
    let waiting = env.coracle(["wait", "--condition=exited,healthy", "web"]).start();
    env.coracle(["healthcheck", "run", "web"]).fails(1);
    env.coracle(["healthcheck", "run", "--ignore-result", "web"]).ok();
    env.coracle(["exec", "web", "touch", "/well"]).ok();
    assert_eq!(waiting.wait().text(), "-1");
    start(&env, "plain", &[], IDLE);
    env.coracle(["wait", "--condition=healthy", "plain"]).fails(125).says("no health check");
    env.coracle(["stop", "-t", "0", "web", "plain"]).ok();
}

#[test]
fn a_container_that_removes_itself_is_waited_for() {
    let env = TestEnv::new();
    start(&env, "web", &["--rm"], "trap 'exit 5' TERM; while :; do sleep 0.05; done");
    let waiting = env.coracle(["wait", "web"]).start();
    eventually("wait watches", || holds(waiting.pid(), ".end"));
    env.coracle(["stop", "web"]).ok();
    assert_eq!(waiting.wait().text(), "5");
    // Stopped means gone: the name is free at once.
    start(&env, "web", &[], "exit 0");
}

#[test]
fn failures() {
    let env = TestEnv::new();
    env.coracle(["wait"]).fails(125);
    env.coracle(["wait", "nobody"]).fails(125).says("nobody");
    assert_eq!(env.coracle(["wait", "--ignore", "nobody"]).ok().text(), "-1");
    env.coracle(["wait", "--condition", "happy", "x"]).fails(125);
    start(&env, "web", &[], IDLE);
    start(&env, "job", &[], "exit 1");
    let output = env.coracle(["wait", "nobody", "job"]).fails(125).says("nobody");
    // As in podman, all are looked up before any is waited for; docker waits for the others.
    assert_eq!(output.text(), "");
    assert_eq!(env.called("docker", ["wait", "nobody", "job"]).fails(1).says("nobody").text(), "1");
}

#[test]
fn the_first_of_several_is_enough() {
    let env = TestEnv::new();
    start(&env, "web", &[], IDLE);
    start(&env, "job", &[], "sleep 0.3; exit 4");
    let first = ["wait", "--exit-first-match", "web", "job"];
    assert_eq!(env.coracle(first).ok().text(), "4");
    assert_eq!(field(&env, "web", "{{.State.Running}}"), "true");
    // One that removes itself has a code all the same.
    start(&env, "gone", &["--rm"], "sleep 0.3; exit 5");
    let code = env.coracle(["wait", "--exit-first-match", "web", "gone"]).ok();
    assert_eq!(code.text(), "5");
    let running = ["wait", "--exit-first-match", "--condition=running", "--ignore", "nobody", "web"];
    assert_eq!(env.coracle(running).ok().text(), "-1");
    env.coracle(["wait", "--exit-first-match", "web", "nobody"]).fails(125).says("nobody");
    assert_eq!(env.coracle(["wait", "--exit-first-match", "--ignore", "nobody"]).ok().text(), "-1");
}

/// Waiters that hold what hangs up, and no inotify descriptor, which is slow to close.
fn waiters(env: &TestEnv, name: &str, count: usize) -> Vec<Running> {
    let waiters: Vec<Running> = (0..count).map(|_| env.coracle(["wait", name]).start()).collect();
    for waiter in &waiters {
        eventually("wait waits", || holds(waiter.pid(), ".end"));
        assert!(!holds(waiter.pid(), "inotify"));
    }
    waiters
}

/// The names of pipes that hang up, below the runtime directory.
fn pipes(env: &TestEnv) -> Vec<PathBuf> {
    let all = std::fs::read_dir(env.runroot().join("c")).unwrap().flatten().map(|entry| entry.path());
    all.filter(|path| path.extension().is_some_and(|end| end == "end")).collect()
}

#[test]
fn all_who_wait_are_told_whatever_way_the_run_ends() {
    let env = TestEnv::new();
    start(&env, "web", &["--stop-signal=KILL"], IDLE);
    let all = waiters(&env, "web", 5);
    env.coracle(["stop", "web"]).ok();
    assert!(all.into_iter().all(|waiter| waiter.wait().text() == "137"));
    assert!(pipes(&env).is_empty());

    start(&env, "lost", &[], IDLE);
    let all = waiters(&env, "lost", 5);
    kill_monitor(&env, "lost");
    assert!(all.into_iter().all(|waiter| waiter.wait().text() == "255"));
    // What the killed one left is the next one's.
    env.coracle(["start", "lost"]).ok();
    assert_eq!(pipes(&env).len(), 1);
    let all = waiters(&env, "lost", 2);
    env.coracle(["kill", "lost"]).ok();
    assert!(all.into_iter().all(|waiter| waiter.wait().text() == "137"));

    start(&env, "gone", &["--rm"], IDLE);
    let all = waiters(&env, "gone", 3);
    kill_monitor(&env, "gone");
    assert!(all.into_iter().all(|waiter| waiter.wait().text() == "255"));
    eventually("nothing is left", || pipes(&env).is_empty());
}

/// A monitor that starts its container again goes on living.
#[test]
fn the_end_of_one_run_of_several_is_an_end() {
    let env = TestEnv::new();
    start(&env, "again", &["--restart=always"], "while ! [ -e /end ]; do sleep 0.02; done; rm /end; exit 3");
    let all = waiters(&env, "again", 3);
    // The end may take it along.
    env.coracle(["exec", "again", "touch", "/end"]).run();
    assert!(all.into_iter().all(|waiter| waiter.wait().text() == "3"));
    eventually("it runs again", || {
        field(&env, "again", "{{.State.Status}} {{.RestartCount}}") == "running 1"
    });
    let all = waiters(&env, "again", 3);
    env.coracle(["stop", "-t=0", "again"]).ok();
    assert!(all.into_iter().all(|waiter| waiter.wait().text() == "137"));
}

/// A runtime directory that was wiped, at logout say, takes no end with it.
#[test]
fn without_the_pipe_the_directory_is_watched() {
    let env = TestEnv::new();
    start(&env, "web", &["--stop-signal=KILL"], IDLE);
    pipes(&env).into_iter().for_each(|pipe| std::fs::remove_file(pipe).unwrap());
    let waiting = env.coracle(["wait", "web"]).start();
    eventually("wait watches", || holds(waiting.pid(), "inotify"));
    env.coracle(["stop", "web"]).ok();
    assert_eq!(waiting.wait().text(), "137");
    start(&env, "other", &[], IDLE);
    pipes(&env).into_iter().for_each(|pipe| std::fs::remove_file(pipe).unwrap());
    env.coracle(["rm", "-f", "-t=0", "other"]).ok();
}

#[test]
fn the_end_of_one_that_somebody_else_starts_is_seen() {
    let env = TestEnv::new();
    env.coracle(["create", "--name=late", "--network=none", "--rootfs"])
        .arg(env.busybox_rootfs())
        .args(["sh", "-c", "exit 8"])
        .ok();
    let mut waiting = env.coracle(["wait", "--condition=exited", "late"]).start();
    eventually("wait watches", || holds(waiting.pid(), "inotify"));
    assert!(!waiting.has_ended());
    env.coracle(["start", "late"]).ok();
    assert_eq!(waiting.wait().text(), "8");
}

#[test]
fn the_interval_is_read_as_podman_reads_it() {
    let env = TestEnv::new();
    start(&env, "web", &[], "exit 3");
    for good in ["250", "10ms", "1m30s"] {
        assert_eq!(env.coracle(["wait", "--interval", good, "web"]).ok().text(), "3", "{good}");
    }
    env.coracle(["wait", "-i", "often", "web"]).fails(125).says("often").says("Hint:");
}
