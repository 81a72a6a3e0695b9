//! `export` and `diff`: a container's own files, without its mounts.

use crate::error::{Error, Kind, Result};
use crate::fork::{self, Doing};
use crate::runtime::root::{Root, own_mounts};
use crate::spec::{ContainerSpec, RootSpec};
use crate::storage::Store;
use crate::storage::compare::{Change, Dir, compare};
use crate::storage::containers::ContainerDir;
use crate::storage::events::Action;
use crate::storage::pack::{Options, Packer};
use crate::userns;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

/// Writes the root file system of a container as an archive to `out`.
///
/// # Errors
/// When a file cannot be read or the output takes no more.
pub fn export(store: &Store, container: &ContainerDir, out: &File) -> Result<()> {
    let plan = container.spec()?;
    fork::leaf::<(), ()>(
        "export",
        &[container.fd().as_raw_fd(), out.as_raw_fd()],
        move |_| {
            let member = userns::enter(store.runtime())?;
            own_mounts()?;
            let root = Root::open(store, container, &plan, false)?;
            let ids = Some(&plan.ids);
            let mut packer =
                Packer::new(out, Options { one_mount: true, to_file: true, ids, ..Options::default() });
            packer.tree(root.fd(), b"")?;
            packer.finish()?;
            member.leave();
            Ok(())
        },
        |()| {},
    )?;
    container.emit(Action::Export);
    Ok(())
}

/// A tree that can be compared with another.
#[derive(Debug)]
pub enum Tree<'a> {
    /// A container, with what it has written.
    Container(&'a ContainerDir, &'a ContainerSpec),
    /// What a container began with.
    Base(&'a ContainerSpec),
    /// The trees of layers, bottom first.
    Layers(&'a [PathBuf]),
}

impl<'a> Tree<'a> {
    /// What a process needs to look at it.
    fn descriptors(&self) -> Option<RawFd> {
        match self {
            Tree::Container(dir, _) => Some(dir.fd().as_raw_fd()),
            Tree::Base(_) | Tree::Layers(_) => None,
        }
    }

    /// The directories it is made of, the top one first.
    fn stack(&self, store: &Store) -> Result<Vec<Dir<'a>>> {
        match self {
            Tree::Layers(layers) => layers.iter().rev().map(|path| directory(path).map(Dir::plain)).collect(),
            Tree::Base(plan) => match &plan.root {
                RootSpec::Layers(layers) => {
                    let open = |id| directory(&store.layers().path(id)?).map(Dir::plain);
                    layers.iter().rev().map(open).collect()
                }
                RootSpec::Directory { path, overlay: true } => Ok(vec![Dir::plain(directory(path)?)]),
                _ => Err(Error::new(
                    Kind::Usage,
                    format!("container {} has no base to compare with", plan.id.short()),
                )
                .hint("Only containers created from an image or with --rootfs DIR:O can be compared.")),
            },
            Tree::Container(dir, plan) => {
                let below = Tree::Base(plan).stack(store)?;
                let upper = match directory(&dir.upper()) {
                    Err(_) if !dir.upper().exists() => None,
                    other => Some(Dir::of_container(other?, &plan.ids)),
                };
                Ok(upper.into_iter().chain(below).collect())
            }
        }
    }
}

fn directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    match open(path, flags, Mode::empty()) {
        Err(Errno::ENOENT) => Err(Error::new(Kind::Storage, format!("{} is gone", path.display()))
            .hint("Pull the image again: coracle pull IMAGE")),
        other => Ok(other.doing("open", path)?),
    }
}

/// What `now` has that `base` has not, and so on, by path.
///
/// # Errors
/// When there is no base, or a directory cannot be read.
pub fn diff(store: &Store, base: &Tree<'_>, now: &Tree<'_>) -> Result<Vec<(Change, Vec<u8>)>> {
    let mut all = Vec::new();
    fork::leaf::<(Change, Vec<u8>), ()>(
        "diff",
        &[base, now].into_iter().flat_map(Tree::descriptors).collect::<Vec<_>>(),
        |reporter| {
            let member = userns::enter(store.runtime())?;
            let (base, now) = (base.stack(store)?, now.stack(store)?);
            compare(&base, &now, &mut |change, path| reporter.send((change, path.to_vec())))?;
            member.leave();
            Ok(())
        },
        |change| all.push(change),
    )?;
    Ok(all)
}
