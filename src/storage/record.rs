//! Small records: JSON files that are replaced as a whole, by writing a new file and renaming it (attack case
//! 54), and read only from regular files of limited size: anything else in a record's place is damage, and is
//! never waited for.

use crate::error::{Error, Kind, Result};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2, renameat};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// How paths below one of the store's directories are resolved.
pub(super) const BELOW: ResolveFlag = ResolveFlag::RESOLVE_BENEATH.union(ResolveFlag::RESOLVE_NO_SYMLINKS);

/// Largest record that is read, in bytes: far more than any that is written.
pub const RECORD_MAX: u64 = 16 << 20;

/// Whether a replaced record must be on the disk before it is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Written back when the kernel likes: for records of running things.
    Volatile,
    /// On the disk, name and content, when the call returns: for images and volumes.
    Synced,
}

/// A name for something temporary that no other process and no other thread uses now.
pub fn unique() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = since.map_or(0, |d| d.as_nanos());
    format!("{:x}-{nanos:x}-{:x}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// Opens a regular file in or below a directory, close-on-exec; one that is made is its owner's alone. What
/// else may have been put there is refused, and neither waited for nor followed.
///
/// # Errors
/// Those of openat(2); `InvalidData` for a link, a FIFO, a socket, a device, a directory.
pub(super) fn open_regular(dir: BorrowedFd<'_>, name: &str, flags: OFlag) -> io::Result<File> {
    let wrong =
        |what| Err(io::Error::new(ErrorKind::InvalidData, format!("it is {what}, not a regular file")));
    const SPECIAL: &str = "a FIFO, a socket or a device";
    let safe = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let how = OpenHow::new().flags(flags | safe).resolve(BELOW);
    let owners = Mode::S_IRUSR | Mode::S_IWUSR;
    let file = match openat2(dir, name, if flags.contains(OFlag::O_CREAT) { how.mode(owners) } else { how }) {
        Ok(fd) => File::from(fd),
        Err(Errno::ELOOP) => return wrong("a symbolic link"),
        Err(Errno::EISDIR) => return wrong("a directory"),
        // A FIFO that has no reader, a socket, a device without a driver.
        Err(Errno::ENXIO | Errno::ENODEV) => return wrong(SPECIAL),
        Err(e) => return Err(e.into()),
    };
    match file.metadata()?.file_type() {
        kind if kind.is_file() => Ok(file),
        kind if kind.is_dir() => wrong("a directory"),
        _ => wrong(SPECIAL),
    }
}

/// The bytes of a regular file in a directory, `max` at most; `None` when it is not there.
///
/// # Errors
/// When it cannot be read; `InvalidData` for what is no regular file, or larger.
pub(super) fn read_bytes(dir: BorrowedFd<'_>, name: &str, max: u64) -> io::Result<Option<Vec<u8>>> {
    /// Larger than most records.
    const BLOCK: usize = 4096;
    let mut file = match open_regular(dir, name, OFlag::O_RDONLY) {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        other => other?,
    };
    let mut bytes = Vec::with_capacity(BLOCK);
    let mut block = [0; BLOCK];
    loop {
        let length = match file.read(&mut block) {
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        };
        bytes.extend_from_slice(&block[..length]);
        if bytes.len() as u64 > max {
            return Err(io::Error::new(ErrorKind::InvalidData, format!("it is larger than {max} bytes")));
        }
        // A regular file gives less than was asked for at its end only (read(2)), and the records are small:
        // one call reads one, which is what makes listings fast.
        if length < BLOCK {
            return Ok(Some(bytes));
        }
    }
}

/// A record in a directory, which is called `path` in messages; `None` when it is not there.
///
/// # Errors
/// When it cannot be read or is not what this program wrote.
pub(super) fn read_in<T: DeserializeOwned>(
    dir: BorrowedFd<'_>,
    name: &str,
    path: &Path,
) -> Result<Option<T>> {
    let damaged = |e: io::Error| match e.kind() {
        ErrorKind::InvalidData => Error::new(Kind::Storage, format!("{} is damaged", path.display()))
            .caused_by(e)
            .hint("Repair the store: coracle system check --repair"),
        _ => failed("read", path, e),
    };
    let Some(bytes) = read_bytes(dir, name, RECORD_MAX).map_err(damaged)? else { return Ok(None) };
    let parsed = serde_json::from_slice(&bytes).map(Some);
    parsed.map_err(|e| damaged(io::Error::new(ErrorKind::InvalidData, e)))
}

/// How the names of files begin that are being written and will be renamed.
pub(super) const FRESH: &str = ".new-";

/// Replaces a file in a directory whole, mode 0600; `path` is what it is called in messages.
///
/// # Errors
/// When the file system refuses; the old content then stands.
pub(super) fn replace_in(
    dir: BorrowedFd<'_>,
    name: &str,
    path: &Path,
    bytes: &[u8],
    durability: Durability,
) -> Result<()> {
    replace_as(dir, name, bytes, (durability, None)).map_err(|(doing, e)| failed(doing, path, e))
}

/// As [`replace_in`], with a mode of its own; what failed, and how.
fn replace_as(
    dir: BorrowedFd<'_>,
    name: &str,
    bytes: &[u8],
    (durability, mode): (Durability, Option<u32>),
) -> std::result::Result<(), (&'static str, io::Error)> {
    let fresh = format!("{FRESH}{}", unique());
    let write = || -> io::Result<()> {
        let mut file = open_regular(dir, &fresh, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL)?;
        if let Some(mode) = mode {
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        file.write_all(bytes)?;
        if durability == Durability::Synced {
            file.sync_all()?;
        }
        Ok(renameat(dir, fresh.as_str(), dir, name)?)
    };
    write().map_err(|e| {
        // The half-written file is of no use to anyone; the failure above is what the user must see.
        let _ = unlinkat(dir, fresh.as_str(), UnlinkatFlags::NoRemoveDir);
        ("write", e)
    })?;
    match durability {
        Durability::Synced => nix::unistd::fsync(dir).map_err(|e| ("sync", e.into())),
        Durability::Volatile => Ok(()),
    }
}

/// Reads a record of the user's own, by its path; `None` when it is not there.
///
/// # Errors
/// When it cannot be read or is not what this program wrote.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match parent(path) {
        Ok((dir, name)) => read_in(dir.as_fd(), &name, path),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("read", path, e)),
    }
}

/// Replaces a record of the user's own whole, by its path.
///
/// # Errors
/// When the file system refuses; the old record then stands.
pub fn replace<T: Serialize + ?Sized>(path: &Path, value: &T, durability: Durability) -> Result<()> {
    let bytes = serde_json::to_vec(value).map_err(|e| failed("write", path, io::Error::other(e)))?;
    replace_bytes(path, &bytes, durability)
}

/// Replaces a file of the user's own whole, mode 0600, by its path.
///
/// # Errors
/// When the file system refuses; the old content then stands.
pub fn replace_bytes(path: &Path, bytes: &[u8], durability: Durability) -> Result<()> {
    replace_outside(path, bytes, (durability, None))
}

/// Replaces a file of the user's own that everybody may read, whole, by its path. A link or a FIFO there, which
/// a container may have made, is neither followed nor waited for.
///
/// # Errors
/// When the file system refuses.
pub fn publish(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_outside(path, bytes, (Durability::Volatile, Some(0o644)))
}

fn replace_outside(path: &Path, bytes: &[u8], how: (Durability, Option<u32>)) -> Result<()> {
    let failed = |(doing, e): (&str, io::Error)| failed_outside(doing, path, e);
    let (dir, name) = parent(path).map_err(|e| failed(("write", e)))?;
    replace_as(dir.as_fd(), &name, bytes, how).map_err(failed)
}

/// The directory that a path of the user's own is in, opened however it is reached, and the last part.
fn parent(path: &Path) -> io::Result<(OwnedFd, String)> {
    let wrong = || io::Error::from(Errno::EINVAL);
    let (dir, name) = path.parent().zip(path.file_name()).ok_or_else(wrong)?;
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let dir = nix::fcntl::open(dir, flags, Mode::empty())?;
    Ok((dir, name.to_str().ok_or_else(wrong)?.to_owned()))
}

/// Warns of something by `text`, once for each `key` in the life of this process: several steps of a verb may
/// come upon it.
pub(super) fn warn_once(key: &str, text: &str) {
    static WARNED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if WARNED.lock().is_ok_and(|mut warned| warned.insert(key.to_owned())) {
        log::warn!("{text}");
    }
}

/// What `EFBIG` means where files are not larger than file systems take.
pub(super) const SIZE_LIMIT: &str =
    "The limit on the size of files (ulimit -f) forbids it. Raise it: ulimit -f unlimited";

/// Why a file that others can reach is not opened: `EAGAIN` of [`crate::sys::fd::despite_leases`].
pub const LEASED: &str =
    "a process, most likely one of the container, holds a lease on it (fcntl F_SETLEASE)";

/// As [`LEASED`], where the file's own name is not at hand.
pub(super) const LEASED_BELOW: &str = "a process holds a lease on a file in it (fcntl F_SETLEASE)";

/// An errno as a cause, with the words for those that speak of something else here.
pub(super) fn cause(errno: Errno) -> io::Error {
    if errno == Errno::EAGAIN { io::Error::other(LEASED) } else { errno.into() }
}

/// Whether this process may make files of a certain size only (`ulimit -f`).
pub(super) fn size_is_limited() -> bool {
    getrlimit(Resource::RLIMIT_FSIZE).is_ok_and(|(soft, _)| soft != RLIM_INFINITY)
}

/// Turns a failed file operation into a message, with a hint if the errno suggests one.
pub fn failed(doing: &str, path: &Path, e: io::Error) -> Error {
    let errno = e.raw_os_error().map(Errno::from_raw);
    let error = Error::new(Kind::Storage, format!("{doing} {}", path.display())).caused_by(e);
    match hint(errno) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// As [`failed`], for a file that the caller named: another place for the store is of no use to it.
pub fn failed_outside(doing: &str, path: &Path, e: io::Error) -> Error {
    let errno = e.raw_os_error().map(Errno::from_raw);
    let error = Error::new(Kind::Storage, format!("{doing} {}", path.display())).caused_by(e);
    let above = path.ancestors().skip(1).find(|dir| dir.exists()).unwrap_or(Path::new("."));
    let dir = above.display();
    match errno {
        Some(Errno::ENOSPC | Errno::EDQUOT) => {
            error.hint(format!("The disk or quota is full. See how much room there is: df -h {dir}"))
        }
        Some(Errno::EROFS) => {
            error.hint(format!("The file system is mounted read-only. See which it is: findmnt -T {dir}"))
        }
        Some(Errno::EACCES | Errno::EPERM) => {
            error.hint(format!("This account may not write there. See who may: ls -ld {dir}"))
        }
        errno => hint(errno).into_iter().fold(error, Error::hint),
    }
}

/// What to type when the file system answers with this errno.
pub fn hint(errno: Option<Errno>) -> Option<&'static str> {
    Some(match errno? {
        Errno::ENOSPC | Errno::EDQUOT => {
            "The disk or quota is full. Remove images with: coracle rmi IMAGE; or name a place with more room: coracle --root DIR ..."
        }
        Errno::EROFS => {
            "The file system is mounted read-only. Name a place that can be written: coracle --root DIR ..."
        }
        Errno::EACCES | Errno::EPERM => {
            "This account may not write there. Name a place of its own: coracle --root DIR ..."
        }
        Errno::EAGAIN => {
            "The kernel ends the lease within 45 s (/proc/sys/fs/lease-break-time): try again after that, or stop the container first: coracle stop NAME"
        }
        Errno::EFBIG => SIZE_LIMIT,
        Errno::EMFILE => "Too many files are open. Raise the limit: ulimit -n 4096",
        Errno::EIO => "The disk reports an error. Look at: dmesg | tail",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_no_record_is_damage_and_never_waited_for() {
        let scene = tempfile::tempdir().unwrap();
        let at = |name: &str| scene.path().join(name);
        std::fs::write(at("outside"), "{}").unwrap();
        symlink(at("outside"), at("link")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
        std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::fs::create_dir(at("directory")).unwrap();
        File::create(at("sparse")).unwrap().set_len(3 << 40).unwrap();
        for (name, content) in [("empty", ""), ("torn", "{\"a\":"), ("garbage", "\0\0\0")] {
            std::fs::write(at(name), content).unwrap();
        }
        for name in ["link", "fifo", "socket", "directory", "sparse", "empty", "torn", "garbage"] {
            let error = read::<serde_json::Map<String, serde_json::Value>>(&at(name)).unwrap_err();
            assert!(error.message().ends_with(&format!("{name} is damaged")), "{name}: {error}");
            assert!(error.hints()[0].contains("system check --repair"));
        }
        assert!(read::<u32>(&at("missing")).unwrap().is_none());
        // A FIFO with a writer is no better.
        let _both = std::fs::OpenOptions::new().read(true).write(true).open(at("fifo")).unwrap();
        assert!(read::<u32>(&at("fifo")).is_err());
    }

    #[test]
    fn replacing_a_link_leaves_alone_what_it_leads_to() {
        let scene = tempfile::tempdir().unwrap();
        let at = |name: &str| scene.path().join(name);
        std::fs::write(at("outside"), "untouched").unwrap();
        symlink(at("outside"), at("record")).unwrap();
        replace(&at("record"), &7, Durability::Synced).unwrap();
        assert_eq!(read::<u32>(&at("record")).unwrap(), Some(7));
        assert_eq!(std::fs::read_to_string(at("outside")).unwrap(), "untouched");
    }
}
