//! `create`, `start`, `restart`, `attach`, `rename` and what only `container` has.

use super::ps::{IDLE, field, kill_monitor, start};
use crate::common::{Call, Layer, TestEnv, eventually};
use expectrl::Expect;
use nix::sys::signal::Signal;

/// `create` of a busybox tree without network; gives the id.
fn create(env: &TestEnv, name: &str, options: &[&str], command: &[&str]) -> String {
    let call = env.coracle(["create", "--name", name, "--network", "none"]).args(options);
    call.arg("--rootfs").arg(env.busybox_rootfs()).args(command).ok().text().to_owned()
}

fn status(env: &TestEnv, name: &str) -> String {
    field(env, name, "{{.State.Status}} {{.State.ExitCode}}")
}

fn start_of(env: &TestEnv, args: &[&str]) -> Call {
    env.coracle(["start"]).args(args)
}

#[test]
fn what_was_created_is_started_as_often_as_wanted() {
    let env = TestEnv::new();
    let id =
        create(&env, "job", &["-e", "A=b"], &["sh", "-c", "echo $A; echo x >>/count; exit $(wc -l </count)"]);
    assert_eq!(id.len(), 64);
    assert_eq!(status(&env, "job"), "created 0");
    assert_eq!(env.coracle(["wait", "job"]).ok().text(), "0");
    env.coracle(["logs", "job"]).ok();
    env.coracle(["stop", "job"]).ok();
    assert_eq!(start_of(&env, &["job"]).ok().text(), "job");
    assert_eq!(env.coracle(["wait", "job"]).ok().text(), "1");
    assert_eq!(start_of(&env, &["-a", &id[..12]]).fails(2).stdout, "b\n");
    let started = env.coracle(["container", "start", "--attach", "--latest"]).fails(3);
    assert_eq!(started.stdout, "b\n");
    assert_eq!(env.coracle(["logs", "job"]).ok().stdout, "b\nb\nb\n");
    assert_eq!(status(&env, "job"), "exited 3");
    create(&env, "never", &[], &["nosuch"]);
    start_of(&env, &["never"]).fails(125);
    create(&env, "gone", &["--rm"], &["true"]);
    start_of(&env, &["-a", "gone"]).ok();
    env.coracle(["container", "exists", "gone"]).fails(1);
    env.coracle(["container", "exists", "job"]).ok();
}

#[test]
fn input_and_output_of_a_started_container() {
    let env = TestEnv::new();
    create(&env, "cat", &["-i"], &["sh", "-c", "cat; exit 5"]);
    assert_eq!(start_of(&env, &["-a", "-i", "cat"]).stdin("in\n").fails(5).stdout, "in\n");
    // Without -i nobody writes, and the input stays open.
    let running = start_of(&env, &["-a", "cat"]).start();
    eventually("it runs", || status(&env, "cat").starts_with("running"));
    running.signal(Signal::SIGTERM);
    env.coracle(["kill", "cat"]).ok();
    assert_eq!(running.wait().code, 137);
    create(&env, "sig", &[], &["sh", "-c", "trap 'exit 9' USR1; echo up; while :; do sleep 0.05; done"]);
    let running = start_of(&env, &["-a", "sig"]).start();
    eventually("it is up", || env.coracle(["logs", "sig"]).run().stdout == "up\n");
    running.signal(Signal::SIGUSR1);
    assert_eq!(running.wait().code, 9);
    create(&env, "term", &["-it"], &["sh"]);
    let mut session = start_of(&env, &["-ai", "--detach-keys", "ctrl-x", "term"]).pty();
    session.expect("#").unwrap();
    session.send("\x18").unwrap();
    session.expect(expectrl::Eof).unwrap();
    assert_eq!(status(&env, "term"), "running 0");
}

#[test]
fn several_are_started_and_running_ones_are_left_alone() {
    let env = TestEnv::new();
    for name in ["a", "b", "c"] {
        create(&env, name, &["-l", &format!("n={name}")], &["sh", "-c", IDLE]);
    }
    assert_eq!(start_of(&env, &["a", "nobody", "b"]).fails(125).says("nobody").stdout, "");
    assert_eq!(status(&env, "a"), "created 0");
    assert_eq!(start_of(&env, &["a", "b"]).ok().lines(), ["a", "b"]);
    let pid = field(&env, "a", "{{.State.Pid}}");
    assert_eq!(start_of(&env, &["a"]).ok().stdout, "");
    assert_eq!(field(&env, "a", "{{.State.Pid}}"), pid);
    assert_eq!(start_of(&env, &["--all"]).ok().lines().len(), 1);
    assert_eq!(status(&env, "c"), "running 0");
    env.coracle(["stop", "-a"]).ok();
    assert_eq!(start_of(&env, &["--filter", "label=n=b"]).ok().lines().len(), 1);
    assert_eq!(status(&env, "b"), "running 0");
    start_of(&env, &[]).fails(125);
    start_of(&env, &["-a", "a", "b"]).fails(125).says("only one");
    start_of(&env, &["--sig-proxy", "a"]).fails(125);
    start_of(&env, &["--ignore", "nobody"]).ok();
}

/// After a restart of the machine this is what brings containers back.
#[test]
fn policies_choose_what_is_started_at_boot() {
    let env = TestEnv::new();
    for (name, policy) in [
        ("al", "always"),
        ("un", "unless-stopped"),
        ("st", "unless-stopped"),
        ("no", "no"),
        ("on", "on-failure:3"),
    ] {
        start(&env, name, &["--restart", policy], IDLE);
    }
    env.coracle(["stop", "st"]).ok();
    for name in ["al", "un", "no", "on"] {
        kill_monitor(&env, name);
        eventually("its end is seen", || status(&env, name) == "exited 255");
    }
    let names = |filter: &str| {
        let mut names = env.coracle(["ps", "-a", "--format", "{{.Names}}", "--filter", filter]).ok().lines();
        names.sort();
        names
    };
    assert_eq!(names("restart-policy=always"), ["al"]);
    assert_eq!(names("restart-policy=on-failure"), ["on"]);
    assert_eq!(names("restart-policy=no"), ["no"]);
    assert_eq!(names("should-start-on-boot=true"), ["al", "un"]);
    env.coracle(["ps", "--filter", "restart-policy=wat"]).fails(125);
    assert_eq!(start_of(&env, &["--all", "--filter", "restart-policy=always"]).ok().lines().len(), 1);
    assert_eq!(start_of(&env, &["--filter", "should-start-on-boot=true"]).ok().lines().len(), 1);
    assert_eq!(status(&env, "al"), "running 0");
    assert_eq!(status(&env, "st"), "exited 0");
}

#[test]
fn restart_stops_and_starts() {
    let env = TestEnv::new();
    start(&env, "web", &["--restart", "always"], IDLE);
    create(&env, "idle", &[], &["sh", "-c", IDLE]);
    let pid = field(&env, "web", "{{.State.Pid}}");
    assert_eq!(env.coracle(["restart", "-t", "5", "web"]).ok().text(), "web");
    assert_eq!(status(&env, "web"), "running 0");
    assert_ne!(field(&env, "web", "{{.State.Pid}}"), pid);
    // It was started by hand since it was stopped, so its policy is in force again.
    assert_eq!(env.coracle(["ps", "-q", "--filter", "should-start-on-boot=true"]).ok().lines().len(), 1);
    assert_eq!(env.coracle(["restart", "--running"]).ok().lines().len(), 1);
    assert_eq!(status(&env, "idle"), "created 0");
    assert_eq!(env.coracle(["container", "restart", "--all", "-t", "0"]).ok().lines().len(), 2);
    assert_eq!(status(&env, "idle"), "running 0");
    env.coracle(["restart", "nobody"]).fails(125).says("nobody");
    env.coracle(["restart"]).fails(125);
}

/// Signals are passed on once the payload runs; until then they are the command's own.
#[test]
fn whoever_waits_for_what_is_required_can_be_interrupted() {
    let env = TestEnv::new();
    create(&env, "first", &[], &["sh", "-c", IDLE]);
    create(&env, "second", &["--requires", "first"], &["sh", "-c", IDLE]);
    // A copy into the first one keeps it from being started.
    let (reader, writer) = std::io::pipe().unwrap();
    let mut cp = env.coracle(["cp", "-", "first:/"]).into_command();
    let mut cp = cp.stdin(reader).stdout(std::process::Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let mut attached = start_of(&env, &["--attach", "second"]).start();
    std::thread::sleep(std::time::Duration::from_millis(700));
    attached.signal(Signal::SIGTERM);
    let begun = std::time::Instant::now();
    while !attached.has_ended() && begun.elapsed().as_secs() < 8 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let interrupted = attached.has_ended();
    drop(writer);
    cp.wait().unwrap();
    assert!(interrupted, "it goes on waiting");
}

#[test]
fn restart_kills_none_that_it_has_started_again() {
    let env = TestEnv::new();
    let deaf = "trap '' TERM; while :; do sleep 0.05; done";
    create(&env, "idle", &[], &["sh", "-c", IDLE]);
    start(&env, "deaf", &[], deaf);
    // No patience is left when the one that ran is waited for, and the other one runs by then.
    assert_eq!(env.coracle(["restart", "-t", "0", "idle", "deaf"]).ok().lines(), ["idle", "deaf"]);
    assert_eq!(status(&env, "idle"), "running 0");
    assert_eq!(status(&env, "deaf"), "running 0");
    start(&env, "quick", &[], IDLE);
    assert_eq!(env.coracle(["restart", "-t", "1", "quick", "deaf"]).ok().lines(), ["quick", "deaf"]);
    assert_eq!(status(&env, "quick"), "running 0");
}

#[test]
fn stop_leaves_a_run_alone_that_somebody_began_since() {
    let env = TestEnv::new();
    start(&env, "quick", &[], IDLE);
    start(&env, "deaf", &[], "trap '' TERM; while :; do sleep 0.05; done");
    let stopping = env.coracle(["stop", "-t", "3", "deaf", "quick"]).start();
    eventually("the first has ended", || status(&env, "quick") == "exited 0");
    start_of(&env, &["quick"]).ok();
    assert_eq!(stopping.wait().code, 0);
    assert_eq!(status(&env, "quick"), "running 0");
    assert_eq!(status(&env, "deaf"), "exited 137");
}

#[test]
fn attach_shows_what_comes_and_gives_the_exit_code() {
    let env = TestEnv::new();
    start(&env, "web", &["-i"], "trap 'exit 6' USR1; while read line; do echo got $line; done; exit 4");
    let attached = env.coracle(["attach", "web"]).stdin("one\ntwo\n").fails(4);
    assert_eq!(attached.stdout, "got one\ngot two\n");
    env.coracle(["attach", "web"])
        .fails(125)
        .says("you can only attach to running containers")
        .says("coracle start");
    env.coracle(["attach", "nobody"]).fails(125).says("nobody");
    env.coracle(["attach"]).fails(125);
    start(&env, "two", &["-i"], "trap 'exit 6' USR1; echo up; while :; do sleep 0.05; done");
    let mut proxied = env.coracle(["container", "attach", "--no-stdin", "-l"]).start();
    let mut deaf = env.coracle(["attach", "--no-stdin", "--sig-proxy=false", "two"]).start();
    let attached = || {
        env.coracle(["events", "--until", "0s", "--filter", "event=attach", "--format", "{{.Name}}"]).run()
    };
    eventually("both are attached", || attached().stdout.matches("two").count() >= 2);
    deaf.signal(Signal::SIGUSR1);
    eventually("the deaf one has ended", || deaf.has_ended());
    assert!(!proxied.has_ended());
    proxied.signal(Signal::SIGUSR1);
    assert_eq!(proxied.wait().code, 6);
    deaf.wait();
    start(&env, "term", &["-it"], "sh");
    let mut session = env.coracle(["attach", "term"]).pty();
    session.send_line("tty").unwrap();
    session.expect("/dev/pts/0").unwrap();
    session.send("\x10\x11").unwrap();
    session.expect(expectrl::Eof).unwrap();
    assert_eq!(status(&env, "term"), "running 0");
}

#[test]
fn a_new_name_is_as_good_as_the_first() {
    let env = TestEnv::new();
    let id = start(&env, "old", &["--privileged"], IDLE);
    create(&env, "taken", &[], &["true"]);
    env.coracle(["rename", "old", "taken"]).fails(125).says("in use");
    env.coracle(["rename", "old", "old"]).fails(125).says("has that name already").says("Hint: ");
    env.coracle(["rename", "old", "a/b"]).fails(125);
    env.coracle(["rename", "nobody", "x"]).fails(125).says("nobody");
    env.coracle(["rename", "old", "new"]).ok();
    assert_eq!(field(&env, "new", "{{.Name}} {{.Id}}"), format!("new {id}"));
    assert_eq!(env.coracle(["ps", "--format", "{{.Names}}"]).ok().text(), "new");
    env.coracle(["inspect", "old"]).fails(125);
    // The old one is free at once, and comes back.
    create(&env, "old", &[], &["true"]);
    env.coracle(["rm", "old"]).ok();
    env.coracle(["container", "rename", &id[..12], "old"]).ok();
    env.coracle(["restart", "-t", "0", "old"]).ok();
    assert_eq!(
        env.coracle(["exec", "old", "cat", "/run/.containerenv"]).ok().stdout.matches("name=\"old\"").count(),
        1
    );
    env.coracle(["rm", "-f", "-t", "0", "old"]).ok();
    assert_eq!(std::fs::read_dir(env.root().join("names")).unwrap().count(), 1);
}

#[test]
fn what_is_required_is_started_first() {
    let env = TestEnv::new();
    create(&env, "base", &[], &["sh", "-c", IDLE]);
    create(&env, "mid", &["--requires", "base"], &["sh", "-c", IDLE]);
    start(&env, "top", &["--requires", "mid"], IDLE);
    assert_eq!(status(&env, "base"), "running 0");
    assert_eq!(status(&env, "mid"), "running 0");
    env.coracle(["rm", "-f", "-t", "0", "base"]).fails(125).says("--depend");
    env.coracle(["stop", "-a", "-t", "0"]).ok();
    start_of(&env, &["mid"]).ok();
    assert_eq!(status(&env, "base"), "running 0");
    env.coracle(["create", "--requires", "nobody", "--rootfs", "/:O", "true"]).fails(125).says("nobody");
    assert_eq!(env.coracle(["rm", "-f", "-t", "0", "--depend", "base"]).ok().lines().len(), 3);
}

#[test]
fn prune_and_cleanup_take_what_has_ended() {
    let env = TestEnv::new();
    start(&env, "runs", &[], IDLE);
    create(&env, "made", &["-l", "keep"], &["true"]);
    start(&env, "done", &["-v", "/data"], "exit 0");
    start(&env, "lost", &[], IDLE);
    env.coracle(["wait", "done"]).ok();
    kill_monitor(&env, "lost");
    env.coracle(["container", "cleanup", "runs"]).fails(125).says("running");
    eventually("its end is seen", || env.coracle(["container", "cleanup", "lost"]).run().code == 0);
    assert_eq!(status(&env, "lost"), "exited 255");
    env.coracle(["container", "prune"]).stdin("n\n").ok();
    assert_eq!(env.containers().len(), 4);
    assert_eq!(env.coracle(["container", "prune", "-f", "--filter", "label!=keep"]).ok().lines().len(), 2);
    assert_eq!(env.coracle(["container", "prune", "-f", "--filter", "until=1h"]).ok().lines().len(), 0);
    assert_eq!(env.coracle(["container", "prune"]).stdin("y\n").ok().lines().len(), 2);
    assert_eq!(env.containers().len(), 1);
    assert_eq!(
        std::fs::read_dir(env.root().join("volumes")).unwrap().count(),
        1,
        "what is in it may be wanted"
    );
    start(&env, "again", &[], "exit 0");
    env.coracle(["wait", "again"]).ok();
    env.coracle(["container", "cleanup", "--rm", "again"]).ok();
    env.coracle(["container", "exists", "again"]).fails(1);
}

#[test]
fn cleanup_removes_an_image_and_leaves_the_container() {
    let env = TestEnv::new();
    env.coracle(["import", "-", "empty"]).stdin(Layer::new().dir("d", 0o755).finish().0).ok();
    env.coracle(["create", "--name", "made", "empty", "true"]).ok();
    env.coracle(["container", "cleanup", "--rmi", "made"]).fails(125).says("in use");
    env.coracle(["container", "exists", "made"]).ok();
    env.coracle(["container", "cleanup", "--rm", "--rmi", "made"]).ok();
    env.coracle(["container", "exists", "made"]).fails(1);
    env.coracle(["image", "exists", "empty"]).fails(1);
}

/// What is refused takes nothing away.
#[test]
fn replace_loses_nothing_when_the_new_one_is_refused() {
    let env = TestEnv::new();
    let id = start(&env, "web", &[], IDLE);
    let replace = |options: &[&str]| {
        let call =
            env.coracle(["run", "-d", "--replace", "--name", "web", "--network", "none"]).args(options);
        call.arg("--rootfs").arg(env.busybox_rootfs()).args(["sh", "-c", IDLE])
    };
    replace(&["--pid", "container:nobody"]).fails(125);
    replace(&["-v", "/nonexistent:/x"]).fails(125);
    replace(&["--cidfile", "/nonexistent/x"]).fails(125).says("Hint: Make it first: mkdir -p /nonexistent");
    replace(&["--cidfile", "/proc/x"]).fails(125);
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("127.0.0.1:{}:80", holder.local_addr().unwrap().port());
    replace(&["--network", "slirp4netns", "-p", &port]).fails(125);
    assert_eq!(field(&env, "web", "{{.Id}} {{.State.Status}}"), format!("{id} running"));
    let new = replace(&[]).ok().text().to_owned();
    assert_eq!(field(&env, "web", "{{.Id}} {{.State.Status}}"), format!("{new} running"));
    assert_eq!(env.containers(), [new]);
}

/// From many shells at once: whatever wins, the container ends in a state that every verb understands.
#[test]
fn races_end_in_a_legal_state() {
    let env = TestEnv::new();
    create(&env, "web", &["--restart", "on-failure"], &["sh", "-c", IDLE]);
    for _ in 0..3 {
        let all: Vec<_> = (0..16)
            .map(|n| {
                let verb: &[&str] = match n % 4 {
                    0 | 1 => &["start", "web"],
                    2 => &["stop", "-t", "0", "web"],
                    _ => &["exec", "web", "true"],
                };
                env.coracle(verb).start()
            })
            .collect();
        for (n, one) in all.into_iter().enumerate() {
            let out = one.wait();
            // exec finds nobody, or is killed with the container.
            assert!(out.code == 0 || n % 4 == 3, "{out}");
            assert!(out.code == 0 || out.stderr.contains("Error:") || out.code == 137, "{out}");
        }
        eventually("it is at rest", || {
            ["running", "exited"].contains(&field(&env, "web", "{{.State.Status}}").as_str())
        });
    }
    start_of(&env, &["web"]).ok();
    let starts: Vec<_> = (0..6).map(|_| env.coracle(["restart", "-t", "0", "web"]).start()).collect();
    let removed = env.coracle(["rm", "-f", "-t", "0", "web"]).run();
    for one in starts {
        let out = one.wait();
        assert!(out.code == 0 || out.stderr.contains("Error:"), "{out}");
    }
    assert!(removed.code == 0, "{removed}");
    env.coracle(["container", "exists", "web"]).fails(1);
}

#[test]
fn init_says_what_a_start_would() {
    let env = TestEnv::new();
    create(&env, "a", &["-v", "/data"], &["sh", "-c", IDLE]);
    assert_eq!(env.coracle(["init", "a"]).ok().text(), "a");
    assert_eq!(status(&env, "a"), "created 0");
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("127.0.0.1:{}:80", holder.local_addr().unwrap().port());
    create(&env, "b", &["--network", "slirp4netns", "-p", &port], &["true"]);
    env.coracle(["init", "b"]).fails(125);
    env.coracle(["container", "init", "nobody"]).fails(125).says("nobody");
    start_of(&env, &["a"]).ok();
    env.coracle(["init", "--latest"]).fails(125);
    assert_eq!(env.coracle(["init", "a"]).ok().text(), "a");
}

/// Commands and monitors killed at any moment: what is left can be started, stopped and removed.
#[test]
fn whoever_is_killed_leaves_a_container_that_can_be_used() {
    let env = TestEnv::new();
    create(&env, "web", &["--restart", "on-failure"], &["sh", "-c", IDLE]);
    let verbs: [&[&str]; 6] = [
        &["start", "web"],
        &["restart", "-t", "0", "web"],
        &["stop", "-t", "0", "web"],
        &["update", "--restart", "always", "web"],
        &["rename", "web", "other"],
        &["container", "clone", "web", "copy"],
    ];
    for round in 0..24u64 {
        let running = env.coracle(verbs[round as usize % verbs.len()]).start();
        // Spread over the time that a verb takes; which moment is met does not matter.
        std::thread::sleep(std::time::Duration::from_micros(round * 700));
        running.signal(Signal::SIGKILL);
        running.wait();
        // It may be ending at this moment, for the signal of a stop that was killed.
        let monitor: i32 = field(&env, &env.containers()[0], "{{.State.ConmonPid}}").parse().unwrap();
        if round % 5 == 4 && monitor > 1 {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(monitor), Signal::SIGKILL);
        }
        let names = env.coracle(["ps", "-a", "--format", "{{.Names}}"]).ok().lines();
        if names.iter().any(|name| name == "other") {
            env.coracle(["rename", "other", "web"]).ok();
        }
        if names.iter().any(|name| name == "copy") {
            env.coracle(["rm", "-f", "-t", "0", "copy"]).ok();
        }
        // The signal of a stop that was killed may still be on its way through the payload.
        eventually("it can be started", || {
            start_of(&env, &["web"]).ok();
            status(&env, "web") == "running 0"
        });
    }
    env.coracle(["rm", "-f", "-t", "0", "web"]).ok();
    let left = env.containers();
    assert!(left.is_empty(), "{left:?}");
}

/// A stop that is killed after its note and before its signal leaves a container that is stopping for good.
#[test]
fn a_start_takes_back_a_stop_that_did_not_come_about() {
    let env = TestEnv::new();
    create(&env, "web", &["--restart", "always"], &["sh", "-c", IDLE]);
    start_of(&env, &["web"]).ok();
    let id = env.containers().remove(0);
    let note = env.root().join("containers").join(id).join("stop");
    std::fs::write(&note, "1\n").unwrap();
    assert_eq!(status(&env, "web"), "stopping 0");
    start_of(&env, &["web"]).ok();
    assert_eq!(status(&env, "web"), "running 0");
    assert!(!note.exists());
    env.coracle(["rm", "-f", "-t", "0", "web"]).ok();
}

#[test]
fn what_never_ran_stands_as_it_was_made() {
    let env = TestEnv::new();
    create(&env, "who", &["-u", "nouser"], &["true"]);
    let hint = "Hint: Names come from /etc/passwd";
    start_of(&env, &["who"]).fails(125).says("nouser").says(hint);
    start_of(&env, &["-a", "who"]).fails(125).says("nouser");
    let run = |options: &[&str], command: &str| {
        let rootfs = format!("{}:O", env.busybox_rootfs().display());
        env.coracle(["run", "--network=none"]).args(options).args(["--rootfs", &rootfs, command]).run()
    };
    assert_eq!(run(&["-u", "nouser", "--name", "ran"], "true").code, 126);
    assert_eq!(run(&["--name", "what"], "nosuch").code, 127);
    assert_eq!(run(&["-u", ":nowhere", "--rm", "--name", "gone"], "true").code, 126);
    let shown =
        env.coracle(["ps", "-a", "--sort", "names", "--format", "{{.Names}} {{.Status}} {{.State}}"]).ok();
    assert_eq!(shown.lines(), ["ran Created created", "what Created created", "who Created created"]);
    assert_eq!(env.coracle(["ps", "-a", "-q", "--filter", "status=created"]).ok().lines().len(), 3);
    let facts = "{{.State.Status}} {{.State.ExitCode}} {{.State.StartedAt.Unix}} {{.State.FinishedAt.Unix}}";
    assert_eq!(field(&env, "what", facts), "created 127 -62135596800 -62135596800");
    assert!(field(&env, "who", "{{.State.Error}}").contains("nouser"));
    assert_eq!(env.coracle(["wait", "what", "who"]).ok().lines(), ["127", "126"]);
    // What has run keeps how it ended.
    create(&env, "once", &["-v", "data:/data"], &["sh", "-c", "rm /bin/sh; exit 3"]);
    start_of(&env, &["-a", "once"]).fails(3);
    start_of(&env, &["once"]).fails(125);
    assert_eq!(status(&env, "once"), "exited 127");
    assert_eq!(env.coracle(["container", "prune", "-f"]).ok().lines().len(), 4);
}

/// Names and filters together: of the named containers those that match.
#[test]
fn a_filter_chooses_among_the_named() {
    let env = TestEnv::new();
    let rootfs = env.busybox_rootfs();
    for (name, label) in [("a", "tier=x"), ("b", "tier=y"), ("c", "tier=x")] {
        let call = env.coracle(["create", "--name", name, "-l", label, "--network=none", "--rootfs"]);
        call.arg(&rootfs).arg("true").ok();
    }
    let started = env.coracle(["start", "-f", "label=tier=x", "a", "b"]).ok();
    assert_eq!(started.lines(), ["a"]);
    assert_eq!(env.coracle(["start", "--filter", "name=nobody", "b"]).ok().stdout, "");
    env.coracle(["start", "--filter", "label=tier=x", "nosuch"]).fails(125).says("nosuch");
    env.coracle(["stop", "--filter", "label=tier=x", "a"])
        .fails(125)
        .says("no arguments are needed with --filter");
}
