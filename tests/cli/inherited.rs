//! What a command inherits from whoever starts it: signals, descriptors, masks, limits, a strange home directory.

use crate::common::{Output, TestEnv, eventually};
use nix::sys::signal::Signal;
use std::process::{Command, Stdio};

/// `run` of a script in the busybox image, started by `before`: words of a shell that executes what comes after them.
#[track_caller]
fn said(env: &TestEnv, before: &str, script: &str) -> (Option<i32>, String) {
    let call = env.coracle(["run", "--rm", "--network=none", "busybox", "sh", "-c", script]).into_command();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{before} \"$@\""), "sh"]).arg(call.get_program()).args(call.get_args());
    shell.current_dir(env.path()).env("HOME", env.home()).stdin(Stdio::null());
    let output = shell.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text.trim().to_owned())
}

#[test]
fn ignored_and_blocked_signals_change_nothing() {
    let env = TestEnv::with_images();
    let script = "grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\\n\\t '; exit 7";
    let clean = "SigBlk:0000000000000000SigIgn:0000000000000000";
    // rt_sigaction(2) itself, with SIG_IGN, for a signal of which the C library knows nothing.
    let number = if cfg!(target_arch = "x86_64") { 13 } else { 134 };
    let reserved = format!(
        "perl -e 'my $ignore = pack(\"Q4\", 1, 0, 0, 0); syscall({number}, 32, $ignore, 0, 8) == 0 or die; exec @ARGV'"
    );
    for before in ["env --ignore-signal=CHLD", "env --block-signal", "env --ignore-signal", &reserved] {
        assert_eq!(said(&env, before, script), (Some(7), clean.to_owned()), "{before}");
    }
}

#[test]
fn a_mask_a_priority_and_low_limits_change_nothing() {
    let env = TestEnv::with_images();
    let shell = |before: &str, script: &str| said(&env, &format!("{before}; exec"), script);
    let modes = "umask; stat -c %a / /etc /etc/hosts /dev /dev/shm /tmp";
    let usual = shell("umask 022", modes);
    assert_eq!(usual.0, Some(0), "{usual:?}");
    for umask in ["umask 0777", "umask 0"] {
        assert_eq!(shell(umask, modes), usual, "{umask}");
    }
    assert_eq!(shell("ulimit -n 32", "echo up"), (Some(0), "up".to_owned()));
    let priority = "cut -d ' ' -f 19 /proc/self/stat";
    assert_eq!(shell("renice 19 $$ >/dev/null", priority), (Some(0), "19".to_owned()));
    for closed in ["exec <&-", "exec 2>&-", "exec <&- 2>&-"] {
        assert_eq!(shell(closed, "echo up").0, Some(0), "{closed}");
    }
}

#[test]
fn a_home_that_is_no_place_is_refused() {
    let env = TestEnv::new();
    for home in ["rel", ""] {
        let binary = crate::common::coracle_binary();
        let call = env.program(binary).arg("ps").env("HOME", home).env_remove("XDG_DATA_HOME");
        let refused: Output = call.env_remove("XDG_CONFIG_HOME").cwd(env.path()).fails(125);
        refused.says("not an absolute path").says("Hint: ");
        assert!(!env.path().join("rel").exists());
    }
    // Where it does not matter it is no obstacle.
    env.coracle(["ps"]).env("HOME", "rel").ok();
}

/// Servers that end gracefully by it get it, as with docker and podman.
#[test]
fn a_change_of_size_is_a_signal_without_a_terminal() {
    let env = TestEnv::with_images();
    let script = "trap 'exit 33' WINCH; echo ready; while :; do sleep 0.05; done";
    let running =
        env.coracle(["run", "--name", "c", "--network=none", "busybox", "sh", "-c", script]).start();
    eventually("it is ready", || env.coracle(["logs", "c"]).run().stdout.contains("ready"));
    running.signal(Signal::SIGWINCH);
    assert_eq!(running.wait().code, 33);
}

#[test]
fn a_byte_that_is_no_text_costs_its_own_line() {
    let env = TestEnv::new();
    let odd = env.file("resolv.conf", b"# caf\xe9\nnameserver 9.9.9.9\n");
    let call = env.coracle(["run", "--rm", "--network=host", "--rootfs"]).arg(env.busybox_rootfs());
    let call = call.args(["cat", "/etc/resolv.conf"]).into_command();
    let script = format!("mount --bind {} /etc/resolv.conf && exec \"$@\"", odd.display());
    let shown = env.program("unshare").args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
    let shown = shown.arg(call.get_program()).args(call.get_args()).ok();
    assert!(shown.stdout.contains("nameserver 9.9.9.9\n"), "{shown}");
}
