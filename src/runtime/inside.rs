//! For tests: a piece of test code inside namespaces of its own.

use super::files::{Scratch, Target, mount_at};
use crate::sys::mount::{Tree, open_tree};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Says that this process is inside, and where its directory is.
const MARK: &str = "CORACLE_TEST_INSIDE";

/// Runs `work` as root of a new user, mount and network namespace, by starting this test binary again under
/// unshare(1): a process with the test harness's threads cannot change its user namespace itself. The
/// directory of a [`Space`] is made and removed out here: inside it holds mounts, or is out of reach.
pub(crate) fn in_namespaces(test: &str, work: impl FnOnce()) {
    if std::env::var_os(MARK).is_some() {
        return work();
    }
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["--map-root-user", "--map-auto", "--mount", "--net", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap())
        .args(["--nocapture", "--test-threads=1", test])
        .env(MARK, dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    dir.close().unwrap();
}

/// A directory for a root file system, which is a mount of its own.
pub(super) struct Space {
    pub(super) dir: PathBuf,
    pub(super) root: OwnedFd,
    /// A directory outside of it.
    pub(super) outside: OwnedFd,
}

impl Space {
    pub(super) fn new() -> Self {
        use nix::mount::{MsFlags, mount};
        let dir = PathBuf::from(std::env::var_os(MARK).unwrap());
        let root = dir.join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::create_dir(dir.join("hidden")).unwrap();
        mount(Some(&root), &root, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
        let outside = File::open(&dir).unwrap().into();
        Space { root: File::open(root).unwrap().into(), outside, dir }
    }

    pub(super) fn scratch(&self) -> Scratch {
        let hidden = File::open(self.dir.join("hidden")).unwrap();
        Scratch::new(hidden.as_fd(), std::iter::empty()).unwrap()
    }

    /// Binds a host directory, with what is mounted below it, into the root.
    pub(super) fn bind(&self, source: &str, at: &str) {
        let source = File::open(source).unwrap();
        let tree = open_tree(source.as_fd(), Path::new(""), Tree::CloneRecursive).unwrap();
        mount_at(self.root.as_fd(), Path::new(at), Target::Directory, tree.as_fd()).unwrap();
    }

    /// Makes it the root of this process.
    pub(super) fn enter(&self) {
        nix::sys::stat::mkdirat(&self.root, "old", nix::sys::stat::Mode::S_IRWXU).unwrap();
        nix::unistd::fchdir(&self.root).unwrap();
        nix::unistd::pivot_root(".", "old").unwrap();
        nix::mount::umount2("/old", nix::mount::MntFlags::MNT_DETACH).unwrap();
    }
}
