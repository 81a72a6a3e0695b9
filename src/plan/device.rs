//! `--device` and `--gpus`: host device nodes, or devices described by a CDI specification.

use crate::error::{Error, Kind, Result};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// One `--device`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceArg {
    /// A node or a directory of nodes.
    Node {
        /// On the host, absolute.
        host: PathBuf,
        /// Inside, absolute; `host` when not given.
        inside: Option<PathBuf>,
        /// As in [`DeviceSpec`].
        permissions: String,
    },
    /// `vendor/class=name` of the Container Device Interface.
    Cdi(String),
}

const EXAMPLE: &str = "Write --device /dev/fuse, --device /dev/sdc:/dev/xvdc:rwm or, with a CDI specification, --device vendor.com/class=name.";

impl FromStr for DeviceArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let bad = |why: &str| Error::new(Kind::Usage, format!("device {s:?}: {why}")).hint(EXAMPLE);
        if is_qualified(s) {
            return Ok(DeviceArg::Cdi(s.to_owned()));
        }
        let mut parts = s.split(':');
        let host = parts.next().unwrap_or_default();
        if !host.starts_with('/') {
            return Err(bad("it is neither an absolute path nor a CDI name"));
        }
        let rest: Vec<&str> = parts.collect();
        let (inside, permissions) = match rest[..] {
            [] => (None, None),
            [one] if one.starts_with('/') => (Some(one), None),
            [one] => (None, Some(one)),
            [inside, permissions] => (Some(inside), Some(permissions)),
            _ => return Err(bad("it has too many parts")),
        };
        if let Some(inside) = inside {
            plain(inside).ok_or_else(|| bad("the path inside is not absolute, or has .. in it"))?;
        }
        let permissions = permissions.unwrap_or("rwm");
        if permissions.is_empty() || !permissions.chars().all(|c| "rwm".contains(c)) {
            return Err(bad("permissions are made of r, w and m"));
        }
        Ok(DeviceArg::Node {
            host: host.into(),
            inside: inside.map(PathBuf::from),
            permissions: permissions.to_owned(),
        })
    }
}

/// An absolute path that goes downwards only.
fn plain(text: &str) -> Option<&Path> {
    let path = Path::new(text);
    let up = path.components().any(|part| part == std::path::Component::ParentDir);
    (path.is_absolute() && path.file_name().is_some() && !up && !text.contains('\0')).then_some(path)
}

/// Whether a text is `vendor/class=name`, as the specification of CDI spells its three parts.
pub fn is_qualified(text: &str) -> bool {
    let Some((kind, name)) = text.split_once('=') else { return false };
    let Some((vendor, class)) = kind.split_once('/') else { return false };
    let word = |text: &str, letter_first: bool, marks: &str| {
        let bytes = text.as_bytes();
        let starts = |b: &u8| if letter_first { b.is_ascii_alphabetic() } else { b.is_ascii_alphanumeric() };
        bytes.first().is_some_and(starts)
            && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
            && text.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c))
    };
    word(vendor, true, "_-.") && word(class, true, "_-.") && word(name, false, "_-.:")
}

/// `--gpus`: the names of the devices, in the words of the vendor whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpusArg(pub Vec<String>);

impl FromStr for GpusArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let bad = |why: &str| {
            Error::new(Kind::Usage, format!("{s:?}: {why}")).hint(
                "Write --gpus all, --gpus 2 for two of them, or --gpus device=0 for one by number or UUID.",
            )
        };
        let mut names: Vec<String> = Vec::new();
        let mut by_name = false;
        // Docker's form is a line of comma-separated values: quotes keep a list of devices together.
        for part in s.trim_matches('"').split(',') {
            match part.trim_matches('"').split_once('=') {
                None | Some(("count", _)) => {
                    let count = part.strip_prefix("count=").unwrap_or(part);
                    match (count, count.parse::<u32>()) {
                        ("all" | "-1", _) => names.push("all".to_owned()),
                        (_, Ok(_)) if by_name => names.push(count.to_owned()),
                        (_, Ok(number @ 1..=64)) => names.extend((0..number).map(|n| n.to_string())),
                        (name, Err(_)) if by_name && !name.is_empty() => names.push(name.to_owned()),
                        _ => return Err(bad("that is not a number of devices")),
                    }
                }
                Some(("device", name)) if !name.is_empty() => {
                    by_name = true;
                    names.push(name.to_owned());
                }
                // What a device can do is for its specification to say.
                Some(("capabilities" | "driver", "nvidia" | "gpu" | "compute" | "utility")) => {}
                Some((key, _)) => return Err(bad(&format!("{key} cannot be chosen"))),
            }
        }
        let names: Vec<String> = names.into_iter().map(|name| format!("nvidia.com/gpu={name}")).collect();
        match names.iter().all(|name| is_qualified(name)) && !names.is_empty() {
            true => Ok(GpusArg(names)),
            false => Err(bad("that names no device")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_have_a_place_and_permissions() {
        let node = |host: &str, inside: Option<&str>, permissions: &str| DeviceArg::Node {
            host: host.into(),
            inside: inside.map(PathBuf::from),
            permissions: permissions.to_owned(),
        };
        for (text, wanted) in [
            ("/dev/fuse", node("/dev/fuse", None, "rwm")),
            ("/dev/fuse:r", node("/dev/fuse", None, "r")),
            ("/dev/a:/dev/b", node("/dev/a", Some("/dev/b"), "rwm")),
            ("/dev/a:/dev/b:rw", node("/dev/a", Some("/dev/b"), "rw")),
            ("vendor.com/class=name", DeviceArg::Cdi("vendor.com/class=name".to_owned())),
            ("nvidia.com/gpu=GPU-1:0", DeviceArg::Cdi("nvidia.com/gpu=GPU-1:0".to_owned())),
        ] {
            assert_eq!(text.parse::<DeviceArg>().unwrap(), wanted, "{text}");
        }
        for bad in [
            "",
            "fuse",
            "/dev/a:",
            "/dev/a:x",
            "/dev/a:/b:",
            "/dev/a:/b/../c",
            "/a:/b:r:w",
            "/a:/:rw",
            "a/b=",
            "1a/b=c",
            "a/b=c ",
        ] {
            assert!(bad.parse::<DeviceArg>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn gpus_are_named_as_docker_names_them() {
        for (text, names) in [
            ("all", &["all"][..]),
            ("2", &["0", "1"]),
            ("count=1", &["0"]),
            ("device=0", &["0"]),
            ("\"device=0,2\"", &["0", "2"]),
            ("device=GPU-3a", &["GPU-3a"]),
            ("all,capabilities=compute", &["all"]),
        ] {
            let wanted: Vec<String> = names.iter().map(|name| format!("nvidia.com/gpu={name}")).collect();
            assert_eq!(text.parse::<GpusArg>().unwrap().0, wanted, "{text}");
        }
        for bad in ["", "0", "none", "device=", "driver=amd,all", "x=1", "device=a b"] {
            assert!(bad.parse::<GpusArg>().is_err(), "{bad:?}");
        }
    }
}
