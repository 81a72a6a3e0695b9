//! `--volume`, `--mount` and `--tmpfs` as users write them, and the order in which mounts are made.

mod args;
pub mod inherit;
mod options;

use crate::container::Name;
use crate::error::{Error, Kind, Result};
use crate::text::clean;
use crate::text::csv::fields;
pub use args::{ImageArg, MemorySize, MountArg, MountOption, SourceArg, TmpfsArg, VolumeArg};
use options::Options;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The destination of a pattern whose matches are mounted where they are on the host.
pub const GLOB_IN_PLACE: &str = "/";

/// An absolute path without `.`, `..`, doubled and trailing slashes, worked out on the text alone.
///
/// # Errors
/// When it is not absolute, or is `/` itself.
pub fn clean_destination(text: &str) -> Result<PathBuf> {
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err(Error::new(Kind::Usage, format!("mount destination {text:?} is not an absolute path")));
    }
    let clean = clean(path);
    if clean == Path::new("/") {
        return Err(Error::new(Kind::Usage, format!("mount destination {text:?} is the container's root"))
            .hint("To run in a directory of the host, use --rootfs DIR."));
    }
    Ok(clean)
}

/// Splits at colons; `\:` is a colon that belongs to the text.
fn split_colons(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = c == '\\' && chars.peek() == Some(&':');
        match (c, parts.last_mut()) {
            (':', _) => parts.push(String::new()),
            (_, Some(part)) => part.push(if escaped { chars.next().unwrap_or(c) } else { c }),
            _ => {}
        }
    }
    parts
}

fn bad(option: &str, text: &str, why: impl std::fmt::Display) -> Error {
    Error::new(Kind::Usage, format!("{option} {text:?}: {why}"))
}

fn volume_source(text: &str, options: &mut Options) -> Result<SourceArg> {
    if text.starts_with(['/', '.']) {
        return Ok(SourceArg::Bind {
            path: PathBuf::from(text),
            recursive: options.recursive.unwrap_or(true),
        });
    }
    let name = text.parse::<Name>().map_err(|e| {
        Error::new(Kind::Usage, format!("{text:?} is neither a path nor the name of a volume"))
            .caused_by(e)
            .hint("Start a path with / or ./, as in -v ./data:/data.")
    })?;
    Ok(SourceArg::Volume { name: Some(name), copy_up: options.copy_up.unwrap_or(true) })
}

impl FromStr for VolumeArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let parts = split_colons(s);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (source, destination, words) = match parts.as_slice() {
            [destination] => (None, *destination, ""),
            [source, destination] => (Some(*source), *destination, ""),
            [source, destination, words] => (Some(*source), *destination, *words),
            _ => {
                return Err(bad("volume", s, "too many colons")
                    .hint("Write [SOURCE:]DESTINATION[:OPTIONS]; a colon within a path is written \\:."));
            }
        };
        if source == Some("") {
            return Err(bad("volume", s, "the source is empty"));
        }
        let mut options = Options::default();
        for word in words.split(',').filter(|w| !w.is_empty()) {
            if !options.volume_word(word).map_err(|e| bad("volume", s, e))? {
                return Err(bad("volume", s, format!("unknown option {word:?}")));
            }
        }
        let source = match source {
            Some(text) => {
                volume_source(text, &mut options).map_err(|e| bad("volume", s, "bad source").caused_by(e))?
            }
            None => SourceArg::Volume { name: None, copy_up: options.copy_up.unwrap_or(true) },
        };
        options.check_against(&source).map_err(|e| bad("volume", s, e))?;
        Ok(VolumeArg(options.into_mount(clean_destination(destination)?, source, s)))
    }
}

impl FromStr for TmpfsArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let (destination, words) = s.split_once(':').unwrap_or((s, ""));
        let mut options = Options { no_exec: Some(true), ..Options::default() };
        for word in words.split(',').filter(|w| !w.is_empty()) {
            if !options.tmpfs_word(word).map_err(|e| bad("tmpfs", s, e))? {
                return Err(bad("tmpfs", s, format!("unknown option {word:?}")));
            }
        }
        let source = options.tmpfs();
        options.check_against(&source).map_err(|e| bad("tmpfs", s, e))?;
        Ok(TmpfsArg(options.into_mount(clean_destination(destination)?, source, s)))
    }
}

impl FromStr for MountOption {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let wrong = |why: String| {
            bad("mount", s, why).hint(
                "Write type=bind|volume|tmpfs|image|glob,source=...,destination=..., for example --mount type=bind,source=./data,destination=/data,readonly.",
            )
        };
        let fields = fields(s).map_err(wrong)?;
        let mut kind = None;
        let mut source = None;
        let mut destination = None;
        let mut rest = Vec::new();
        for field in &fields {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (field.as_str(), None),
            };
            let slot = match key {
                "type" => &mut kind,
                "src" | "source" => &mut source,
                "dst" | "destination" | "target" => &mut destination,
                _ => {
                    rest.push((key, value));
                    continue;
                }
            };
            let value =
                value.filter(|v| !v.is_empty()).ok_or_else(|| wrong(format!("{key} needs a value")))?;
            if slot.replace(value).is_some() {
                return Err(wrong(format!("{key} is given twice")));
            }
        }
        let kind = kind.unwrap_or("volume");
        let mut options = Options { no_exec: (kind == "tmpfs").then_some(true), ..Options::default() };
        for (key, value) in rest {
            options.mount_key(kind, key, value).map_err(wrong)?;
        }
        // A pattern's matches go where they are on the host, unless a directory is named.
        let destination = destination.or((kind == "glob").then_some(GLOB_IN_PLACE));
        let destination = destination.ok_or_else(|| wrong("the destination is missing".into()))?;
        let source = match (kind, source) {
            ("bind", Some(path)) => {
                SourceArg::Bind { path: PathBuf::from(path), recursive: options.recursive.unwrap_or(true) }
            }
            ("bind", None) => return Err(wrong("a bind needs a source".into())),
            ("volume", Some(name)) => {
                let name = name.parse().map_err(|e: Error| wrong("bad source".into()).caused_by(e))?;
                SourceArg::Volume { name: Some(name), copy_up: options.copy_up.unwrap_or(true) }
            }
            ("volume", None) => SourceArg::Volume { name: None, copy_up: options.copy_up.unwrap_or(true) },
            ("tmpfs", None) => options.tmpfs(),
            ("tmpfs", Some(_)) => return Err(wrong("a tmpfs has no source".into())),
            ("ramfs", None) => {
                SourceArg::Ramfs { mode: options.mode, copy_up: options.copy_up.unwrap_or(true) }
            }
            ("devpts", None) => SourceArg::Devpts {
                uid: options.uid,
                gid: options.gid,
                mode: options.mode,
                max: options.terminals,
            },
            ("ramfs" | "devpts", Some(_)) => return Err(wrong(format!("type {kind:?} has no source"))),
            ("image", Some(name)) => {
                // podman's are read-only unless asked otherwise.
                options.read_only.get_or_insert(true);
                SourceArg::Image(ImageArg::Named(name.to_owned()))
            }
            ("glob", Some(pattern)) => SourceArg::Glob(pattern.to_owned()),
            ("image" | "glob", None) => return Err(wrong(format!("type {kind:?} needs a source"))),
            ("cluster" | "npipe" | "artifact", _) => {
                return Err(wrong(format!("type {kind:?} is not supported")));
            }
            (other, _) => {
                return Err(wrong(format!(
                    "type {other:?} is not bind, volume, tmpfs, ramfs, image, glob or devpts"
                )));
            }
        };
        options.check_against(&source).map_err(wrong)?;
        let destination = match (&source, destination) {
            (SourceArg::Glob(_), "/") => PathBuf::from(GLOB_IN_PLACE),
            _ => clean_destination(destination)?,
        };
        Ok(MountOption(options.into_mount(destination, source, s)))
    }
}

#[cfg(test)]
#[path = "mount/tests.rs"]
mod tests;
