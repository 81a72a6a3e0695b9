//! Sources of builds, with real servers: git, web servers, archives, image layouts. A program of one thread:
//! `harness = false`, since the usual test runner has threads and `coracle::fork` refuses those.
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
mod contexts;
mod downloads;
mod layouts;
mod repositories;
mod web;

use common::TestEnv;
use coracle::build::sources::context::Means;
use coracle::fork;
use coracle::host::Caller;
use coracle::registry::RetryPolicy;
use coracle::storage::Store;
use std::path::Path;
use std::time::Duration;

/// A test and its name.
type Test = (&'static str, fn());

/// A test called as its function.
macro_rules! tests {
    ($($module:ident: $($name:ident)+;)+) => {
        const TESTS: &[Test] = &[$($((stringify!($name), $module::$name)),+),+];
    };
}

tests! {
    downloads:
        a_file_arrives_whole
        an_interrupted_download_is_resumed
        a_file_that_changed_is_taken_from_the_start
        an_overloaded_server_is_asked_again
        an_unchanged_file_is_not_sent
        another_checksum_keeps_nothing
        passwords_stay_with_their_server
        redirects_have_an_end;
    repositories:
        a_commit_is_fetched_alone
        names_and_ids_are_found
        a_server_that_gives_only_everything
        submodules_are_fetched
        case_47_a_repository_shows_nothing_of_the_host
        case_48_a_repository_runs_nothing
        the_users_way_to_a_server_counts
        a_password_is_in_no_message
        a_missing_git_is_said;
    contexts:
        a_directory_is_held
        a_stream_is_an_archive_or_a_text
        an_address_is_an_archive_or_a_text
        a_repository_is_a_context
        containerfiles_are_found
        case_47_no_containerfile_lies_outside
        what_is_no_file_is_no_containerfile;
    layouts:
        an_image_of_a_layout_is_loaded;
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, dir] = arguments.as_slice()
        && serve == web::SERVE
    {
        return web::serve(Path::new(dir));
    }
    fork::note_inherited();
    let wanted: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let mut ran = 0;
    for (name, test) in TESTS {
        if wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str())) {
            test();
            println!("test {name} ... ok");
            ran += 1;
        }
    }
    println!("\ntest result: ok. {ran} passed");
}

/// A store, a caller, and a directory for servers.
struct Scene {
    env: TestEnv,
    store: Store,
    caller: Caller,
}

impl Scene {
    fn new() -> Scene {
        let env = TestEnv::new();
        let store = Store::open(&env.root(), &env.runroot(), &[]).unwrap();
        let home = env.home().to_str().unwrap().to_owned();
        let path = std::env::var("PATH").unwrap();
        let caller = Caller {
            env: vec![("HOME".to_owned(), home), ("PATH".to_owned(), path)],
            cwd: env.path().to_owned(),
            ..Caller::default()
        };
        Scene { env, store, caller }
    }

    /// Three quick tries.
    fn retry() -> RetryPolicy {
        RetryPolicy { retries: 3, delay: Some(Duration::from_millis(1)) }
    }

    fn means(&self) -> Means<'_> {
        Means { store: &self.store, caller: &self.caller, retry: Scene::retry(), trust: None }
    }

    /// What is in `tmp/`: nothing, when everything was dropped.
    fn left_over(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.env.root().join("tmp")).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}
