//! Exporting and importing the contents of a volume as an archive.
//!
//! Theory of operation. A leaf in the shared user namespace, where the user is root as in containers, opens the
//! volume's top directory once and works from that descriptor. Each file is opened before it is examined when
//! packing, and the last component of a path is never followed when extracting. So a running container that
//! replaces files of the volume with symlinks cannot redirect either outside the volume (attack cases 14 and
//! 33).

use crate::container::ids::IdMaps;
use crate::error::{Context, Error, Kind, Result};
use crate::storage::Store;
use crate::storage::events::{Action, Event};
use crate::storage::pack::{Options, Packer};
use crate::storage::unpack::extract::{Extract, Extracted, Owner, decompressed, extract};
use crate::storage::volumes::{Medium, Volume};
use crate::{fork, userns};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

/// Where a volume's content is, on the host.
///
/// # Errors
/// When it is a tmpfs, which is new for each run of a container.
pub fn place(store: &Store, volume: &Volume) -> Result<PathBuf> {
    match volume.backing()?.medium {
        Medium::Directory => store.volumes().path(&volume.name),
        Medium::Bind { path, .. } => Ok(path),
        Medium::Memory(_) => Err(Error::new(
            Kind::Usage,
            format!("volume {} is a tmpfs, which is new for each run of a container", volume.name),
        )
        .hint("Look at it in a running container: coracle exec CONTAINER ls DIR")),
    }
}

fn top(path: &PathBuf) -> Result<OwnedFd> {
    open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .context(Kind::Storage, || format!("open {}", path.display()))
}

fn inside<T>(store: &Store, kept: RawFd, work: impl FnOnce() -> Result<T>) -> Result<T>
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    fork::leaf::<(), T>(
        "volume",
        &[kept],
        |_| {
            let member = userns::enter(store.runtime())?;
            let done = work();
            member.leave();
            done
        },
        |()| {},
    )
}

/// Writes the content of a volume as a tar archive.
///
/// # Errors
/// When a file cannot be read or the output takes no more.
pub fn export(store: &Store, volume: &Volume, out: &File) -> Result<()> {
    let path = place(store, volume)?;
    inside(store, out.as_raw_fd(), || {
        let mut packer = Packer::new(out, Options { nanoseconds: true, to_file: true, ..Options::default() });
        packer.tree(top(&path)?.as_fd(), b"")?;
        packer.finish().map(drop)
    })?;
    store.events().emit(Event::volume(Action::Export, volume.name.as_str()));
    Ok(())
}

/// Brings the content of an archive, compressed or not, into a volume; what is there and has a name of
/// the archive's is replaced. Returns how many device nodes were left out.
///
/// # Errors
/// A malformed archive, a name in it that leads out of the volume, a full disk.
pub fn import(store: &Store, volume: &Volume, archive: File) -> Result<u64> {
    let path = place(store, volume)?;
    let devices = inside(store, archive.as_raw_fd(), || {
        let how = Extract {
            owner: Owner::Archive(IdMaps::default()),
            overwrite: true,
            privileges: true,
            apart: false,
            below: String::new(),
        };
        let Extracted { devices, .. } = extract(top(&path)?.as_fd(), decompressed(archive)?, how)?;
        Ok(devices)
    })?;
    store.events().emit(Event::volume(Action::Import, volume.name.as_str()));
    Ok(devices)
}
