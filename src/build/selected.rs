//! Files that a step selects, in a context or in layers: their digest, and reaching them.
//!
//! Theory of operation. A context belongs to the caller and is read here. Layers have files of other ids, so they are
//! read in a leaf in the shared user namespace, laid over each other as a container sees them. What a selection of
//! layers has as digest never changes, because layers do not: it is worked out once and kept.

use super::files::{Destination, Owners, Remembered, Selection, Tree, Write};
use super::job::Job;
use super::key;
use super::origin::Found;
use super::surroundings::Surroundings;
use super::wanted::{Wanted, whole};
use crate::engine::images::enter;
use crate::error::Result;
use crate::fork::{self, Doing};
use crate::image::{ChainId, Digest};
use crate::runtime::root::own_mounts;
use crate::spec::RootSpec;
use crate::storage::build::CacheMount;
use crate::storage::rootfs::{self, Places};
use crate::storage::{Scratch, Store, many_ids};
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, umount2};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Uid, fchown};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The digest of what is selected; `None` when it has to be worked out and this is no time for that.
///
/// # Errors
/// A source that does not exist; files that cannot be read.
pub(super) fn digest(
    job: &Job<'_>,
    found: &Found,
    wanted: &Wanted,
    around: &dyn Surroundings,
) -> Result<Option<Digest>> {
    let chain = match found {
        Found::Context(name) => return job.contexts.get(name.as_deref())?.digest(wanted).map(Some),
        Found::Layers(chain) => chain,
    };
    let how = &wanted.how;
    let name = key::of("files", &(chain.last(), &wanted.sources, how.parents, &how.exclude));
    let known = job.store().build_cache().memo(&name);
    if let Some(known) = known.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok()) {
        return Ok(Some(known));
    }
    if !around.works() {
        return Ok(None);
    }
    let digest: Digest = fork::leaf::<(), _>(
        "digest",
        &[],
        |_| {
            let _maker = enter(job.store())?;
            own_mounts()?;
            let stack = Stack::mount(job.store(), chain)?;
            let tree = stack.tree()?;
            Selection::find(&tree, &wanted.sources, &wanted.how)?.digest(&mut Remembered::default())
        },
        |()| {},
    )?;
    job.store().build_cache().set_memo(&job.store().shared()?, &name, digest.as_str().as_bytes())?;
    Ok(Some(digest))
}

/// Layers over each other, mounted in this process's mount namespace. What is written goes to a directory of its own.
#[derive(Debug)]
pub(super) struct Stack {
    /// `None` once it was taken.
    place: Option<Scratch>,
    merged: PathBuf,
}

impl Stack {
    /// Mounts layers, bottom first. The caller is in the shared user namespace and owns its mount namespace.
    ///
    /// # Errors
    /// A layer that is gone; what mount(2) refuses.
    pub(super) fn mount(store: &Store, chain: &[ChainId]) -> Result<Stack> {
        let place = store.layers().workshop(chain)?;
        let lowers =
            chain.iter().map(|layer| store.layers().path(layer)).collect::<Result<Vec<PathBuf>>>()?;
        let at = |name: &str| place.path().join(name);
        let places = Places {
            lowers,
            upper: at("fs"),
            work: at("work"),
            merged: at("merged"),
            fresh: true,
            volatile: true,
            overlay: store.overlay(),
        };
        rootfs::assemble(&RootSpec::Layers(chain.to_vec()), &places)?;
        Ok(Stack { merged: places.merged, place: Some(place) })
    }

    /// The root, open for reading.
    ///
    /// # Errors
    /// Those of open(2).
    pub(super) fn root(&self) -> Result<OwnedFd> {
        directory(&self.merged)
    }

    /// The files.
    ///
    /// # Errors
    /// Those of open(2).
    pub(super) fn tree(&self) -> Result<Tree> {
        Ok(Tree { root: self.root()?, ignore: None, owners: Owners::Kept })
    }

    /// Unmounts it; what was written is in `fs/`.
    pub(super) fn into_changes(mut self) -> Option<Scratch> {
        self.unmount();
        self.place.take()
    }

    fn unmount(&self) {
        // One that cannot be unmounted ends with this process.
        let _ = umount2(&self.merged, MntFlags::MNT_DETACH);
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.place.is_some() {
            self.unmount();
        }
    }
}

/// Copies a part of a context to a directory of its own, under its own path: what is left out of the context is not
/// there. The copy is in `fs/`.
///
/// # Errors
/// What cannot be read or written.
pub(super) fn copied(job: &Job<'_>, tree: &Tree, part: &str) -> Result<Scratch> {
    let place = job.store().layers().workshop(&[])?;
    let mut wanted = whole(part);
    wanted.how.parents = !part.is_empty();
    let kept = [&place.descriptors()[..], &[tree.root.as_raw_fd(), job.running.descriptor()]].concat();
    fork::leaf::<(), _>(
        "copy",
        &kept,
        |_| {
            let _maker = enter(job.store())?;
            let root = directory(&place.path().join("fs"))?;
            let to = Destination::new(root.as_fd(), "/", "/");
            Selection::find(tree, &wanted.sources, &wanted.how)?.write(&to, &Write::default()).map(drop)
        },
        |()| {},
    )?;
    Ok(place)
}

/// Fills a new cache mount: with these files, if there are some, and with this mode and owner.
///
/// # Errors
/// What cannot be read or written.
pub(super) fn fill(
    job: &Job<'_>,
    cache: &CacheMount,
    seed: Option<&(Found, String)>,
    mode: u32,
    owner: (u32, u32),
) -> Result<()> {
    let kept = [&job.contexts.descriptors()[..], &[cache.descriptor(), job.running.descriptor()]].concat();
    fork::leaf::<(), _>(
        "cache mount",
        &kept,
        |_| {
            let _maker = enter(job.store())?;
            own_mounts()?;
            let root = directory(cache.path())?;
            let to = Destination::new(root.as_fd(), "/", "/");
            let write = |tree: &Tree, part: &str| {
                let wanted = whole(part);
                Selection::find(tree, &wanted.sources, &wanted.how)?.write(&to, &Write::default()).map(drop)
            };
            match seed {
                None => {}
                Some((Found::Context(name), part)) => write(job.contexts.get(name.as_deref())?.tree(), part)?,
                Some((Found::Layers(chain), part)) => {
                    let stack = Stack::mount(job.store(), chain)?;
                    write(&stack.tree()?, part)?;
                }
            }
            fchmod(&root, Mode::from_bits_truncate(mode)).doing("set the mode of", "cache mount")?;
            if many_ids()? {
                let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
                fchown(&root, Some(uid), Some(gid)).doing("set the owner of", "cache mount")?;
            }
            Ok(())
        },
        |()| {},
    )
}

/// Opens a directory of the store.
fn directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(open(path, flags, Mode::empty()).doing("open", path)?)
}
