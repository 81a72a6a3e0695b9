//! Descriptors that the caller hands over: `--preserve-fds`, and sockets of a service manager.

use super::ps::field;
use crate::common::{Call, TestEnv, eventually};

/// Runs it with the file `kept` as descriptor 3, after what this shell script does.
fn with_descriptor(env: &TestEnv, before: &str, call: Call) -> std::process::Output {
    env.file("kept", "kept\n");
    let command = call.into_command();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &format!("{before} exec \"$@\" 3<kept"), "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    shell.current_dir(env.path()).env("HOME", env.home());
    shell.output().unwrap()
}

#[test]
fn descriptors_are_preserved_when_asked() {
    let env = TestEnv::with_images();
    let call =
        env.coracle(["run", "--rm", "--network=none", "--preserve-fds=1", "busybox", "sh", "-c", "cat <&3"]);
    let output = with_descriptor(&env, "", call);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "kept\n", "{output:?}");
    env.coracle(["run", "--preserve-fds=1", "busybox", "true"]).fails(125).says("3");
}

/// Later runs have none, and their monitor loses none of its own.
#[test]
fn preserved_descriptors_are_for_the_first_run() {
    let env = TestEnv::with_images();
    let options =
        ["run", "-d", "--name=again", "--network=none", "--restart=on-failure:3", "--preserve-fds=1"];
    let script = "cat <&3; echo run; exit 3";
    let output = with_descriptor(&env, "", env.coracle(options).args(["busybox", "sh", "-c", script]));
    assert!(output.status.success(), "{output:?}");
    let ended = || field(&env, "again", "{{.State.Status}} {{.RestartCount}}");
    eventually("it has given up", || ended() == "exited 3");
    assert_eq!(env.coracle(["logs", "again"]).ok().stdout, "kept\nrun\nrun\nrun\nrun\n");
}

/// As systemd hands them over: the number of the process is that of who is to have them.
#[test]
fn sockets_of_a_service_manager_are_the_payloads() {
    let env = TestEnv::with_images();
    let script = r#"echo "$LISTEN_FDS $LISTEN_FDNAMES $((LISTEN_PID == $$))"; cat <&3"#;
    for init in ["--init=false", "--init"] {
        let handed = |pid: &str| {
            let call = env.coracle(["run", "--rm", "--network=none", init, "busybox", "sh", "-c", script]);
            let before = format!("export LISTEN_FDS=1 LISTEN_FDNAMES=web LISTEN_PID={pid};");
            let output = with_descriptor(&env, &before, call);
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        assert_eq!(handed("$$"), "1 web 1\nkept\n", "{init}");
        assert_eq!(handed("1"), "  0\n", "{init}");
    }
}

/// A unit that starts a container which was made before (podman-generate-systemd(1) without `--new`).
#[test]
fn sockets_are_handed_to_a_container_that_is_started_too() {
    let env = TestEnv::with_images();
    let script = r#"echo "$LISTEN_FDS $((LISTEN_PID == $$))"; cat <&3"#;
    env.coracle(["create", "--name=one", "--network=none", "--init=false", "busybox", "sh", "-c", script])
        .ok();
    let before = "export LISTEN_FDS=1 LISTEN_PID=$$;";
    let output = with_descriptor(&env, before, env.coracle(["start", "--attach", "one"]));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1 1\nkept\n", "{output:?}");
    // Its second number is not known: `cat` may find anything there.
    assert!(env.coracle(["start", "--attach", "one"]).run().stdout.starts_with(" 0\n"));
}
