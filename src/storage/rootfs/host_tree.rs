//! The host's own tree as a throw-away root (`--rootfs /:O`).
//!
//! Theory of operation. `/` itself cannot be a lower layer, because a user namespace may not copy a mount if
//! that could uncover its submounts. So the root is a new tmpfs, and each top-level directory becomes an
//! overlay of its own over the host's. A directory with mounts below it becomes a plain directory, whose
//! entries are treated the same way, one level down; mount points themselves are left out. Volatile and private
//! directories (`/tmp`, `/run`, `/root`, `/home`, ...) are new and empty, and passwd and group are generated,
//! because host accounts are not mapped. The overlays are volatile, which can be mounted once only, and so each start
//! begins with empty ones: what an earlier run has changed is thrown away then.

use super::{Places, attach, directory, overlay};
use crate::fork::{Doing, Failure};
use crate::storage::place::Place;
use crate::storage::{mount_table, trash};
use crate::sys::mount;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Made fresh and empty, with these permission bits.
const FRESH: [(&str, u32); 12] = [
    ("tmp", 0o1777),
    ("run", 0o755),
    ("root", 0o700),
    ("home", 0o755),
    ("mnt", 0o755),
    ("media", 0o755),
    ("proc", 0o555),
    ("sys", 0o555),
    ("dev", 0o755),
    ("boot", 0o755),
    ("srv", 0o755),
    ("lost+found", 0o700),
];

const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n";

pub(super) fn assemble(places: &Places) -> Result<(), Failure> {
    empty(&places.upper)?;
    empty(&places.work)?;
    let root = mount::new_mount(c"tmpfs", &[(c"mode", c"755")], 0).doing("make tmpfs for", &places.merged)?;
    attach(root, &places.merged)?;
    let mut mounts = mount_table::points().doing("read", "/proc/self/mountinfo")?;
    mounts.retain(|point| point != Path::new("/"));
    let mut number = 0;
    fill(Path::new("/"), places, &mounts, 0, &mut number)?;
    for (name, mode) in FRESH {
        make_directory(&places.merged.join(name), mode)?;
    }
    make_directory(&places.merged.join("var"), 0o755)?;
    fresh_mount(&places.merged.join("var/tmp"))?;
    accounts(&places.merged.join("etc"))
}

/// Removes what is in a directory.
fn empty(path: &Path) -> Result<(), Failure> {
    let emptied = Place::make(path)
        .and_then(|place| place.names()?.into_iter().try_for_each(|name| trash::remove_in(&place, name)));
    emptied.map_err(|e| Failure::other("empty", path.to_string_lossy(), e.in_one_line()))
}

/// Brings the entries of one host directory into the new tree.
fn fill(
    host: &Path,
    places: &Places,
    mounts: &[PathBuf],
    depth: u32,
    number: &mut u32,
) -> Result<(), Failure> {
    for entry in fs::read_dir(host).doing("read directory", host)?.flatten() {
        let name = entry.file_name();
        let path = entry.path();
        if depth == 0 && FRESH.iter().any(|(fresh, _)| name == *fresh) || mounts.contains(&path) {
            continue;
        }
        let inside = path.strip_prefix("/").unwrap_or(&path);
        let target = places.merged.join(inside);
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_symlink() {
            let link = fs::read_link(&path).doing("read link", &path)?;
            std::os::unix::fs::symlink(&link, &target).doing("make link", &target)?;
        } else if kind.is_dir() && nix::unistd::access(&path, nix::unistd::AccessFlags::R_OK).is_ok() {
            let mode = entry.metadata().map_or(0o755, |m| m.permissions().mode() & 0o7777);
            make_directory(&target, mode)?;
            if mounts.iter().any(|m| m.starts_with(&path)) {
                if depth < 4 {
                    fill(&path, places, mounts, depth + 1, number)?;
                }
                continue;
            }
            *number += 1;
            let (upper, work) = (places.upper.join(number.to_string()), places.work.join(number.to_string()));
            make_directory(&upper, mode)?;
            make_directory(&work, 0o700)?;
            overlay(&[path], &upper, &work, &target, true, places.overlay)?;
        }
    }
    Ok(())
}

fn make_directory(path: &Path, mode: u32) -> Result<(), Failure> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
            .doing("make directory", path),
    }
}

/// A world-writable tmpfs on a directory that exists in the tree.
fn fresh_mount(path: &Path) -> Result<(), Failure> {
    make_directory(path, 0o1777)?;
    let tree = mount::new_mount(c"tmpfs", &[(c"mode", c"1777")], 0).doing("make tmpfs for", path)?;
    let target = directory(path)?;
    mount::move_mount(std::os::fd::AsFd::as_fd(&tree), std::os::fd::AsFd::as_fd(&target))
        .doing("mount tmpfs on", path)
}

/// Fresh account files: bound over the host's, which may not be writable through the overlay.
fn accounts(etc: &Path) -> Result<(), Failure> {
    for (name, text) in [("passwd", PASSWD), ("group", GROUP)] {
        let path = etc.join(name);
        // The host's file belongs to an unmapped id: replace the entry, do not write into it.
        let fresh = etc.join(format!(".{name}.coracle"));
        fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &path)).doing("write", &path)?;
    }
    Ok(())
}
