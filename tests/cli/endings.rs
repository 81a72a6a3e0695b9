//! What happens when something around a container is killed: its command, its terminal, its network.

use crate::common::{TestEnv, eventually};
use expectrl::{Eof, Expect};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use std::os::fd::AsFd;

fn state(env: &TestEnv, name: &str) -> String {
    env.coracle(["inspect", name, "--format", "{{.State.Status}}"]).ok().text().to_owned()
}

/// Who saves what a container writes takes the exit code's word that it is whole.
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let env = TestEnv::with_images();
    let full = |args: &[&str]| {
        let mut command = env.coracle(args).into_command();
        let device = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command.stdin(std::process::Stdio::null()).stdout(device).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let script = "echo started; while :; do sleep 0.1; echo more; done";
    let base = ["run", "-d", "--name", "c", "--network=none", "busybox", "sh", "-c", script];
    env.coracle(base).ok();
    eventually("it writes", || env.coracle(["logs", "c"]).run().stdout.contains("more"));
    env.coracle(["create", "--name", "new", "--network=none", "busybox", "echo", "x"]).ok();
    for args in [
        &["run", "--rm", "--network=none", "busybox", "echo", "data"][..],
        &["exec", "c", "echo", "data"],
        &["exec", "c", "sh", "-c", "yes | head -c 1000000"],
        &["start", "-a", "new"],
        &["logs", "c"],
    ] {
        let (code, said) = full(args);
        assert_eq!(code, Some(126), "{args:?}: {said}");
        assert!(
            said.contains("write to standard output") && said.contains("no space left on device"),
            "{args:?}: {said}"
        );
    }
    // The container goes on without the one who only looked.
    let (code, said) = full(&["attach", "c"]);
    assert!(code == Some(126) && said.contains("no space left"), "{said}");
    assert_eq!(state(&env, "c"), "running");
    // A reader that has had enough is no failure.
    let done = env.coracle(["run", "--rm", "--network=none", "busybox", "yes"]).into_command();
    let piped = env.program("sh").args(["-c", "\"$@\" | head -n 1", "sh"]).arg(done.get_program());
    let output = piped.args(done.get_args()).ok();
    assert!(output.stdout == "y\n" && !output.stderr.contains("Error"), "{output}");
}

/// A command that is killed says nothing; the payload sees the end of its input all the same.
#[test]
fn a_killed_command_ends_standard_input() {
    let env = TestEnv::with_images();
    let script = "echo ready; cat; echo over >/done; sleep 1000";
    let base = ["run", "-i", "--name", "c", "--network=none", "busybox", "sh", "-c", script];
    let mut command = env.coracle(base).into_command();
    let mut running =
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    eventually("it runs", || env.coracle(["logs", "c"]).run().stdout.contains("ready"));
    running.kill().unwrap();
    running.wait().unwrap();
    eventually("the input has ended", || env.coracle(["exec", "c", "cat", "/done"]).run().stdout == "over\n");
    assert_eq!(state(&env, "c"), "running");

    // The same for exec.
    let script = "echo ready >/e; cat; echo over >/edone";
    let mut command = env.coracle(["exec", "-i", "c", "sh", "-c", script]).into_command();
    let mut running = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    eventually("it runs", || env.coracle(["exec", "c", "cat", "/e"]).run().stdout == "ready\n");
    running.kill().unwrap();
    running.wait().unwrap();
    eventually("the input has ended", || {
        env.coracle(["exec", "c", "cat", "/edone"]).run().stdout == "over\n"
    });
}

#[test]
fn a_terminated_command_leaves_the_terminal_in_order() {
    let env = TestEnv::with_images();
    env.coracle(["run", "-d", "--name", "c", "--network=none", "busybox", "sleep", "1000"]).ok();
    for words in
        [&["run", "--name=t", "--network=none", "-it", "busybox", "sh"][..], &["exec", "-it", "c", "sh"]]
    {
        let mut shell = env.coracle(words).pty();
        shell.send_line("echo re''ady").unwrap();
        shell.expect("ready").unwrap();
        let master = shell.get_process().get_raw_handle().unwrap();
        let cooked = || tcgetattr(master.as_fd()).unwrap().local_flags.contains(LocalFlags::ICANON);
        assert!(!cooked());
        let pid = Pid::from_raw(shell.get_process().pid().as_raw());
        kill(pid, Signal::SIGTERM).unwrap();
        shell.expect(Eof).unwrap();
        let ended = shell.get_process().wait().unwrap();
        assert!(format!("{ended:?}").contains("143"), "{ended:?}");
        assert!(cooked(), "{words:?}");
    }
    assert_eq!(state(&env, "t"), "running");
}

#[test]
fn a_network_whose_helper_dies_comes_back() {
    let env = TestEnv::with_images();
    env.coracle(["run", "-d", "--name", "c", "busybox", "sleep", "1000"]).ok();
    let pid = env.coracle(["inspect", "c", "--format", "{{.State.ConmonPid}}"]).ok().text().to_owned();
    let helper = || -> Option<i32> {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let named = |child: &&str| {
            std::fs::read_to_string(format!("/proc/{child}/comm"))
                .is_ok_and(|name| name.trim() == "slirp4netns")
        };
        children.split_whitespace().find(named).map(|child| child.parse().unwrap())
    };
    let has_address = || env.coracle(["exec", "c", "ip", "addr"]).ok().stdout.contains("10.0.2.100");
    assert!(has_address());
    let first = helper().unwrap();
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    eventually("another has taken its place", || helper().is_some_and(|now| now != first));
    eventually("the address is back", has_address);
    env.coracle(["stop", "-t0", "c"]).ok();
    eventually("no helper is left", || helper_is_gone(&pid));
}

fn helper_is_gone(monitor: &str) -> bool {
    !std::path::Path::new(&format!("/proc/{monitor}")).exists()
        || std::fs::read_to_string(format!("/proc/{monitor}/task/{monitor}/children"))
            .is_ok_and(|c| c.is_empty())
}
