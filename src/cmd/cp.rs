//! `coracle cp`.

use crate::engine::containers;
use crate::engine::containers::copy::{self, Place, Request};
use crate::error::{Context, Error, Kind, Result, phrases};
use crate::host::Env;
use crate::storage::containers::ContainerDir;
use crate::ui;
use std::ffi::{OsStr, OsString};
use std::io;
use std::io::IsTerminal;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `cp`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Source: a path on the host, CONTAINER:PATH, or - for an archive from standard input
    #[arg(value_name = "[CONTAINER:]SOURCE", value_hint = clap::ValueHint::AnyPath)]
    pub source: OsString,
    /// Target: a path on the host, CONTAINER:PATH, or - for an archive on standard output
    #[arg(value_name = "[CONTAINER:]TARGET", value_hint = clap::ValueHint::AnyPath)]
    pub target: OsString,
    /// Give files copied into a container to its user; =false keeps their owners
    #[arg(short, long, default_value = "true")]
    pub archive: bool,
    /// Allow replacing a directory by a file, or a file by a directory
    #[arg(long)]
    pub overwrite: bool,
    /// Copy what a symlink given as the source leads to; as docker, a link is copied as a link without it
    #[arg(short = 'L', long, hide = true)]
    pub follow_link: bool,
    /// Accepted for compatibility with docker: nothing is printed anyway
    #[arg(short, long, hide = true)]
    pub quiet: bool,
}

/// A side as written: container and path, or a path alone.
fn split(text: &OsStr) -> (Option<String>, &OsStr) {
    let bytes = text.as_bytes();
    let colon = bytes.iter().position(|b| *b == b':');
    match colon {
        Some(colon) if !bytes.starts_with(b".") && !bytes.starts_with(b"/") => (
            Some(String::from_utf8_lossy(&bytes[..colon]).into_owned()),
            OsStr::from_bytes(&bytes[colon + 1..]),
        ),
        _ => (None, text),
    }
}

/// Copies files.
///
/// # Errors
/// Two sides of which none is a container, a container or a path that does not exist.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let (from, to) = (split(&args.source), split(&args.target));
    check(&from, &to)?;
    let store = super::store(env)?;
    let find = |name: &Option<String>| name.as_ref().map(|name| containers::find(&store, name)).transpose();
    let (source, target) = (find(&from.0)?, find(&to.0)?);
    let request = Request {
        from: place(&source, &from, || std::io::stdin().as_fd().try_clone_to_owned())?,
        to: place(&target, &to, || std::io::stdout().as_fd().try_clone_to_owned())?,
        archive: args.archive,
        overwrite: args.overwrite,
        follow: args.follow_link || !ui::docker(),
    };
    copy::copy(&store, &request)?;
    Ok(ExitCode::SUCCESS)
}

type Written<'a> = (Option<String>, &'a OsStr);

fn check(from: &Written<'_>, to: &Written<'_>) -> Result<()> {
    let example = "For example: coracle cp web:/etc/hosts . or: coracle cp ./page.html web:/srv/";
    if from.0.is_none() && to.0.is_none() {
        return Err(
            Error::new(Kind::Usage, "neither the source nor the target names a container").hint(example)
        );
    }
    for (container, path) in [from, to] {
        if path.is_empty() || container.as_deref() == Some("") {
            return Err(Error::new(
                Kind::Usage,
                "a container before the colon and a path after it are needed",
            )
            .hint(example));
        }
    }
    if to.0.is_none() && to.1 == "-" && std::io::stdout().is_terminal() {
        return Err(phrases::terminal_for_output("a pipe")
            .hint("Send it to a file or a program: coracle cp NAME:/DIR - | tar -tv"));
    }
    Ok(())
}

fn place<'a>(
    container: &'a Option<ContainerDir>,
    written: &'a Written<'_>,
    stream: impl FnOnce() -> io::Result<OwnedFd>,
) -> Result<Place<'a>> {
    Ok(match (container, &written.0) {
        (Some(dir), Some(name)) => Place::Container(dir, inside(dir, Path::new(written.1))?, name),
        _ if written.1 == "-" => {
            Place::Stream(stream().context(Kind::Host, || "copy the stream that is named -")?)
        }
        _ => Place::Host(here(Path::new(written.1))?),
    })
}

/// A path in a container: a relative one begins at its working directory, or at its root as docker has it.
fn inside(dir: &ContainerDir, path: &Path) -> Result<PathBuf> {
    if path.is_absolute() || ui::docker() {
        return Ok(path.to_owned());
    }
    Ok(dir.spec()?.process.cwd.join(path))
}

/// A path on the host. One that ends above where it begins (`..`) has no name of its own: that of the directory
/// it leads to is found in the working directory's.
fn here(path: &Path) -> Result<PathBuf> {
    if path.components().next_back() != Some(Component::ParentDir) || path.is_absolute() {
        return Ok(path.to_owned());
    }
    let cwd = std::env::current_dir().context(Kind::Host, || "find the working directory")?;
    Ok(cwd.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_separates_container_and_path() {
        for (text, container, path) in [
            ("web:/etc", Some("web"), "/etc"),
            ("web:a:b", Some("web"), "a:b"),
            ("./web:a", None, "./web:a"),
            ("/web:a", None, "/web:a"),
            ("plain", None, "plain"),
            ("-", None, "-"),
        ] {
            assert_eq!(split(OsStr::new(text)), (container.map(str::to_owned), OsStr::new(path)), "{text}");
        }
    }
}
