//! RUN --mount.

use super::{build, context, run};
use crate::common::TestEnv;
use std::fs;

#[test]
fn a_cache_mount_outlives_the_build_and_is_in_no_layer() {
    let env = TestEnv::with_images();
    let text = |n: u8| {
        format!("FROM busybox\nRUN --mount=type=cache,target=/c,id=mine echo {n} >>/c/log; cp /c/log /seen\n")
    };
    for n in 1..=2 {
        env.coracle(["build", "--network=none", "-t", "made", "-"]).stdin(text(n)).ok();
    }
    assert_eq!(run(&env, "made", "cat /seen; ls /c 2>/dev/null | wc -l"), "1\n2\n0");
}

/// A secret is where it was asked for while the step runs, and nowhere else: not in a layer, the history, the records of
/// the build or its log.
/// A shell's process substitution is a pipe: it is read once.
#[test]
fn a_secret_may_come_from_a_pipe() {
    let env = TestEnv::with_images();
    let fifo = env.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let text = "FROM busybox\nRUN --mount=type=secret,id=s test \"$(cat /run/secrets/s)\" = value\n";
    let call =
        env.coracle(["build", "--network=none", &format!("--secret=id=s,src={}", fifo.display()), "-"]);
    let running = call.stdin(text).start();
    fs::write(&fifo, "value").unwrap();
    let ended = running.wait();
    assert_eq!(ended.code, 0, "{ended}");
}

/// Directories above a mount point that were made for it go with it; those that the image has stay as the step left them.
#[test]
fn nothing_of_a_mount_point_is_left() {
    let env = TestEnv::with_images();
    let text = "FROM busybox\nRUN mkdir -m 700 /own\nRUN --mount=type=tmpfs,target=/new/a/b --mount=type=tmpfs,target=/own/c/d chmod 711 /own\n";
    assert_eq!(build(&env, text).code, 0);
    assert_eq!(run(&env, "made", "ls -d /new; stat -c %a /own; ls -A /own"), "711");
}

#[test]
fn case_49_secrets_leave_no_trace() {
    let env = TestEnv::with_images();
    let value = "correct-horse-battery";
    let file = env.file("secret", value);
    let text = "FROM busybox\n\
        RUN --mount=type=secret,id=a stat -c '%a %u' /run/secrets/a; [ \"$(cat /run/secrets/a | wc -c)\" = 21 ]\n\
        RUN --mount=type=secret,id=b,env=TOKEN [ \"$(printf %s \"$TOKEN\" | wc -c)\" = 21 ]\n\
        RUN [ -z \"$TOKEN\" ] && [ ! -e /run/secrets/a ]\n";
    let built = env
        .coracle(["build", "--network=none", "--progress=plain", "-t", "made"])
        .args([
            format!("--secret=id=a,src={}", file.display()),
            "--secret=id=b,env=MINE".to_owned(),
            "-".to_owned(),
        ])
        .env("MINE", value)
        .env("http_proxy", format!("http://me:{value}@127.0.0.1:1"))
        .stdin(text)
        .ok();
    assert!(built.stderr.contains("400 0"), "{}", built.stderr);
    fs::remove_file(file).unwrap();
    let found = std::process::Command::new("grep").args(["-rl", value]).arg(env.root()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    let missing = env
        .coracle(["build", "--network=none", "-"])
        .stdin("FROM busybox\nRUN --mount=type=secret,id=no,required=true true\n");
    missing.fails(125).says("secret no");
}

/// What a step writes to a bind mount of the context goes with the step (attack case 46), and what the ignore file
/// leaves out is not there.
#[test]
fn case_46_the_context_stays_as_it_is() {
    let env = TestEnv::with_images();
    let file = "FROM busybox\nRUN --mount=type=bind,target=/in,rw ls /in >/list; echo changed >/in/a; rm -f /in/b; touch /in/new\n";
    for ignore in ["", "left-out\n"] {
        let dir = context(
            &env,
            "context",
            &[
                ("Containerfile", file),
                ("a", "1"),
                ("b", "2"),
                ("left-out", "3"),
                (".containerignore", ignore),
            ],
        );
        env.coracle(["build", "--network=none", "--no-cache", "-t", "made"]).arg(&dir).ok();
        assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), "1");
        assert!(dir.join("b").exists() && !dir.join("new").exists());
        let list = run(&env, "made", "cat /list");
        assert_eq!(list.contains("left-out"), ignore.is_empty(), "{list}");
    }
}

/// Files of a stage and of the context are seen read-only, single ones too.
#[test]
fn files_are_bound_from_where_they_are() {
    let env = TestEnv::with_images();
    let file = "FROM busybox AS one\nRUN mkdir /d; echo one >/d/f\nFROM busybox\n\
        RUN --mount=from=one,source=/d,target=/m --mount=source=x.txt,target=/x.txt cat /m/f /x.txt >/seen; ! touch /m/f 2>/dev/null\n\
        RUN --mount=type=tmpfs,target=/t,size=1m touch /t/x && [ ! -e /m ] && [ ! -e /x.txt ]\n";
    let dir = context(&env, "context", &[("Containerfile", file), ("x.txt", "x")]);
    env.coracle(["build", "--network=none", "-t", "made"]).arg(&dir).ok();
    assert_eq!(run(&env, "made", "cat /seen; ls -d /m /t 2>/dev/null | wc -l"), "one\nx0");
}
