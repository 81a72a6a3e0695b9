//! Runs after the other tests (cargo goes by name, and its name is `zz-leftovers`): no file, no process and
//! no mount of a test program of this run of cargo is left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "these are tests: a panic is how they fail"
)]

mod common;

use common::traces_of;

use std::time::{Duration, Instant};

/// The names in the temporary directory of this run (`tests/runner.sh`).
fn files() -> Vec<String> {
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn nothing_is_left_of_the_tests_before() {
    let dir = std::env::temp_dir();
    let own = dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ct-"));
    assert!(own, "{} is not a directory of tests/runner.sh", dir.display());
    // The janitors may be at work yet.
    let begun = Instant::now();
    while !files().is_empty() && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(files().is_empty(), "left in {}: {:?}", dir.display(), files());
    // A process may name a directory that is gone already.
    let found = traces_of(&dir);
    assert!(found.is_empty(), "left by earlier tests:\n{found}");
    std::fs::remove_dir(dir).unwrap();
}
