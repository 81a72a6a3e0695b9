//! What ADD fetches: files of web servers and git repositories.

use crate::build::files::{self, Destination, Owners, Selection, Tree, Write};
use crate::build::job::Job;
use crate::build::sources::git::{Checkout, Repository};
use crate::build::sources::http::{self, WebDownload};
use crate::build::sources::remote::{self, Remote};
use crate::build::wanted::whole;
use crate::error::{Context as _, Error, Kind, Result};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Something that is here now, and goes with this value.
#[derive(Debug)]
pub(super) enum Fetched {
    /// A file.
    File(Box<WebDownload>, File),
    /// The files of a commit.
    Commit {
        /// What counts of them.
        counts: String,
        /// The directory.
        root: OwnedFd,
        /// Deletes it in the end.
        _held: Box<Checkout>,
    },
}

/// How ADD wants it.
#[derive(Debug, Clone, Default)]
pub(super) struct How {
    /// `--checksum`.
    pub(super) checksum: Option<String>,
    /// `--keep-git-dir`.
    pub(super) keep_git_dir: bool,
}

/// What an address means; `None` for one that is a path.
///
/// # Errors
/// An address that cannot be used.
pub(super) fn remote(source: &str) -> Result<Option<Remote>> {
    remote::of_source(source)
}

/// Fetches it. Runs git, so this process has one thread.
///
/// # Errors
/// What cannot be had, or has another digest than it must.
pub(super) fn fetch(job: &Job<'_>, remote: Remote, how: &How) -> Result<Fetched> {
    match remote {
        Remote::Http(source) => {
            let checksum = how.checksum.as_ref().map(|text| text.parse()).transpose()?;
            let wanted = http::Wanted { checksum, known: None, retry: job.request.registry.retry };
            let download = http::download(job.store(), &source, wanted, &mut |_| {})?;
            let missing = || Error::new(Kind::Registry, format!("{} was not sent", source.shown()));
            let download = download.ok_or_else(missing)?;
            let file = download.open()?;
            Ok(Fetched::File(Box::new(download), file))
        }
        Remote::Git(mut source) => {
            if let Some(checksum) = &how.checksum {
                source.expect(checksum)?;
            }
            let keep = how.keep_git_dir || source.keep_git_dir.unwrap_or_default();
            let checkout = Repository::open(job.store(), &source, job.caller)?.fetch(keep, &mut |_| {})?;
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let root = openat(checkout.root(), ".", flags, Mode::empty());
            let root = root.context(Kind::Storage, || "open the checkout")?;
            let counts = format!("{} {:?} {keep}", checkout.commit, source.subdir);
            Ok(Fetched::Commit { counts, root, _held: Box::new(checkout) })
        }
    }
}

impl Fetched {
    /// What a step's result depends on.
    pub(super) fn key(&self) -> String {
        match self {
            Fetched::File(download, _) => format!("{} {:?}", download.digest, download.modified),
            Fetched::Commit { counts, .. } => counts.clone(),
        }
    }

    /// The descriptor that a forked process needs.
    pub(super) fn descriptor(&self) -> RawFd {
        match self {
            Fetched::File(_, file) => file.as_raw_fd(),
            Fetched::Commit { root, .. } => root.as_raw_fd(),
        }
    }

    /// Writes it to a destination.
    ///
    /// # Errors
    /// What cannot be read or written.
    pub(super) fn write(&self, to: &Destination<'_>, how: &Write) -> Result<()> {
        match self {
            Fetched::File(download, file) => {
                let file = file.try_clone().context(Kind::Storage, || "read the download")?;
                files::write_download(to, file, Some(&download.name), download.modified, how)?;
            }
            Fetched::Commit { root, .. } => {
                let root = root.try_clone().context(Kind::Storage, || "read the checkout")?;
                let tree = Tree { root, ignore: None, owners: Owners::Root };
                let wanted = whole("");
                Selection::find(&tree, &wanted.sources, &wanted.how)?.write(to, how)?;
            }
        }
        Ok(())
    }
}
