//! The options of a volume: where its data is stored, and who owns it.
//!
//! `volume create -o type=TYPE -o device=DEVICE -o o=WORDS` takes the words of mount(8). A user namespace can
//! mount tmpfs and bind directories; every other file system needs root, and is refused when the volume is
//! created rather than when it is first used.

use crate::error::{Error, Kind, Result};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a volume's options mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backing {
    /// What its content lies on.
    pub medium: Medium,
    /// Owner of its top directory, by number inside; 0 when `None`.
    pub uid: Option<u32>,
    /// Group of its top directory, by number inside; 0 when `None`.
    pub gid: Option<u32>,
    /// Filled from the image at first use.
    pub copy: bool,
    /// Mounted read-only.
    pub read_only: bool,
    /// Mounted `noexec`.
    pub no_exec: bool,
}

/// What a volume's content lies on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Medium {
    /// A directory of the store.
    #[default]
    Directory,
    /// A directory of the host.
    Bind {
        /// Absolute.
        path: PathBuf,
        /// Mounts below it come along.
        recursive: bool,
    },
    /// Memory, fresh for each run of a container; options of tmpfs(5) as given.
    Memory(Vec<(String, String)>),
}

fn refuse(why: impl Into<String>) -> Error {
    Error::new(Kind::Usage, why)
}

/// A size as tmpfs takes it: digits, then perhaps k, m, g or %.
fn is_size(text: &str) -> bool {
    let digits = text.strip_suffix(['k', 'K', 'm', 'M', 'g', 'G', '%']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn number(key: &str, text: &str) -> Result<u32> {
    text.parse().map_err(|_| refuse(format!("volume option {key} {text:?} is not a number")))
}

impl Backing {
    /// Whether the top directory is not the container's root's.
    pub fn has_owner(&self) -> bool {
        self.uid.unwrap_or(0) != 0 || self.gid.unwrap_or(0) != 0
    }

    /// Refuses a directory of the host that is not there, while the one who named it can correct that.
    ///
    /// # Errors
    /// [`Kind::Usage`].
    pub fn check_place(&self) -> Result<()> {
        match &self.medium {
            Medium::Bind { path, .. } if !path.is_dir() => {
                let what = if path.exists() { "is not a directory" } else { "does not exist" };
                let shown = path.display();
                Err(refuse(format!("volume option device {shown}: {shown} {what}"))
                    .hint(format!("Make it first: mkdir -p {shown}")))
            }
            _ => Ok(()),
        }
    }

    /// Reads options.
    ///
    /// # Errors
    /// [`Kind::Usage`] for one that is unknown or not supported.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<Backing> {
        let mut backing = Backing { copy: true, ..Backing::default() };
        let mut memory = Vec::new();
        let mut bind = None;
        let (mut kind, mut device) = ("", "");
        for (key, value) in options {
            match key.as_str() {
                "type" => kind = value,
                "device" => device = value,
                "copy" => backing.copy = true,
                "nocopy" => backing.copy = false,
                "o" => {}
                _ => {
                    return Err(refuse(format!("volume option {key:?} is not known"))
                        .hint("Known are type, device, o, copy and nocopy."));
                }
            }
        }
        for word in options.get("o").map_or("", String::as_str).split(',').filter(|w| !w.is_empty()) {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            match key {
                "uid" => backing.uid = Some(number(key, value)?),
                "gid" => backing.gid = Some(number(key, value)?),
                "ro" => backing.read_only = true,
                "rw" => backing.read_only = false,
                "exec" => backing.no_exec = false,
                "noexec" => backing.no_exec = true,
                // As every volume is mounted.
                "nosuid" | "nodev" => {}
                "bind" => bind = Some(false),
                "rbind" => bind = Some(true),
                // Nothing here waits or counts.
                "timeout" => drop(number(key, value)?),
                "noquota" => {}
                "size" | "nr_inodes" | "nr_blocks" if kind == "tmpfs" && is_size(value) => {
                    memory.push((key.to_owned(), value.to_owned()));
                }
                "mode" if kind == "tmpfs" && u32::from_str_radix(value, 8).is_ok_and(|m| m <= 0o7777) => {
                    memory.push((key.to_owned(), value.to_owned()));
                }
                "size" | "inodes" if kind.is_empty() => {
                    return Err(refuse(format!(
                        "volume option {word:?} needs project quotas, which only root can set"
                    ))
                    .hint("Limit memory instead: coracle volume create -o type=tmpfs -o o=size=64m NAME"));
                }
                _ => return Err(refuse(format!("volume option {word:?} is not known for this type"))),
            }
        }
        backing.medium = match (kind, device) {
            ("tmpfs", _) => {
                let owner = [("uid", backing.uid), ("gid", backing.gid)];
                memory.extend(
                    owner.iter().filter_map(|(k, id)| Some(((*k).to_owned(), id.as_ref()?.to_string()))),
                );
                Medium::Memory(memory)
            }
            ("" | "none" | "bind", device) if bind.is_some() || kind == "bind" => {
                if !device.starts_with('/') {
                    return Err(refuse(format!("volume option device {device:?} is not an absolute path")));
                }
                if backing.uid.or(backing.gid).is_some() {
                    return Err(refuse("volume options uid and gid do not change a directory of the host"));
                }
                // What already exists is the content.
                backing.copy = false;
                Medium::Bind { path: PathBuf::from(device), recursive: bind.unwrap_or(false) }
            }
            ("", "") => Medium::Directory,
            ("", _) => return Err(refuse("volume option device needs a type, such as type=none,o=bind")),
            (kind, _) => {
                return Err(refuse(format!("volumes of type {kind:?} can be mounted by root only"))
                    .hint("Mount it on the host and bind it: coracle volume create -o type=none -o o=bind -o device=DIR NAME"));
            }
        };
        Ok(backing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[(&str, &str)]) -> Result<Backing> {
        Backing::parse(&options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn options_say_what_a_volume_lies_on() {
        assert_eq!(parse(&[]).unwrap().medium, Medium::Directory);
        let owned = parse(&[("o", "uid=1000,gid=7,noquota,timeout=10")]).unwrap();
        assert_eq!((owned.uid, owned.gid, owned.medium), (Some(1000), Some(7), Medium::Directory));
        let memory = parse(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m,mode=700,nodev,noexec")]);
        let Medium::Memory(options) = memory.unwrap().medium else { panic!("not memory") };
        assert_eq!(options, [("size".into(), "1m".into()), ("mode".into(), "700".into())]);
        let bind = parse(&[("type", "none"), ("device", "/srv"), ("o", "bind,ro")]).unwrap();
        assert!(bind.read_only && !bind.copy);
        assert_eq!(bind.medium, Medium::Bind { path: "/srv".into(), recursive: false });
        assert!(!parse(&[("nocopy", "")]).unwrap().copy);
    }

    #[test]
    fn what_only_root_can_mount_is_refused_with_the_reason() {
        for (options, why) in [
            (&[("type", "nfs"), ("device", ":/x"), ("o", "addr=10.0.0.1")][..], "not known"),
            (&[("type", "ext4"), ("device", "/dev/sda1")], "by root only"),
            (&[("o", "size=1g")], "only root can set"),
            (&[("device", "/srv")], "needs a type"),
            (&[("type", "none"), ("device", "srv"), ("o", "bind")], "not an absolute path"),
            (&[("o", "uid=joe")], "not a number"),
            (&[("size", "1")], "is not known"),
        ] {
            let error = parse(options).unwrap_err();
            assert!(error.message().contains(why), "{options:?}: {error}");
        }
    }
}
