//! The server's process: from the fork to the last request.

use super::tree::{Found, OPEN_MAX, Tree};
use crate::container::ids::IdMaps;
use crate::fork::{Doing, Failure, Link};
use crate::storage::unpack::file_type;
use crate::sys::fd;
use caps::{CapSet, Capability, CapsHashSet};
use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation, INodeNo, InitFlags, IoctlFlags,
    KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyIoctl, ReplyOpen, ReplyStatfs, ReplyXattr, Request, Session, SessionACL,
};
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{FileStat, SFlag};
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long the kernel may keep an answer: layers never change.
const FOR_EVER: Duration = Duration::from_secs(366 * 24 * 3600);
/// Numbers are not used twice for different files at a time.
const GENERATION: Generation = Generation(0);

/// The process: makes itself small, says that it is ready, and serves until the file system is unmounted.
pub(super) fn main(link: &Link, device: &OwnedFd, layers: &[OwnedFd], ids: &IdMaps) -> i32 {
    let prepared = prepare(link, device, layers, ids);
    let told = link.send(&prepared.as_ref().map(drop).map_err(Clone::clone), &[]);
    let (Ok((device, tree)), Ok(())) = (prepared, told) else { return 125 };
    match Session::from_fd(Server(Mutex::new(tree)), device, SessionACL::All, Config::default()) {
        Ok(session) => i32::from(session.run().is_err()),
        Err(_) => 1,
    }
}

fn prepare(
    link: &Link,
    device: &OwnedFd,
    layers: &[OwnedFd],
    ids: &IdMaps,
) -> Result<(OwnedFd, Tree), Failure> {
    let kept: Vec<_> = layers.iter().chain([device]).map(AsFd::as_fd).chain([link.as_fd()]).collect();
    fd::close_all_but(&kept).doing("close", "descriptors")?;
    unshare(CloneFlags::CLONE_NEWNS).doing("make", "mount namespace")?;
    let only = CapsHashSet::from([Capability::CAP_DAC_READ_SEARCH]);
    for (set, wanted) in
        [(CapSet::Inheritable, &CapsHashSet::new()), (CapSet::Effective, &only), (CapSet::Permitted, &only)]
    {
        caps::set(None, set, wanted).map_err(|e| Failure::other("drop", "capabilities", e.to_string()))?;
    }
    prctl::set_no_new_privs().doing("give up", "new privileges")?;
    prctl::set_dumpable(false).doing("become", "non-dumpable")?;
    // Whoever mounted it needs it no longer then.
    prctl::set_pdeathsig(Signal::SIGKILL).doing("set", "parent death signal")?;
    let copy = |fd: &OwnedFd| fd.try_clone().doing("copy", "descriptor");
    let layers = layers.iter().map(copy).collect::<Result<Vec<_>, _>>()?;
    // Beside the copies there are the originals.
    let tree = Tree::new(layers, ids.clone(), room(2 * kept.len())).doing("look at", "layers")?;
    Ok((copy(device)?, tree))
}

/// How many descriptors of a kind may stay open beside so many that always are: a caller's low limit must
/// not become errors inside.
fn room(always: usize) -> usize {
    /// What one answer takes for its time, and what the runtime holds.
    const SPARE: usize = 16;
    let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1 };
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    let left = usize::try_from(hard).unwrap_or(usize::MAX).saturating_sub(always + SPARE);
    (left / 2).clamp(1, OPEN_MAX)
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

fn errno(e: nix::Error) -> Errno {
    Errno::from_i32(e as i32)
}

fn time(seconds: i64, nanos: i64) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let base = if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    let nanos = Duration::from_nanos(nanos.unsigned_abs());
    base.and_then(|base| base.checked_add(nanos)).unwrap_or(UNIX_EPOCH)
}

fn kind(status: &FileStat) -> FileType {
    match file_type(status) {
        SFlag::S_IFDIR => FileType::Directory,
        SFlag::S_IFLNK => FileType::Symlink,
        SFlag::S_IFCHR => FileType::CharDevice,
        SFlag::S_IFBLK => FileType::BlockDevice,
        SFlag::S_IFIFO => FileType::NamedPipe,
        SFlag::S_IFSOCK => FileType::Socket,
        _ => FileType::RegularFile,
    }
}

/// As listings have it; kinds that no layer has are taken for files.
fn kind_of_entry(kind: u8) -> FileType {
    match kind {
        libc::DT_DIR => FileType::Directory,
        libc::DT_LNK => FileType::Symlink,
        libc::DT_CHR => FileType::CharDevice,
        libc::DT_BLK => FileType::BlockDevice,
        libc::DT_FIFO => FileType::NamedPipe,
        libc::DT_SOCK => FileType::Socket,
        _ => FileType::RegularFile,
    }
}

fn attributes(found: &Found) -> FileAttr {
    let status = &found.status;
    FileAttr {
        ino: INodeNo(found.number),
        size: status.st_size.unsigned_abs(),
        blocks: status.st_blocks.unsigned_abs(),
        atime: time(status.st_atime, status.st_atime_nsec),
        mtime: time(status.st_mtime, status.st_mtime_nsec),
        ctime: time(status.st_ctime, status.st_ctime_nsec),
        crtime: UNIX_EPOCH,
        kind: kind(status),
        perm: (status.st_mode & 0o7777) as u16,
        nlink: u32::try_from(status.st_nlink).unwrap_or(u32::MAX),
        uid: status.st_uid,
        gid: status.st_gid,
        rdev: u32::try_from(status.st_rdev).unwrap_or(u32::MAX),
        blksize: 4096,
        flags: 0,
    }
}

/// The answer that there is nothing, to be kept like any other.
fn nothing() -> FileAttr {
    FileAttr {
        ino: INodeNo(0),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 0,
        flags: 0,
    }
}

/// What does not fit into the buffer, or the length alone when that was asked for.
fn answer(reply: ReplyXattr, value: &[u8], size: u32) {
    match u32::try_from(value.len()) {
        Ok(length) if size == 0 => reply.size(length),
        Ok(length) if length <= size => reply.data(value),
        _ => reply.error(Errno::ERANGE),
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
            Ok(found) => reply.entry(&FOR_EVER, &attributes(&found), GENERATION),
            Err(nix::Error::ENOENT) => reply.entry(&FOR_EVER, &nothing(), GENERATION),
            Err(e) => reply.error(errno(e)),
        }
    }

    fn forget(&self, _: &Request, ino: INodeNo, nlookup: u64) {
        self.tree().forget(ino.0, nlookup);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.tree().examine(ino.0) {
            Ok(found) => reply.attr(&FOR_EVER, &attributes(&found)),
            Err(e) => reply.error(errno(e)),
        }
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.tree().read_link(ino.0) {
            Ok(target) => reply.data(target.as_bytes()),
            Err(e) => reply.error(errno(e)),
        }
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
        match self.tree().file_system() {
            Ok(found) => reply.statfs(
                found.blocks(),
                found.blocks_free(),
                found.blocks_available(),
                found.files(),
                found.files_free(),
                u32::try_from(found.block_size()).unwrap_or(4096),
                u32::try_from(found.name_max()).unwrap_or(255),
                u32::try_from(found.fragment_size()).unwrap_or(4096),
            ),
            Err(e) => reply.error(errno(e)),
        }
    }

    fn getxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let Ok(name) = CString::new(name.as_bytes()) else { return reply.error(Errno::EINVAL) };
        match self.tree().attribute(ino.0, &name) {
            Ok(Some(value)) => answer(reply, &value, size),
            Ok(None) => reply.error(Errno::ENODATA),
            Err(e) => reply.error(errno(e)),
        }
    }

    fn listxattr(&self, _: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        match self.tree().attributes(ino.0) {
            Ok(names) => answer(reply, &names, size),
            Err(e) => reply.error(errno(e)),
        }
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
