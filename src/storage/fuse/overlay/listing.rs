//! Listing directories.
//!
//! Theory of operation. A listing is created when it is read from its start, and kept in one block of memory
//! until the directory is closed, so that offsets stay valid. All listings together have a limit, because a
//! container can open directories as often as it likes.

use super::tree::Tree;
use crate::storage::fuse::numbers::ROOT;
use crate::storage::unpack::{DIRECTORY, lstat};
use crate::storage::whiteout;
use crate::sys::dir;
use nix::errno::Errno;
use nix::fcntl::openat;
use nix::libc;
use nix::sys::stat::{Mode, fstat};
use std::collections::HashSet;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most bytes that all listings take together.
const ALL_MAX: usize = 64 << 20;
/// Bytes before a name: the number, the kind, the length of the name.
const HEAD: usize = 10;

static ALL: AtomicUsize = AtomicUsize::new(0);

/// One name of a listing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    /// Inode number, as it is shown.
    pub(super) number: u64,
    /// `DT_DIR` and so on.
    pub(super) kind: u8,
    pub(super) name: &'a [u8],
    /// Where the next one begins.
    pub(super) next: u64,
}

/// The names in a directory.
#[derive(Debug, Default)]
pub(super) struct Listing(Vec<u8>);

impl Listing {
    fn add(&mut self, number: u64, kind: u8, name: &[u8]) -> nix::Result<()> {
        let more = HEAD + name.len();
        // Room that is taken at once costs nothing before it is used.
        if self.0.len() + more > self.0.capacity() {
            let wanted = self.0.capacity().max(512);
            if ALL.fetch_add(wanted, Ordering::Relaxed) + wanted > ALL_MAX {
                ALL.fetch_sub(wanted, Ordering::Relaxed);
                return Err(Errno::ENOMEM);
            }
            let before = self.0.capacity();
            self.0.reserve_exact(before + wanted - self.0.len());
            // What the allocator gave beyond that counts too.
            let beyond = self.0.capacity() - before - wanted;
            ALL.fetch_add(beyond, Ordering::Relaxed);
        }
        self.0.extend_from_slice(&number.to_ne_bytes());
        self.0.extend_from_slice(&[kind, u8::try_from(name.len()).map_err(|_| Errno::ENAMETOOLONG)?]);
        self.0.extend_from_slice(name);
        Ok(())
    }

    /// The entry at a place that [`Entry::next`] gave, or at 0.
    pub(super) fn at(&self, place: u64) -> Option<Entry<'_>> {
        let place = usize::try_from(place).ok()?;
        let head = self.0.get(place..place.checked_add(HEAD)?)?;
        let number = u64::from_ne_bytes(head[..8].try_into().ok()?);
        let end = place + HEAD + usize::from(head[9]);
        let name = self.0.get(place + HEAD..end)?;
        Some(Entry { number, kind: head[8], name, next: end as u64 })
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        ALL.fetch_sub(self.0.capacity(), Ordering::Relaxed);
    }
}

impl Tree {
    /// The names in a directory, `.` and `..` first.
    pub(super) fn list(&mut self, number: u64) -> nix::Result<Listing> {
        let mut listing = Listing::default();
        let above = self.node(number)?.names.last().map_or(ROOT, |(parent, _)| *parent);
        listing.add(number, libc::DT_DIR, b".")?;
        listing.add(above, libc::DT_DIR, b"..")?;
        // One that was removed meanwhile is empty.
        if self.node(number)?.held.is_some() {
            return Ok(listing);
        }
        self.each_name(number, |tree, disk, entry| {
            let directory = matches!(entry.kind, libc::DT_DIR | libc::DT_UNKNOWN);
            let shown = tree.number_of(number, entry.name, (directory, (disk, entry.ino)));
            let shown = shown.ok().flatten().unwrap_or(entry.ino.max(ROOT + 1));
            listing.add(shown, entry.kind, entry.name.to_bytes())
        })?;
        Ok(listing)
    }

    /// Whether nothing is to be seen in a directory.
    pub(super) fn is_empty(&mut self, number: u64) -> nix::Result<bool> {
        // Any error ends it.
        match self.each_name(number, |_, _, _| Err(Errno::ENOTEMPTY)) {
            Err(Errno::ENOTEMPTY) => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Calls `take` with every name that is to be seen in a directory, once, and the disk it is on.
    fn each_name(
        &mut self,
        number: u64,
        mut take: impl FnMut(&mut Tree, u64, dir::Entry<'_>) -> nix::Result<()>,
    ) -> nix::Result<()> {
        let layers = self.layers_of(number)?.to_vec();
        let mut seen: HashSet<Box<[u8]>> = HashSet::new();
        for (at, layer) in layers.iter().enumerate() {
            let held = self.directory(number, *layer)?;
            let directory = openat(&*held, c".", DIRECTORY, Mode::empty())?;
            let disk = fstat(&directory)?.st_dev;
            let marked = whiteout::has_marked(directory.as_fd())?;
            each_entry(&directory, |entry| {
                let name = entry.name.to_bytes();
                if matches!(name, b"." | b"..") || seen.contains(name) {
                    return Ok(());
                }
                let hidden = may_be_whiteout(entry.kind, marked) && is_whiteout(&directory, entry.name)?;
                // The last layer has none below it to hide.
                if at + 1 < layers.len() {
                    seen.insert(name.into());
                }
                if hidden { Ok(()) } else { take(self, disk, entry) }
            })?;
        }
        Ok(())
    }
}

fn may_be_whiteout(kind: u8, marked: bool) -> bool {
    matches!(kind, libc::DT_CHR | libc::DT_UNKNOWN) || marked && kind == libc::DT_REG
}

fn is_whiteout(directory: &OwnedFd, name: &CStr) -> nix::Result<bool> {
    match lstat(directory.as_fd(), name)? {
        Some(status) => whiteout::is_at(directory.as_fd(), name, &status),
        // Gone meanwhile.
        None => Ok(true),
    }
}

fn each_entry(
    directory: &OwnedFd,
    mut take: impl FnMut(dir::Entry<'_>) -> nix::Result<()>,
) -> nix::Result<()> {
    let mut buffer = vec![0; 32 << 10];
    let mut from = 0;
    loop {
        let (mut more, mut result) = (false, Ok(()));
        dir::entries(directory.as_fd(), from, &mut buffer, |entry| {
            more = true;
            from = entry.next;
            result = take(entry);
            result.is_ok()
        })?;
        result?;
        if !more {
            return Ok(());
        }
    }
}
