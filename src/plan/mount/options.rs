//! The options of `--volume` and `--tmpfs`, and the keys of `--mount`.

use super::args::{MemorySize, MountArg, SourceArg};
use crate::plan::units::Size;
use crate::text::boolean;
use std::path::{Component, Path, PathBuf};

/// Options of a mount while they are read; `None` is not given.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) read_only: Option<bool>,
    pub(super) no_exec: Option<bool>,
    pub(super) suid: Option<bool>,
    pub(super) dev: Option<bool>,
    pub(super) copy_up: Option<bool>,
    pub(super) recursive: Option<bool>,
    pub(super) propagation: Option<String>,
    pub(super) chown: bool,
    pub(super) size: Option<MemorySize>,
    pub(super) mode: Option<u32>,
    pub(super) inodes: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) relabel: Option<char>,
    pub(super) terminals: Option<u32>,
    pub(super) overlay: bool,
    pub(super) upper: Option<PathBuf>,
    pub(super) work: Option<PathBuf>,
    pub(super) subpath: Option<PathBuf>,
    pub(super) make_source: bool,
    pub(super) no_dereference: bool,
}

/// Why `idmap` is refused: the kernel wants the capability where the file system was mounted.
const IDMAP: &str = "idmap needs privileges over the file system itself, which only root has \
(mount_setattr(2)); \
                     leave it out, or change owners with U";

/// Why `noswap` is refused, in podman's words.
const NOSWAP: &str = "the 'noswap' option is only allowed with rootful tmpfs mounts; leave it out";

const PROPAGATIONS: [&str; 8] =
    ["private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"];

/// Sets an option once; a second, different value contradicts the first.
fn once<T: PartialEq>(slot: &mut Option<T>, value: T, word: &str) -> Result<(), String> {
    match slot {
        Some(old) if *old != value => Err(format!("option {word:?} contradicts an earlier one")),
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}

fn octal(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| format!("{text:?} is not an octal mode such as 1777"))
}

fn number<T: std::str::FromStr>(key: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{key} {text:?} is not a number"))
}

fn bytes(key: &str, text: &str) -> Result<u64, String> {
    text.parse::<Size>().map(|s| s.0).map_err(|_| format!("{key} {text:?} is not a size"))
}

/// `64m`, or `10%` of the memory.
fn memory_size(key: &str, text: &str) -> Result<MemorySize, String> {
    match text.strip_suffix('%') {
        Some(share) => number(key, share).map(MemorySize::Share),
        None => bytes(key, text).map(MemorySize::Bytes),
    }
}

/// The directory of `upperdir=DIR` or `workdir=DIR`.
fn directory(word: &str) -> Result<PathBuf, String> {
    match word.split_once('=') {
        Some((_, path)) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err(format!("{word:?} names no directory")),
    }
}

/// A part of a volume: relative, and never upwards.
fn part(key: &str, text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    let plain = |c: Component<'_>| matches!(c, Component::Normal(_) | Component::CurDir);
    match !text.is_empty() && path.components().all(plain) {
        true => Ok(path.to_owned()),
        false => Err(format!("{key} {text:?} is not a path inside, without .. and leading /")),
    }
}

/// `true` and `false` in the spellings that docker and podman take.
pub(super) fn bool_value(text: &str) -> Result<bool, String> {
    boolean(text).ok_or_else(|| format!("{text:?} is neither true nor false"))
}

impl Options {
    /// Words that every kind of mount takes; whether this was one.
    fn common_word(&mut self, word: &str) -> Result<bool, String> {
        match word {
            "ro" => once(&mut self.read_only, true, word)?,
            "rw" => once(&mut self.read_only, false, word)?,
            "suid" => once(&mut self.suid, true, word)?,
            "nosuid" => once(&mut self.suid, false, word)?,
            "dev" => once(&mut self.dev, true, word)?,
            "nodev" => once(&mut self.dev, false, word)?,
            "U" => self.chown = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// One word of `--volume`; whether this was one.
    pub(super) fn volume_word(&mut self, word: &str) -> Result<bool, String> {
        if self.common_word(word)? {
            return Ok(true);
        }
        match word {
            "exec" => once(&mut self.no_exec, false, word)?,
            "noexec" => once(&mut self.no_exec, true, word)?,
            "copy" => once(&mut self.copy_up, true, word)?,
            "nocopy" => once(&mut self.copy_up, false, word)?,
            "rbind" => once(&mut self.recursive, true, word)?,
            "bind" => once(&mut self.recursive, false, word)?,
            // Labels matter to SELinux alone, which does not confine what an ordinary user starts here.
            "z" => once(&mut self.relabel, 'z', word)?,
            "Z" => once(&mut self.relabel, 'Z', word)?,
            "O" => self.overlay = true,
            "no-dereference" => self.no_dereference = true,
            // For docker on other systems; there is one consistency here.
            "cached" | "delegated" | "consistent" => {}
            _ if word == "idmap" || word.starts_with("idmap=") => return Err(IDMAP.into()),
            _ if word.starts_with("upperdir=") => once(&mut self.upper, directory(word)?, word)?,
            _ if word.starts_with("workdir=") => once(&mut self.work, directory(word)?, word)?,
            _ if word.starts_with("subpath=") || word.starts_with("volume-subpath=") => {
                let (key, value) = word.split_once('=').unwrap_or((word, ""));
                once(&mut self.subpath, part(key, value)?, key)?;
            }
            _ if PROPAGATIONS.contains(&word) => once(&mut self.propagation, word.to_owned(), word)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// One word of `--tmpfs`; whether this was one.
    pub(super) fn tmpfs_word(&mut self, word: &str) -> Result<bool, String> {
        if self.common_word(word)? {
            return Ok(true);
        }
        match word {
            "exec" => self.no_exec = Some(false),
            "noexec" => self.no_exec = Some(true),
            "tmpcopyup" | "copy" => once(&mut self.copy_up, true, word)?,
            "notmpcopyup" | "nocopy" => once(&mut self.copy_up, false, word)?,
            "noswap" => return Err(NOSWAP.into()),
            _ => match word.split_once('=') {
                Some((key, value)) => return self.tmpfs_value(key, value),
                None => return Ok(false),
            },
        }
        Ok(true)
    }

    fn tmpfs_value(&mut self, key: &str, value: &str) -> Result<bool, String> {
        match key {
            "size" => once(&mut self.size, memory_size(key, value)?, key)?,
            "mode" => once(&mut self.mode, octal(value)?, key)?,
            "nr_inodes" => once(&mut self.inodes, bytes(key, value)?, key)?,
            "uid" => once(&mut self.uid, number(key, value)?, key)?,
            "gid" => once(&mut self.gid, number(key, value)?, key)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// One key of `--mount` that is not its type, source or destination.
    pub(super) fn mount_key(&mut self, kind: &str, key: &str, value: Option<&str>) -> Result<(), String> {
        let flag = || value.map_or(Ok(true), bool_value);
        let text = || value.filter(|v| !v.is_empty()).ok_or_else(|| format!("{key} needs a value"));
        match (kind, key) {
            (_, "ro" | "readonly") => once(&mut self.read_only, flag()?, key),
            (_, "rw" | "readwrite") => once(&mut self.read_only, !flag()?, key),
            (_, "U" | "chown") => {
                self.chown = flag()?;
                Ok(())
            }
            (_, "exec") => {
                self.no_exec = Some(!flag()?);
                Ok(())
            }
            (_, "noexec") => {
                self.no_exec = Some(flag()?);
                Ok(())
            }
            (_, "suid") => once(&mut self.suid, flag()?, key),
            (_, "nosuid") => once(&mut self.suid, !flag()?, key),
            (_, "dev") => once(&mut self.dev, flag()?, key),
            (_, "nodev") => once(&mut self.dev, !flag()?, key),
            (_, "consistency") => Ok(()),
            (_, "idmap") => match value.map_or(Ok(true), bool_value) {
                Ok(false) => Ok(()),
                _ => Err(IDMAP.into()),
            },
            ("bind" | "glob", "bind-nonrecursive") => once(&mut self.recursive, !flag()?, key),
            ("bind" | "glob", "bind-recursive") => match text()? {
                "enabled" | "writable" => once(&mut self.recursive, true, key),
                "disabled" => once(&mut self.recursive, false, key),
                other => Err(format!("bind-recursive {other:?} is not enabled or disabled")),
            },
            ("bind" | "glob", "bind-propagation") => match text()? {
                word if PROPAGATIONS.contains(&word) => once(&mut self.propagation, word.to_owned(), key),
                other => Err(format!("bind-propagation {other:?} is not one of {}", PROPAGATIONS.join(", "))),
            },
            ("bind" | "glob" | "volume", "relabel") => match text()? {
                "shared" => once(&mut self.relabel, 'z', key),
                "private" => once(&mut self.relabel, 'Z', key),
                other => Err(format!("relabel {other:?} is not shared or private")),
            },
            ("volume", "volume-nocopy") => once(&mut self.copy_up, !flag()?, key),
            ("tmpfs", "tmpfs-size") => self.tmpfs_value("size", text()?).map(drop),
            ("tmpfs" | "ramfs", "tmpfs-mode") => self.tmpfs_value("mode", text()?).map(drop),
            ("tmpfs" | "ramfs", "tmpcopyup") => once(&mut self.copy_up, flag()?, key),
            ("tmpfs" | "ramfs", "notmpcopyup") => once(&mut self.copy_up, !flag()?, key),
            ("ramfs", "tmpfs-size") => Err("ramfs has no limit; use type=tmpfs".into()),
            ("devpts", "uid" | "gid" | "mode") => self.tmpfs_value(key, text()?).map(drop),
            ("devpts", "max") => once(&mut self.terminals, number(key, text()?)?, key),
            ("volume", "volume-subpath") | ("volume" | "image", "subpath") | ("image", "image-subpath") => {
                once(&mut self.subpath, part(key, text()?)?, key)
            }
            ("volume", "volume-driver") if text()? == "local" => Ok(()),
            ("volume", "volume-driver" | "volume-opt" | "volume-label") => {
                Err(format!("{key} is not supported here; make the volume first: coracle volume create"))
            }
            ("bind", "bind-create-src") => {
                self.make_source = flag()?;
                Ok(())
            }
            // Whatever --volume and --tmpfs take.
            _ => {
                let word = value.map_or(key.to_owned(), |value| format!("{key}={value}"));
                let known = match kind {
                    "tmpfs" => self.tmpfs_word(&word)?,
                    "bind" | "glob" | "volume" => self.volume_word(&word)?,
                    _ => false,
                };
                if known { Ok(()) } else { Err(format!("unknown key {key:?} for type {kind:?}")) }
            }
        }
    }

    /// Refuses options that mean nothing for this source.
    pub(super) fn check_against(&self, source: &SourceArg) -> Result<(), String> {
        self.check_overlay()?;
        match source {
            SourceArg::Bind { .. } if self.subpath.is_some() => {
                Err("subpath is for volumes and images; name the directory itself".into())
            }
            SourceArg::Bind { .. } if self.copy_up.is_some() => {
                Err("copy and nocopy are for volumes, not for host paths".into())
            }
            SourceArg::Volume { .. } if self.propagation.is_some() => {
                Err("propagation is for host paths, not for volumes".into())
            }
            SourceArg::Volume { .. } if self.recursive.is_some() => {
                Err("bind and rbind are for host paths, not for volumes".into())
            }
            SourceArg::Image(_) | SourceArg::Devpts { .. } if self.chown => {
                Err("U is for sources that keep their files".into())
            }
            SourceArg::Tmpfs { .. } | SourceArg::Ramfs { .. }
                if self.chown && self.read_only == Some(true) =>
            {
                Err("U and ro contradict each other for memory; set uid= and gid= instead".into())
            }
            _ => Ok(()),
        }
    }

    /// `O` brings a layer of its own; whatever is about the source itself contradicts it.
    fn check_overlay(&self) -> Result<(), String> {
        match (self.overlay, &self.upper, &self.work) {
            (false, None, None) => return Ok(()),
            (false, ..) => return Err("upperdir and workdir go with option O".into()),
            (true, Some(_), Some(_)) | (true, None, None) => {}
            (true, ..) => return Err("upperdir and workdir go together".into()),
        }
        let about_the_source = self.read_only.is_some()
            || self.copy_up.is_some()
            || self.recursive.is_some()
            || self.propagation.is_some()
            || self.subpath.is_some()
            || self.chown;
        match about_the_source {
            true => Err("option \"O\" conflicts with ro, rw, U, copy, bind, subpath and propagation".into()),
            false => Ok(()),
        }
    }

    /// The memory file system these options describe.
    pub(super) fn tmpfs(&self) -> SourceArg {
        SourceArg::Tmpfs {
            size: self.size,
            mode: self.mode,
            copy_up: self.copy_up.unwrap_or(true),
            inodes: self.inodes,
            uid: self.uid,
            gid: self.gid,
        }
    }

    /// The mount these options describe.
    pub(super) fn into_mount(self, destination: PathBuf, source: SourceArg, asked: &str) -> MountArg {
        // The host's own places keep the flags that they have there, as podman's do.
        let keeps = matches!(source, SourceArg::Bind { .. } | SourceArg::Glob(_));
        MountArg {
            destination,
            source,
            read_only: self.read_only.unwrap_or(false),
            no_exec: self.no_exec.unwrap_or(false),
            suid: self.suid.unwrap_or(keeps),
            dev: self.dev.unwrap_or(keeps),
            propagation: self.propagation,
            chown: self.chown,
            overlay: self.overlay.then(|| self.upper.zip(self.work)),
            subpath: self.subpath,
            make_source: self.make_source,
            no_dereference: self.no_dereference,
            asked: asked.to_owned(),
        }
    }
}
