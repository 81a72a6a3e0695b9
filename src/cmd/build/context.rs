//! Where the context and the Containerfiles of a build are. Standard input is read here, so that a mistake is found
//! before anything else is done.

use super::values::is_remote;
use crate::build::request::{ContextSource, FileSource};
use crate::error::{Context, Error, Kind, Result, phrases};
use crate::host::Caller;
use crate::text::quoted;
use nix::sys::socket::{MsgFlags, recv};
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

/// Largest Containerfile on standard input, in bytes; the language has a limit of its own.
const FILE_MAX: u64 = 64 << 20;

/// What stands for the archive on standard input.
const STDIN: &str = "/proc/self/fd/0";

/// What a build reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sources {
    /// The context.
    pub(super) context: ContextSource,
    /// The Containerfiles, in order.
    pub(super) files: Vec<FileSource>,
}

/// The sources that the arguments name.
///
/// # Errors
/// `Usage` for a directory that is not there, for two things that are to come from standard input, and for a file that
/// would have to be preprocessed.
pub(super) fn sources(context: Option<&str>, files: &[String], caller: &Caller) -> Result<Sources> {
    if context == Some("-") {
        return from_stdin(files);
    }
    if let Some(file) = files.iter().find(|file| file.ends_with(".in")) {
        return Err(Error::new(Kind::Usage, format!("-f {file}: Containerfiles are not run through cpp"))
            .hint(format!("Use it yourself: cpp -E -P {} | coracle build -f - .", quoted(Path::new(file)))));
    }
    let context = match context {
        Some(text) => named(text, caller)?,
        None => ContextSource::Directory(beside(files, caller)),
    };
    let mut read = Vec::new();
    for file in files {
        read.push(match file.as_str() {
            "-" if read.iter().any(|file| matches!(file, FileSource::Text(_))) => return Err(twice()),
            "-" => FileSource::Text(text_of_stdin()?),
            address if address.starts_with("http://") || address.starts_with("https://") => {
                FileSource::Remote(address.to_owned())
            }
            path => FileSource::Path(place(path, &context, caller)),
        });
    }
    Ok(Sources { context, files: read })
}

/// The context that an argument names.
fn named(text: &str, caller: &Caller) -> Result<ContextSource> {
    if text.is_empty() {
        return Err(Error::new(Kind::Usage, "the build context is an empty word")
            .hint("Give a directory, the URL of a git repository or an archive, or - for standard input."));
    }
    let dir = caller.cwd.join(text);
    if dir.is_dir() {
        return Ok(ContextSource::Directory(dir));
    }
    if is_remote(text) {
        return Ok(ContextSource::Remote(text.to_owned()));
    }
    let wrong = |why: &str| Error::new(Kind::Usage, format!("the build context {text} {why}"));
    let error = match dir.symlink_metadata() {
        Ok(_) => wrong("is not a directory"),
        Err(error) if error.kind() == ErrorKind::NotFound => phrases::no_context(text),
        Err(error) => wrong("cannot be used").caused_by(error),
    };
    Err(error.hint("Give a directory, the URL of a git repository or an archive, or - for standard input."))
}

/// Without a context, the directory of the first Containerfile that is a local file, or the current one.
fn beside(files: &[String], caller: &Caller) -> PathBuf {
    let local = files.iter().find(|file| *file != "-" && !is_remote(file));
    let dir = local.and_then(|file| Path::new(file).parent()).filter(|dir| !dir.as_os_str().is_empty());
    dir.map_or_else(|| caller.cwd.clone(), |dir| caller.cwd.join(dir))
}

/// Where a Containerfile is: as seen from here if it is there and the context is local, or else in the context.
fn place(path: &str, context: &ContextSource, caller: &Caller) -> PathBuf {
    let here = caller.cwd.join(path);
    let local = matches!(context, ContextSource::Directory(_) | ContextSource::None);
    if local && here.exists() { here } else { PathBuf::from(path) }
}

fn twice() -> Error {
    Error::new(Kind::Usage, "standard input cannot be both the context and a Containerfile")
        .hint("Give one of them as a directory or a file.")
}

fn from_stdin(files: &[String]) -> Result<Sources> {
    if files.iter().any(|file| file == "-") {
        return Err(twice());
    }
    if is_archive(&beginning()) {
        let file = |file: &String| FileSource::Path(PathBuf::from(file));
        let context = ContextSource::Archive(PathBuf::from(STDIN));
        return Ok(Sources { context, files: files.iter().map(file).collect() });
    }
    if let Some(file) = files.first() {
        let message =
            format!("there are two Containerfiles: standard input, which is no archive, and -f {file}");
        return Err(Error::new(Kind::Usage, message).hint("Leave out one of them."));
    }
    Ok(Sources { context: ContextSource::None, files: vec![FileSource::Text(text_of_stdin()?)] })
}

/// What standard input begins with, as far as it can be seen without being taken away.
fn beginning() -> Vec<u8> {
    let stdin = io::stdin();
    let fd = stdin.as_fd();
    let mut bytes = [0; 512];
    // A file; a pipe, whose first bytes are copied to another one; a socket.
    let seen = nix::sys::uio::pread(fd, &mut bytes, 0).or_else(|_| {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        nix::fcntl::tee(fd, &writer, bytes.len(), nix::fcntl::SpliceFFlags::empty())?;
        drop(writer);
        nix::unistd::read(&reader, &mut bytes)
    });
    let seen = seen.or_else(|_| recv(fd.as_raw_fd(), &mut bytes, MsgFlags::MSG_PEEK)).unwrap_or(0);
    bytes[..seen].to_vec()
}

/// Whether this is how an archive begins, compressed or not (tar(5), and the formats' magic numbers).
fn is_archive(bytes: &[u8]) -> bool {
    let magic: [&[u8]; 4] = [b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"];
    magic.iter().any(|magic| bytes.starts_with(magic)) || bytes.get(257..262) == Some(b"ustar")
}

fn text_of_stdin() -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut stdin = io::stdin().lock().take(FILE_MAX + 1);
    stdin.read_to_end(&mut text).context(Kind::Usage, || "read the Containerfile from standard input")?;
    match text.len() as u64 > FILE_MAX {
        true => Err(Error::new(Kind::Usage, "the Containerfile on standard input is larger than 64 MiB")),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(dir: &Path) -> Caller {
        Caller { cwd: dir.to_owned(), ..Caller::default() }
    }

    fn files(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn contexts_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("github.com/x")).unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let context = |text: Option<&str>| sources(text, &[], &caller(dir.path())).map(|s| s.context);
        assert_eq!(context(None).unwrap(), ContextSource::Directory(dir.path().to_owned()));
        assert_eq!(context(Some(".")).unwrap(), ContextSource::Directory(dir.path().join(".")));
        // What is there is meant.
        assert_eq!(
            context(Some("github.com/x")).unwrap(),
            ContextSource::Directory(dir.path().join("github.com/x"))
        );
        for remote in
            ["https://example.com/a.git#v1:sub", "git@example.com:a/b.git", "github.com/a/b", "ssh://h/r"]
        {
            assert_eq!(context(Some(remote)).unwrap(), ContextSource::Remote(remote.to_owned()));
        }
        for wrong in ["file", "nosuch", ""] {
            let found = context(Some(wrong));
            assert!(found.is_err() || wrong.is_empty(), "{wrong}: {found:?}");
        }
    }

    #[test]
    fn containerfiles_are_here_or_in_the_context() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("here"), "").unwrap();
        std::fs::write(dir.path().join("sub/there"), "").unwrap();
        let all = |context: Option<&str>, names: &[&str]| {
            sources(context, &files(names), &caller(dir.path())).unwrap()
        };
        let found = all(Some("sub"), &["here", "there", "https://h/f"]);
        let path = |path: PathBuf| FileSource::Path(path);
        assert_eq!(
            found.files,
            [path(dir.path().join("here")), path("there".into()), FileSource::Remote("https://h/f".into())]
        );
        let beside = all(None, &["sub/there"]);
        assert_eq!(beside.context, ContextSource::Directory(dir.path().join("sub")));
        assert_eq!(beside.files, [path(dir.path().join("sub/there"))]);
        assert_eq!(all(None, &["here"]).context, ContextSource::Directory(dir.path().to_owned()));
        // In a context that is elsewhere, no file from here is meant.
        assert_eq!(all(Some("https://h/x.tar"), &["here"]).files, [path("here".into())]);
        assert!(sources(None, &files(&["Containerfile.in"]), &caller(dir.path())).is_err());
        assert!(sources(Some("-"), &files(&["-"]), &caller(dir.path())).is_err());
    }

    #[test]
    fn archives_are_known_by_their_beginning() {
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for archive in [&tar[..], b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0x", b"\x28\xb5\x2f\xfd"] {
            assert!(is_archive(archive));
        }
        assert!(!is_archive(b"FROM alpine\n") && !is_archive(b"") && !is_archive(&[0; 512]));
    }
}
