//! The texts of Containerfiles: where they are looked for, and what may be read as one.
//!
//! Theory of operation. As podman-build(1) has it, a file named with `--file` is looked for where the caller is, and
//! then in the context. What is in the context is reached from its descriptor, and no link in it leads out: a
//! stranger may have made it, and an error message would show lines of what a link leads to.

use super::context::{Means, OpenedContext, downloaded};
use super::descriptor;
use super::remote::{self, Remote};
use super::report::Progress;
use super::{archive, archive::TEXT_MAX};
use crate::build::request::FileSource;
use crate::error::{Context, Error, Kind, Result, phrases};
use crate::sys::fd::open_within;
use nix::errno::Errno;
use nix::fcntl::{OFlag, ResolveFlag, open};
use nix::sys::stat::Mode;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

/// The usual names in podman's order.
pub const NAMES: [&str; 2] = ["Containerfile", "Dockerfile"];
/// The usual names, docker's first.
pub const DOCKER_NAMES: [&str; 2] = ["Dockerfile", "Containerfile"];
/// Never waits for a FIFO or a device.
const READ: OFlag = OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

/// Where files are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// Where the caller is; `None` looks in the context alone, as docker does where that is remote.
    pub cwd: Option<&'a Path>,
    /// The names that are looked for if none was given: [`NAMES`] or [`DOCKER_NAMES`].
    pub names: &'a [&'a str],
}

/// Where a text comes from: ignore files lie next to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file of the host, absolute.
    Host(PathBuf),
    /// A file of the context, relative to its top.
    Context(PathBuf),
    /// An address, a descriptor, or the context's own text.
    Elsewhere,
}

/// The text of a Containerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// What messages call it.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Its bytes: at least one, at most [`TEXT_MAX`].
    pub bytes: Vec<u8>,
}

/// Reads the Containerfiles of a build, in the order of the request: those named, else the text that came in the place
/// of the context, else the first of the usual names.
///
/// # Errors
/// `NotFound` when one is not there; `Usage` for what is no regular file, is empty, too long, or lies outside the
/// context that it was looked for in.
pub fn read(
    means: &Means<'_>,
    context: &OpenedContext,
    files: &[FileSource],
    search: Search<'_>,
    report: &mut dyn FnMut(Progress),
) -> Result<Vec<Text>> {
    if files.is_empty() {
        return Ok(vec![usual(context, search.names)?]);
    }
    let mut texts = Vec::with_capacity(files.len());
    for file in files {
        let text = match file {
            FileSource::Text(bytes) => elsewhere("-", bytes.clone()),
            FileSource::Path(path) => named(context, path, search.cwd)?,
            FileSource::Remote(address) => remote_text(means, address, report)?,
        };
        texts.push(checked(text)?);
    }
    Ok(texts)
}

fn elsewhere(name: &str, bytes: Vec<u8>) -> Text {
    Text { name: name.to_owned(), origin: Origin::Elsewhere, bytes }
}

/// Refuses what is empty or too long.
fn checked(text: Text) -> Result<Text> {
    if text.bytes.is_empty() {
        return Err(phrases::empty_containerfile(&text.name));
    }
    if text.bytes.len() as u64 > TEXT_MAX {
        // The one place that words it.
        return archive::text(&text.bytes[..], &text.name).map(|bytes| Text { bytes, ..text });
    }
    Ok(text)
}

/// The context's own text, or the first of the usual names that is there.
fn usual(context: &OpenedContext, names: &[&str]) -> Result<Text> {
    if let Some(bytes) = &context.text {
        let name = names.first().copied().unwrap_or("-");
        return checked(elsewhere(name, bytes.clone()));
    }
    for name in names {
        if let Some(text) = in_context(context, Path::new(name))? {
            return checked(text);
        }
    }
    let place = Path::new(&context.name).components().collect::<PathBuf>();
    Err(phrases::no_containerfile(&place.to_string_lossy())
        .hint("Name it: coracle build -f FILE DIR; or name the directory that has a Containerfile."))
}

/// A file that was named.
fn named(context: &OpenedContext, path: &Path, cwd: Option<&Path>) -> Result<Text> {
    let name = path.display().to_string();
    if path.extension().is_some_and(|end| end == "in") {
        return Err(Error::new(Kind::Usage, format!("{name} is for the C preprocessor, which is not run"))
            .hint(format!("Run it yourself: cpp -traditional -undef -P {name} | coracle build -f - ...")));
    }
    if let Some(file) = descriptor::open(path)? {
        return Ok(elsewhere(&name, archive::text(file, &name)?));
    }
    let full = if path.is_absolute() { Some(path.to_owned()) } else { cwd.map(|cwd| cwd.join(path)) };
    if let Some(full) = full
        && let Some(text) = on_host(&full, &name)?
    {
        return Ok(text);
    }
    in_context(context, path)?.ok_or_else(|| phrases::no_containerfile_called(&name))
}

/// A file of the host; `None` when it is not there.
fn on_host(path: &Path, name: &str) -> Result<Option<Text>> {
    let file = match open(path, READ, Mode::empty()) {
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
        other => other.map_err(|e| unreadable(name, e))?,
    };
    let bytes = contents(file.into(), name)?;
    Ok(Some(Text { name: name.to_owned(), origin: Origin::Host(path.to_owned()), bytes }))
}

/// A file of the context; `None` when it is not there.
fn in_context(context: &OpenedContext, path: &Path) -> Result<Option<Text>> {
    let name = path.display().to_string();
    let plain: PathBuf = path.components().filter(|part| !matches!(part, Component::RootDir)).collect();
    let bounds = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let file = match open_within(context.root(), &plain, READ, bounds) {
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
        Err(Errno::EXDEV | Errno::ELOOP) => {
            return Err(Error::new(Kind::Usage, format!("{name} leads out of the context {}", context.name))
                .hint("Name the file that it leads to: coracle build -f FILE ..."));
        }
        other => other.map_err(|e| unreadable(&name, e))?,
    };
    let bytes = contents(file.into(), &name)?;
    Ok(Some(Text { name, origin: Origin::Context(plain), bytes }))
}

fn unreadable(name: &str, errno: Errno) -> Error {
    let error = Error::new(Kind::Usage, format!("read {name}"));
    match errno {
        // A socket, or a device without a driver.
        Errno::ENXIO | Errno::ENODEV => no_file(name),
        e => error.caused_by(e),
    }
}

fn no_file(name: &str) -> Error {
    Error::new(Kind::Usage, format!("containerfile: {name:?} is not a regular file"))
}

/// The bytes of a regular file.
fn contents(file: File, name: &str) -> Result<Vec<u8>> {
    let kind = file.metadata().context(Kind::Usage, || format!("look at {name}"))?.file_type();
    if kind.is_dir() {
        let message = format!("containerfile: {name:?} cannot be path to a directory");
        return Err(Error::new(Kind::Usage, message));
    }
    if !kind.is_file() {
        return Err(no_file(name));
    }
    archive::text(file, name)
}

/// A file of a web server.
fn remote_text(means: &Means<'_>, address: &str, report: &mut dyn FnMut(Progress)) -> Result<Text> {
    match remote::of_source(address)? {
        Some(Remote::Http(source)) => {
            let file = downloaded(means, &source, report)?;
            Ok(elsewhere(source.shown(), archive::text(file, source.shown())?))
        }
        Some(Remote::Git(source)) => {
            Err(Error::new(Kind::Usage, format!("{} is a repository, not a Containerfile", source.url))
                .hint("Give the repository as the context: coracle build URL"))
        }
        None => Err(Error::new(Kind::Usage, format!("{address:?} is not the address of a file"))),
    }
}
