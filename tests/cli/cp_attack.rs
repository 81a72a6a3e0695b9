//! Attack case 31: `cp` while symlinks are swapped under it, in both directions and on both sides.

use super::ps::{IDLE, start};
use crate::common::TestEnv;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Exchanges two names for as long as it lives.
struct Swapper {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Swapper {
    fn start(a: &Path, b: &Path) -> Swapper {
        let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (a, b, stopped, count) = (a.to_owned(), b.to_owned(), stop.clone(), rounds.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // A copy that replaces one of them leaves a moment without.
                if renameat2(AT_FDCWD, &a, AT_FDCWD, &b, RenameFlags::RENAME_EXCHANGE).is_ok() {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Swapper { stop, rounds, thread: Some(thread) }
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        assert!(self.rounds.load(Ordering::Relaxed) > 0, "nothing was swapped");
    }
}

/// A directory of the host that nothing may be read from or written to.
fn forbidden(env: &TestEnv) -> PathBuf {
    let dir = env.path().join("forbidden");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("file"), "SECRET").unwrap();
    dir
}

fn untouched(dir: &Path) {
    let names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["file"], "something was written outside the container");
    assert_eq!(fs::read_to_string(dir.join("file")).unwrap(), "SECRET");
}

/// A container whose root is a directory that this test may change.
fn scene(env: &TestEnv, running: bool) -> (PathBuf, PathBuf) {
    start(env, "web", &[], if running { IDLE } else { "exit 0" });
    if !running {
        env.coracle(["wait", "web"]).ok();
    }
    (env.busybox_rootfs(), forbidden(env))
}

const ROUNDS: usize = 25;

fn swap_both_ways(running: bool) {
    let env = TestEnv::new();
    let (root, forbidden) = scene(&env, running);
    let payload = env.file("payload", "PAYLOAD");
    let payload = payload.to_str().unwrap();
    let up = "../".repeat(30) + forbidden.strip_prefix("/").unwrap().to_str().unwrap();
    for leads in [forbidden.as_path(), Path::new(&up)] {
        // A directory, and a symlink of the host's making.
        let (dir, link) = (root.join("d"), root.join("l"));
        for old in [&dir, &link] {
            let _ = fs::remove_file(old);
            let _ = fs::remove_dir_all(old);
        }
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("file"), "inside").unwrap();
        symlink(leads, &link).unwrap();
        let swapper = Swapper::start(&dir, &link);
        let mut copied = 0;
        for round in 0..ROUNDS {
            let out = env.path().join(format!("out-{round}"));
            for source in ["web:/d/file", "web:/d", "web:/d/."] {
                let call = env.coracle(["cp", source, out.to_str().unwrap()]).run();
                copied += u32::from(call.code == 0);
                let _ = fs::read_to_string(&out).map(|text| assert_ne!(text, "SECRET", "{source}"));
                let below = fs::read_to_string(out.join("file")).unwrap_or_default();
                assert_ne!(below, "SECRET", "{source}");
                let _ = fs::remove_file(&out);
                let _ = fs::remove_dir_all(&out);
            }
            let stream = env.coracle(["cp", "web:/d/file", "-"]).run();
            assert!(!stream.stdout.contains("SECRET"));
            for target in ["web:/d", "web:/d/", "web:/d/new", "web:/d/file", "web:/d/payload"] {
                copied += u32::from(env.coracle(["cp", payload, target]).run().code == 0);
                untouched(&forbidden);
            }
        }
        drop(swapper);
        assert!(copied > 0, "not one copy went through");
    }
}

#[test]
fn case_31_cp_symlink_swap_in_a_running_container() {
    swap_both_ways(true);
}

#[test]
fn case_31_cp_symlink_swap_in_a_stopped_container() {
    swap_both_ways(false);
}

/// The other side: what comes out of a container must not lead a copy to other places of the host.
#[test]
fn case_31_cp_symlink_swap_on_the_hosts_side() {
    let env = TestEnv::new();
    let (root, forbidden) = scene(&env, true);
    fs::create_dir_all(root.join("src/x")).unwrap();
    fs::write(root.join("src/x/new"), "PAYLOAD").unwrap();
    symlink(&forbidden, root.join("src/y")).unwrap();
    let swapper = Swapper::start(&root.join("src/x"), &root.join("src/y"));
    let out = env.path().join("out");
    for _ in 0..ROUNDS {
        env.coracle(["cp", "--overwrite", "web:/src", out.to_str().unwrap()]).run();
        env.coracle(["cp", "web:/src/.", out.to_str().unwrap()]).run();
        untouched(&forbidden);
    }
    drop(swapper);
    // The host's own directory is swapped while it is filled.
    let host = env.path().join("host");
    fs::create_dir_all(host.join("t")).unwrap();
    symlink(&forbidden, host.join("l")).unwrap();
    fs::create_dir_all(root.join("full/t")).unwrap();
    fs::write(root.join("full/t/new"), "PAYLOAD").unwrap();
    let swapper = Swapper::start(&host.join("t"), &host.join("l"));
    for _ in 0..ROUNDS {
        env.coracle(["cp", "web:/full/.", host.to_str().unwrap()]).run();
        untouched(&forbidden);
    }
    drop(swapper);
}

#[test]
fn case_31_what_a_stopped_container_would_not_reach_is_not_reached_by_cp() {
    let env = TestEnv::with_images();
    let host = forbidden(&env);
    let fill = "mkdir /d/part; echo other >/d/other; echo in >/d/part/in";
    env.coracle(["run", "--rm", "--network=none", "-v", "data:/d", "busybox", "sh", "-c", fill]).ok();
    env.coracle(["run", "--name", "job", "--network=none", "-v", &format!("{}:/over:O", host.display())])
        .args(["--mount", "type=volume,source=data,subpath=part,target=/part", "busybox", "true"])
        .ok();
    env.file("new", "new");
    // Written over the host's directory, and thrown away with the overlay.
    for to in ["job:/over/new", "job:/over/file", "job:/over"] {
        env.coracle(["cp", "new", to]).ok();
        untouched(&host);
    }
    env.coracle(["cp", "job:/over/file", "."]).ok();
    assert_eq!(fs::read_to_string(env.path().join("file")).unwrap(), "SECRET");
    // Of the volume only the part that the container has.
    env.coracle(["cp", "job:/part", "."]).ok();
    let names: Vec<_> =
        fs::read_dir(env.path().join("part")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["in"]);
    env.coracle(["cp", "new", "job:/part/"]).ok();
    let seen = env.coracle(["run", "--rm", "--network=none", "-v", "data:/d", "busybox", "find", "/d"]).ok();
    assert!(seen.stdout.contains("/d/part/new\n") && !seen.stdout.contains("/d/new\n"), "{seen}");
}
