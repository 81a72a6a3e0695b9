//! The monitor: streams, terminals, signals, and what is left when someone is killed.

use super::docker::docker;
use crate::common::{TestEnv, eventually};
use expectrl::Expect;
use nix::sys::signal::Signal;

/// `run` with busybox as the root and no network.
fn run(env: &TestEnv, options: &[&str], command: &[&str]) -> crate::common::Call {
    let rootfs = env.busybox_rootfs();
    env.coracle(["run", "--network", "none"]).args(options).arg("--rootfs").arg(rootfs).args(command)
}

fn state(env: &TestEnv, name: &str) -> String {
    env.coracle(["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", name])
        .run()
        .stdout
        .trim()
        .to_owned()
}

#[test]
fn exit_codes_are_the_payloads() {
    let env = TestEnv::new();
    run(&env, &["--rm"], &["sh", "-c", "exit 42"]).fails(42);
    run(&env, &["--rm", "--init"], &["sh", "-c", "exit 43"]).fails(43);
    run(&env, &["--rm", "--init"], &["sh", "-c", "kill -KILL $$"]).fails(137);
    run(&env, &["--rm"], &["nosuch"]).fails(127);
    run(&env, &["--rm"], &["/etc/passwd"]).fails(126);
    assert!(env.containers().is_empty());
}

#[test]
fn only_the_payloads_output_is_on_standard_output() {
    let env = TestEnv::new();
    let out = run(&env, &["--rm"], &["sh", "-c", "echo out; echo err >&2"]).ok();
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("out\n", "err\n"));
    // A detached run returns at once, with nothing but the id; `run` waits for the end of its output.
    let id = run(&env, &["-d"], &["sleep", "600"]).ok().stdout;
    assert_eq!(id.trim().len(), 64, "{id}");
}

#[test]
fn a_flood_arrives_whole_in_order_and_in_the_log() {
    let env = TestEnv::new();
    let out = run(&env, &["--name", "flood"], &["seq", "1", "200000"]).ok();
    assert!(out.stdout.lines().map(str::parse).eq((1..=200_000).map(Ok)));
    let logged = env.coracle(["logs", "flood"]).ok();
    assert_eq!(logged.stdout, out.stdout);
}

#[test]
fn standard_input_reaches_the_payload_and_ends() {
    let env = TestEnv::new();
    let input = vec![b'x'; 1_000_000];
    assert_eq!(run(&env, &["--rm", "-i"], &["wc", "-c"]).stdin(input).ok().stdout.trim(), "1000000");
    assert_eq!(run(&env, &["--rm"], &["cat"]).stdin("unseen").ok().stdout, "");
}

/// `coracle run ... yes | head -1` ends, as `yes | head -1` does.
#[test]
fn a_reader_that_goes_away_ends_the_writer() {
    let env = TestEnv::new();
    for (option, line) in [("--rm", "y\n"), ("-t", "y\r\n")] {
        let command = run(&env, &[option], &["yes"]).into_command();
        let script = format!("{} | head -n 1", quoted(&command));
        assert_eq!(env.program("sh").args(["-c", &script]).ok().stdout, line);
    }
}

/// A command as a shell takes it.
fn quoted(command: &std::process::Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''")))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The caller's file creation mask closes the caller's files, not the container's directories.
#[test]
fn the_callers_mask_does_not_close_mount_points() {
    let env = TestEnv::new();
    env.file("seen", "");
    let source = format!("{}:/new/mount/point:ro", env.path().display());
    let options = ["--rm", "--user", "1000", "-v", &source, "-v", "kept:/volume", "-w", "/made/here"];
    let shown = ["sh", "-c", "ls -d /new/mount/point /volume/. /made/here; umask"];
    let call = docker(&env, &["run", "--network", "none"]).args(options).arg("--rootfs");
    let command = call.arg(env.busybox_rootfs()).args(shown).into_command();
    let script = format!("umask 077; exec {}", quoted(&command));
    let out = env.program("sh").args(["-c", &script]).ok();
    assert_eq!(out.lines(), ["/made/here", "/new/mount/point", "/volume/.", "0022"]);
}

#[test]
fn signals_of_the_command_reach_the_payload() {
    let env = TestEnv::new();
    let script = "trap 'echo got; exit 9' USR1; echo ready; while :; do sleep 0.05; done";
    let running = run(&env, &["--name", "sig"], &["sh", "-c", script]).start();
    eventually("the payload is ready", || env.coracle(["logs", "sig"]).run().stdout.contains("ready"));
    running.signal(Signal::SIGUSR1);
    let out = running.wait();
    assert_eq!((out.code, out.stdout.as_str()), (9, "ready\ngot\n"), "{out}");
}

#[test]
fn a_terminal_works_and_detaches() {
    let env = TestEnv::new();
    let mut session = run(&env, &["-it", "--name", "term"], &["sh"]).pty();
    session.expect("#").unwrap();
    session.send_line("tty").unwrap();
    session.expect("/dev/pts/0").unwrap();
    session.send("\x10\x11").unwrap();
    session.expect(expectrl::Eof).unwrap();
    assert_eq!(state(&env, "term"), "running 0");
}

/// A payload that closes its input loses neither its output nor its exit code by that.
#[test]
fn input_that_nobody_takes_does_no_harm() {
    let env = TestEnv::new();
    let out = run(&env, &["--rm", "-i"], &["sh", "-c", "exec 0<&-; sleep 0.5; echo done; exit 7"])
        .stdin(vec![b'x'; 1_000_000])
        .fails(7);
    assert_eq!(out.stdout, "done\n");
}

/// For a moment nobody has the terminal open; then somebody has again.
#[test]
fn a_terminal_outlives_being_closed() {
    let env = TestEnv::new();
    let script = "exec </dev/null >/dev/null 2>&1; sleep 0.5; echo again >/dev/console; sleep 0.2";
    let mut session = run(&env, &["-t", "--rm"], &["sh", "-c", script]).pty();
    session.expect("again").unwrap();
    session.expect(expectrl::Eof).unwrap();
}

/// The first process takes the others along, although no pid namespace ends.
#[test]
fn nothing_outlives_a_container_in_the_hosts_pid_namespace() {
    let env = TestEnv::new();
    let script = "(sleep 600; true) & (setsid sleep 600 &); sleep 0.2; \
        for s in /proc/[0-9]*; do [ $(readlink $s/ns/mnt) = $(readlink /proc/self/ns/mnt) ] && echo ${s#/proc/}; done; exit 3";
    let out = run(&env, &["--rm", "--pid=host"], &["sh", "-c", script]).fails(3);
    assert!(out.lines().len() > 2, "{out}");
    for pid in out.lines() {
        eventually("it has ended", || !std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}

/// What cannot be written is told before the payload starts.
#[test]
fn a_pid_file_that_cannot_be_written_is_a_failed_start() {
    let env = TestEnv::new();
    let refused = run(&env, &["-d", "--rm", "--pidfile", "/proc/pid-of-it"], &["sleep", "600"]).fails(125);
    assert!(refused.stderr.contains("/proc/pid-of-it"), "{refused}");
    assert!(env.containers().is_empty());
    run(&env, &["-d", "--name", "kept", "--pidfile", "/proc/pid-of-it"], &["sleep", "600"]).fails(125);
    assert_eq!(state(&env, "kept"), "created 125");
}

/// An orphan that a real-time signal killed is reaped, and so are those after it.
#[test]
fn the_small_init_reaps_whatever_killed_the_orphan() {
    let env = TestEnv::new();
    let script = "(sh -c 'sleep 0.1; kill -40 $$' &); sleep 0.4; (sleep 0.1 &); sleep 0.4; ps -o stat,comm";
    let out = run(&env, &["--rm", "--init"], &["sh", "-c", script]).ok();
    assert!(!out.lines().iter().any(|line| line.starts_with('Z')), "{out}");
}

/// Killing the command leaves the container to its monitor.
#[test]
fn a_killed_command_leaves_the_container_running() {
    let env = TestEnv::new();
    let running = run(&env, &["--name", "left"], &["sh", "-c", "echo up; sleep 600"]).start();
    eventually("the payload runs", || env.coracle(["logs", "left"]).run().stdout == "up\n");
    running.signal(Signal::SIGKILL);
    running.wait();
    assert_eq!(state(&env, "left"), "running 0");
    env.coracle(["kill", "left"]).ok();
    assert_eq!(env.coracle(["wait", "left"]).ok().stdout, "137\n");
}

/// A killed monitor takes the payload with it and leaves a container that every verb understands.
#[test]
fn a_killed_monitor_leaves_a_container_that_can_be_removed() {
    let env = TestEnv::new();
    run(&env, &["-d", "--name", "orphan"], &["sleep", "600"]).ok();
    let pids =
        env.coracle(["inspect", "--format", "{{.State.ConmonPid}} {{.State.Pid}}", "orphan"]).ok().stdout;
    let pids: Vec<i32> = pids.split_whitespace().map(|p| p.parse().unwrap()).collect();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pids[0]), Signal::SIGKILL).unwrap();
    eventually("the payload is gone", || !std::path::Path::new(&format!("/proc/{}", pids[1])).exists());
    assert!(state(&env, "orphan").starts_with("exited"), "{}", state(&env, "orphan"));
    assert!(!env.coracle(["ps", "-a"]).ok().stdout.contains(" Up "));
    env.coracle(["rm", "orphan"]).ok();
    assert!(env.containers().is_empty());
}

/// The session manager's SIGTERM is handed on as the stop signal.
#[test]
fn a_monitor_that_is_told_to_end_stops_the_payload() {
    let env = TestEnv::new();
    run(&env, &["-d", "--name", "polite"], &["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.05; done"])
        .ok();
    let pid = env.coracle(["inspect", "--format", "{{.State.ConmonPid}}", "polite"]).ok().stdout;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.trim().parse().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(env.coracle(["wait", "polite"]).ok().stdout, "5\n");
}

#[test]
fn a_time_limit_kills() {
    let env = TestEnv::new();
    run(&env, &["--rm", "--timeout", "1"], &["sleep", "600"]).fails(255);
}

/// `--rm`: when the command returns, name and directory are free.
#[test]
fn a_removed_container_is_gone_when_the_command_returns() {
    let env = TestEnv::new();
    for _ in 0..5 {
        run(&env, &["--rm", "--name", "again"], &["true"]).ok();
        assert!(env.containers().is_empty());
    }
    eventually("the trash is empty", || {
        std::fs::read_dir(env.root().join("trash")).is_ok_and(|mut entries| entries.next().is_none())
    });
}

/// Containers that start side by side share one user namespace and do not disturb each other.
#[test]
fn many_at_once_all_run() {
    let env = TestEnv::new();
    let all: Vec<_> = (0..12)
        .map(|i| run(&env, &["--rm"], &["sh", "-c", &format!("echo {i}; exit {i}")]).start())
        .collect();
    for (i, running) in all.into_iter().enumerate() {
        let out = running.wait();
        assert_eq!((out.code, out.stdout), (i as i32, format!("{i}\n")), "{}", out.stderr);
    }
}

/// The small PID 1 shows nothing of the caller's command line or environment, and can be joined.
#[test]
fn the_small_init_tells_nothing_of_the_caller() {
    let env = TestEnv::new();
    let script = "tr '\\0' ' ' </proc/1/cmdline; cat /proc/1/environ; sleep 600";
    let secret = run(&env, &["-d", "--init", "--name", "small", "-e", "IN=hunter2"], &["sh", "-c", script]);
    secret.env("OUT", "hunter3").ok();
    eventually("the payload has looked", || env.coracle(["logs", "small"]).run().stdout.contains("__stage"));
    let shown = env.coracle(["logs", "small"]).ok().stdout;
    assert!(!shown.contains("hunter") && !shown.contains("rootfs"), "{shown}");
    assert_eq!(env.coracle(["exec", "small", "echo", "in"]).ok().stdout, "in\n");
}

/// ping works without CAP_NET_RAW, as with podman, unless told otherwise.
#[test]
fn groups_of_the_container_may_ping() {
    let env = TestEnv::new();
    let range = ["cat", "/proc/sys/net/ipv4/ping_group_range"];
    assert_eq!(run(&env, &["--rm"], &range).ok().stdout.split_whitespace().collect::<Vec<_>>(), ["0", "0"]);
    let other = run(&env, &["--rm", "--sysctl", "net.ipv4.ping_group_range=1 5"], &range).ok();
    assert_eq!(other.stdout.split_whitespace().collect::<Vec<_>>(), ["1", "5"]);
}
