//! `RUN --mount` (Dockerfile reference, RUN --mount; Containerfile(5), RUN mounts).
//!
//! Each type takes its own options and no others: an option that is not in the table is refused, never passed on.

use super::fault::{Fault, nearest};
use crate::error::Result;
pub use crate::storage::build::Sharing;
use crate::text::csv::fields;
use crate::text::units::read_binary_size;
use crate::text::{boolean, clean_bytes};

/// A mount of a RUN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunMount {
    /// Files of the context, a stage or an image.
    Bind {
        /// The stage, context or image; the build context if there is none.
        from: Option<String>,
        /// The path in there; `/` is all of it.
        source: String,
        /// Where it is mounted; relative to the working directory if not absolute.
        target: String,
        /// Whether it can be written to. What is written is discarded.
        read_write: bool,
    },
    /// A directory that outlives the build.
    Cache {
        /// Which one: the target unless it is given.
        id: String,
        /// Where it is mounted; relative to the working directory if not absolute.
        target: String,
        /// What others may do meanwhile.
        sharing: Sharing,
        /// The stage, context or image that a new one is a copy of.
        from: Option<String>,
        /// The path in there; `/` is all of it.
        source: String,
        /// The mode of a new one; 0755 unless it is given.
        mode: u32,
        /// The owner of a new one.
        uid: u32,
        /// The group of a new one.
        gid: u32,
        /// Whether it cannot be written to.
        read_only: bool,
    },
    /// A file system in memory.
    Tmpfs {
        /// Where it is mounted; relative to the working directory if not absolute.
        target: String,
        /// Its size in bytes, if that is limited.
        size: Option<u64>,
        /// Its mode; 1777 unless it is given.
        mode: u32,
        /// Whether it cannot be written to.
        read_only: bool,
    },
    /// A secret, as a file or in a variable or both.
    Secret {
        /// Its id: the last part of the target unless it is given.
        id: String,
        /// The file: in `/run/secrets` unless it is given. `None` is no file.
        target: Option<String>,
        /// The variable.
        env: Option<String>,
        /// Whether the step fails without it.
        required: bool,
        /// The file's mode; 0400 unless it is given.
        mode: u32,
        /// The file's owner.
        uid: u32,
        /// The file's group.
        gid: u32,
    },
    /// The socket of an SSH agent.
    Ssh {
        /// Its id; `default` unless it is given.
        id: String,
        /// The socket, if it is given.
        target: Option<String>,
        /// Whether the step fails without it.
        required: bool,
        /// The socket's mode; 0600 unless it is given.
        mode: u32,
        /// The socket's owner.
        uid: u32,
        /// The socket's group.
        gid: u32,
    },
}

/// Reads the value of `--mount` in which variables are expanded already.
///
/// # Errors
/// `Usage`: a type, an option or a value that is not known, or something that is missing.
pub fn parse(text: &str) -> Result<RunMount> {
    parse_with(text, |value| Ok(value.to_owned()))
}

/// Reads the value of `--mount`. `expand` expands the value of each option, which cannot add options that way.
///
/// # Errors
/// As [`parse`], and those of `expand`.
pub fn parse_with(text: &str, expand: impl Fn(&str) -> Result<String, String>) -> Result<RunMount> {
    read(text, expand)
        .map_err(|fault| fault.of_file(&format!("--mount={}", &text[..text.floor_char_boundary(200)])))
}

const TYPES: [&str; 5] = ["bind", "cache", "tmpfs", "secret", "ssh"];

/// What each option is called, by its first name, and which types take it.
const KEYS: [(&[&str], &[&str]); 13] = [
    (&["type"], &TYPES),
    (&["target", "dst", "destination"], &TYPES),
    (&["source", "src"], &["bind", "cache", "secret"]),
    (&["from"], &["bind", "cache"]),
    (&["readonly", "ro", "read-only"], &TYPES),
    (&["readwrite", "rw"], &TYPES),
    (&["id"], &["cache", "secret", "ssh"]),
    (&["sharing"], &["cache"]),
    (&["size", "tmpfs-size"], &["tmpfs"]),
    (&["mode", "tmpfs-mode"], &["cache", "tmpfs", "secret", "ssh"]),
    (&["uid"], &["cache", "secret", "ssh"]),
    (&["gid"], &["cache", "secret", "ssh"]),
    (&["env"], &["secret"]),
];
/// As [`KEYS`], for options that are true or false.
const REQUIRED: (&str, [&str; 2]) = ("required", ["secret", "ssh"]);
/// Labels are none of our business: there is no SELinux in the way.
const LABELS: [&str; 2] = ["z", "Z"];

/// The options as they are given.
#[derive(Debug, Default)]
struct Given {
    target: Option<String>,
    source: Option<String>,
    from: Option<String>,
    read_only: Option<bool>,
    id: Option<String>,
    sharing: Option<Sharing>,
    size: Option<u64>,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    env: Option<String>,
    required: bool,
}

/// As [`parse_with`].
pub(super) fn read(text: &str, expand: impl Fn(&str) -> Result<String, String>) -> Result<RunMount, Fault> {
    let mut options = Vec::new();
    for field in fields(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(expand(value)?)),
            None => (field.as_str(), None),
        };
        let key = if LABELS.contains(&key) { key.to_owned() } else { key.to_lowercase() };
        options.push((key, value, field.clone()));
    }
    let kind = options.iter().rev().find(|(key, ..)| key == "type");
    let kind = match kind.map(|(_, value, _)| value.as_deref().unwrap_or_default().to_lowercase()) {
        None => "bind",
        Some(kind) => TYPES.into_iter().find(|known| *known == kind).ok_or_else(|| {
            let near = nearest(&kind, TYPES).map(|near| format!("Did you mean {near}?"));
            let hint = near.unwrap_or_else(|| format!("Types are {}", TYPES.join(", ")));
            Fault::new(format!("unsupported mount type {kind:?}")).at(&kind).hint(Some(hint))
        })?,
    };
    let mut given = Given::default();
    for (key, value, field) in &options {
        given.set(kind, key, value.as_deref(), field)?;
    }
    given.mount(kind)
}

impl Given {
    fn set(&mut self, kind: &str, key: &str, value: Option<&str>, field: &str) -> Result<(), Fault> {
        let wrong = |value: &str| Fault::new(format!("invalid value for {key}: {value}")).at(field);
        let truth = |value: &str| boolean(value).ok_or_else(|| wrong(value));
        let misplaced = || Fault::new(format!("unexpected key '{key}' for mount type '{kind}'")).at(field);
        if LABELS.contains(&key) && value.is_none() && ["bind", "cache"].contains(&kind) {
            return Ok(());
        }
        if key == REQUIRED.0 {
            self.required = truth(value.unwrap_or("true"))?;
            return if REQUIRED.1.contains(&kind) { Ok(()) } else { Err(misplaced()) };
        }
        let Some((names, kinds)) = KEYS.iter().find(|(names, _)| names.contains(&key)) else {
            let names = KEYS.iter().flat_map(|(names, _)| names.iter().copied()).chain([REQUIRED.0]);
            let near = nearest(key, names).map(|near| format!("Did you mean {near}?"));
            return Err(Fault::new(format!("unexpected key '{key}' in '{field}'")).at(field).hint(near));
        };
        if !kinds.contains(&kind) {
            return Err(misplaced());
        }
        let value = match (names[0], value) {
            ("readonly" | "readwrite", value) => value.unwrap_or("true"),
            (_, Some(value)) => value,
            (_, None) => {
                return Err(Fault::new(format!("invalid field '{field}' must be a key=value pair")).at(field));
            }
        };
        let text = || Some(value.to_owned()).filter(|value| !value.is_empty());
        let octal = || u32::from_str_radix(value, 8).ok().filter(|mode| *mode <= 0o7777);
        let number = || value.parse::<u32>().map_err(|_| wrong(value));
        match names[0] {
            "target" => self.target = text(),
            "source" => self.source = text(),
            "from" => self.from = text(),
            "id" => self.id = text(),
            "env" => self.env = Some(value.to_owned()),
            "readonly" => self.read_only = Some(truth(value)?),
            "readwrite" => self.read_only = Some(!truth(value)?),
            "size" => self.size = Some(read_binary_size(value).ok_or_else(|| wrong(value))?),
            "mode" => self.mode = Some(octal().ok_or_else(|| wrong(value))?),
            "uid" => self.uid = Some(number()?),
            "gid" => self.gid = Some(number()?),
            "sharing" => {
                self.sharing = Some(match value.to_lowercase().as_str() {
                    "shared" => Sharing::Shared,
                    "private" => Sharing::Private,
                    "locked" => Sharing::Locked,
                    _ => {
                        let hint = "Values: shared private locked".to_owned();
                        let fault = Fault::new(format!("unsupported sharing value {value:?}"));
                        return Err(fault.at(value).hint(Some(hint)));
                    }
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn mount(self, kind: &str) -> Result<RunMount, Fault> {
        let (mode, uid, gid) = (self.mode, self.uid.unwrap_or(0), self.gid.unwrap_or(0));
        let source = self.source.clone().unwrap_or_else(|| "/".to_owned());
        let target = || match self.target.clone() {
            Some(target) if clean(&target) == "/" => {
                Err(Fault::new(format!("invalid mount target {target:?}")).at(&target))
            }
            Some(target) => Ok(target),
            None => Err(Fault::new(format!("target is required for mount type '{kind}'"))),
        };
        Ok(match kind {
            "cache" => {
                let target = target()?;
                RunMount::Cache {
                    id: self.id.unwrap_or_else(|| clean(&target)),
                    target,
                    sharing: self.sharing.unwrap_or_default(),
                    from: self.from,
                    source,
                    mode: mode.unwrap_or(0o755),
                    uid,
                    gid,
                    read_only: self.read_only.unwrap_or(false),
                }
            }
            "tmpfs" => RunMount::Tmpfs {
                target: target()?,
                size: self.size,
                mode: mode.unwrap_or(0o1777),
                read_only: self.read_only.unwrap_or(false),
            },
            "secret" => self.secret()?,
            "ssh" => RunMount::Ssh {
                id: self.id.unwrap_or_else(|| "default".to_owned()),
                target: self.target,
                required: self.required,
                mode: mode.unwrap_or(0o600),
                uid,
                gid,
            },
            _ => RunMount::Bind {
                target: target()?,
                from: self.from,
                source,
                read_write: self.read_only == Some(false),
            },
        })
    }

    fn secret(self) -> Result<RunMount, Fault> {
        let id = match (self.id, self.source) {
            (Some(_), Some(_)) => return Err(Fault::new("both source and id can't be set")),
            (id, source) => id.or(source),
        };
        let last = |path: &str| clean(path).rsplit('/').next().unwrap_or_default().to_owned();
        let id = id.or_else(|| self.target.as_deref().map(last)).filter(|id| !id.is_empty());
        let Some(id) = id else {
            return Err(Fault::new("invalid secret mount. one of source, target required"));
        };
        let env = self.env.map(|name| if name.is_empty() { id.clone() } else { name });
        if let Some(name) = env.as_deref().filter(|name| name.contains('=')) {
            return Err(Fault::new(format!("invalid value for env: {name}")).at(name));
        }
        let usual = || format!("/run/secrets/{}", last(&id));
        Ok(RunMount::Secret {
            target: self.target.or_else(|| env.is_none().then(usual)),
            env,
            required: self.required,
            mode: self.mode.unwrap_or(0o400),
            uid: self.uid.unwrap_or(0),
            gid: self.gid.unwrap_or(0),
            id,
        })
    }
}

/// As [`text::clean_bytes`].
fn clean(path: &str) -> String {
    String::from_utf8_lossy(&clean_bytes(path.as_bytes())).into_owned()
}
