//! What the integration tests stand on: a data root of their own ([`TestEnv`]), a real registry on
//! loopback ([`Registry`]) and images made on the spot ([`ImageBuilder`]).
//!
//! All that a run of `cargo test` makes lies in one temporary directory (`tests/runner.sh`), and there
//! what a test process makes here in directories `<pid>-...`. A janitor process removes what is left of
//! these when the test process ends, however it ends; `tests/leftovers.rs` checks afterwards that nothing is.
#![allow(dead_code, unused_imports, reason = "every test binary uses another part of the fixtures")]

mod debian;
mod emptied;
mod env;
mod faulty_registry;
mod images;
mod leftovers;
mod registry;
mod state;
mod tls;
mod token_server;

pub(crate) use debian::{debian, debian_compilers, debian_servers, debian_tar, debian_tree};
pub(crate) use env::{Call, Output, Running, TestEnv, coracle_binary};
pub(crate) use faulty_registry::{Auth, Fault, FaultyRegistry, Seen};
pub(crate) use images::{Format, ImageBuilder, Layer, Zip, busybox, busybox_tree, many_layers, one_file};
pub(crate) use leftovers::{Leftovers, traces_of};
pub(crate) use registry::{Registry, free_port, shared_registry};
pub(crate) use state::{Known, State, entries, images};
pub(crate) use tls::{TLS_PROGRAMS, TlsServer, make_authority};
pub(crate) use token_server::TokenServer;

use sha2::{Digest, Sha256};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

/// Lower-case hex of the SHA-256 sum.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Prints why a test does nothing here.
pub(crate) fn skip(why: &str) {
    eprintln!("skipped: {why}");
}

/// Whether a program is not installed here; prints that, for a test that can do nothing without.
pub(crate) fn lacks(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| which(program).is_none());
    missing.inspect(|program| skip(&format!("{program} is not installed"))).is_some()
}

/// A new directory of this test process, mode 0755; removed by its owner or, at the end, by the janitor.
pub(crate) fn scratch(what: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    janitor();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}-{what}{number}", std::process::id());
    let dir = std::env::temp_dir().join(name);
    std::fs::create_dir(&dir).unwrap_or_else(|e| panic!("create {}: {e}", dir.display()));
    dir
}

/// Where expensive fixtures are kept between runs (a Debian tree). `tests/as-user.sh` makes it and
/// hands it to the test user.
pub(crate) fn cache_dir() -> PathBuf {
    let dir = std::env::var_os("CORACLE_TEST_CACHE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-cache"), PathBuf::from);
    std::fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("create {}: {e}", dir.display()));
    dir
}

/// Keeps other test processes from making the same fixture; until it is dropped.
pub(crate) fn cache_lock() -> std::fs::File {
    let lock = std::fs::File::create(cache_dir().join("lock"));
    let lock = lock.unwrap_or_else(|e| panic!("lock {}: {e}", cache_dir().display()));
    lock.lock().unwrap_or_else(|e| panic!("lock {}: {e}", cache_dir().display()));
    lock
}

/// Whether `program` is in `PATH` or the system directories.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin"])
        .map(|dir| Path::new(dir).join(program))
        .find(|candidate| candidate.is_file())
}

/// Starts the process that outlives this one and cleans up after it: it waits for the end of a pipe
/// that only this process holds.
fn janitor() {
    static JANITOR: OnceLock<Mutex<Child>> = OnceLock::new();
    JANITOR.get_or_init(|| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"cat >/dev/null; exec "$0" "$1-" "$1"-*"#]);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clear-away.sh"));
        command.arg(std::env::temp_dir().join(std::process::id().to_string()));
        // Its own process group: Ctrl-C ends the tests, and then the janitor has work to do.
        command.process_group(0).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null());
        Mutex::new(command.spawn().unwrap_or_else(|e| panic!("start the janitor: {e}")))
    });
}

/// Starts a program that ends when this process does, from a thread that lives as long: the kernel's
/// parent death signal is sent at the death of the *thread* that forked.
pub(crate) fn spawn_with_us(mut command: Command) -> std::io::Result<Child> {
    let mut wrapped = Command::new("setpriv");
    wrapped.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        wrapped.current_dir(dir);
    }
    command = wrapped;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // A test program of one thread stays so.
    if coracle::fork::single_threaded() { command.spawn() } else { spawn_in_thread(command) }
}

fn spawn_in_thread(command: Command) -> std::io::Result<Child> {
    type Order = (Command, std::sync::mpsc::Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<Mutex<std::sync::mpsc::Sender<Order>>> = OnceLock::new();
    let orders = SPAWNER.get_or_init(|| {
        let (sender, receiver) = std::sync::mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in receiver {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (answer, result) = std::sync::mpsc::channel();
    orders
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .send((command, answer))
        .unwrap_or_else(|_| panic!("the spawner is gone"));
    result.recv().unwrap_or_else(|_| panic!("the spawner is gone"))
}

/// Polls until `ready` holds; panics with `what` after half a minute. For states that come by
/// themselves, such as the end of a container's deferred work.
pub(crate) fn eventually(what: &str, mut ready: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !ready() {
        assert!(begun.elapsed().as_secs() < 30, "after 30 s still not so: {what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// A program of `tests/programs`, compiled without libraries of the host's, for use in containers.
pub(crate) fn compiled(name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/programs/{name}.c"));
    let program = scratch("p").join(name);
    let compiler = std::process::Command::new("gcc")
        .args(["-O2", "-Wall", "-Werror", "-static", "-o"])
        .args([&program, &source])
        .output()
        .unwrap_or_else(|e| panic!("gcc: {e}"));
    assert!(compiler.status.success(), "{}", String::from_utf8_lossy(&compiler.stderr));
    program
}

/// Writes a whole file, with its parents.
pub(crate) fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).unwrap_or_else(|e| panic!("create {}: {e}", parent.display()));
    }
    let mut file = std::fs::File::create(path).unwrap_or_else(|e| panic!("create {}: {e}", path.display()));
    file.write_all(bytes.as_ref()).unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
}
