//! `stop`.

use super::ps::{IDLE, field, start};
use crate::common::TestEnv;

#[test]
fn the_stop_signal_is_sent_and_the_exit_code_kept() {
    let env = TestEnv::new();
    start(&env, "web", &["--stop-signal", "USR1"], "trap 'exit 6' USR1; while :; do sleep 0.05; done");
    assert_eq!(env.coracle(["stop", "web"]).ok().text(), "web");
    assert_eq!(field(&env, "web", "{{.State.Status}} {{.State.ExitCode}}"), "exited 6");
    // Once more does no harm.
    assert_eq!(env.coracle(["stop", "web"]).ok().text(), "web");
}

#[test]
fn one_that_does_not_listen_is_killed_when_its_time_is_over() {
    let env = TestEnv::new();
    start(&env, "deaf", &[], "trap '' TERM; while :; do sleep 0.05; done");
    env.coracle(["stop", "-t", "1", "deaf"]).ok();
    assert_eq!(field(&env, "deaf", "{{.State.ExitCode}}"), "137");
    start(&env, "deaf2", &["--stop-timeout", "0"], "trap '' TERM; while :; do sleep 0.05; done");
    env.coracle(["container", "stop", "deaf2"]).ok();
    assert_eq!(field(&env, "deaf2", "{{.State.ExitCode}}"), "137");
}

/// The payload belongs to another id of the host, and yet to the user's own namespace.
#[test]
fn other_users_inside_are_stopped_too() {
    let env = TestEnv::new();
    start(&env, "web", &["-u", "1000:1000"], "trap 'exit 4' TERM; while :; do sleep 0.05; done");
    env.coracle(["stop", "web"]).ok();
    assert_eq!(field(&env, "web", "{{.State.ExitCode}}"), "4");
    start(&env, "deaf", &["-u", "1000"], "trap '' TERM; while :; do sleep 0.05; done");
    env.coracle(["rm", "-f", "-t", "0", "deaf"]).ok();
}

/// Whose turn it is to be waited for makes no difference: each is killed in its time and has its event.
#[test]
fn several_that_do_not_listen_are_killed_together() {
    let env = TestEnv::new();
    let names = ["a", "b", "c", "d"];
    for name in names {
        start(&env, name, &["--stop-timeout=2"], "trap '' TERM; while :; do sleep 0.05; done");
    }
    assert_eq!(env.coracle(["stop"]).args(names).ok().lines(), names);
    let stops = env.coracle(["events", "--stream=false", "--filter=event=stop", "--format={{.Name}}"]).ok();
    let mut told = stops.lines();
    told.sort();
    assert_eq!(told, names);
    for name in names {
        assert_eq!(field(&env, name, "{{.State.ExitCode}}"), "137");
    }
}

#[test]
fn several_at_once_by_every_way_of_naming() {
    let env = TestEnv::new();
    let ids: Vec<String> =
        ["a", "b", "c", "d", "e"].map(|name| start(&env, name, &["-l", "x"], IDLE)).to_vec();
    let cidfile = env.file("cid", format!("{}\n", ids[1]));
    let running = || env.coracle(["ps", "--format", "{{.Names}}"]).ok().lines();
    env.coracle(["stop", "a", "nobody"]).fails(125).says("nobody");
    assert_eq!(running().len(), 5);
    assert_eq!(env.coracle(["stop", "a", &ids[4][..8]]).ok().lines(), ["a", &ids[4][..8]]);
    assert_eq!(running(), ["b", "c", "d"]);
    assert_eq!(env.coracle(["stop", "--cidfile"]).arg(&cidfile).ok().text(), ids[1]);
    assert_eq!(env.coracle(["stop", "--filter", "name=c"]).ok().text(), ids[2]);
    assert_eq!(running(), ["d"]);
    assert_eq!(env.coracle(["stop", "-a"]).ok().text(), ids[3]);
    assert_eq!(running(), [""; 0]);
    assert_eq!(env.coracle(["stop", "-a"]).ok().text(), "");
    env.coracle(["stop", "-l"]).ok();
}

#[test]
fn failures() {
    let env = TestEnv::new();
    env.coracle(["stop"]).fails(125);
    env.coracle(["stop", "nobody"]).fails(125).says("nobody");
    env.coracle(["stop", "-i", "nobody"]).ok();
    env.coracle(["stop", "-a", "nobody"]).fails(125);
    env.coracle(["stop", "-t", "soon", "nobody"]).fails(125);
    env.coracle(["stop", "--cidfile", "/nonexistent/file"]).fails(125).says("/nonexistent/file");
}

/// docker's: another signal for this time.
#[test]
fn a_signal_of_ones_own_is_sent_first() {
    let env = TestEnv::new();
    let script = "trap 'exit 7' USR1; while :; do sleep 0.05; done";
    for (name, words) in [("a", &["stop", "-s", "USR1"][..]), ("b", &["stop", "--signal=USR1", "-t", "100"])]
    {
        start(&env, name, &[], script);
        env.coracle(words).arg(name).ok();
        assert_eq!(field(&env, name, "{{.State.ExitCode}}"), "7");
    }
    env.coracle(["stop", "-s", "WAT", "a"]).fails(125).says("WAT");
}
