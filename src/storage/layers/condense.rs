//! Making one layer of several.
//!
//! Theory of operation. Two roots are mounted: one with all layers, and one with those that stay, above which an upper
//! directory takes what is written. What the layers in between hide is removed from the second root, and what they
//! have is packed from the first and extracted into the second. So the upper directory says what all of those layers
//! say together, and overlay has made its whiteouts itself: only where something is left to be hidden.

use super::Layers;
use crate::container::ids::IdMaps;
use crate::error::{Context, Error, Kind, Result};
use crate::image::ChainId;
use crate::storage::pack::{Options, Packer};
use crate::storage::tree::{names, remove_tree};
use crate::storage::unpack::extract::{Extract, Owner, extract};
use crate::storage::unpack::{BASE, DIRECTORY, file_type, lstat, resolve};
use crate::storage::whiteout;
use nix::errno::Errno;
use nix::fcntl::openat;
use nix::sys::stat::{Mode, SFlag, fchmod, fstat};
use nix::unistd::{Gid, Uid, fchown};
use std::collections::HashSet;
use std::ffi::CString;
use std::io::{BufReader, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;

/// What layers say.
#[derive(Debug, Default)]
struct Said {
    /// All paths in them.
    paths: HashSet<Vec<u8>>,
    /// Those below which nothing of the layers below is seen: whiteouts and opaque directories.
    hidden: Vec<Vec<u8>>,
}

impl Layers {
    /// Brings to the root `onto`, in which some layers are mounted, what those `above` them say; `whole` is a root with
    /// all of them. Starts a thread (rule 1: in a leaf), inside the user namespace.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when a layer is in no store; when a file cannot be read, or the disk is full.
    pub fn condense(&self, above: &[ChainId], whole: OwnedFd, onto: BorrowedFd<'_>) -> Result<()> {
        super::raise_file_limit();
        let mut said = Said::default();
        for layer in self.lowers(above)? {
            let failed = |path: &[u8], e: Errno| fail("read", path, e);
            collect(layer.root.as_fd(), &mut said, &failed)?;
        }
        for path in &said.hidden {
            remove(onto, path).map_err(|e| fail("remove", path, e))?;
        }
        let root = fstat(&whole).map_err(|e| fail("look at", b"", e))?;
        let paths = said.paths;
        let (from, to) = std::io::pipe().context(Kind::Host, || "make a pipe")?;
        let packing = thread::spawn(move || {
            let skip = |path: &[u8]| !paths.contains(path);
            let mut packer = Packer::new(to, Options { skip: Some(&skip), ..Options::default() });
            packer.tree(whole.as_fd(), b"")?;
            packer.finish().and_then(|(mut to, _)| to.flush().context(Kind::Host, || "write to a pipe"))
        });
        let how = Extract {
            owner: Owner::Archive(IdMaps::default()),
            overwrite: true,
            privileges: true,
            apart: false,
            below: "the new layer".to_owned(),
        };
        let extracted = extract(onto, BufReader::new(from), how);
        let packed =
            packing.join().unwrap_or_else(|_| Err(Error::new(Kind::Storage, "the packing thread died")));
        // Where nothing is read any more, the failure of the writer says nothing new.
        extracted.map(drop).and(packed)?;
        let own = fstat(onto).map_err(|e| fail("look at", b"", e))?;
        let changed = || -> nix::Result<()> {
            if (own.st_uid, own.st_gid) != (root.st_uid, root.st_gid) {
                fchown(onto, Some(Uid::from_raw(root.st_uid)), Some(Gid::from_raw(root.st_gid)))?;
            }
            if own.st_mode == root.st_mode {
                return Ok(());
            }
            fchmod(onto, Mode::from_bits_truncate(root.st_mode & 0o7777))
        };
        changed().map_err(|e| fail("set the attributes of", b"", e))
    }
}

/// Notes what a layer's tree says. Not by recursion: how deep it goes is for a container to say.
fn collect(top: BorrowedFd<'_>, said: &mut Said, failed: &dyn Fn(&[u8], Errno) -> Error) -> Result<()> {
    let level = |dir: OwnedFd, path: Vec<u8>| -> Result<(OwnedFd, Vec<u8>, Vec<CString>)> {
        let found = names(dir.as_fd()).map_err(|e| failed(&path, e))?;
        Ok((dir, path, found))
    };
    let dir = openat(top, ".", DIRECTORY, Mode::empty()).map_err(|e| failed(b"", e))?;
    let mut open = vec![level(dir, Vec::new())?];
    while let Some((dir, above, left)) = open.last_mut() {
        let Some(name) = left.pop() else {
            open.pop();
            continue;
        };
        let path = match above.as_slice() {
            b"" => name.to_bytes().to_vec(),
            above => [above, b"/", name.to_bytes()].concat(),
        };
        let mut look = || -> nix::Result<Option<OwnedFd>> {
            let Some(status) = lstat(dir.as_fd(), &name)? else { return Ok(None) };
            if file_type(&status) != SFlag::S_IFDIR {
                if whiteout::is_at(dir.as_fd(), &name, &status)? {
                    said.hidden.push(path.clone());
                } else {
                    said.paths.insert(path.clone());
                }
                return Ok(None);
            }
            let below = openat(&*dir, name.as_c_str(), DIRECTORY, Mode::empty())?;
            if whiteout::is_opaque(below.as_fd())? {
                said.hidden.push(path.clone());
            }
            said.paths.insert(path.clone());
            Ok(Some(below))
        };
        if let Some(below) = look().map_err(|e| failed(&path, e))? {
            let below = level(below, path)?;
            open.push(below);
        }
    }
    Ok(())
}

/// Removes what is at a path of a root, if there is something.
fn remove(root: BorrowedFd<'_>, path: &[u8]) -> nix::Result<()> {
    let (dir, name) = match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&b""[..], path),
    };
    let dir = match resolve(root, dir, BASE) {
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
        other => other?,
    };
    let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
    match lstat(dir.as_fd(), &name)? {
        Some(_) => remove_tree(dir.as_fd(), &name),
        None => Ok(()),
    }
}

fn fail(what: &str, path: &[u8], e: Errno) -> Error {
    let shown = String::from_utf8_lossy(path);
    Error::new(Kind::Storage, format!("{what} /{} of the layers", shown.escape_debug())).caused_by(e)
}
