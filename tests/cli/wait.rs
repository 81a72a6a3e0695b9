//! `wait`.

use super::ps::{IDLE, start};
use crate::common::{TestEnv, eventually};

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

#[test]
fn a_container_that_removes_itself_is_waited_for() {
    let env = TestEnv::new();
    start(&env, "web", &["--rm"], "trap 'exit 5' TERM; while :; do sleep 0.05; done");
    let waiting = env.coracle(["wait", "web"]).start();
    eventually("wait watches", || {
        std::fs::read_dir(format!("/proc/{}/fd", waiting.pid())).is_ok_and(|fds| {
            fds.flatten()
                .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.ends_with("anon_inode:inotify")))
        })
    });
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
    assert_eq!(output.text(), "1");
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
