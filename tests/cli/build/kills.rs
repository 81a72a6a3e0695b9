//! Builds that are killed at any moment. `CORACLE_TEST_ROUNDS` has more than a few.

use super::{context, run};
use crate::common::TestEnv;
use nix::sys::signal::Signal;
use std::time::Duration;

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
