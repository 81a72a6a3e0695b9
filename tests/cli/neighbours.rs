//! Neighbours that are slow, stopped, killed or hostile: nobody else waits for them or loses by them.

use crate::common::{Call, TestEnv, compiled, eventually, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const IDLE: &[&str] = &["busybox", "sleep", "1000"];

/// `run -d` without a network.
fn start(env: &TestEnv, options: &[&str], command: &[&str]) -> Call {
    env.coracle(["run", "-d", "--network=none"]).args(options).args(command)
}

fn field(env: &TestEnv, name: &str, field: &str) -> String {
    env.coracle(["inspect", name, "--format", &format!("{{{{{field}}}}}")]).run().text().to_owned()
}

fn pid(env: &TestEnv, name: &str, of: &str) -> Pid {
    Pid::from_raw(field(env, name, of).parse().unwrap())
}

fn monitor(env: &TestEnv, name: &str) -> Pid {
    pid(env, name, ".State.ConmonPid")
}

/// The monitor dies as by the OOM killer; the payload goes with it.
fn lose_monitor(env: &TestEnv, name: &str) {
    let payload = pid(env, name, ".State.Pid");
    kill(monitor(env, name), Signal::SIGKILL).unwrap();
    eventually("the payload is gone", || kill(payload, None).is_err());
}

/// A command with its output to be read by the test, now or later.
fn unread(call: Call) -> Child {
    call.into_command().stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).unwrap();
}

/// Reads what is left of its output; gives it with the exit code.
fn rest(mut child: Child) -> (String, Option<i32>) {
    let mut bytes = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
    (String::from_utf8_lossy(&bytes).into_owned(), child.wait().unwrap().code())
}

/// Runs a command that must not take longer.
#[track_caller]
fn within(seconds: u64, call: Call) -> crate::common::Output {
    let begun = Instant::now();
    let output = call.run();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(seconds), "it took {took:?}: {output}");
    output
}

/// As [`within`], and it succeeds.
#[track_caller]
fn soon(seconds: u64, call: Call) -> crate::common::Output {
    let output = within(seconds, call);
    assert_eq!(output.code, 0, "{output}");
    output
}

fn mounted(path: &Path) -> String {
    format!("{}:/{}:ro", path.display(), path.file_name().unwrap().to_string_lossy())
}

#[test]
fn a_stopped_client_holds_up_neither_kill_nor_start() {
    let env = TestEnv::with_images();
    let client = unread(env.coracle(["run", "--name=c", "--network=none", "busybox", "yes"]));
    eventually("it runs", || field(&env, "c", ".State.Status") == "running");
    signal(&client, Signal::SIGSTOP);
    // Until every buffer is full.
    std::thread::sleep(Duration::from_millis(500));
    let exec = unread(env.coracle(["exec", "c", "yes"]));
    std::thread::sleep(Duration::from_millis(300));
    signal(&exec, Signal::SIGSTOP);
    for _ in 0..2 {
        soon(10, env.coracle(["kill", "c"]));
        soon(10, env.coracle(["start", "c"]));
    }
    soon(10, env.coracle(["restart", "-t=0", "c"]));
    // They get what was theirs all the same, and the exit code of their run.
    for client in [client, exec] {
        signal(&client, Signal::SIGCONT);
        let (text, code) = rest(client);
        assert!(text.len() > 100_000 && text.lines().all(|line| line.is_empty() || line == "y"));
        assert_eq!(code, Some(137));
    }
    assert_eq!(field(&env, "c", ".State.Status"), "running");
}

#[test]
fn a_reader_that_takes_its_time_loses_nothing_and_holds_up_nobody() {
    let env = TestEnv::with_images();
    let numbers = ["busybox", "seq", "1", "100000"];
    for option in ["--restart=no", "--restart=on-failure", "--rm"] {
        let run = ["run", option, "--name=c", "--network=none", "-v=vol:/v"];
        let client = unread(env.coracle(run).args(numbers));
        eventually("it is made", || env.coracle(["volume", "exists", "vol"]).run().code == 0);
        let over = if option == "--rm" { "" } else { "exited" };
        eventually("it has ended, though nobody reads", || field(&env, "c", ".State.Status") == over);
        if option != "--rm" {
            soon(10, env.coracle(["start", "c"]));
            soon(10, env.coracle(["rm", "-f", "c"]));
        }
        soon(10, env.coracle(["volume", "rm", "vol"]));
        let (text, code) = rest(client);
        assert!(text.lines().map(str::parse).eq((1..=100_000).map(Ok)), "{option}: {}", text.len());
        assert_eq!(code, Some(0), "{option}");
    }
}

#[test]
fn an_attached_client_that_does_not_read_is_let_go_when_others_wait() {
    let env = TestEnv::with_images();
    let script = "read go </go; yes | head -c 8000000; echo over; exec sleep 1000";
    let prepare = format!("mkfifo /go; {script}");
    start(&env, &["--name=c"], &["busybox", "sh", "-c", &prepare]).ok();
    let attach = || env.coracle(["attach", "--no-stdin", "--sig-proxy=false", "c"]);
    let mut slow = attach().into_command();
    let slow = slow.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut reader = unread(attach());
    std::thread::sleep(Duration::from_millis(500));
    signal(&slow, Signal::SIGSTOP);
    env.coracle(["exec", "c", "sh", "-c", "echo go >/go"]).ok();
    let mut seen = Vec::new();
    let mut chunk = vec![0; 1 << 16];
    let mut out = reader.stdout.take().unwrap();
    while !seen.ends_with(b"over\n") {
        let length = out.read(&mut chunk).unwrap();
        assert_ne!(length, 0, "it ended after {} bytes", seen.len());
        seen.extend_from_slice(&chunk[..length]);
    }
    assert_eq!(seen.len(), 8_000_005);
    // The one that was let go is told, and waits for the end.
    signal(&slow, Signal::SIGCONT);
    let slow = std::thread::spawn(move || slow.wait_with_output().unwrap());
    std::thread::sleep(Duration::from_millis(500));
    env.coracle(["kill", "c"]).ok();
    let slow = slow.join().unwrap();
    assert_eq!(slow.status.code(), Some(137));
    assert!(String::from_utf8_lossy(&slow.stderr).contains("coracle logs c"), "{slow:?}");
    assert_eq!(reader.wait().unwrap().code(), Some(137));
}

/// What goes on writing into the streams of a payload that has ended does not hold up its end.
#[test]
fn a_flood_that_outlives_the_payload_does_not_hold_up_its_end() {
    let env = TestEnv::with_images();
    start(&env, &["--name=main"], IDLE).ok();
    let script = "yes & yes & sleep 0.3; exit 4";
    for pids in ["--pid=container:main", "--pid=host"] {
        let run = ["run", "--rm", "--network=none", "-a=stderr", pids, "busybox", "sh", "-c", script];
        assert_eq!(within(20, env.coracle(run)).code, 4, "{pids}");
    }
}

#[test]
fn a_lost_rm_container_keeps_neither_name_nor_volume_nor_image() {
    let env = TestEnv::with_images();
    let lose = |name: &str, options: &[&str]| {
        start(&env, &["--rm", "--name", name], &[]).args(options).args(IDLE).ok();
        lose_monitor(&env, name);
    };
    lose("a", &["-v=vol:/v"]);
    env.coracle(["volume", "rm", "vol"]).ok();
    lose("a", &["-v=vol:/v"]);
    assert_eq!(env.coracle(["volume", "prune", "-a", "-f"]).ok().text(), "vol");
    for verb in ["run", "create"] {
        lose("a", &[]);
        env.coracle([verb, "--rm", "--name=a", "--network=none", "busybox", "true"]).ok();
        env.coracle(["rm", "-f", "-i", "a"]).ok();
    }
    lose("a", &[]);
    env.coracle(["create", "--name=b", "busybox"]).ok();
    env.coracle(["rename", "b", "a"]).ok();
    env.coracle(["rm", "a"]).ok();
    lose("a", &[]);
    env.coracle(["container", "exists", "a"]).fails(1);
    lose("a", &[]);
    for option in ["--network=container:a", "--pid=container:a", "--requires=a", "--volumes-from=a"] {
        env.coracle(["run", "--rm", option, "busybox", "true"]).fails(125).says("no container with name");
    }
    lose("a", &[]);
    env.coracle(["start", "a"]).fails(125).says("removed");
    assert!(env.containers().is_empty());
}

#[test]
fn a_lost_rm_container_does_not_keep_its_image() {
    let env = TestEnv::with_images();
    for verb in [&["rmi", "mine:1"][..], &["image", "prune", "-a", "-f"]] {
        env.coracle(["create", "--name=base", "busybox", "sleep", "1000"]).ok();
        env.coracle(["commit", "-q", "-c", "LABEL a=b", "base", "mine:1"]).ok();
        env.coracle(["rm", "base"]).ok();
        start(&env, &["--rm", "--name=a"], &["mine:1", "sleep", "1000"]).ok();
        lose_monitor(&env, "a");
        env.coracle(verb).ok();
        env.coracle(["image", "exists", "mine:1"]).fails(1);
    }
}

/// Until the pause before the next restart is long: seconds.
fn wait_for_a_long_pause(env: &TestEnv, name: &str) {
    let count = || field(env, name, ".RestartCount").parse::<u32>().unwrap_or(0);
    eventually("it has failed often", || count() >= 5);
    eventually("it waits", || field(env, name, ".State.Status") == "restarting");
}

#[test]
fn the_files_of_a_container_that_waits_to_be_restarted_are_at_hand() {
    let env = TestEnv::with_images();
    env.file("bound/file", "bound");
    let bind = format!("{}:/bound", env.path().join("bound").display());
    let options = ["--name=c", "--restart=always", "-v=vol:/vol", "-v", &bind, "--mount=type=tmpfs,dst=/mem"];
    start(&env, &options, &["busybox", "sh", "-c", "echo $RANDOM >>/wrote; echo in >/vol/in; exit 1"]).ok();
    wait_for_a_long_pause(&env, "c");
    env.file("new", "new");
    let copy = |from: &str, to: &str| soon(8, env.coracle(["cp", from, to]));
    copy("c:/etc/passwd", "passwd");
    copy("c:/vol/in", "in");
    copy("c:/bound/file", "file");
    copy("new", "c:/new");
    copy("new", "c:/vol/new");
    copy("c:/vol/new", "back");
    let read = |name: &str| std::fs::read_to_string(env.path().join(name)).unwrap();
    assert_eq!((read("in").as_str(), read("file").as_str(), read("back").as_str()), ("in\n", "bound", "new"));
    assert!(read("passwd").contains("root"));
    soon(8, env.coracle(["export", "-o", "all.tar", "c"]));
    soon(8, env.coracle(["commit", "-q", "--pause=false", "c", "made"]));
    soon(8, env.coracle(["commit", "-q", "--squash", "c", "flat"]));
    let changed = within(8, env.coracle(["diff", "c"]));
    assert!(changed.stdout.contains("A /new") && changed.stdout.contains("A /wrote"), "{changed}");
    // The very files that it goes on with.
    env.coracle(["update", "--restart=no", "c"]).ok();
    env.coracle(["stop", "-t=0", "c"]).ok();
    for image in ["made", "flat"] {
        let shown = ["run", "--rm", "--network=none", image, "cat", "/new"];
        assert_eq!(env.coracle(shown).ok().stdout, "new");
    }
    copy("c:/new", "again");
    copy("c:/vol/new", "again");
}

/// It may start at any moment meanwhile, and end again.
#[test]
fn copies_work_however_often_the_container_restarts() {
    let env = TestEnv::with_images();
    let options = ["--name=c", "--restart=always", "-v=vol:/vol"];
    start(&env, &options, &["busybox", "sh", "-c", "echo in >/vol/in; sleep 0.05; exit 1"]).ok();
    for _ in 0..25 {
        soon(15, env.coracle(["cp", "c:/vol/in", "in"]));
        soon(15, env.coracle(["cp", "in", "c:/in"]));
    }
}

#[test]
fn a_container_between_its_making_and_its_start_is_not_pruned() {
    let env = TestEnv::with_images();
    for point in ["create.recorded", "run.made"] {
        let run =
            ["run", "--name=c", "--network=none", "-v=vol:/v", "-v=/anonymous", "busybox", "echo", "ran"];
        let run = env.coracle(run).env("CORACLE_FAILPOINT", format!("{point}=pause:2500")).start();
        eventually("it is made", || env.coracle(["container", "exists", "c"]).run().code == 0);
        assert_eq!(env.coracle(["container", "prune", "-f"]).ok().text(), "");
        if point == "run.made" {
            env.coracle(["system", "prune", "-f", "--volumes"]).ok();
        }
        env.coracle(["rm", "c"]).fails(2).says("starting");
        let run = run.wait();
        assert_eq!((run.code, run.stdout.as_str()), (0, "ran\n"), "{run}");
        assert_eq!(env.coracle(["container", "prune", "-f"]).ok().lines().len(), 1);
    }
    // Nor one that is started once more.
    env.coracle(["create", "--name=c", "--network=none", "busybox", "sleep", "1000"]).ok();
    let started = env.coracle(["start", "c"]).env("CORACLE_FAILPOINT", "start.claimed=pause:1500").start();
    std::thread::sleep(Duration::from_millis(500));
    env.coracle(["container", "prune", "-f"]).ok();
    assert_eq!(started.wait().code, 0);
}

#[test]
fn a_claim_ends_with_its_command() {
    let env = TestEnv::with_images();
    let run = ["run", "--name=c", "--network=none", "busybox", "true"];
    env.coracle(run).env("CORACLE_FAILPOINT", "run.made=kill").fails(137);
    env.coracle(["rm", "c"]).ok();
    // A client that is stopped claims nothing any more.
    let client = unread(env.coracle(["run", "--name=c", "--network=none", "busybox", "true"]));
    signal(&client, Signal::SIGSTOP);
    signal(&client, Signal::SIGCONT);
    let (_, code) = rest(client);
    assert_eq!(code, Some(0));
    env.coracle(["rm", "c"]).ok();
}

#[test]
fn a_forced_removal_wins_over_a_start() {
    let env = TestEnv::with_images();
    for (point, pause) in [("create.recorded", 300), ("run.made", 300), ("run.made", 4000), ("none", 0)] {
        let run = ["run", "--rm", "--name=c", "--network=none", "busybox", "sleep", "1000"];
        let run = env.coracle(run).env("CORACLE_FAILPOINT", format!("{point}=pause:{pause}")).start();
        eventually("it is made", || env.coracle(["container", "exists", "c"]).run().code == 0);
        soon(8, env.coracle(["rm", "-f", "-t=0", "c"]));
        let run = run.wait();
        assert!(
            run.code == 137 || run.stderr.contains("was removed in the meantime"),
            "{point} {pause}: {run}"
        );
        assert!(!run.stderr.contains("alive lock") && !run.stderr.contains("plan.json"), "{run}");
        assert!(env.containers().is_empty());
    }
}

#[test]
fn a_lock_on_a_volume_from_inside_holds_up_nobody() {
    let env = TestEnv::with_images();
    let lock = compiled("lock");
    env.coracle(["volume", "create", "v"]).ok();
    start(&env, &["--name=a", "-v=v:/v", "-v", &mounted(&lock)], &["busybox", "/lock"]).ok();
    eventually("it has the lock", || env.coracle(["logs", "a"]).run().stdout.contains("locked"));
    assert_eq!(within(15, start(&env, &["--name=b", "-v=v:/v"], &["busybox", "true"])).code, 0);
    soon(15, env.coracle(["rm", "-f", "-t=0", "b"]));
}

#[test]
fn a_payload_that_is_traced_from_inside_can_be_ended() {
    let env = TestEnv::with_images();
    let traced = compiled("traced");
    start(&env, &["--name=main"], IDLE).ok();
    for pids in ["--pid=host", "--pid=container:main"] {
        for of in [&["busybox", "/traced"][..], &["busybox", "/traced", "thread"]] {
            for verb in [&["stop", "-t=1", "c"][..], &["kill", "c"], &["rm", "-f", "-t=1", "c"]] {
                start(&env, &["--name=c", pids, "-v", &mounted(&traced)], of).ok();
                eventually("it is traced", || env.coracle(["logs", "c"]).run().stdout.contains("traced"));
                assert_eq!(within(12, env.coracle(verb)).code, 0, "{pids} {of:?} {verb:?}");
                if verb[0] != "rm" {
                    let code = field(&env, "c", ".State.ExitCode");
                    assert!(code == "137" || code == "143", "{pids} {of:?} {verb:?}: {code}");
                    env.coracle(["rm", "c"]).ok();
                }
            }
        }
    }
}

/// Traces a process from outside; `None` where that is not allowed.
fn trace(tracer: &Path, pid: Pid) -> Option<Child> {
    let mut tracer =
        std::process::Command::new(tracer).arg(pid.to_string()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = [0; 7];
    if tracer.stdout.as_mut().unwrap().read_exact(&mut said).is_err() {
        tracer.wait().unwrap();
        skip("processes of containers may not be traced from outside");
        return None;
    }
    Some(tracer)
}

#[test]
fn a_payload_that_somebody_traces_from_outside_can_be_ended() {
    let env = TestEnv::with_images();
    let program = compiled("tracer");
    for verb in [&["stop", "-t=1", "c"][..], &["kill", "c"], &["rm", "-f", "-t=1", "c"]] {
        start(
            &env,
            &["--name=c"],
            &["busybox", "sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done"],
        )
        .ok();
        let payload = pid(&env, "c", ".State.Pid");
        let Some(mut tracer) = trace(&program, payload) else { return };
        let done = within(12, env.coracle(verb));
        // It is nobody's to kill.
        assert!(tracer.try_wait().unwrap().is_none());
        assert_eq!(done.code, 0, "{verb:?}: {done}");
        if verb[0] != "rm" {
            assert!(field(&env, "c", ".State.Error").contains("tracer"), "{verb:?}");
            assert_eq!(field(&env, "c", ".State.Status"), "exited");
            env.coracle(["rm", "c"]).ok();
        }
        tracer.kill().unwrap();
        tracer.wait().unwrap();
    }
}

/// The kernel does not let the first process of a pid namespace end before the others are reaped.
#[test]
fn a_payload_that_cannot_end_does_not_hold_up_its_removal() {
    let env = TestEnv::with_images();
    let program = compiled("tracer");
    start(&env, &["--name=c", "-v=vol:/v"], &["busybox", "sh", "-c", "sleep 1000 & wait"]).ok();
    start(&env, &["--name=d"], IDLE).ok();
    let payload = pid(&env, "c", ".State.Pid");
    let children = || std::fs::read_to_string(format!("/proc/{payload}/task/{payload}/children")).unwrap();
    eventually("it has a child", || !children().trim().is_empty());
    let child = Pid::from_raw(children().trim().parse().unwrap());
    let Some(mut tracer) = trace(&program, child) else { return };
    let removed = within(8, env.coracle(["rm", "-f", "-t=1", "c", "d"]));
    assert_eq!(removed.lines(), ["c", "d"], "{removed}");
    assert!(removed.stderr.contains("stays"), "{removed}");
    env.coracle(["volume", "rm", "vol"]).ok();
    assert!(env.containers().is_empty());
    tracer.kill().unwrap();
    tracer.wait().unwrap();
    eventually("what was left is gone", || kill(payload, None).is_err());
}

#[test]
fn a_stopped_monitor_holds_up_neither_stop_nor_removal() {
    let env = TestEnv::with_images();
    for verb in
        [&["stop", "-t=1", "c"][..], &["kill", "c"], &["rm", "-f", "-t=1", "c"], &["rm", "-fa", "-t=0"]]
    {
        start(&env, &["--name=c"], IDLE).ok();
        kill(monitor(&env, "c"), Signal::SIGSTOP).unwrap();
        assert_eq!(within(12, env.coracle(verb)).code, 0, "{verb:?}");
        if verb[0] != "rm" {
            assert_eq!(field(&env, "c", ".State.ExitCode"), "137", "{verb:?}");
            env.coracle(["rm", "c"]).ok();
        }
    }
    assert!(env.containers().is_empty());
}

#[test]
fn stopped_and_stubborn_payloads_are_removed_side_by_side() {
    let env = TestEnv::with_images();
    let names = ["a", "b", "c", "d"];
    for name in names {
        start(&env, &["--name", name], &["busybox", "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"])
            .ok();
    }
    kill(pid(&env, "a", ".State.Pid"), Signal::SIGSTOP).unwrap();
    let removed = within(8, env.coracle(["rm", "-f", "-t=3"]).args(names));
    assert_eq!(removed.lines(), names);
}

/// A copy out of a container that nobody reads does not keep it.
#[test]
fn a_copy_that_nobody_reads_does_not_hold_up_the_removal() {
    let env = TestEnv::with_images();
    env.coracle(["create", "--name=c", "busybox"]).ok();
    let export = unread(env.coracle(["export", "c"]));
    std::thread::sleep(Duration::from_millis(500));
    soon(10, env.coracle(["rm", "-f", "-t=0", "c"]));
    let (_, code) = rest(export);
    assert_eq!(code, Some(125));
}

/// A command that is stopped in the middle of a change.
#[test]
fn a_stopped_command_does_not_hold_up_the_removal() {
    let env = TestEnv::with_images();
    env.coracle(["create", "--name=c", "busybox"]).ok();
    let stuck = env.coracle(["rm", "c"]).env("CORACLE_FAILPOINT", "rm.locked=pause:6000").start();
    std::thread::sleep(Duration::from_millis(500));
    let refused = within(5, env.coracle(["rm", "-f", "-t=0", "c"]));
    assert_ne!(refused.code, 0, "{refused}");
    assert!(refused.stderr.contains("does not finish"), "{refused}");
    assert_eq!(stuck.wait().code, 0);
}
