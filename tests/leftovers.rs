//! Runs after the other tests (cargo goes by name, and its name is `zz-leftovers`) and looks over the whole machine: no directory, no
//! process and no mount of an earlier test process of this source tree is left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "these are tests: a panic is how they fail"
)]

mod common;

use common::{prefix, traces_of};
use std::path::{Path, PathBuf};

/// Directories whose test process has ended; those of a run that is still going on are its own.
fn abandoned() -> Vec<PathBuf> {
    let start = format!("{}-", prefix());
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap();
    let names = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
    names
        .filter(|name| {
            let pid = name.strip_prefix(&start).and_then(|rest| rest.split('-').next());
            pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
        })
        .map(|name| std::env::temp_dir().join(name))
        .collect()
}

/// Whether another test program of this build is running now.
fn others_are_running() -> bool {
    let own = std::env::current_exe().unwrap();
    let programs = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| {
        std::fs::read_link(e.path().join("exe")).ok().filter(|exe| exe.parent() == own.parent())
    });
    programs.count() > 1
}

#[test]
fn nothing_is_left_of_the_tests_before() {
    common::eventually("the janitors have removed every directory of ended tests", || abandoned().is_empty());
    if others_are_running() {
        return common::skip("another test program of this build is running");
    }
    // A process may name a directory that is gone already.
    let found = traces_of(&std::env::temp_dir().join(prefix()));
    assert!(found.is_empty(), "left by earlier tests:\n{found}");
}
