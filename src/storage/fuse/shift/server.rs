//! The server's process: from the fork to the last request.

use super::tree::{OPEN_MAX, Tree};
use crate::container::ids::IdMaps;
use crate::fork::{Doing, Failure, Link};
use crate::storage::fuse::attributes::{
    FOR_EVER, GENERATION, attributes, errno, kind_of_entry, nothing, tell_attribute, tell_attributes,
    tell_file_system, tell_link,
};
use crate::storage::fuse::leaf;
use caps::Capability;
use fuser::{
    Errno, FileHandle, Filesystem, INodeNo, InitFlags, IoctlFlags, KernelConfig, LockOwner, OpenFlags,
    ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyOpen, ReplyStatfs,
    ReplyXattr, Request,
};
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, MutexGuard};

/// The process: drops what it does not need, reports that it is ready, and serves until the file system is unmounted.
pub(super) fn main(link: &Link, device: &OwnedFd, layers: &[OwnedFd], ids: &IdMaps) -> i32 {
    leaf::serve(link, device, 1, prepare(link, device, layers, ids).map(|tree| Server(Mutex::new(tree))))
}

fn prepare(link: &Link, device: &OwnedFd, layers: &[OwnedFd], ids: &IdMaps) -> Result<Tree, Failure> {
    let kept: Vec<_> = layers.iter().chain([device]).map(AsFd::as_fd).chain([link.as_fd()]).collect();
    leaf::become_small(&kept, &[Capability::CAP_DAC_READ_SEARCH])?;
    let layers = layers.iter().map(leaf::copy).collect::<Result<Vec<_>, _>>()?;
    // Beside the copies there are the originals; two kinds of files stay open.
    let room = (leaf::descriptors(2 * kept.len()) / 2).clamp(1, OPEN_MAX);
    Tree::new(layers, ids.clone(), room).doing("look at", "layers")
}

/// Answers the kernel's requests from the tree, one at a time.
#[derive(Debug)]
struct Server(Mutex<Tree>);

impl Server {
    fn tree(&self) -> MutexGuard<'_, Tree> {
        // One thread serves: nobody else could have died with it.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Filesystem for Server {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let wanted = InitFlags::FUSE_PARALLEL_DIROPS | InitFlags::FUSE_CACHE_SYMLINKS;
        // Older kernels do without.
        let _ = config.add_capabilities(wanted & config.capabilities());
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.tree().lookup(parent.0, name.as_bytes()) {
            Ok(found) => reply.entry(&FOR_EVER, &attributes(found.number, &found.status), GENERATION),
            Err(nix::Error::ENOENT) => reply.entry(&FOR_EVER, &nothing(), GENERATION),
            Err(e) => reply.error(errno(e)),
        }
    }

    fn forget(&self, _: &Request, ino: INodeNo, nlookup: u64) {
        self.tree().forget(ino.0, nlookup);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.tree().examine(ino.0) {
            Ok(found) => reply.attr(&FOR_EVER, &attributes(found.number, &found.status)),
            Err(e) => reply.error(errno(e)),
        }
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        tell_link(reply, self.tree().read_link(ino.0));
    }

    /// The kernel remembers the refusal, asks for files by number from then on and keeps what it has read.
    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.error(Errno::ENOSYS);
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.error(Errno::ENOSYS);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.tree().read(ino.0, offset, size) {
            Ok(bytes) => reply.data(bytes),
            Err(e) => reply.error(errno(e)),
        }
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        // As much as an answer of a page or a few holds; what does not fit is asked for again.
        const SIZE: usize = 8 << 10;
        let listed = self.tree().list(ino.0, offset.cast_signed(), SIZE, |number, entry| {
            let name = OsStr::from_bytes(entry.name.to_bytes());
            !reply.add(INodeNo(number), entry.next.cast_unsigned(), kind_of_entry(entry.kind), name)
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(e) => reply.error(errno(e)),
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        tell_file_system(reply, self.tree().file_system());
    }

    fn getxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let Ok(name) = CString::new(name.as_bytes()) else { return reply.error(Errno::EINVAL) };
        tell_attribute(reply, self.tree().attribute(ino.0, &name), size);
    }

    fn listxattr(&self, _: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        tell_attributes(reply, self.tree().attributes(ino.0), size);
    }

    /// Overlay asks for flags before it copies a file, and takes this for none.
    fn ioctl(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: IoctlFlags,
        _: u32,
        _: &[u8],
        _: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }
}
