//! `kill`.

use super::ps::{IDLE, field, start};
use crate::common::{TestEnv, eventually};

#[test]
fn kill_ends_a_container_before_it_returns() {
    let env = TestEnv::new();
    start(&env, "web", &[], "trap '' TERM HUP; while :; do sleep 0.05; done");
    assert_eq!(env.coracle(["kill", "web"]).ok().text(), "web");
    assert_eq!(field(&env, "web", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
    env.coracle(["kill", "web"]).fails(125).says("can only kill running containers");
}

#[test]
fn any_signal_reaches_the_first_process() {
    let env = TestEnv::new();
    start(
        &env,
        "web",
        &[],
        "trap 'echo got hup' HUP; trap 'exit 8' USR2; echo up; while :; do sleep 0.05; done",
    );
    let log = || env.coracle(["logs", "web"]).ok().stdout;
    eventually("the traps are set", || log() == "up\n");
    env.coracle(["kill", "--signal", "sighup", "web"]).ok();
    eventually("the signal arrives", || log() == "up\ngot hup\n");
    env.coracle(["container", "kill", "-s", "12", "web"]).ok();
    assert_eq!(env.coracle(["wait", "web"]).ok().text(), "8");
}

#[test]
fn several_and_all() {
    let env = TestEnv::new();
    start(&env, "a", &[], IDLE);
    start(&env, "b", &[], IDLE);
    let c = start(&env, "c", &["--rm"], IDLE);
    assert_eq!(env.coracle(["kill", "nobody", "a"]).fails(125).says("nobody").stdout, "");
    assert_eq!(env.called("docker", ["kill", "nobody", "a"]).fails(1).says("nobody").text(), "a");
    let all = env.coracle(["kill", "-a"]).ok();
    assert_eq!(all.lines().len(), 2);
    assert!(all.stdout.contains(&c));
    assert_eq!(env.coracle(["ps", "-a", "--format", "{{.Names}}"]).ok().lines(), ["a", "b"]);
    assert_eq!(env.coracle(["kill", "-a"]).ok().text(), "");
}

#[test]
fn failures() {
    let env = TestEnv::new();
    env.coracle(["kill"]).fails(125);
    env.coracle(["kill", "nobody"]).fails(125).says("nobody");
    for signal in ["0", "65", "WRONG", ""] {
        env.coracle(["kill", "-s", signal, "nobody"]).fails(125).says("signal");
    }
}
