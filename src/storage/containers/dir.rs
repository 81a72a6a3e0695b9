//! A container's directory: the paths of its parts, its plan, and the lock for changes to it. The records, the
//! derived status, the processes of `exec` and the removal have modules of their own.

mod claim;
mod end_pipe;
mod events;
mod exchange;
mod exec;
mod health;
mod keep;
mod mounted;
mod records;
mod status;

mod trash;

pub use end_pipe::EndPipe;
pub use exchange::Exchange;
pub use status::LOST_EXIT_CODE;

use super::files;
use super::locks::{self, AliveLock, DirLock};
use super::plan;
use crate::container::ContainerId;
use crate::error::{Context, Error, Kind, Result};
use crate::spec::ContainerSpec;
use crate::storage::record;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::sys::stat::{Mode, fstatat};
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One container's directory, held by descriptor: it stays usable after it was renamed to the trash.
#[derive(Debug)]
pub struct ContainerDir {
    id: ContainerId,
    data: PathBuf,
    runtime: PathBuf,
    dir: OwnedFd,
    claim: RefCell<Option<AliveLock>>,
}

/// How long a change to a container by another command may take. None takes that long, unless it is stopped.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);

impl ContainerDir {
    pub(super) fn new(id: ContainerId, data: &Path, runtime: &Path, dir: OwnedFd) -> Self {
        ContainerDir {
            id,
            data: data.to_owned(),
            runtime: runtime.to_owned(),
            dir,
            claim: RefCell::default(),
        }
    }

    /// The container's identifier.
    pub fn id(&self) -> &ContainerId {
        &self.id
    }

    /// Where the directory stands until it is removed.
    pub fn path(&self) -> PathBuf {
        self.data.join("containers").join(self.id.as_str())
    }

    /// The file that holds the payload's output; see [`super::log`].
    pub fn log_path(&self) -> PathBuf {
        self.path().join("log")
    }

    /// Whether the directory still stands there.
    pub fn in_place(&self) -> bool {
        fstatat(AT_FDCWD, &self.path(), AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
    }

    /// Whether listings show it: not while it is being made or removed.
    pub fn is_listed(&self) -> bool {
        self.in_place() && files::is_there(self.fd(), "summary")
    }

    /// The container's changes to its root file system.
    pub fn upper(&self) -> PathBuf {
        self.path().join("upper")
    }

    /// The overlay's working directory.
    pub fn work(&self) -> PathBuf {
        self.path().join("work")
    }

    /// Where its layers are shown under other ids. Created by the process that mounts.
    pub fn lower(&self) -> PathBuf {
        self.path().join("lower")
    }

    /// Where the root file system is mounted when it cannot be held detached. Created by the process that mounts.
    pub fn merged(&self) -> PathBuf {
        self.path().join("merged")
    }

    /// The monitor's socket for `attach` and the like: `<runtime>/c/<12 digits>.sock`.
    ///
    /// A socket address holds 107 bytes (unix(7)). Where this path is longer (a deep `--runroot`), bind
    /// and connect through [`ContainerDir::socket_dir`] and `/proc/self/fd/<n>/<name>` instead.
    pub fn socket_path(&self) -> PathBuf {
        socket_path(&self.runtime, &self.id)
    }

    /// The directory of [`ContainerDir::socket_path`], made if missing.
    ///
    /// # Errors
    /// When the runtime directory cannot be written.
    pub fn socket_dir(&self) -> Result<OwnedFd> {
        let path = self.runtime.join("c");
        let open = || -> io::Result<OwnedFd> {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            Ok(nix::fcntl::open(&path, flags, Mode::empty())?)
        };
        open().context(Kind::Storage, || format!("open {}", path.display()))
    }

    /// The directory itself.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    fn doing(&self, what: &str) -> String {
        format!("{what} of container {}", self.id.short())
    }

    fn read<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>> {
        files::read_json(self.fd(), file).context(Kind::Storage, || self.doing(&format!("read {file}")))
    }

    /// Its plan, as created. One of a newer version is refused, as it may mean more than is read of
    /// it.
    ///
    /// # Errors
    /// When `plan.json` is missing, damaged or of a newer version.
    pub fn spec(&self) -> Result<ContainerSpec> {
        self.plan_bytes().and_then(|bytes| plan::parse(&bytes)).map_err(|e| {
            Error::new(Kind::Storage, "its plan cannot be read").caused_by(e).hint(self.drop_it())
        })
    }

    fn plan_bytes(&self) -> Result<Vec<u8>> {
        let missing = || match self.in_place() {
            true => Error::new(Kind::Storage, self.doing("no plan.json in the directory")),
            false => self.removed(),
        };
        let bytes = files::read(self.fd(), "plan.json")
            .context(Kind::Storage, || self.doing("read plan.json"))
            .and_then(|bytes| bytes.ok_or_else(missing));
        bytes.map_err(|e| e.hint(self.drop_it()))
    }

    fn drop_it(&self) -> String {
        format!(
            "If a newer version made the container, use that one; to remove it: coracle rm -f {}",
            self.id.short()
        )
    }

    /// A record that could not be written, with a hint if there is one.
    fn unwritten(&self, file: &str, e: io::Error) -> Error {
        let cure = record::hint(e.raw_os_error().map(Errno::from_raw));
        let error = Error::new(Kind::Storage, self.doing(&format!("write {file}"))).caused_by(e);
        if let Some(cure) = cure { error.hint(cure) } else { error }
    }

    /// Takes the lock for a change to this container; held for moments, never while waiting for a
    /// person or a payload.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when the container has been removed since it was opened; else when the lock
    /// file cannot be opened, or whoever has it does not go on.
    pub fn lock(&self) -> Result<DirLock> {
        self.lock_within(LOCK_PATIENCE)
    }

    /// As [`ContainerDir::lock`], waiting so long at most.
    ///
    /// # Errors
    /// As there.
    pub fn lock_within(&self, patience: Duration) -> Result<DirLock> {
        match locks::lock(self.fd(), patience) {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => Err(Error::new(
                Kind::Runtime,
                format!("container {} is locked by a command that does not finish", self.id.short()),
            )
            .hint("Look for one that is stopped (state T) and continue or end it: ps -eo pid,stat,args")),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(self.removed()),
            Err(e) => Err(Error::new(Kind::Storage, self.doing("take the lock")).caused_by(e)),
        }
    }

    fn removed(&self) -> Error {
        Error::new(Kind::NotFound, format!("container {} was removed in the meantime", self.id.short()))
    }
}

/// Where a container's monitor has its socket.
fn socket_path(runtime: &Path, id: &ContainerId) -> PathBuf {
    runtime.join("c").join(format!("{}.sock", id.short()))
}
