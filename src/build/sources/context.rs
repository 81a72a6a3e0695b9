//! Build contexts: where the files are that COPY and ADD mean.
//!
//! Theory of operation. Whatever a context is, it becomes the descriptor of a directory (`O_PATH`), and its files are
//! reached from there. A directory of the user's is opened once, by its path; everything else is brought into a
//! directory of the store's `tmp/`, which is deleted with the value.

use super::archive::{self, Opened};
use super::descriptor;
use super::git::Repository;
use super::http::{self, Wanted};
use super::remote::{self, GitSource, HttpSource, Remote};
use super::report::Progress;
use crate::build::request::ContextSource;
use crate::error::{Context, Error, Kind, Result, phrases};
use crate::host::Caller;
use crate::image::Digest;
use crate::registry::{RetryPolicy, WebTrust};
use crate::storage::{Scratch, Store};
use crate::sys::fd::link_of;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open as open_path, openat};
use nix::sys::stat::Mode;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// How a directory is held.
const HELD: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// What is needed to bring something from elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Means<'a> {
    /// Where it is put.
    pub store: &'a Store,
    /// Whose environment git gets.
    pub caller: &'a Caller,
    /// How often a download is tried again.
    pub retry: RetryPolicy,
    /// Whom TLS trusts in one; `None` is the usual.
    pub trust: Option<&'a WebTrust>,
}

/// What a context's content is known by, from one build to the next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A directory, by its path without links: its files may change at any time.
    Directory(PathBuf),
    /// A commit, and the directory of it that is the context: always the same files.
    Commit {
        /// The commit's id, whole.
        id: String,
        /// The directory, relative.
        subdir: Option<String>,
    },
    /// An archive, by its digest: always the same files.
    Archive(Digest),
    /// There are no files.
    Empty,
}

/// A context, opened.
#[derive(Debug)]
pub struct OpenedContext {
    root: OwnedFd,
    /// What its content is known by.
    pub identity: Identity,
    /// What messages call it.
    pub name: String,
    /// The text of a Containerfile that was given in the place of a context.
    pub text: Option<Vec<u8>>,
    _scratch: Option<Scratch>,
}

impl OpenedContext {
    /// Its top directory (`O_PATH`).
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// A directory of the user's.
    fn directory(path: &Path) -> Result<OpenedContext> {
        let name = path.display().to_string();
        let root = open_path(path, HELD, Mode::empty()).map_err(|e| match e {
            Errno::ENOENT | Errno::ENOTDIR => phrases::no_context(&name),
            e => Error::new(Kind::Usage, format!("open context {name}")).caused_by(e),
        })?;
        let plain = std::fs::read_link(link_of(&root)).context(Kind::Host, || format!("find {name}"))?;
        Ok(OpenedContext { root, identity: Identity::Directory(plain), name, text: None, _scratch: None })
    }

    /// No files; maybe the text of a Containerfile.
    fn empty(store: &Store, name: &str, text: Option<Vec<u8>>) -> Result<OpenedContext> {
        let scratch = store.scratch()?;
        let root = openat(&scratch, ".", HELD, Mode::empty());
        let root = root.context(Kind::Storage, || format!("open {}", scratch.path().display()))?;
        Ok(OpenedContext {
            root,
            identity: Identity::Empty,
            name: name.to_owned(),
            text,
            _scratch: Some(scratch),
        })
    }

    fn stream(
        means: &Means<'_>,
        input: File,
        name: &str,
        report: &mut dyn FnMut(Progress),
    ) -> Result<OpenedContext> {
        match archive::open(means.store, input, name, report)? {
            Opened::Text(text) => OpenedContext::empty(means.store, name, Some(text)),
            Opened::Directory(unpacked) => {
                let identity = Identity::Archive(unpacked.digest.clone());
                let (root, scratch) = unpacked.into_parts();
                let name = name.to_owned();
                Ok(OpenedContext { root, identity, name, text: None, _scratch: Some(scratch) })
            }
        }
    }

    fn repository(
        means: &Means<'_>,
        source: &GitSource,
        report: &mut dyn FnMut(Progress),
    ) -> Result<OpenedContext> {
        let trust = means.trust.cloned().unwrap_or_default();
        let checkout = Repository::open(means.store, source, means.caller, &trust)?.fetch(false, report)?;
        let identity = Identity::Commit { id: checkout.commit.clone(), subdir: source.subdir.clone() };
        let (root, scratch) = checkout.into_parts();
        let name = source.url.clone();
        Ok(OpenedContext { root, identity, name, text: None, _scratch: Some(scratch) })
    }

    fn download(
        means: &Means<'_>,
        source: &HttpSource,
        report: &mut dyn FnMut(Progress),
    ) -> Result<OpenedContext> {
        let file = downloaded(means, source, report)?;
        OpenedContext::stream(means, file, source.shown(), report)
    }
}

/// Downloads a file that is read once.
pub(super) fn downloaded(
    means: &Means<'_>,
    source: &HttpSource,
    report: &mut dyn FnMut(Progress),
) -> Result<File> {
    let trust = means.trust.cloned().unwrap_or_default();
    let wanted = Wanted { retry: means.retry, trust, ..Wanted::default() };
    let download = http::download(means.store, source, wanted, report)?;
    let missing = || Error::new(Kind::Registry, format!("{} was not sent", source.shown()));
    // Deleted, it can be read to its end all the same.
    download.ok_or_else(missing)?.open()
}

/// Opens a context. May run git, so this process must have one thread.
///
/// # Errors
/// `NotFound` for a directory that is not there; else what [`super::git`], [`super::http`] and [`super::archive`]
/// refuse.
pub fn open(
    means: &Means<'_>,
    source: &ContextSource,
    report: &mut dyn FnMut(Progress),
) -> Result<OpenedContext> {
    match source {
        ContextSource::Directory(path) => OpenedContext::directory(path),
        ContextSource::None => OpenedContext::empty(means.store, "no context", None),
        ContextSource::Archive(path) => {
            let file = match descriptor::open(path)? {
                Some(file) => file,
                None => File::open(path).context(Kind::Usage, || format!("open {}", path.display()))?,
            };
            let name =
                if descriptor::number(path) == Some(0) { "-".to_owned() } else { path.display().to_string() };
            OpenedContext::stream(means, file, &name, report)
        }
        ContextSource::Remote(text) => match remote::of_context(text)? {
            Some(Remote::Git(source)) => OpenedContext::repository(means, &source, report),
            Some(Remote::Http(source)) => OpenedContext::download(means, &source, report),
            None => Err(Error::new(
                Kind::Usage,
                format!("{text:?} is the address of neither a repository nor a file"),
            )),
        },
    }
}
