//! Files of web servers.
//!
//! Theory of operation. A leaf downloads the file into a directory of the store's `tmp/`, hashing it on the way. If a
//! checksum was given and it has another one, nothing is kept. Part of the disk stays free (`storage::room`), however
//! large the file turns out to be. What tells its version comes back as a [`Validator`]: who keeps it with the result
//! and gives it again next time gets nothing if the file is the same.

use super::remote::HttpSource;
use super::report::Progress;
use crate::error::{Context, Error, Kind, Result};
use crate::fork;
use crate::image::Digest;
use crate::registry::{self, Credentials, Downloaded, RetryPolicy, Sink, Validator, WebFile, WebTrust};
use crate::storage::{Scratch, Store, record, room};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, futimens};
use nix::sys::time::TimeSpec;
use nix::unistd::{Whence, ftruncate, lseek};
use sha2::{Digest as _, Sha256, Sha512};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

/// The name of the file in its directory.
const NAME: &str = "file";
/// What a file is called that neither its address nor its server gives a name, as BuildKit has it.
const UNNAMED: &str = "__unnamed__";

/// What is wanted of a file besides its bytes.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The digest that it must have.
    pub checksum: Option<Digest>,
    /// What is known of it from the last time.
    pub known: Option<Validator>,
    /// How often it is tried again.
    pub retry: RetryPolicy,
    /// Whom TLS trusts.
    pub trust: WebTrust,
}

/// A downloaded file, deleted on drop.
#[derive(Debug)]
pub struct WebDownload {
    scratch: Scratch,
    /// The name that ADD gives it in a directory: a single name.
    pub name: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last changed, in seconds since 1970, as its server says. The file itself has this time, or 0.
    pub modified: Option<i64>,
    /// For the next time.
    pub validator: Validator,
}

impl WebDownload {
    /// The directory that it is in, alone.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Its name there.
    pub fn name_in_scratch(&self) -> &'static str {
        NAME
    }

    /// The file, to be read from its first byte.
    ///
    /// # Errors
    /// Those of openat(2).
    pub fn open(&self) -> Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&self.scratch, NAME, flags, Mode::empty());
        file.map(File::from).context(Kind::Storage, || format!("open {}", self.scratch.path().display()))
    }
}

/// Downloads a file; `None` when it is the one that is known.
///
/// # Errors
/// The server does not deliver it; it has another digest than it must; the disk is full.
pub fn download(
    store: &Store,
    source: &HttpSource,
    wanted: Wanted,
    report: &mut dyn FnMut(Progress),
) -> Result<Option<WebDownload>> {
    let scratch = store.scratch()?;
    let path = scratch.path().join(NAME);
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = openat(&scratch, NAME, flags, Mode::S_IRUSR | Mode::S_IWUSR)
        .map_err(|e| record::failed("create", &path, e.into()))?;
    let secret = source.secret.clone();
    let file = File::from(file);
    let number = file.as_raw_fd();
    let web = WebFile {
        url: source.url.clone(),
        shown: source.shown().to_owned(),
        credentials: secret.map(|s| Credentials::Password { user: s.user, password: s.password }),
        known: wanted.known,
        retry: wanted.retry,
        trust: wanted.trust,
    };
    let what = format!("downloading {}", source.shown());
    let checksum = wanted.checksum;
    let done: Option<(Downloaded, Digest, u64)> = fork::leaf(
        "download",
        &[number],
        |reporter| {
            let mut spool = Spool::new(&file, path.clone(), checksum.as_ref());
            let report = |current, total| reporter.send(Progress { what: what.clone(), current, total });
            let Some(told) = registry::download(&web, &mut spool, &report, &|| false)? else {
                return Ok(None);
            };
            let size = spool.written;
            let digest = spool.finish(checksum.as_ref(), source.shown())?;
            let time = TimeSpec::new(told.modified.unwrap_or(0), 0);
            futimens(file.as_fd(), &time, &time).map_err(|e| record::failed("write", &path, e.into()))?;
            Ok(Some((told, digest, size)))
        },
        &mut *report,
    )?;
    let Some((told, digest, size)) = done else { return Ok(None) };
    let given = told.disposition.as_deref().and_then(disposition_name);
    let name = source.file_name.clone().or(given).unwrap_or_else(|| UNNAMED.to_owned());
    let Downloaded { validator, modified, .. } = told;
    Ok(Some(WebDownload { scratch, name, digest, size, modified, validator }))
}

/// The file while it is written.
struct Spool<'a> {
    file: &'a File,
    path: PathBuf,
    written: u64,
    look_at: u64,
    hash: Sha256,
    /// Where the digest that it must have is one of these.
    long_hash: Option<Sha512>,
}

impl<'a> Spool<'a> {
    fn new(file: &'a File, path: PathBuf, checksum: Option<&Digest>) -> Spool<'a> {
        let long = checksum.is_some_and(|digest| digest.algorithm() == "sha512");
        Spool { file, path, written: 0, look_at: 0, hash: Sha256::new(), long_hash: long.then(Sha512::new) }
    }

    /// Its digest, once that is what it must be.
    fn finish(self, checksum: Option<&Digest>, shown: &str) -> Result<Digest> {
        let digest = Digest::from_sha256(self.hash.finalize().into());
        let found = match self.long_hash {
            Some(hash) => Digest::from_sha512(hash.finalize().into()),
            None => digest.clone(),
        };
        match checksum {
            Some(wanted) if *wanted != found => Err(Error::new(
                Kind::Image,
                format!("{shown} does not have the checksum {wanted}: its digest is {found}"),
            )
            .hint("Check the address and the checksum: the file may have changed, or something else may have answered.")),
            _ => Ok(digest),
        }
    }

    fn failed(&self, e: std::io::Error) -> Error {
        record::failed("write", &self.path, e)
    }
}

impl Sink for Spool<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.written >= self.look_at {
            self.look_at = self.written + room::LOOK_EVERY;
            room::check(self.file, self.written, self.path.parent().unwrap_or(Path::new("tmp")))?;
        }
        self.file.write_all(bytes).map_err(|e| self.failed(e))?;
        self.hash.update(bytes);
        if let Some(hash) = &mut self.long_hash {
            hash.update(bytes);
        }
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        ftruncate(self.file, 0).map_err(|e| self.failed(e.into()))?;
        lseek(self.file, 0, Whence::SeekSet).map_err(|e| self.failed(e.into()))?;
        let long_hash = self.long_hash.as_ref().map(|_| Sha512::new());
        (self.written, self.look_at) = (0, 0);
        (self.hash, self.long_hash) = (Sha256::new(), long_hash);
        Ok(())
    }
}

/// The name in a `Content-Disposition` header (RFC 6266), without any directories.
fn disposition_name(header: &str) -> Option<String> {
    let value = header.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case("filename").then(|| value.trim())
    })?;
    let plain = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
    super::address::file_name(&plain.replace('\\', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_gives_a_single_name() {
        for (header, name) in [
            ("attachment; filename=\"a b.tgz\"", Some("a b.tgz")),
            ("attachment; FileName=x", Some("x")),
            ("attachment; filename=\"../../etc/passwd\"", Some("passwd")),
            ("attachment; filename=\"..\\\\..\\\\x\"", Some("x")),
            ("attachment; filename=\"..\"", None),
            ("inline", None),
        ] {
            assert_eq!(disposition_name(header).as_deref(), name, "{header}");
        }
    }

    #[test]
    fn what_is_begun_again_is_another_file() {
        let place = tempfile::tempdir().unwrap();
        let file = tempfile::tempfile_in(place.path()).unwrap();
        let wanted = Digest::sha256_of(b"whole");
        let mut spool = Spool::new(&file, place.path().join(NAME), Some(&wanted));
        spool.write(b"half and wrong").unwrap();
        spool.restart().unwrap();
        spool.write(b"who").unwrap();
        spool.write(b"le").unwrap();
        assert_eq!((spool.written, file.metadata().unwrap().len()), (5, 5));
        assert_eq!(spool.finish(Some(&wanted), "x").unwrap(), wanted);

        let long = wanted_long();
        let mut spool = Spool::new(&file, place.path().join(NAME), Some(&long));
        spool.write(b"whole").unwrap();
        assert_eq!(spool.finish(Some(&long), "x").unwrap(), wanted);
        let spool = Spool::new(&file, place.path().join(NAME), Some(&wanted));
        let error = spool.finish(Some(&wanted), "http://h/x").unwrap_err();
        assert!(error.message().starts_with("http://h/x does not have the checksum"), "{error}");
    }

    fn wanted_long() -> Digest {
        let any: Digest = format!("sha512:{}", "0".repeat(128)).parse().unwrap();
        any.of_same_kind(b"whole")
    }
}
