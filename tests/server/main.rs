//! What a long-lived caller of the library relies on, in a program of one thread: `harness = false`, since the
//! usual test runner has threads and `coracle::fork` refuses those.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these are tests: a panic is how they fail"
)]

#[path = "../common/mod.rs"]
mod common;
mod descriptors;
mod engine;
mod layers;

use common::eventually;
use coracle::fork;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::process::ExitCode;

/// The tests, by name.
const TESTS: [(&str, fn()); 6] = [
    (
        "no_process_of_a_container_keeps_what_its_maker_has_open",
        descriptors::no_process_of_a_container_keeps_what_its_maker_has_open,
    ),
    ("no_leaf_keeps_what_its_maker_has_open", descriptors::no_leaf_keeps_what_its_maker_has_open),
    ("containers_are_driven_without_a_command_line", engine::containers_are_driven_without_a_command_line),
    ("each_line_of_several_logs_is_given_once", engine::each_line_of_several_logs_is_given_once),
    ("several_are_followed_at_once", engine::several_are_followed_at_once),
    (
        "what_a_step_wrote_is_a_layer_that_all_commands_use",
        layers::what_a_step_wrote_is_a_layer_that_all_commands_use,
    ),
];

fn main() -> ExitCode {
    // A stage of a container's start is this program once more.
    if let Some(code) = fork::run_stage_if_asked(&coracle::cmd::STAGES) {
        return code;
    }
    fork::note_inherited();
    for (name, test) in TESTS {
        test();
        println!("test {name} ... ok");
    }
    println!("\ntest result: ok. {} passed", TESTS.len());
    ExitCode::SUCCESS
}

/// The monitors are children of this process, which does not end.
fn reap(monitors: &[Pid]) {
    let flag = Some(WaitPidFlag::WNOHANG);
    for monitor in monitors {
        eventually("the monitor is gone", || !matches!(waitpid(*monitor, flag), Ok(WaitStatus::StillAlive)));
    }
}
