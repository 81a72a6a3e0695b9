//! `cp`: between the host and containers, or from and to an archive.
//!
//! Theory of operation. A single leaf handles both sides. It runs in the shared user namespace, where the user
//! is root as in containers. The source and the target are each looked up once: in a container by resolving the
//! path inside its root, on the host as any program would. From then on only the resulting descriptors are
//! used. One thread packs the source into a pipe, the other extracts the pipe below the target, so a symlink
//! that either side swaps in meanwhile has no effect (attack case 31). Nothing from the container is executed,
//! and no name service is queried (case 32).
//!
//! The rules for the target path are those of cp(1) and podman-cp(1); see [`Target::find`].

use crate::container::ids::IdMaps;
use crate::error::{Error, Kind, Result, phrases};
use crate::fork::{self, Doing};
use crate::runtime::root::Root;
use crate::runtime::{files, passwd};
use crate::spec::ContainerSpec;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::pack::{Options, Packer};
use crate::storage::unpack::extract::{Extract, Owner, decompressed, extract};
use crate::userns;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::pipe2;
use std::ffi::OsStr;
use std::fs::File;
use std::io::BufReader;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Size of the pipe between the two sides, in bytes.
const PIPE: i32 = 1 << 20;
/// Symlinks followed from a target to the file that is written (path_resolution(7)).
const LINKS_MAX: usize = 40;
/// Most directories between a target and its root.
const DEPTH: usize = 4096;

/// One side of a copy.
#[derive(Debug)]
pub enum Place<'a> {
    /// A path on the host, relative to the working directory.
    Host(PathBuf),
    /// A path in a container, from its root on; the container, and what to call it.
    Container(&'a ContainerDir, PathBuf, &'a str),
    /// An archive that is read or written here.
    Stream(OwnedFd),
}

/// What to copy.
#[derive(Debug)]
pub struct Request<'a> {
    /// From here.
    pub from: Place<'a>,
    /// To there.
    pub to: Place<'a>,
    /// Give what is copied into a container to its user; else keep the owners.
    pub archive: bool,
    /// Let directories take the place of other files, and the other way round.
    pub overwrite: bool,
    /// Copy what a symlink named as the source leads to; else the symlink.
    pub follow: bool,
}

impl Request<'_> {
    /// What the leaf needs. A path may name what the caller was started with (`/dev/fd/63`).
    fn descriptors(&self) -> Vec<RawFd> {
        let of = |place: &Place<'_>| match place {
            Place::Host(_) => fork::inherited().to_vec(),
            Place::Container(dir, ..) => vec![dir.fd().as_raw_fd()],
            Place::Stream(fd) => vec![fd.as_raw_fd()],
        };
        [of(&self.from), of(&self.to)].concat()
    }
}

/// Copies.
///
/// # Errors
/// A source or target that does not exist or is not of the kind needed; a file that cannot be read or
/// made.
pub fn copy(store: &Store, request: &Request<'_>) -> Result<()> {
    fork::leaf::<(), ()>(
        "copy",
        &request.descriptors(),
        |_| {
            let member = userns::enter(store.runtime())?;
            let done =
                crate::runtime::root::own_mounts().map_err(Error::from).and_then(|()| work(store, request));
            member.leave();
            done
        },
        |()| {},
    )
}

/// A side with its root open.
struct Side<'a> {
    place: &'a Place<'a>,
    root: Option<Rc<Root>>,
    plan: Option<ContainerSpec>,
}

impl<'a> Side<'a> {
    fn open(store: &Store, place: &'a Place<'a>, other: Option<&Side<'_>>) -> Result<Side<'a>> {
        let Place::Container(dir, ..) = place else { return Ok(Side { place, root: None, plan: None }) };
        let plan = dir.spec()?;
        let shared = other.and_then(|other| match other.place {
            Place::Container(theirs, ..) if theirs.id() == dir.id() => other.root.clone(),
            _ => None,
        });
        let root = match shared {
            Some(root) => root,
            None => Rc::new(Root::open(store, dir, &plan, true)?),
        };
        Ok(Side { place, root: Some(root), plan: Some(plan) })
    }

    /// The ids of the container.
    fn ids(&self) -> Option<&IdMaps> {
        self.plan.as_ref().map(|plan| &plan.ids)
    }

    /// The path as the user wrote it, in bytes.
    fn path(&self) -> &[u8] {
        match self.place {
            Place::Host(path) | Place::Container(_, path, _) => path.as_os_str().as_bytes(),
            Place::Stream(_) => b"-",
        }
    }

    fn shown(&self, path: &[u8]) -> String {
        let path = String::from_utf8_lossy(path);
        match self.place {
            Place::Container(_, _, name) => format!("{name}:{path}"),
            _ => path.into_owned(),
        }
    }

    /// Holds what a path leads to, symlinks followed: inside the root in a container, on the host as the
    /// user may.
    fn hold(&self, path: &[u8]) -> nix::Result<OwnedFd> {
        self.hold_as(path, OFlag::empty())
    }

    fn hold_as(&self, path: &[u8], how: OFlag) -> nix::Result<OwnedFd> {
        let path = Path::new(OsStr::from_bytes(path));
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC | how;
        match &self.root {
            Some(root) => files::open_in(root.fd(), path, flags),
            None => open(path, flags, Mode::empty()),
        }
    }

    /// The directory and the name that a path's last component leads to, if that is a symlink: of a file, or of
    /// nothing yet.
    fn behind_links(&self, path: &[u8]) -> Result<(OwnedFd, Vec<u8>)> {
        let mut path = path.to_vec();
        for _ in 0..LINKS_MAX {
            let (parent, name) = split(&path);
            if name == b".." || name.is_empty() {
                return Err(self.failed("open", &path, Errno::ENOENT));
            }
            let into = self.hold(&parent).map_err(|e| self.failed("open", &parent, e))?;
            match readlinkat(&into, OsStr::from_bytes(&name)) {
                Ok(link) if link.as_bytes().starts_with(b"/") => path = link.as_bytes().to_vec(),
                Ok(link) => path = [&parent, &b"/"[..], link.as_bytes()].concat(),
                Err(Errno::EINVAL | Errno::ENOENT) => return Ok((into, name)),
                Err(e) => return Err(self.failed("open", &parent, e)),
            }
        }
        Err(self.failed("open", &path, Errno::ELOOP))
    }

    fn failed(&self, doing: &str, path: &[u8], errno: Errno) -> Error {
        let shown = self.shown(path);
        match errno {
            Errno::ENOENT => {
                let path = String::from_utf8_lossy(path);
                match self.place {
                    Place::Container(_, _, name) => phrases::no_file_in_container(&path, name)
                        .hint(format!("See what there is: coracle export {name} | tar -t")),
                    _ => phrases::no_file_on_host(&path)
                        .hint("A path without CONTAINER: in front is a path on the host."),
                }
            }
            Errno::ENOTDIR => Error::new(Kind::Usage, format!("a part of {shown} is not a directory")),
            errno => Error::new(Kind::Storage, format!("{doing} {shown}")).caused_by(errno),
        }
    }
}

fn kind(status: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits())
}

/// Whether this is a pipe without a name, such as standard input.
fn is_pipe(held: &OwnedFd) -> bool {
    /// linux/magic.h
    const PIPEFS_MAGIC: FsType = FsType(0x5049_5045);
    fstatfs(held).is_ok_and(|found| found.filesystem_type() == PIPEFS_MAGIC)
}

/// Whether a path asks for a directory, and for its content alone.
fn asks(path: &[u8]) -> (bool, bool) {
    let content = path == b"." || path.ends_with(b"/.");
    (content || path.ends_with(b"/") || path == b".." || path.ends_with(b"/.."), content)
}

/// What the last name of a path is, `.` and `..` worked out; `None` for a root.
fn base(path: &[u8]) -> Option<&[u8]> {
    let mut names: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.pop()
}

/// A path's directory and last name, slashes at the end left out.
fn split(path: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let end = path.iter().rposition(|b| *b != b'/').map_or(0, |last| last + 1);
    match path[..end].iter().rposition(|b| *b == b'/') {
        Some(0) => (b"/".to_vec(), path[1..end].to_vec()),
        Some(slash) => (path[..slash].to_vec(), path[slash + 1..end].to_vec()),
        None => (b".".to_vec(), path[..end].to_vec()),
    }
}

/// What is copied.
struct Source {
    held: OwnedFd,
    /// As the user wrote it.
    shown: String,
    directory: bool,
    /// The content of the directory is meant, not the directory.
    content: bool,
    name: Vec<u8>,
}

impl Source {
    fn find(side: &Side<'_>, follow: bool) -> Result<Source> {
        let path = side.path();
        let (wants_directory, content) = asks(path);
        let how = if follow || wants_directory { OFlag::empty() } else { OFlag::O_NOFOLLOW };
        let held = side.hold_as(path, how).map_err(|e| side.failed("open", path, e))?;
        let status = fstat(&held).map_err(|e| side.failed("look at", path, e))?;
        let directory = match kind(&status) {
            SFlag::S_IFDIR => true,
            SFlag::S_IFIFO if is_pipe(&held) => {
                let shown = side.shown(path);
                return Err(Error::new(Kind::Usage, format!("{shown} is a pipe, which cannot be copied"))
                    .hint("What a program writes is an archive to be unpacked: coracle cp - NAME:/DIR; or a file: coracle exec -i NAME sh -c 'cat >FILE'"));
            }
            SFlag::S_IFREG | SFlag::S_IFIFO | SFlag::S_IFLNK if !wants_directory => false,
            SFlag::S_IFREG | SFlag::S_IFIFO => {
                return Err(Error::new(Kind::Usage, format!("{} is not a directory", side.shown(path))));
            }
            _ => {
                return Err(Error::new(
                    Kind::Usage,
                    format!("{} is a device or a socket, which cannot be copied", side.shown(path)),
                ));
            }
        };
        let name = base(path).map(<[u8]>::to_vec);
        let content = directory && (content || name.is_none());
        let shown = side.shown(path);
        Ok(Source { held, shown, directory, content, name: name.unwrap_or_default() })
    }

    /// `ids` are those of the container that it is in.
    fn pack(self, out: impl std::io::Write, under: Option<&[u8]>, ids: Option<&IdMaps>) -> Result<()> {
        let options = Options { nanoseconds: true, whole: true, ids, ..Options::default() };
        let mut packer = Packer::new(out, options);
        let packed = match under {
            Some(name) => packer.object(self.held, name),
            None => packer.tree(self.held.as_fd(), b""),
        };
        packed.and_then(|()| packer.finish().map(drop)).map_err(|e| match e.kind() {
            // Files are called as in the archive, which may not be what they are called here.
            Kind::Storage => Error::new(Kind::Storage, format!("copy {}", self.shown)).caused_by(e),
            _ => e,
        })
    }
}

/// Where it is copied to: below a directory, under a name or, without, as its content.
struct Target {
    into: OwnedFd,
    name: Option<Vec<u8>>,
    /// What the user calls the directory.
    called: Vec<u8>,
}

impl Target {
    /// A directory that exists receives the source under its own name, or its content when that was
    /// asked for. A file that exists is replaced by a file, and nothing else is. What does not exist is made,
    /// in a directory that does. A symlink stays, and what it leads to is meant.
    fn find(side: &Side<'_>, source: &Source, overwrite: bool) -> Result<Target> {
        let path = side.path();
        let (wants_directory, _) = asks(path);
        let is_no_directory = || match source.directory {
            true => phrases::not_a_directory_to_copy_to(&side.shown(path)),
            false => {
                Error::new(Kind::Conflict, format!("{} exists and is not a directory", side.shown(path)))
            }
        };
        match side.hold(path) {
            Ok(held) => {
                let status = fstat(&held).map_err(|e| side.failed("look at", path, e))?;
                if kind(&status) == SFlag::S_IFDIR {
                    let name = (!source.content).then(|| source.name.clone());
                    return Ok(Target { into: held, name, called: path.to_vec() });
                }
                if wants_directory {
                    return Err(is_no_directory());
                }
                if kind(&status) != SFlag::S_IFREG {
                    let shown = side.shown(path);
                    return Err(Error::new(
                        Kind::Conflict,
                        format!("{shown} must be a directory or a regular file"),
                    )
                    .hint("To write the content into it: coracle cp NAME:/FILE - | tar -xO"));
                }
                if source.directory && !overwrite {
                    return Err(is_no_directory()
                        .hint("To have a directory take its place: coracle cp --overwrite ..."));
                }
            }
            Err(Errno::ENOTDIR) if wants_directory && !path.ends_with(b"..") => {
                return Err(is_no_directory());
            }
            Err(Errno::ENOENT) if !wants_directory || source.directory => {}
            Err(e) => return Err(side.failed("open", path, e)),
        }
        let path = path.strip_suffix(b"/.").unwrap_or(path);
        let (into, name) = side.behind_links(path)?;
        Ok(Target { into, name: Some(name), called: split(path).0 })
    }

    /// Refuses to copy a directory into itself, which would have no end.
    fn check_outside(&self, source: &Source) -> Result<()> {
        let same = |a: &FileStat, b: &FileStat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
        let failed = |e: Errno| Error::new(Kind::Storage, "look at the target").caused_by(e);
        let top = fstat(&source.held).map_err(failed)?;
        let mut here = self.into.try_clone().map_err(|e| Error::new(Kind::Storage, "copy").caused_by(e))?;
        for _ in 0..DEPTH {
            let status = fstat(&here).map_err(failed)?;
            if same(&status, &top) {
                return Err(Error::new(Kind::Usage, "a directory cannot be copied into itself"));
            }
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let Ok(above) = openat(&here, "..", flags, Mode::empty()) else { break };
            if same(&status, &fstat(&above).map_err(failed)?) {
                break;
            }
            here = above;
        }
        Ok(())
    }
}

fn work(store: &Store, request: &Request<'_>) -> Result<()> {
    let from = Side::open(store, &request.from, None)?;
    let to = Side::open(store, &request.to, Some(&from))?;
    let how = Extract {
        owner: owner(&to, request.archive)?,
        overwrite: request.overwrite,
        privileges: to.root.is_some(),
        apart: false,
        below: String::from_utf8_lossy(to.path()).into_owned(),
    };
    if let Place::Stream(archive) = &request.from {
        return receive(&to, archive, how);
    }
    let source = Source::find(&from, request.follow)?;
    if let Place::Stream(out) = &request.to {
        let name = source.name.clone();
        let under = (!source.content).then_some(name.as_slice());
        return source.pack(File::from(copied(out)?), under, from.ids());
    }
    let target = Target::find(&to, &source, request.overwrite)?;
    if source.directory {
        target.check_outside(&source)?;
    }
    let how = Extract { below: String::from_utf8_lossy(&target.called).into_owned(), ..how };
    transfer(source, from.ids(), &target, how)
}

/// Whom the copied files belong to. On the host they are the user's.
fn owner(to: &Side<'_>, archive: bool) -> Result<Owner> {
    let (Some(root), Some(plan)) = (&to.root, &to.plan) else { return Ok(Owner::Caller) };
    if !archive {
        return Ok(Owner::Archive(plan.ids.clone()));
    }
    let user = passwd::resolve(root.fd(), &plan.process.user)?;
    match plan.ids.outside((user.uid, user.gid)) {
        (Some(uid), Some(gid)) => Ok(Owner::Ids(uid, gid)),
        _ => Err(Error::new(Kind::Usage, format!("the container has no user {}:{}", user.uid, user.gid))
            .hint("Keep the owners that the files have: coracle cp --archive=false ...")),
    }
}

fn copied(stream: &OwnedFd) -> Result<OwnedFd> {
    Ok(stream.try_clone().doing("copy", "stream")?)
}

/// Extracts an archive.
fn receive(to: &Side<'_>, archive: &OwnedFd, how: Extract) -> Result<()> {
    let path = to.path();
    let into = to.hold(path).map_err(|e| to.failed("open", path, e))?;
    if kind(&fstat(&into).map_err(|e| to.failed("look at", path, e))?) != SFlag::S_IFDIR {
        let message = format!("{}: destination must be a directory when copying from stdin", to.shown(path));
        return Err(Error::new(Kind::Usage, message)
            .hint("An archive is unpacked into an existing directory, for example: coracle cp - NAME:/tmp"));
    }
    let archive = decompressed(File::from(copied(archive)?))?;
    extract(into.as_fd(), archive, how).map(drop)
}

fn transfer(source: Source, ids: Option<&IdMaps>, target: &Target, how: Extract) -> Result<()> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC).doing("make", "pipe")?;
    // A larger one saves turns; the limit for users may forbid it.
    let _ = fcntl(&write, FcntlArg::F_SETPIPE_SZ(PIPE));
    let name = target.name.clone();
    std::thread::scope(|scope| {
        let packing = scope.spawn(move || source.pack(File::from(write), name.as_deref(), ids));
        let extracted =
            extract(target.into.as_fd(), BufReader::with_capacity(1 << 18, File::from(read)), how);
        let packed =
            packing.join().unwrap_or_else(|_| Err(Error::new(Kind::Runtime, "the copying thread died")));
        match packed {
            // The other side stopped listening, and says why.
            Err(e) if e.kind() == Kind::OutputClosed => extracted.map(drop),
            Err(e) => Err(e),
            Ok(()) => extracted.map(drop),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        for (path, directory, content, name) in [
            ("a", false, false, Some("a")),
            ("/a/b", false, false, Some("b")),
            ("a/", true, false, Some("a")),
            ("a/.", true, true, Some("a")),
            (".", true, true, None),
            ("/", true, false, None),
            ("/a/..", true, false, None),
            ("a/b/../c", false, false, Some("c")),
        ] {
            assert_eq!(asks(path.as_bytes()), (directory, content), "{path}");
            assert_eq!(base(path.as_bytes()), name.map(str::as_bytes), "{path}");
        }
        for (path, parent, name) in
            [("a", ".", "a"), ("/a", "/", "a"), ("/a//", "/", "a"), ("a/b/", "a", "b"), ("/", ".", "")]
        {
            assert_eq!(split(path.as_bytes()), (parent.into(), name.into()), "{path}");
        }
    }
}
