//! Builds that are killed at any moment. `CORACLE_TEST_ROUNDS` has more than a few.

use super::{context, run};
use crate::common::{TestEnv, eventually};
use nix::sys::signal::Signal;
use std::fs;
use std::time::Duration;

const POINT: &str = "CORACLE_FAILPOINT";

fn names(env: &TestEnv, dir: &str) -> Vec<String> {
    let found = fs::read_dir(env.root().join(dir)).into_iter().flatten().flatten();
    found.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Nothing has to be old before it counts as left behind: its maker's lock tells.
#[test]
fn what_a_killed_command_was_making_goes_with_the_next_prune() {
    let env = TestEnv::with_images();
    let secret = env.file("secret", "s");
    let dir =
        context(&env, "app", &[("Containerfile", "FROM busybox\nCOPY a /\nRUN cat /a >/b\n"), ("a", "a")]);
    let build = ["build", "--network=none", "-q", dir.to_str().unwrap()];
    let volume = ["volume", "create", "v"];
    let secret = ["secret", "create", "s", secret.to_str().unwrap()];
    let mut left = 0;
    for (args, point) in [
        (&volume[..], "tmp.made"),
        (&volume, "volume.filled"),
        (&secret, "tmp.made"),
        (&secret, "secret.filled"),
        (&build, "tmp.made"),
        (&build, "tmp.made#2"),
        (&build, "tmp.made#3"),
        (&build, "adopt.hashed"),
        (&build, "adopt.marked"),
        (&build, "start.begin"),
        (&build, "start.runs"),
        (&build, "end.recorded"),
    ] {
        env.coracle(args).env(POINT, format!("{point}=kill")).run();
        left += names(&env, "tmp").len();
        // The monitor of a killed build's step ends by itself, and so does whoever was forked to delete something.
        eventually("nothing is left", || {
            env.coracle(["system", "prune", "--external", "-f"]).ok();
            names(&env, "tmp").is_empty() && names(&env, "trash").is_empty()
        });
    }
    assert!(left >= 6, "{left}");
    for args in [&volume[..], &secret, &build] {
        env.coracle(args).ok();
    }
}

/// Whoever cleans up may come between a directory and the lock on it.
#[test]
fn who_is_taken_for_dead_begins_anew() {
    let env = TestEnv::with_images();
    let secret = env.file("secret", "s");
    let made: [&[&str]; 2] =
        [&["volume", "create", "v"], &["secret", "create", "s", secret.to_str().unwrap()]];
    for args in made {
        let making = env.coracle(args).env(POINT, "tmp.made=pause:1500").start();
        eventually("it has a directory", || names(&env, "tmp").len() == 1);
        env.coracle(["system", "prune", "--external", "-f"]).ok();
        assert!(names(&env, "tmp").is_empty());
        assert_eq!(making.wait().code, 0);
    }
    env.coracle(["volume", "inspect", "v"]).ok();
    env.coracle(["secret", "inspect", "s"]).ok();
    // One that holds its lock keeps what it has.
    let making = env.coracle(["volume", "create", "w"]).env(POINT, "volume.filled=pause:1500").start();
    eventually("it is at work", || names(&env, "tmp").len() == 1);
    env.coracle(["system", "prune", "--external", "-f"]).ok();
    assert_eq!(making.wait().code, 0);
}

/// What was finished is used, and what was not leaves only what `prune` takes.
#[test]
fn a_killed_build_goes_on_where_it_was() {
    let rounds: u64 = std::env::var("CORACLE_TEST_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    let env = TestEnv::with_images();
    let steps = "RUN echo 1 >/1\nCOPY a /2\nRUN --mount=type=cache,target=/c echo 3 >/3; echo 3 >/c/3\nRUN cat /1 /2 /3 >/all\n";
    for round in 0..rounds {
        // Another context each time, or there would be nothing to do.
        let file = format!("FROM busybox\nENV ROUND={round}\n{steps}");
        let name = format!("context{round}");
        let dir = context(&env, &name, &[("Containerfile", &file), ("a", "2\n")]);
        let build = env.coracle(["build", "--network=none", "-q", "-t", "made"]).arg(&dir).start();
        std::thread::sleep(Duration::from_millis(round * 37 % 600));
        // It may have ended by itself.
        build.signal(Signal::SIGKILL);
        build.wait();
        env.coracle(["build", "--network=none", "-q", "-t", "made"]).arg(&dir).ok();
        assert_eq!(run(&env, "made", "cat /all"), "1\n2\n3", "round {round}");
    }
    env.coracle(["system", "check"]).ok();
    env.removing_all_leaves_nothing();
}
