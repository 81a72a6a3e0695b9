//! `run` at a terminal, and signals on their way through.

use crate::common::{TestEnv, eventually};
use expectrl::{Eof, Expect};
use nix::sys::signal::Signal;
use std::process::Command;

const BASE: [&str; 3] = ["run", "--network=none", "--name=c"];

fn status(env: &TestEnv) -> String {
    env.coracle(["ps", "-a", "--format", "{{.State}}"]).ok().text().to_owned()
}

#[test]
fn a_shell_at_a_terminal_behaves_like_one() {
    let env = TestEnv::with_images();
    let mut shell = env.coracle(BASE).args(["--rm", "-it", "busybox", "sh"]).pty();
    shell.get_process_mut().set_window_size(91, 33).unwrap();
    shell.send_line("tty; echo $TERM; stty size").unwrap();
    shell.expect("/dev/pts/0").unwrap();
    shell.expect("xterm").unwrap();
    shell.expect("33 91").unwrap();
    shell.get_process_mut().set_window_size(77, 22).unwrap();
    shell.send_line("sleep 0.2; stty size").unwrap();
    shell.expect("22 77").unwrap();
    // Keys reach the program inside as signals of its own terminal.
    shell.send_line("sh -c 'echo be\"\"fore; exec cat'").unwrap();
    shell.expect("before").unwrap();
    shell.send("\u{3}").unwrap();
    // The shell drops what is typed before its prompt.
    shell.expect("/ # ").unwrap();
    shell.send_line("echo code $?").unwrap();
    shell.expect("code 130").unwrap();
    shell.send_line("exit 5").unwrap();
    shell.expect(Eof).unwrap();
    let ended = shell.get_process().wait().unwrap();
    assert!(format!("{ended:?}").contains('5'), "{ended:?}");
}

/// The payload has the caller's own terminal, without one of its own between.
#[test]
fn a_terminal_is_passed_through() {
    let env = TestEnv::with_images();
    let run = |driver: &str, script: &str| {
        let call = env.coracle(BASE).args(["--log-driver", driver, "busybox", "sh", "-c", script]);
        call.pty()
    };
    let script =
        "test -t 0 && test -t 1 && test -t 2 && echo ter''minal; read x; stty size; echo got $x; exit 4";
    let mut shell = run("passthrough-tty", script);
    shell.get_process_mut().set_window_size(91, 33).unwrap();
    shell.expect("terminal").unwrap();
    // The size is the terminal's, and what is typed is read.
    shell.send_line("some words").unwrap();
    shell.expect("33 91").unwrap();
    shell.expect("got some words").unwrap();
    shell.expect(Eof).unwrap();
    let ended = shell.get_process().wait().unwrap();
    assert!(format!("{ended:?}").contains(", 4)"), "{ended:?}");
    assert_eq!(status(&env), "exited");
    let logs = env.coracle(["logs", "c"]).run();
    assert!(!logs.stdout.contains("terminal"), "nothing is kept: {logs}");
    env.coracle(["rm", "c"]).ok();
    let mut refused = run("passthrough", "true");
    refused.expect("Error: ").unwrap();
    refused.expect("passthrough-tty").unwrap();
    refused.expect(Eof).unwrap();
    assert!(env.containers().is_empty());
}

#[test]
fn keys_detach_and_leave_the_container_running() {
    let env = TestEnv::with_images();
    for (options, keys) in [(&["-it"][..], "\u{10}\u{11}"), (&["-it", "--detach-keys=ctrl-a,x"], "\u{1}x")] {
        let mut shell = env.coracle(BASE).args(options).args(["busybox", "sh"]).pty();
        shell.send_line("echo re''ady").unwrap();
        shell.expect("ready").unwrap();
        shell.send(keys).unwrap();
        // The prompt that comes next begins a line.
        let rest = shell.expect(Eof).unwrap();
        assert!(rest.get(0).unwrap().ends_with(b"\r\n"), "{:?}", rest.get(0));
        let ended = shell.get_process().wait().unwrap();
        assert!(format!("{ended:?}").contains(", 0)"), "{ended:?}");
        assert_eq!(status(&env), "running");
        env.coracle(["rm", "-f", "-t", "0", "c"]).ok();
    }
}

#[test]
fn signals_are_passed_on_unless_told_not_to() {
    let env = TestEnv::with_images();
    let script = "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let ready = || env.coracle(["logs", "c"]).run().stdout.contains("ready");
    let running = env.coracle(BASE).args(["--rm", "busybox", "sh", "-c", script]).start();
    eventually("it is ready", ready);
    running.signal(Signal::SIGTERM);
    let output = running.wait();
    assert_eq!((output.code, output.stdout.as_str()), (9, "ready\ncaught\n"), "{output}");

    let running = env.coracle(BASE).args(["--sig-proxy=false", "busybox", "sh", "-c", script]).start();
    eventually("it is ready", ready);
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code, 143);
    assert_eq!(status(&env), "running");
}

/// The promise behind `$(coracle run -d ...)`: nothing keeps the caller's output open.
#[test]
fn a_detached_run_prints_the_id_and_lets_go() {
    let env = TestEnv::with_images();
    let call = env.coracle(BASE).args(["-d", "busybox", "sleep", "1000"]).into_command();
    let mut shell = Command::new("sh");
    shell.args(["-c", "id=$(\"$@\"); echo \"<$id>\"", "sh"]).arg(call.get_program()).args(call.get_args());
    shell.current_dir(env.path()).env("HOME", env.home());
    let output = shell.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert_eq!(text, format!("<{}>", env.containers()[0]), "{output:?}");
}
