//! The store's own directories, opened by descriptor and never through a symbolic link.
//!
//! Theory of operation. A process that may write to the data root, for instance a container, can put a link in
//! the place of a directory of the store; anything deleted or written by path would then go wherever it leads.
//! So [`real`] resolves the data root once, which may be reached through the user's own links. From there every
//! directory is opened with `RESOLVE_NO_SYMLINKS` (openat2(2)) on all components, and its contents are accessed
//! from the descriptor. A link is refused; [`unfit`] finds existing ones.

use super::record::{self, BELOW, Durability, failed};
use super::tree;
use crate::error::{Error, Kind, Result};
use crate::sys::fd::open_within;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, ResolveFlag, renameat, renameat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// What is made in the store before it gets its place.
pub(super) const TMP: &str = "tmp";
/// What is being deleted.
pub(super) const TRASH: &str = "trash";
/// What `system check --repair` has moved aside.
pub(super) const ASIDE: &str = "damaged";

const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY);

/// A directory of the store.
#[derive(Debug)]
pub(super) struct Place {
    dir: OwnedFd,
    path: PathBuf,
}

impl Place {
    /// Opens a directory whose path begins with the [real](real) data root.
    ///
    /// # Errors
    /// When it is not there, or something else is in its place.
    pub(super) fn open(path: &Path) -> Result<Place> {
        let dir = directory(path).map_err(|e| refused(path, e))?;
        Ok(Place { dir, path: path.to_owned() })
    }

    /// As [`Place::open`]; `None` when nothing is there.
    ///
    /// # Errors
    /// When something else is in its place.
    pub(super) fn find(path: &Path) -> Result<Option<Place>> {
        match directory(path) {
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(refused(path, e)),
            Ok(dir) => Ok(Some(Place { dir, path: path.to_owned() })),
        }
    }

    /// As [`Place::open`], making it if it is missing and its parent is there.
    ///
    /// # Errors
    /// When it cannot be made, or something else is in its place.
    pub(super) fn make(path: &Path) -> Result<Place> {
        if let Some(found) = Place::find(path)? {
            return Ok(found);
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Place::open(path) };
        match mkdirat(&Place::open(parent)?, name, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => Place::open(path),
            Err(e) => Err(failed("create", path, e.into())),
        }
    }

    /// A directory in this one; `None` when nothing is there.
    ///
    /// # Errors
    /// When something else is in its place.
    pub(super) fn below(&self, name: &str) -> Result<Option<Place>> {
        let path = self.path.join(name);
        match open_within(&self.dir, name, DIRECTORY, BELOW) {
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(refused(&path, e)),
            Ok(dir) => Ok(Some(Place { dir, path })),
        }
    }

    /// A new directory in this one, for its owner alone.
    ///
    /// # Errors
    /// When it cannot be made; something of this name is there.
    pub(super) fn new_below(&self, name: &str) -> Result<Place> {
        self.make_below(name)?;
        let path = self.path.join(name);
        let dir = open_within(&self.dir, name, DIRECTORY, BELOW).map_err(|e| refused(&path, e))?;
        Ok(Place { dir, path })
    }

    /// As [`Place::new_below`], without opening it.
    ///
    /// # Errors
    /// As there.
    pub(super) fn make_below(&self, name: &str) -> Result<()> {
        let made = mkdirat(&self.dir, name, Mode::S_IRWXU);
        made.map_err(|e| failed("create", &self.path.join(name), e.into()))
    }

    /// The same directory once more.
    ///
    /// # Errors
    /// When there are no more descriptors.
    pub(super) fn again(&self) -> io::Result<Place> {
        Ok(Place { dir: self.dir.try_clone()?, path: self.path.clone() })
    }

    /// Its path, for messages and for other programs.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The names in it, except for those that begin with a dot: what is being written.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let names = tree::names(self.as_fd()).map_err(|e| failed("read", &self.path, e.into()))?;
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        Ok(names.filter(|name| !name.starts_with('.')).collect())
    }

    /// Removes the files that were being written when their writer was killed. The caller sees to it that nobody
    /// writes here.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(super) fn clear_unfinished(&self) -> Result<()> {
        let names = tree::names(self.as_fd()).map_err(|e| failed("read", &self.path, e.into()))?;
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        for name in names.filter(|name| name.starts_with(record::FRESH)) {
            self.remove_file(&name)?;
        }
        Ok(())
    }

    /// The status of an entry, not following links; `None` if it does not exist.
    ///
    /// # Errors
    /// Those of fstatat(2).
    pub(super) fn look(&self, name: impl AsRef<Path>) -> Result<Option<FileStat>> {
        let name = name.as_ref();
        match fstatat(&self.dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(failed("look at", &self.path.join(name), e.into())),
        }
    }

    /// Whether a regular file has this name.
    pub(super) fn has_file(&self, name: &str) -> bool {
        matches!(self.look(name), Ok(Some(found)) if is(&found, SFlag::S_IFREG))
    }

    /// Opens a regular file in it; `None` when nothing has the name.
    ///
    /// # Errors
    /// When it cannot be opened, or something else has the name.
    pub(super) fn file(&self, name: &str, flags: OFlag) -> Result<Option<fs::File>> {
        match record::open_regular(self.as_fd(), name, flags) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed("open", &self.path.join(name), e)),
        }
    }

    /// Makes a file in it that was not there, to be read and written by its owner.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(super) fn new_file(&self, name: &str) -> Result<fs::File> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
        record::open_regular(self.as_fd(), name, flags)
            .map_err(|e| failed("create", &self.path.join(name), e))
    }

    /// Reads a record in it; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be read or is not what this program wrote.
    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        record::read_in(self.as_fd(), name, &self.path.join(name))
    }

    /// Replaces a record in it whole.
    ///
    /// # Errors
    /// When the file system refuses; the old record then stands.
    pub(super) fn replace<T: Serialize + ?Sized>(
        &self,
        name: &str,
        value: &T,
        durability: Durability,
    ) -> Result<()> {
        let path = self.path.join(name);
        let bytes = serde_json::to_vec(value).map_err(|e| failed("write", &path, io::Error::other(e)))?;
        record::replace_in(self.as_fd(), name, &path, &bytes, durability)
    }

    /// Replaces a file in it whole, mode 0600.
    ///
    /// # Errors
    /// When the file system refuses; the old content then stands.
    pub(super) fn replace_bytes(&self, name: &str, bytes: &[u8], durability: Durability) -> Result<()> {
        record::replace_in(self.as_fd(), name, &self.path.join(name), bytes, durability)
    }

    /// Renames something in it to a place of the same file system, over what is there.
    ///
    /// # Errors
    /// Those of renameat(2).
    pub(super) fn rename(&self, name: impl AsRef<Path>, to: &Place, new: &str) -> nix::Result<()> {
        renameat(&self.dir, name.as_ref(), &to.dir, new)
    }

    /// As [`Place::rename`], with flags: exchanging both, or refusing a name that is taken.
    ///
    /// # Errors
    /// Those of renameat2(2).
    pub(super) fn rename_as(&self, name: &str, to: &Place, new: &str, flags: RenameFlags) -> nix::Result<()> {
        renameat2(&self.dir, name, &to.dir, new, flags)
    }

    /// Removes a file in it; returns whether it was there.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(super) fn remove_file(&self, name: &str) -> Result<bool> {
        match unlinkat(&self.dir, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(e) => Err(failed("remove", &self.path.join(name), e.into())),
        }
    }

    /// Makes the names in it durable, so that what was renamed into it survives a power cut.
    ///
    /// # Errors
    /// When the disk reports one.
    pub(super) fn sync(&self) -> Result<()> {
        nix::unistd::fsync(&self.dir).map_err(|e| failed("sync", &self.path, e.into()))
    }

    /// Puts something in it out of the way, below `damaged/` of this data root, whatever it is; returns where it
    /// is then. Nothing of it is lost.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(super) fn set_aside(&self, name: &str, data: &Path) -> Result<PathBuf> {
        let aside = Place::make(&data.join(ASIDE))?;
        let kind = self.path.strip_prefix(data).unwrap_or(Path::new("")).to_string_lossy().replace('/', "-");
        let first = if kind.is_empty() { name.to_owned() } else { format!("{kind}-{name}") };
        for number in 0..u32::MAX {
            let new = if number == 0 { first.clone() } else { format!("{first}.{number}") };
            match self.rename_as(name, &aside, &new, RenameFlags::RENAME_NOREPLACE) {
                Err(Errno::EEXIST) => {}
                other => {
                    other.map_err(|e| failed("set aside", &self.path.join(name), e.into()))?;
                    return Ok(aside.path.join(new));
                }
            }
        }
        Err(failed("set aside", &self.path.join(name), Errno::EEXIST.into()))
    }
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// Whether something is of this kind.
pub(super) fn is(found: &FileStat, kind: SFlag) -> bool {
    SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits()) == kind
}

/// Opens a directory whose path has no symbolic link in it.
///
/// # Errors
/// Those of openat2(2); `ELOOP` for a link.
pub(super) fn directory(path: &Path) -> nix::Result<OwnedFd> {
    open_within(AT_FDCWD, path, DIRECTORY, ResolveFlag::RESOLVE_NO_SYMLINKS)
}

/// As [`directory`], for its place alone (`O_PATH`): what is mounted, or mounted on.
///
/// # Errors
/// Those of openat2(2); `ELOOP` for a link.
pub(super) fn held(path: &Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    open_within(AT_FDCWD, path, flags, ResolveFlag::RESOLVE_NO_SYMLINKS)
}

/// A data root, by a path without links; `None` when there is none.
///
/// # Errors
/// When it cannot be resolved or opened.
pub(super) fn real(data: &Path) -> Result<Option<Place>> {
    match directory(data) {
        Ok(dir) => Ok(Some(Place { dir, path: data.to_owned() })),
        Err(Errno::ENOENT) => Ok(None),
        Err(Errno::ELOOP) => match fs::canonicalize(data) {
            Ok(real) => Place::open(&real).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed("find", data, e)),
        },
        Err(e) => Err(failed("open", data, e.into())),
    }
}

/// Puts into words why a directory of the store could not be opened.
fn refused(path: &Path, e: Errno) -> Error {
    if !matches!(e, Errno::ELOOP | Errno::ENOTDIR) {
        return failed("open", path, e.into());
    }
    // Not the last part of the path, perhaps. What follows is words only.
    let kind = |at: &Path| fs::symlink_metadata(at).ok().map(|found| found.file_type());
    let mut parts: Vec<&Path> = path.ancestors().collect();
    parts.reverse();
    let wrong = parts.into_iter().find(|at| kind(at).is_some_and(|kind| !kind.is_dir()));
    let wrong = wrong.unwrap_or(path);
    let what =
        if kind(wrong).is_some_and(|kind| kind.is_symlink()) { "a symbolic link" } else { "not a directory" };
    Error::new(Kind::Storage, format!("{} is {what}, where the store needs a directory", wrong.display()))
        .hint("See what put it there, then set it aside: coracle system check --repair")
}

/// The first of the parts of a path below a data root that is there and no directory: its parent and name.
pub(super) fn unfit(data: &Path, below: &str) -> Result<Option<(Place, String)>> {
    let mut at = Place::open(data)?;
    for part in below.split('/') {
        match at.look(part)? {
            None => return Ok(None),
            Some(found) if !is(&found, SFlag::S_IFDIR) => return Ok(Some((at, part.to_owned()))),
            Some(_) => {}
        }
        let Some(next) = at.below(part)? else { return Ok(None) };
        at = next;
    }
    Ok(None)
}

/// Opens one of the store's own directories, which is reached through no link.
pub(super) fn open_dir(path: &Path) -> Result<OwnedFd> {
    directory(path).map_err(|e| failed("open", path, e.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_in_the_place_of_a_directory_is_refused_at_every_part_of_the_path() {
        let scene = tempfile::tempdir().unwrap();
        let data = scene.path().join("data");
        fs::create_dir_all(data.join("oci/blobs")).unwrap();
        fs::create_dir_all(scene.path().join("precious/blobs")).unwrap();
        Place::open(&data.join("oci/blobs")).unwrap();
        fs::rename(data.join("oci"), data.join("oci.old")).unwrap();
        symlink(scene.path().join("precious"), data.join("oci")).unwrap();
        for path in ["oci", "oci/blobs"] {
            for refused in [Place::open(&data.join(path)), Place::make(&data.join(path))] {
                let error = refused.unwrap_err();
                assert!(
                    error
                        .message()
                        .ends_with("data/oci is a symbolic link, where the store needs a directory"),
                    "{error}"
                );
                assert!(error.hints()[0].contains("coracle system check --repair"));
            }
        }
        assert!(Place::open(&data).unwrap().below("oci").is_err());
        fs::remove_file(data.join("oci")).unwrap();
        fs::write(data.join("oci"), "").unwrap();
        assert!(Place::find(&data.join("oci")).unwrap_err().message().contains("is not a directory"));
    }

    #[test]
    fn a_data_root_may_be_reached_through_links() {
        let scene = tempfile::tempdir().unwrap();
        let home = scene.path().join("home");
        fs::create_dir_all(home.join("share/coracle/tmp")).unwrap();
        symlink(home.join("share"), scene.path().join("link")).unwrap();
        let found = real(&scene.path().join("link/coracle")).unwrap().unwrap();
        Place::open(&found.path().join("tmp")).unwrap();
        assert!(real(&scene.path().join("none")).unwrap().is_none());
    }

    #[test]
    fn what_is_set_aside_is_kept_beside_what_was_before() {
        let scene = tempfile::tempdir().unwrap();
        let data = scene.path();
        for content in ["one", "two"] {
            fs::create_dir_all(data.join("volumes/v")).unwrap();
            fs::write(data.join("volumes/v/data"), content).unwrap();
            let volumes = Place::open(&data.join("volumes")).unwrap();
            let kept = volumes.set_aside("v", data).unwrap();
            assert_eq!(fs::read_to_string(kept.join("data")).unwrap(), content);
        }
        assert!(data.join("damaged/volumes-v").exists() && data.join("damaged/volumes-v.1").exists());
    }
}
