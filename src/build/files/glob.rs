//! Sources with wildcards, by the rules of Go's `filepath.Match`.
//!
//! Theory of operation. As in BuildKit, symlinks in the part before the first wildcard are followed, inside the root,
//! and none after it; what a match itself leads to is the caller's affair. A directory is listed only if the pattern
//! has a wildcard there, and never if an ignore file leaves all of it out.

use super::list::names;
use super::path::{in_root, join};
use super::pattern::{Pattern, Stars};
use super::tree::{Tree, failed, unreadable};
use super::within::{DEPTH_MAX, look_up, open_dir};
use crate::error::{Error, Kind, Result};
use crate::storage::unpack::lstat;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};

/// Bytes of directory entries that are read at once.
const BUFFER: usize = 32 << 10;

/// What a source matches.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Matches {
    /// The paths, from the root on. If there is a wildcard, they exist.
    pub(super) paths: Vec<Vec<u8>>,
    /// How many more match, but are left out by the ignore file.
    pub(super) left_out: usize,
    /// Whether there is a wildcard.
    pub(super) wild: bool,
}

/// What a source matches, in the order of the names.
///
/// # Errors
/// A malformed pattern; a directory that cannot be read.
pub(super) fn expand(tree: &Tree, source: &[u8]) -> Result<Matches> {
    let plain = in_root(source);
    let mut parts = Vec::new();
    for part in plain.split(|b| *b == b'/') {
        parts.push(Pattern::parse(part, Stars::One).map_err(|e| {
            let source = String::from_utf8_lossy(source);
            Error::new(Kind::Usage, format!("{source:?}: {}", e.reason()))
        })?);
    }
    let fixed = parts.iter().take_while(|part| part.literal().is_some()).count();
    let (fixed, wild) = parts.split_at(fixed);
    let before = fixed.iter().filter_map(Pattern::literal).collect::<Vec<_>>().join(&b'/');
    if wild.is_empty() {
        return Ok(Matches { paths: vec![before], ..Matches::default() });
    }
    let mut search =
        Search { tree, found: Matches { wild: true, ..Matches::default() }, buffer: vec![0; BUFFER] };
    let found = match look_up(tree.root.as_fd(), &before).and_then(|f| Ok((f.path(), f.directory()?))) {
        Err(Errno::ENOENT | Errno::ENOTDIR) => None,
        other => Some(other.map_err(|e| failed("look up", &before, e))?),
    };
    if let Some((path, dir)) = found {
        search.below(dir.as_fd(), &path, wild, 0)?;
    }
    Ok(search.found)
}

struct Search<'a> {
    tree: &'a Tree,
    found: Matches,
    buffer: Vec<u8>,
}

impl Search<'_> {
    /// Looks for `parts` in a directory.
    fn below(&mut self, dir: BorrowedFd<'_>, path: &[u8], parts: &[Pattern], depth: usize) -> Result<()> {
        let Some((part, more)) = parts.split_first() else { return Ok(()) };
        if depth > DEPTH_MAX {
            return Err(failed("open directory", path, Errno::ENAMETOOLONG));
        }
        let names = match part.literal() {
            Some(name) => CString::new(name).into_iter().collect(),
            None => {
                let fail = |e| failed("read directory", path, e);
                let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
                let open = openat(dir, ".", flags, Mode::empty()).map_err(fail)?;
                let mut names = names(open.as_fd(), &mut self.buffer).map_err(fail)?;
                names.retain(|name| part.matches(name.to_bytes()));
                names
            }
        };
        for name in names {
            let full = join(path, name.to_bytes());
            let ignore = self.tree.ignore.as_ref();
            if ignore.is_some_and(|ignore| ignore.is_out(&full) && !ignore.may_contain(&full)) {
                self.found.left_out += usize::from(more.is_empty());
            } else if more.is_empty() {
                if lstat(dir, &name).map_err(|e| failed("look at", &full, e))?.is_some() {
                    self.found.paths.push(full);
                }
            } else {
                match open_dir(dir, &name) {
                    Ok(next) => self.below(next.as_fd(), &full, more, depth + 1)?,
                    Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {}
                    Err(e) => return Err(unreadable("open directory", &full, e)),
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "glob_tests.rs"]
mod tests;
