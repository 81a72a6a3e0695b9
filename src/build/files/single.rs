//! Single files that are in no tree: heredocs, downloads, archives.

use super::destination::Destination;
use super::maker::{Maker, Target, Write, Written, owner_failed};
use super::node::{Moment, now};
use super::path::join;
use super::tree::{failed, io_failed};
use super::unpacking;
use crate::error::{Error, Kind, Result};
use nix::sys::stat::{Mode, fchmod};
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;

/// The mode of a file whose content is in the Containerfile (BuildKit's dockerfile2llb).
const INLINE: u32 = 0o644;
/// The mode of a file that was downloaded (Dockerfile reference, "Adding files from a URL").
const DOWNLOADED: u32 = 0o600;

/// Writes a file whose content is in the Containerfile (a heredoc of COPY or ADD), mode 0644.
///
/// # Errors
/// A name that is no file's; as for [`Selection::write`](super::Selection::write).
pub fn write_inline(into: &Destination<'_>, name: &str, content: &[u8], how: &Write) -> Result<Written> {
    let mut rest = content;
    write(into, Some(name), &mut rest, INLINE, now(), how)
}

/// Writes a file that was downloaded, mode 0600. `name` is the last part of its address, if that has one; `modified` is
/// when the server says that it was changed, in seconds since 1970. With [`Write::unpack`] an archive is unpacked.
///
/// # Errors
/// A name that is none, when the destination is a directory; as for [`Selection::write`](super::Selection::write).
pub fn write_download(
    into: &Destination<'_>,
    mut file: File,
    name: Option<&str>,
    modified: Option<i64>,
    how: &Write,
) -> Result<Written> {
    let again = |e| Error::new(Kind::Storage, "read the download").caused_by(e);
    file.seek(SeekFrom::Start(0)).map_err(again)?;
    if how.unpack && unpacking::is_archive(&mut file)? {
        return unpacking::unpack(&Maker::new(how)?, into, file);
    }
    write(into, name, &mut file, DOWNLOADED, modified.map_or_else(now, |seconds| (seconds, 0)), how)
}

/// Unpacks an archive, compressed or not, into the directory that the destination is. Owners are those of the archive,
/// or [`Write::owner`]; symlinks in it lead nowhere outside the destination while it is unpacked; devices are left out
/// and counted; names have no special meaning.
///
/// # Errors
/// What is no archive, or leads out of the destination; a file that cannot be made.
pub fn unpack_archive(into: &Destination<'_>, archive: File, how: &Write) -> Result<Written> {
    unpacking::unpack(&Maker::new(how)?, into, archive)
}

fn write(
    into: &Destination<'_>,
    name: Option<&str>,
    content: &mut dyn Read,
    mode: u32,
    time: Moment,
    how: &Write,
) -> Result<Written> {
    let named = name.filter(|name| !matches!(*name, "" | "." | "..") && !name.contains('/'));
    let named = named.and_then(|name| CString::new(name).ok());
    let nameless = || {
        let shown = name.unwrap_or_default();
        Error::new(Kind::Usage, format!("cannot determine filename from {shown:?}"))
    };
    if into.is_directory && named.is_none() {
        return Err(nameless());
    }
    let maker = Maker::new(how)?;
    let Target { dir, dir_path, name: own } = maker.file_target(into, named.as_deref().unwrap_or(c"."))?;
    // The destination has turned out to be a directory.
    if own.as_c_str() == c"." {
        return Err(nameless());
    }
    let path = join(&dir_path, own.to_bytes());
    let mut target = maker.create(dir.as_fd(), &own, &dir_path)?;
    let bytes = io::copy(content, &mut target).map_err(|e| io_failed("write", &path, &e))?;
    maker.set_owner(target.as_fd(), (0, 0)).map_err(|e| owner_failed(&path, e))?;
    let fail = |e| failed("set the attributes of", &path, e);
    fchmod(&target, Mode::from_bits_truncate(maker.mode(mode, false))).map_err(fail)?;
    maker.set_time(target.as_fd(), time).map_err(fail)?;
    maker.settle()?;
    Ok(Written { files: 1, bytes, ..Written::default() })
}

#[cfg(test)]
#[path = "single_tests.rs"]
mod tests;
