//! `make bench`: the table of the README. Every row is a ratio of one run: ours against podman with
//! runc, as the same unprivileged user on the same files, and against a floor where there is one. The
//! absolute figures belong to the machine and say little.
//!
//! Arguments: words; only rows whose name contains one of them are measured.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench that fails says so by a panic"
)]

mod build;
#[path = "../../tests/common/mod.rs"]
mod common;
mod images;
mod lifecycle;
mod network;
mod peer;
mod pull;
mod push;
mod rows;
mod table;
mod transfer;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let bench = rows::Bench::new();
    let mut table = table::Table::new();
    for (name, row) in rows::ROWS {
        if wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str())) {
            eprintln!("measuring: {name}");
            table.add(name, row(&bench));
        }
    }
    println!("{}", table.finish(&bench.machine()));
}
