//! `exec`: another process in a running container.

use crate::common::TestEnv;
use expectrl::Expect;

/// A container that waits, with busybox as its root.
fn waiting(env: &TestEnv) -> String {
    let rootfs = env.busybox_rootfs();
    let run = env.coracle([
        "run",
        "-d",
        "--network",
        "none",
        "-e",
        "PLAN=yes",
        "-w",
        "/tmp",
        "--hostname",
        "boat",
        "--rootfs",
    ]);
    run.arg(rootfs).args(["sleep", "600"]).ok().stdout.trim().to_owned()
}

#[test]
fn the_process_is_in_the_container_and_its_code_is_ours() {
    let env = TestEnv::new();
    let id = waiting(&env);
    let shown = env
        .coracle(["exec", &id, "sh", "-c", "hostname; pwd; echo $PLAN; cat /proc/1/comm; exit 7"])
        .fails(7);
    assert_eq!(shown.stdout, "boat\n/tmp\nyes\nsleep\n");
    env.coracle(["exec", &id, "sh", "-c", "kill -TERM $$"]).fails(143);
    // Every namespace is the container's.
    let inside = env
        .coracle(["exec", &id, "sh", "-c", "for p in 1 self; do for n in ipc mnt net pid user uts; do readlink /proc/$p/ns/$n; done; echo -; done"])
        .ok();
    let (first, own) = inside.stdout.strip_suffix("-\n").unwrap().split_once("-\n").unwrap();
    assert_eq!(first, own);
}

#[test]
fn commands_that_cannot_be_executed_have_a_shells_codes() {
    let env = TestEnv::new();
    let id = waiting(&env);
    let missing = env.coracle(["exec", &id, "nosuch"]).fails(127);
    assert!(missing.stderr.contains("executable file `nosuch` not found in $PATH"), "{missing}");
    let refused = env.coracle(["exec", &id, "/etc/passwd"]).fails(126);
    assert!(refused.stderr.contains("exec \"/etc/passwd\": permission denied"), "{refused}");
}

#[test]
fn options_reach_the_process() {
    let env = TestEnv::new();
    let id = waiting(&env);
    let file = env.file("env", "FROM_FILE=1\n");
    let shown = env
        .coracle(["exec", "-e", "SET=x y", "-e", "GIVEN", "-w", "/etc", "-u", "1000:1000", "--env-file"])
        .arg(file)
        .args([&id, "sh", "-c", "echo $SET,$GIVEN,$FROM_FILE,$PLAN; pwd; id -u; id -g"])
        .env("GIVEN", "taken")
        .ok();
    assert_eq!(shown.stdout, "x y,taken,1,yes\n/etc\n1000\n1000\n");
    let refused = env.coracle(["exec", "-w", "/not/there", &id, "true"]).fails(127);
    assert!(refused.stderr.contains("chdir to `/not/there`: No such file or directory"), "{refused}");
    env.coracle(["exec", "-w", "/etc/passwd", &id, "true"]).fails(126);
    env.coracle(["exec", &id, "test", "!", "-e", "/not"]).ok();
}

#[test]
fn streams_are_relayed_whole() {
    let env = TestEnv::new();
    let id = waiting(&env);
    let input: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    let echoed = env.coracle(["exec", "-i", &id, "md5sum"]).stdin(input.clone()).ok();
    let expected = env.program("md5sum").stdin(input).ok();
    assert_eq!(echoed.stdout, expected.stdout);
    let both = env.coracle(["exec", &id, "sh", "-c", "echo out; echo err >&2"]).ok();
    assert_eq!((both.stdout.as_str(), both.stderr.as_str()), ("out\n", "err\n"));
    // Without -i there is nothing to read.
    assert_eq!(env.coracle(["exec", &id, "cat"]).stdin("x").ok().stdout, "");
}

#[test]
fn a_terminal_is_one_and_has_a_size() {
    let env = TestEnv::new();
    let id = waiting(&env);
    let mut session = env.coracle(["exec", "-it", &id, "sh"]).pty();
    session.get_process_mut().set_window_size(101, 37).unwrap();
    session.expect("#").unwrap();
    session.send_line("tty; stty size").unwrap();
    session.expect("/dev/pts/0").unwrap();
    session.expect("37 101").unwrap();
    session.send_line("exit 3").unwrap();
    session.expect(expectrl::Eof).unwrap();
    let status = session.get_process().wait().unwrap();
    assert!(format!("{status:?}").contains("Exited(") && format!("{status:?}").contains("3)"), "{status:?}");
}

#[test]
fn a_detached_process_goes_on_by_itself() {
    let env = TestEnv::new();
    let id = waiting(&env);
    env.coracle(["exec", "-d", &id, "sh", "-c", "echo done >/tmp/mark"]).ok();
    crate::common::eventually("the mark is made", || {
        env.coracle(["exec", &id, "cat", "/tmp/mark"]).run().stdout == "done\n"
    });
}

/// Also where the container's own streams are its caller's.
#[test]
fn a_detached_process_lets_go_of_the_callers_streams() {
    let env = TestEnv::new();
    let run =
        env.coracle(["run", "-d", "--name", "c", "--network=none", "--log-driver=passthrough", "--rootfs"]);
    let mut run = run.arg(env.busybox_rootfs()).args(["sleep", "600"]).into_command();
    let quiet = std::process::Stdio::null;
    assert!(run.stdin(quiet()).stdout(quiet()).stderr(quiet()).status().unwrap().success());
    // Returns at the end of its output.
    env.coracle(["exec", "-d", "c", "sleep", "600"]).ok();
    assert_eq!(env.coracle(["exec", "c", "echo", "shown"]).ok().stdout, "shown\n");
}

#[test]
fn a_container_with_the_small_init_can_be_entered() {
    let env = TestEnv::new();
    for options in [&[][..], &["--user", "1000", "--cap-drop=all"], &["--cap-add=SYS_PTRACE"]] {
        let run = env.coracle(["run", "-d", "--name", "c", "--init", "--network=none"]);
        let run = run.args(options).arg("--rootfs").arg(env.busybox_rootfs());
        run.args(["sleep", "600"]).ok();
        // The small init has no right that its payload lacks.
        let rights = |of: &str| {
            let grep = "^(Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp):";
            env.coracle(["exec", "c", "grep", "-E", grep, &format!("/proc/{of}/status")]).ok().stdout
        };
        let found = rights("1");
        assert_eq!(found.lines().count(), 10, "{found}");
        assert_eq!(found, rights("self"));
        // It still hands signals on.
        env.coracle(["kill", "-s", "TERM", "c"]).ok();
        assert_eq!(env.coracle(["wait", "c"]).ok().stdout, "143\n");
        env.coracle(["rm", "c"]).ok();
    }
}

/// Where no pid namespace ends, too.
#[test]
fn a_process_ends_with_its_container() {
    let env = TestEnv::new();
    let run = env.coracle(["run", "-d", "--name", "c", "--pid=host", "--network=none", "--rootfs"]);
    run.arg(env.busybox_rootfs()).args(["sleep", "600"]).ok();
    let mut command =
        env.coracle(["exec", "c", "sh", "-c", "touch /tmp/joined; exec sleep 600"]).into_command();
    let mut running = command.stdin(std::process::Stdio::null()).spawn().unwrap();
    let joined = || env.coracle(["exec", "c", "test", "-e", "/tmp/joined"]).run().code == 0;
    crate::common::eventually("the process runs", joined);
    env.coracle(["kill", "c"]).ok();
    assert_eq!(running.wait().unwrap().code(), Some(137));
}

/// A failure is told whatever the name of the thing.
#[test]
fn a_command_with_a_very_long_name_is_refused_in_words() {
    let env = TestEnv::new();
    let id = waiting(&env);
    let refused = env.coracle(["exec", &id, &"a".repeat(100_000)]).fails(126);
    assert!(refused.stderr.contains("OCI permission denied"), "{refused}");
}

#[test]
fn descriptors_to_preserve_must_be_open() {
    let env = TestEnv::new();
    let id = waiting(&env);
    for count in ["1000", "4294967295"] {
        let refused = env.coracle(["exec", "--preserve-fds", count, &id, "true"]).fails(125);
        assert!(refused.stderr.contains("is not open"), "{refused}");
    }
}

#[test]
fn a_container_that_does_not_run_is_refused_with_a_cure() {
    let env = TestEnv::new();
    let id = waiting(&env);
    env.coracle(["kill", &id]).ok();
    env.coracle(["wait", &id]).ok();
    let refused = env.coracle(["exec", &id, "true"]).fails(255);
    assert!(refused.stderr.contains("can only create exec sessions on running containers"), "{refused}");
    assert!(refused.stderr.contains("Hint:"), "{refused}");
    let unknown = env.coracle(["exec", "nobody", "true"]).fails(125);
    assert!(unknown.stderr.contains("nobody"), "{unknown}");
}

/// Flags are read up to the container's name, and switches take a value.
#[test]
fn flags_are_flags() {
    let env = TestEnv::new();
    let id = waiting(&env);
    let unknown = env.coracle(["exec", "--bogus", &id, "true"]).fails(125);
    assert!(unknown.stderr.contains("--bogus"), "{unknown}");
    assert!(!unknown.stderr.contains("no container"), "{unknown}");
    assert_eq!(env.coracle(["exec", "--tty=false", &id, "echo", "--tty"]).ok().stdout, "--tty\n");
    assert_eq!(env.coracle(["ps", "--all=true", "-q"]).ok().lines().len(), 1);
}

/// A process that could not be started leaves nothing inside.
#[test]
fn a_failed_exec_leaves_no_zombie() {
    let env = TestEnv::new();
    let id = waiting(&env);
    for _ in 0..3 {
        env.coracle(["exec", &id, "nosuch"]).fails(127);
    }
    let inside = env.coracle(["exec", &id, "sh", "-c", "cat /proc/[0-9]*/comm"]).ok();
    assert!(!inside.stdout.contains("coracle"), "{inside}");
}

#[test]
fn a_process_has_a_record_while_it_runs_and_events() {
    use super::ps::field;
    let env = TestEnv::new();
    let id = waiting(&env);
    assert_eq!(field(&env, &id, "{{len .ExecIDs}}"), "0");
    let quick = env.coracle(["exec", "-d", &id, "sh", "-c", "exit 9"]).ok().text().to_owned();
    let slow = env.coracle(["exec", "-d", &id, "sleep", "500"]).ok().text().to_owned();
    assert_eq!(quick.len(), 64);
    crate::common::eventually("the quick one has ended", || {
        let shown = field(
            &env,
            &id,
            "{{range .Execs}}{{.ID}} {{.Running}} {{.ExitCode}} {{.ProcessConfig.entrypoint}},{{end}}",
        );
        shown.contains(&format!("{quick} false 9 sh,"))
            && shown.contains(&format!("{slow} true <nil> sleep,"))
    });
    assert!(field(&env, &id, "{{.ExecIDs}}").contains(&slow));
    // One that somebody waits for leaves its code with them.
    env.coracle(["exec", &id, "sh", "-c", "exit 3"]).fails(3);
    assert_eq!(field(&env, &id, "{{len .ExecIDs}}"), "2");
    let told =
        ["events", "--stream=false", "--filter", "event=exec", "--filter", "event=exec_died", "--format"];
    let lines =
        env.coracle(told).arg("{{.Status}} {{.ContainerExitCode}} {{.Attributes.execID}}").ok().lines();
    assert!(
        lines.contains(&format!("exec 0 {quick}")) && lines.contains(&format!("exec_died 9 {quick}")),
        "{lines:?}"
    );
    assert!(lines.iter().any(|line| line.starts_with("exec_died 3 ")), "{lines:?}");
    // A joiner that was killed leaves a record that says no more than is known, and that the next exec removes.
    let pid: i32 = field(&env, &id, "{{range .Execs}}{{if .Running}}{{.Pid}}{{end}}{{end}}").parse().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap();
    for victim in [parent, pid] {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(victim), nix::sys::signal::Signal::SIGKILL)
            .unwrap();
    }
    crate::common::eventually("the record is not shown", || {
        !field(&env, &id, "{{.ExecIDs}}").contains(&slow)
    });
    env.coracle(["exec", &id, "true"]).ok();
    assert!(!env.root().join(format!("containers/{id}/exec/{slow}.json")).exists());
}
