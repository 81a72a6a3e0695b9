//! Unpacking archives below a destination: ADD of a local archive.

use super::destination::Destination;
use super::maker::{Maker, Written};
use super::path::shown;
use crate::container::ids::IdMaps;
use crate::error::{Error, Kind, Result};
use crate::storage::unpack::extract::{Extract, Owner, begins_archive, decompressed, extract};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::fd::AsFd;

/// Whether a file is an archive, plain or compressed, judged by its contents alone. Its position is its beginning
/// afterwards.
///
/// # Errors
/// When it cannot be read again from its beginning.
pub(super) fn is_archive(file: &mut File) -> Result<bool> {
    let again = |e| Error::new(Kind::Storage, "read an archive").caused_by(e);
    let copy = file.try_clone().map_err(again)?;
    let found = begins_archive(copy);
    file.seek(SeekFrom::Start(0)).map_err(again)?;
    Ok(found)
}

/// Unpacks an archive into the directory that a destination is. As with tar, directories are merged and files are
/// replaced; BuildKit and podman replace directories by files, too, and the other way round.
pub(super) fn unpack(maker: &Maker<'_>, into: &Destination<'_>, archive: File) -> Result<Written> {
    let (dir, path) = maker.directory(into)?;
    let owner = match maker.how.owner {
        Some((uid, gid)) => Owner::Ids(uid, gid),
        None => Owner::Archive(IdMaps::default()),
    };
    let apart = maker.how.apart;
    let how = Extract { owner, overwrite: true, privileges: true, apart, below: shown(&path) };
    let done = extract(dir.as_fd(), decompressed(archive)?, how)?;
    maker.settle()?;
    Ok(Written { files: done.entries, devices: done.devices, ..Written::default() })
}
