//! The kernel's requests, each answered from the tree or from an open file.

use super::attributes::{Changes, kind_to_make};
use super::change::New;
use super::content::Content;
use super::listing::Listing;
use super::tree::Tree;
use crate::storage::fuse::attributes::{
    FOR_EVER, GENERATION, attributes, errno, kind_of_entry, nothing, shown_only, tell_attribute,
    tell_attributes, tell_file_system, tell_link, time,
};
use crate::storage::fuse::name_of;
use crate::storage::fuse::numbers::Found;
use fuser::{
    CopyFileRangeFlags, Errno, FileHandle, Filesystem, FopenFlags, INodeNo, InitFlags, IoctlFlags,
    KernelConfig, LockOwner, OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen,
    ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use nix::fcntl::OFlag;
use nix::sys::stat::SFlag;
use nix::unistd::fsync;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

/// Most bytes of one write.
const WRITE_MAX: u32 = 256 << 10;

/// What is open.
#[derive(Debug)]
enum Handle {
    File(Arc<Content>),
    /// Its number, and the names in it once they were asked for.
    Directory(u64, Mutex<Option<Arc<Listing>>>),
}

/// Answers the kernel's requests.
#[derive(Debug)]
pub(super) struct Server {
    tree: Mutex<Tree>,
    handles: RwLock<HashMap<u64, Arc<Handle>>>,
    next: AtomicU64,
}

impl Server {
    pub(super) fn new(tree: Tree) -> Server {
        Server { tree: Mutex::new(tree), handles: RwLock::default(), next: AtomicU64::new(1) }
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, handle: Handle) -> FileHandle {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut handles = self.handles.write().unwrap_or_else(PoisonError::into_inner);
        handles.insert(number, Arc::new(handle));
        FileHandle(number)
    }

    fn close(&self, handle: FileHandle) {
        let closed = self.handles.write().unwrap_or_else(PoisonError::into_inner).remove(&handle.0);
        // What is closed last closes the file, and nobody waits for that with the lock held.
        drop(closed);
    }

    fn handle(&self, handle: FileHandle) -> nix::Result<Arc<Handle>> {
        let handles = self.handles.read().unwrap_or_else(PoisonError::into_inner);
        handles.get(&handle.0).cloned().ok_or(nix::Error::EBADF)
    }

    fn content(&self, handle: FileHandle) -> nix::Result<Arc<Content>> {
        match &*self.handle(handle)? {
            Handle::File(content) => Ok(content.clone()),
            Handle::Directory(..) => Err(nix::Error::EISDIR),
        }
    }

    /// The names in an open directory, read again from its beginning.
    fn listing(&self, handle: FileHandle, offset: u64) -> nix::Result<(u64, Arc<Listing>)> {
        let handle = self.handle(handle)?;
        let Handle::Directory(number, kept) = &*handle else { return Err(nix::Error::ENOTDIR) };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listing) = kept.as_ref().filter(|_| offset > 0) {
            return Ok((*number, listing.clone()));
        }
        // The old one's room is free for the new one.
        *kept = None;
        let listing = Arc::new(self.tree().list(*number)?);
        *kept = Some(listing.clone());
        Ok((*number, listing))
    }
}

/// How long the attributes in an answer that gives a number may be kept: where the inode number to be shown
/// is another one, the kernel has to ask for it.
fn entry_time(found: &Found) -> Duration {
    if found.status.st_ino == found.number { FOR_EVER } else { Duration::ZERO }
}

fn reply_entry(reply: ReplyEntry, found: nix::Result<Found>) {
    match found {
        Ok(found) => {
            let attributes = attributes(found.number, &found.status);
            reply.entry_with_ttls(&entry_time(&found), &FOR_EVER, &attributes, GENERATION);
        }
        Err(e) => reply.error(errno(e)),
    }
}

fn reply_attr(reply: ReplyAttr, found: nix::Result<Found>) {
    match found {
        Ok(found) => reply.attr(&FOR_EVER, &attributes(found.status.st_ino, &found.status)),
        Err(e) => reply.error(errno(e)),
    }
}

fn reply_empty(reply: ReplyEmpty, done: nix::Result<()>) {
    match done {
        Ok(()) => reply.ok(),
        Err(e) => reply.error(errno(e)),
    }
}

fn name(name: &OsStr) -> nix::Result<CString> {
    name_of(name.as_bytes())
}

thread_local! {
    /// The buffer of the last read, for reuse.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Filesystem for Server {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let wanted = InitFlags::FUSE_PARALLEL_DIROPS
            | InitFlags::FUSE_CACHE_SYMLINKS
            | InitFlags::FUSE_DO_READDIRPLUS
            | InitFlags::FUSE_READDIRPLUS_AUTO
            | InitFlags::FUSE_MAX_PAGES;
        // Older kernels do without.
        let _ = config.add_capabilities(wanted & config.capabilities());
        let _ = config.set_max_write(WRITE_MAX);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, of: &OsStr, reply: ReplyEntry) {
        let found = name(of).and_then(|name| self.tree().lookup(parent.0, &name));
        match found {
            Err(nix::Error::ENOENT) => reply.entry(&FOR_EVER, &nothing(), GENERATION),
            found => reply_entry(reply, found),
        }
    }

    fn forget(&self, _: &Request, ino: INodeNo, nlookup: u64) {
        self.tree().forget(ino.0, nlookup);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply_attr(reply, self.tree().examine(ino.0));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let times = (atime.map(time), mtime.map(time));
        reply_attr(reply, self.tree().change(ino.0, Changes { mode, uid, gid, size, times }));
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        tell_link(reply, self.tree().read_link(ino.0));
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        of: &OsStr,
        mode: u32,
        _: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let owner = (request.uid(), request.gid());
        let made = kind_to_make(mode).and_then(|kind| {
            let name = name(of)?;
            self.tree().make((parent.0, &name), New::File(kind), mode, owner)
        });
        reply_entry(reply, made);
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, of: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        let owner = (request.uid(), request.gid());
        let made = name(of).and_then(|name| self.tree().make((parent.0, &name), New::Directory, mode, owner));
        reply_entry(reply, made);
    }

    fn symlink(&self, request: &Request, parent: INodeNo, of: &OsStr, target: &Path, reply: ReplyEntry) {
        let owner = (request.uid(), request.gid());
        let target = CString::new(target.as_os_str().as_bytes()).map_err(|_| nix::Error::EINVAL);
        let made = name(of)
            .and_then(|name| self.tree().make((parent.0, &name), New::Symlink(&target?), 0o777, owner));
        reply_entry(reply, made);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, of: &OsStr, reply: ReplyEmpty) {
        reply_empty(reply, name(of).and_then(|name| self.tree().unlink(parent.0, &name)));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, of: &OsStr, reply: ReplyEmpty) {
        reply_empty(reply, name(of).and_then(|name| self.tree().remove_directory(parent.0, &name)));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        of: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let renamed = || {
            let flags = nix::fcntl::RenameFlags::from_bits(flags.bits()).ok_or(nix::Error::EINVAL)?;
            let (from, to) = (name(of)?, name(newname)?);
            self.tree().rename((parent.0, &from), (newparent.0, &to), flags)
        };
        reply_empty(reply, renamed());
    }

    fn link(&self, _: &Request, ino: INodeNo, newparent: INodeNo, newname: &OsStr, reply: ReplyEntry) {
        reply_entry(reply, name(newname).and_then(|name| self.tree().link(ino.0, newparent.0, &name)));
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let opened = self.tree().open(ino.0, flags.acc_mode() != OpenAccMode::O_RDONLY);
        match opened {
            Ok(content) => reply.opened(self.keep(Handle::File(content)), FopenFlags::FOPEN_KEEP_CACHE),
            Err(e) => reply.error(errno(e)),
        }
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        of: &OsStr,
        mode: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let owner = (request.uid(), request.gid());
        let created = name(of).and_then(|name| {
            let mut tree = self.tree();
            let found = tree.make((parent.0, &name), New::File(SFlag::S_IFREG), mode, owner)?;
            match tree.open(found.number, true) {
                Ok(content) => Ok((found, content)),
                Err(e) => {
                    tree.forget(found.number, 1);
                    Err(e)
                }
            }
        });
        match created {
            Ok((found, content)) => {
                let attributes = attributes(found.number, &found.status);
                let handle = self.keep(Handle::File(content));
                reply.created(&FOR_EVER, &attributes, GENERATION, handle, FopenFlags::FOPEN_KEEP_CACHE);
            }
            Err(e) => reply.error(errno(e)),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        BUFFER.with_borrow_mut(|buffer| {
            let size = size as usize;
            if buffer.len() < size {
                buffer.resize(size, 0);
            }
            let read = self.content(fh).and_then(|content| content.read(&mut buffer[..size], offset));
            match read {
                Ok(length) => reply.data(&buffer[..length]),
                Err(e) => reply.error(errno(e)),
            }
        });
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.content(fh).and_then(|content| content.write(data, offset)) {
            Ok(length) => reply.written(u32::try_from(length).unwrap_or(u32::MAX)),
            Err(e) => reply.error(errno(e)),
        }
    }

    /// Data is never held back here: the kernel remembers the refusal and does not ask again.
    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.close(fh);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, fh: FileHandle, datasync: bool, reply: ReplyEmpty) {
        let volatile = self.tree().volatile;
        let synced = self.content(fh).and_then(|content| match volatile {
            true => Ok(()),
            false => content.sync(datasync),
        });
        reply_empty(reply, synced);
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(self.keep(Handle::Directory(ino.0, Mutex::default())), FopenFlags::empty());
    }

    fn readdir(&self, _: &Request, _: INodeNo, fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let (_, listing) = match self.listing(fh, offset) {
            Ok(listing) => listing,
            Err(e) => return reply.error(errno(e)),
        };
        let mut place = offset;
        while let Some(entry) = listing.at(place) {
            let name = OsStr::from_bytes(entry.name);
            if reply.add(INodeNo(entry.number), entry.next, kind_of_entry(entry.kind), name) {
                break;
            }
            place = entry.next;
        }
        reply.ok();
    }

    fn readdirplus(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let (directory, listing) = match self.listing(fh, offset) {
            Ok(listing) => listing,
            Err(e) => return reply.error(errno(e)),
        };
        let mut tree = self.tree();
        let mut place = offset;
        while let Some(entry) = listing.at(place) {
            place = entry.next;
            let name = OsStr::from_bytes(entry.name);
            if matches!(entry.name, b"." | b"..") {
                let mut attributes = nothing();
                (attributes.ino, attributes.kind) = (INodeNo(entry.number), kind_of_entry(entry.kind));
                // Of these the kernel takes the name alone.
                if reply.add(attributes.ino, place, name, &Duration::ZERO, &attributes, GENERATION) {
                    break;
                }
                continue;
            }
            // Entries that are gone meanwhile are skipped: each reported entry has a number that was returned.
            let found = name_of(entry.name).and_then(|name| tree.lookup(directory, &name));
            let Ok(found) = found else { continue };
            if found.status.st_ino != found.number {
                // The answer has one field for the number to be known by and the one to be shown.
                tree.forget(found.number, 1);
                tree.mention(found.status.st_ino);
                let attributes = shown_only(found.status.st_ino, &found.status);
                if reply.add(attributes.ino, place, name, &Duration::ZERO, &attributes, GENERATION) {
                    tree.forget(found.status.st_ino, 1);
                    break;
                }
                continue;
            }
            let attributes = attributes(found.number, &found.status);
            if reply.add(attributes.ino, place, name, &FOR_EVER, &attributes, GENERATION) {
                tree.forget(found.number, 1);
                break;
            }
        }
        drop(tree);
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.close(fh);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let file = {
            let mut tree = self.tree();
            if tree.volatile {
                return reply.ok();
            }
            tree.open_file(ino.0, OFlag::O_RDONLY)
        };
        reply_empty(reply, file.and_then(fsync));
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        tell_file_system(reply, self.tree().file_system());
    }

    fn setxattr(
        &self,
        _: &Request,
        ino: INodeNo,
        of: &OsStr,
        value: &[u8],
        flags: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        let Ok(of) = CString::new(of.as_bytes()) else { return reply.error(Errno::EINVAL) };
        reply_empty(reply, self.tree().set_attribute(ino.0, &of, value, flags));
    }

    fn getxattr(&self, _: &Request, ino: INodeNo, of: &OsStr, size: u32, reply: ReplyXattr) {
        let Ok(of) = CString::new(of.as_bytes()) else { return reply.error(Errno::EINVAL) };
        tell_attribute(reply, self.tree().attribute(ino.0, &of), size);
    }

    fn listxattr(&self, _: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        tell_attributes(reply, self.tree().attributes(ino.0), size);
    }

    fn removexattr(&self, _: &Request, ino: INodeNo, of: &OsStr, reply: ReplyEmpty) {
        let Ok(of) = CString::new(of.as_bytes()) else { return reply.error(Errno::EINVAL) };
        reply_empty(reply, self.tree().remove_attribute(ino.0, &of));
    }

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

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        reply_empty(reply, self.content(fh).and_then(|content| content.allocate(mode, offset, length)));
    }

    fn lseek(&self, _: &Request, _: INodeNo, fh: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        match self.content(fh).and_then(|content| content.seek(offset, whence)) {
            Ok(offset) => reply.offset(offset),
            Err(e) => reply.error(errno(e)),
        }
    }

    fn copy_file_range(
        &self,
        _: &Request,
        _: INodeNo,
        fh_in: FileHandle,
        offset_in: u64,
        _: INodeNo,
        fh_out: FileHandle,
        offset_out: u64,
        len: u64,
        _: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        // As much as an answer can tell.
        let length = len.min(1 << 30);
        let copied = self.content(fh_in).and_then(|from| {
            let to = self.content(fh_out)?;
            from.copy(offset_in, &to, offset_out, length)
        });
        match copied {
            Ok(length) => reply.written(u32::try_from(length).unwrap_or(u32::MAX)),
            Err(e) => reply.error(errno(e)),
        }
    }
}
