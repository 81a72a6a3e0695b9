//! What ADD fetches: files of web servers and git repositories.

use crate::build::files::{self, Destination, Owners, Selection, Tree, Write};
use crate::build::job::Job;
use crate::build::key;
use crate::build::sources::git::{Checkout, Repository};
use crate::build::sources::http::{self, WebDownload};
use crate::build::sources::remote::{self, HttpSource, Remote};
use crate::build::wanted::whole;
use crate::error::{Context as _, Error, Kind, Result};
use crate::image::Digest;
use crate::registry::Validator;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Something that is here now, and goes with this value.
#[derive(Debug)]
pub(super) enum Fetched {
    /// A file.
    File(Box<WebDownload>, File),
    /// A file that is the one of last time, as its server says: it is not here.
    Known(Box<Known>),
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

/// What is noted of a file, for the next time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Note {
    validator: Validator,
    digest: Digest,
    modified: Option<i64>,
}

/// A file that is known and not here.
#[derive(Debug)]
pub(super) struct Known {
    source: HttpSource,
    how: How,
    note: Note,
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
            let cache = job.store().build_cache();
            let name =
                key::of("download", &(&source.url, &source.secret.as_ref().map(|s| &s.user), &how.checksum));
            let note = cache.memo(&name).filter(|_| !job.request.cache.ignore);
            let note = note.and_then(|bytes| serde_json::from_slice::<Note>(&bytes).ok());
            let Some(found) = download(job, &source, how, note.as_ref().map(|note| note.validator.clone()))?
            else {
                let known = |note| Fetched::Known(Box::new(Known { source, how: how.clone(), note }));
                return note.map(known).ok_or_else(lost);
            };
            let note = Note {
                validator: found.validator.clone(),
                digest: found.digest.clone(),
                modified: found.modified,
            };
            if note.validator != Validator::default() {
                let bytes = serde_json::to_vec(&note).context(Kind::Storage, || "note a download")?;
                cache.set_memo(&job.store().shared()?, &name, &bytes)?;
            }
            let file = found.open()?;
            Ok(Fetched::File(Box::new(found), file))
        }
        Remote::Git(mut source) => {
            if let Some(checksum) = &how.checksum {
                source.expect(checksum)?;
            }
            let keep = how.keep_git_dir || source.keep_git_dir.unwrap_or_default();
            let repository = Repository::open(job.store(), &source, job.caller, &job.request.trust())?;
            let checkout = repository.fetch(keep, &mut |_| {})?;
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let root = openat(checkout.root(), ".", flags, Mode::empty());
            let root = root.context(Kind::Storage, || "open the checkout")?;
            let counts = format!("{} {:?} {keep}", checkout.commit, source.subdir);
            Ok(Fetched::Commit { counts, root, _held: Box::new(checkout) })
        }
    }
}

/// Downloads a file; `None` when it is the one that is known.
fn download(
    job: &Job<'_>,
    source: &HttpSource,
    how: &How,
    known: Option<Validator>,
) -> Result<Option<WebDownload>> {
    let checksum = how.checksum.as_ref().map(|text| text.parse()).transpose()?;
    let (retry, trust) = (job.request.registry.retry, job.request.trust());
    http::download(job.store(), source, http::Wanted { checksum, known, retry, trust }, &mut |_| {})
}

fn lost() -> Error {
    Error::new(Kind::Registry, "the server sent no file, and says that it has not changed")
}

impl Fetched {
    /// The same, so that it can be written: what is known only is fetched. Gives nothing when it can be already.
    ///
    /// # Errors
    /// What cannot be had, or is another one by now.
    pub(super) fn here(&self, job: &Job<'_>) -> Result<Option<Fetched>> {
        let Fetched::Known(known) = self else { return Ok(None) };
        let Known { source, how, note } = &**known;
        let found = download(job, source, how, None)?.ok_or_else(lost)?;
        if found.digest != note.digest {
            let why = format!("{} was changed while it was fetched", source.shown());
            return Err(
                Error::new(Kind::Registry, why).hint("Build again once nothing changes it: coracle build .")
            );
        }
        let file = found.open()?;
        Ok(Some(Fetched::File(Box::new(found), file)))
    }

    /// What a step's result depends on.
    pub(super) fn key(&self) -> String {
        match self {
            Fetched::File(download, _) => format!("{} {:?}", download.digest, download.modified),
            Fetched::Known(known) => format!("{} {:?}", known.note.digest, known.note.modified),
            Fetched::Commit { counts, .. } => counts.clone(),
        }
    }

    /// The descriptor that a forked process needs.
    pub(super) fn descriptor(&self) -> Option<RawFd> {
        match self {
            Fetched::File(_, file) => Some(file.as_raw_fd()),
            Fetched::Commit { root, .. } => Some(root.as_raw_fd()),
            Fetched::Known(..) => None,
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
            Fetched::Known(..) => return Err(lost()),
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
