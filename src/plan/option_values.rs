//! Small option values: one of a few words, or `key=value`.

use crate::error::{Error, Kind, Result};
use crate::spec::Share;
use std::str::FromStr;

fn refuse(message: String, hint: &str) -> Error {
    Error::new(Kind::Usage, message).hint(hint)
}

/// What stands behind `container:` or `ns:`; `None` for another mode.
pub(super) fn elsewhere(s: &str) -> Option<Result<Share>> {
    let missing = |what: &str, example: &str| Err(refuse(format!("{s:?} lacks the {what}"), example));
    match s.split_once(':')? {
        ("container", "") => Some(missing("container", "Name it, for example container:web.")),
        ("container", name) => Some(Ok(Share::Container(name.to_owned()))),
        ("ns", path) if path.starts_with('/') => Some(Ok(Share::Ns(path.into()))),
        ("ns", _) => Some(missing("absolute path", "Write the full path, for example ns:/proc/1234/ns/net.")),
        _ => None,
    }
}

/// `--pid`, `--uts`, `--cgroupns`, most of `--ipc`: whose namespace.
#[derive(Debug, Clone, PartialEq)]
pub struct Mode(pub Share);

/// How users are mapped, for users who request another map.
pub const OTHER_IDS: &str =
    "Leave it out: the container's root is your own account, the other users are your subordinate ids.";

impl FromStr for Mode {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "host" => Ok(Mode(Share::Host)),
            "private" | "shareable" | "" => Ok(Mode(Share::Private)),
            "pod" => Err(refuse(
                "a container of a pod has what the pod shares".to_owned(),
                "Leave the option out, and name the pod: coracle run --pod NAME ...",
            )),
            _ => elsewhere(s)
                .unwrap_or_else(|| {
                    Err(refuse(
                        format!("{s:?} is not a namespace mode"),
                        "Use host, private, container:NAME or ns:PATH.",
                    ))
                })
                .map(Mode),
        }
    }
}

/// `--ipc`: whose namespace, and whether there is shared memory in `/dev/shm`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ipc {
    /// Whose namespace.
    pub share: Share,
    /// `none`: a namespace of its own, and no `/dev/shm`.
    pub no_shm: bool,
    /// Whether others may join it, where that was said.
    pub offered: Option<bool>,
}

impl FromStr for Ipc {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "none" => Ok(Ipc { no_shm: true, ..Ipc::default() }),
            "private" => Ok(Ipc { offered: Some(false), ..Ipc::default() }),
            "shareable" => Ok(Ipc { offered: Some(true), ..Ipc::default() }),
            _ => Ok(Ipc { share: s.parse::<Mode>()?.0, ..Ipc::default() }),
        }
    }
}

/// `--cgroups`: whether the container may have a cgroup of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cgroups {
    /// One is made when it is needed: for limits, to pause.
    #[default]
    Enabled,
    /// None is made.
    Disabled,
}

impl FromStr for Cgroups {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            // The monitor is never in the container's cgroup, which stands below the caller's.
            "enabled" | "no-conmon" | "split" => Ok(Cgroups::Enabled),
            "disabled" => Ok(Cgroups::Disabled),
            _ => Err(refuse(
                format!("{s:?} is not a cgroup mode"),
                "Use enabled, disabled, no-conmon or split.",
            )),
        }
    }
}

/// `--attach`: one of the three standard streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard input.
    Stdin,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl FromStr for Stream {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s.to_ascii_lowercase().as_str() {
            "stdin" => Ok(Stream::Stdin),
            "stdout" => Ok(Stream::Stdout),
            "stderr" => Ok(Stream::Stderr),
            _ => Err(refuse(format!("{s:?} is not a stream"), "Use stdin, stdout or stderr.")),
        }
    }
}

/// A label or an annotation: `KEY=VALUE`, or `KEY` for an empty value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Never empty.
    pub key: String,
    /// Any text.
    pub value: String,
}

impl FromStr for Pair {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let (key, value) = s.split_once('=').unwrap_or((s, ""));
        if key.is_empty() {
            return Err(refuse(
                format!("{s:?} has no key"),
                "Write KEY=VALUE, for example --label stage=test.",
            ));
        }
        Ok(Pair { key: key.to_owned(), value: value.to_owned() })
    }
}

/// The pairs of a label file: one per line, empty lines and lines that start with `#` left out.
///
/// # Errors
/// A line without a key, by its number.
pub fn parse_pairs(text: &str) -> Result<Vec<Pair>> {
    let lines = text.lines().zip(1..).map(|(line, number)| (line.trim_start(), number));
    lines
        .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
        .map(|(line, number)| {
            line.parse().map_err(|e: Error| {
                Error::new(Kind::Usage, format!("line {number} is not a label")).caused_by(e)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_or_refused_with_the_reason() {
        for (text, share) in [
            ("host", Share::Host),
            ("private", Share::Private),
            ("shareable", Share::Private),
            ("", Share::Private),
        ] {
            assert_eq!(text.parse::<Mode>().unwrap().0, share);
        }
        assert_eq!("container:x".parse::<Mode>().unwrap().0, Share::Container("x".to_owned()));
        assert_eq!("ns:/x".parse::<Mode>().unwrap().0, Share::Ns("/x".into()));
        for bad in ["container:", "ns:", "ns:x", "none", "pod", "wat", "wat:x"] {
            assert!(bad.parse::<Mode>().is_err(), "{bad}");
        }
        let ipc = |text: &str| text.parse::<Ipc>().unwrap();
        assert_eq!(ipc("none"), Ipc { share: Share::Private, no_shm: true, offered: None });
        assert_eq!(ipc("host"), Ipc { share: Share::Host, no_shm: false, offered: None });
        assert_eq!(
            [ipc(""), ipc("private"), ipc("shareable")].map(|i| i.offered),
            [None, Some(false), Some(true)]
        );
        assert!("wat".parse::<Ipc>().is_err());
        assert_eq!("split".parse::<Cgroups>().unwrap(), Cgroups::Enabled);
        assert_eq!("disabled".parse::<Cgroups>().unwrap(), Cgroups::Disabled);
        assert!("wat".parse::<Cgroups>().is_err());
        assert_eq!("STDIN".parse::<Stream>().unwrap(), Stream::Stdin);
        assert!("in".parse::<Stream>().is_err());
    }

    #[test]
    fn labels_have_a_key() {
        let pairs = parse_pairs("# remark\na=1\n\n  b\nc=x=y \n").unwrap();
        let shown: Vec<String> = pairs.iter().map(|p| format!("{}>{}", p.key, p.value)).collect();
        assert_eq!(shown, ["a>1", "b>", "c>x=y "]);
        assert_eq!(parse_pairs("a\n=x").unwrap_err().message(), "line 2 is not a label");
        assert!("=x".parse::<Pair>().is_err());
    }
}
