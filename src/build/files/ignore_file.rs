//! Finding the ignore file of a build.

use super::ignore::Ignore;
use crate::error::{Context, Error, Kind, Result};
use crate::sys::fd::{despite_leases, open_within};
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag};
use nix::sys::stat::{SFlag, fstat};
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// Most bytes of an ignore file that are read.
const LENGTH_MAX: u64 = 16 << 20;
/// What ignore files are called, podman's name first (podman-build(1)); also the endings of those of one Containerfile.
const NAMES: [&str; 2] = [".containerignore", ".dockerignore"];

/// A path, resolved inside a root: a context's, or the host's `/` for paths that the user has named.
#[derive(Debug, Clone, Copy)]
pub struct PathIn<'a> {
    /// The root. Symlinks do not lead out of it.
    pub root: BorrowedFd<'a>,
    /// The path below it.
    pub path: &'a Path,
}

/// Where an ignore file may be.
#[derive(Debug, Clone, Copy)]
pub struct IgnorePlaces<'a> {
    /// The context's directory.
    pub context: BorrowedFd<'a>,
    /// The Containerfile. An ignore file with its name and an ending is meant for it alone.
    pub containerfile: Option<PathIn<'a>>,
    /// The file that the user has named (`--ignorefile`).
    pub explicit: Option<PathIn<'a>>,
}

impl IgnorePlaces<'_> {
    /// Reads the ignore file: the one that was named; else `NAME.containerignore` or `NAME.dockerignore` beside a
    /// Containerfile NAME; else `.containerignore` or `.dockerignore` in the context.
    ///
    /// # Errors
    /// One that was named and is not there; one that cannot be read, is no regular file or has a malformed pattern.
    pub fn read(&self) -> Result<Option<Ignore>> {
        if let Some(explicit) = self.explicit {
            let missing = || {
                let shown = explicit.path.display();
                Error::new(Kind::NotFound, format!("ignore file {shown} does not exist"))
            };
            return explicit.ignore()?.ok_or_else(missing).map(Some);
        }
        let own = self.containerfile.map(|file| (file.root, file.path.as_os_str().to_owned()));
        for (root, before) in own.into_iter().chain([(self.context, OsString::new())]) {
            for name in NAMES {
                let mut path = before.clone();
                path.push(name);
                let found = PathIn { root, path: &PathBuf::from(path) }.ignore()?;
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }
}

impl PathIn<'_> {
    /// The ignore file at this path; `None` if there is none.
    fn ignore(&self) -> Result<Option<Ignore>> {
        let name = self.path.to_string_lossy();
        let refuse = || format!("read ignore file {name}");
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let bounds = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let file = match despite_leases(|| open_within(self.root, self.path, flags, bounds)) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
            other => File::from(other.context(Kind::Usage, refuse)?),
        };
        let status = fstat(&file).context(Kind::Usage, refuse)?;
        if status.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
            return Err(Error::new(Kind::Usage, format!("ignore file {name} is not a regular file")));
        }
        let mut bytes = Vec::new();
        file.take(LENGTH_MAX + 1).read_to_end(&mut bytes).context(Kind::Usage, refuse)?;
        if bytes.len() as u64 > LENGTH_MAX {
            return Err(Error::new(Kind::Usage, format!("ignore file {name} is larger than 16 MiB")));
        }
        Ignore::parse(&name, &bytes).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_nearest_ignore_file_counts() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("docker")).unwrap();
        let context = File::open(place.path()).unwrap();
        let name = |explicit: Option<&str>| {
            let inside = |path| PathIn { root: context.as_fd(), path: Path::new(path) };
            let places = IgnorePlaces {
                context: context.as_fd(),
                containerfile: Some(inside("docker/Build")),
                explicit: explicit.map(inside),
            };
            places.read().map(|found| found.map(|ignore| ignore.name().to_owned()))
        };
        let mut last = None;
        assert_eq!(name(None).unwrap(), last);
        let order = [
            ".dockerignore",
            ".containerignore",
            "docker/Build.dockerignore",
            "docker/Build.containerignore",
        ];
        for file in order {
            fs::write(place.path().join(file), "x\n").unwrap();
            last = Some(file.to_owned());
            assert_eq!(name(None).unwrap(), last);
        }
        fs::write(place.path().join("mine"), "[").unwrap();
        assert!(name(Some("mine")).unwrap_err().message().starts_with("mine:1: "));
        assert_eq!(name(Some("none")).unwrap_err().message(), "ignore file none does not exist");
        assert_eq!(name(Some("docker")).unwrap_err().message(), "ignore file docker is not a regular file");
        assert_eq!(name(Some(".dockerignore")).unwrap().unwrap(), ".dockerignore");
    }

    #[test]
    fn case_41_no_link_leads_an_ignore_file_out_of_the_context() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("context")).unwrap();
        fs::write(place.path().join("secret"), "secret\n").unwrap();
        let context = File::open(place.path().join("context")).unwrap();
        symlink("../secret", place.path().join("context/.dockerignore")).unwrap();
        let places = IgnorePlaces { context: context.as_fd(), containerfile: None, explicit: None };
        assert_eq!(places.read().unwrap(), None);
        let host = File::open("/").unwrap();
        let secret = place.path().join("secret");
        let explicit = Some(PathIn { root: host.as_fd(), path: &secret });
        assert!(IgnorePlaces { explicit, ..places }.read().unwrap().unwrap().is_out(b"secret"));
    }
}
