//! Where an image is pushed to.

use crate::error::{Error, Kind, Result};
use crate::image::Reference;
use crate::storage::archive::SaveFormat;
use std::path::PathBuf;
use std::str::FromStr;

/// A destination, by its transport (containers-transports(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// `[docker://]NAME`.
    Registry(Reference),
    /// `oci:DIR[:NAME]`, `oci-archive:FILE[:NAME]`, `docker-archive:FILE[:NAME]`, `dir:DIR`.
    File {
        /// What it becomes.
        format: SaveFormat,
        /// The file or the directory.
        path: PathBuf,
        /// A name for it there.
        name: Option<String>,
    },
}

impl FromStr for Destination {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let refused =
            |why: &str, hint: &str| Err(Error::new(Kind::Usage, format!("{text}: {why}")).hint(hint));
        let (transport, rest) = text.split_once(':').unwrap_or((text, ""));
        let format = match transport {
            "oci" => SaveFormat::OciDir,
            "oci-archive" => SaveFormat::OciArchive,
            "docker-archive" => SaveFormat::DockerArchive,
            "dir" => SaveFormat::DockerDir,
            "docker" if rest.starts_with("//") => return text.parse().map(Destination::Registry),
            "docker-daemon" => {
                return refused(
                    "images are not pushed to docker's engine",
                    "Use its own command: coracle save IMAGE | docker load",
                );
            }
            "containers-storage" => {
                return refused(
                    "podman's store is not written to",
                    "Use its own command: coracle save IMAGE | podman load",
                );
            }
            _ => return text.parse().map(Destination::Registry),
        };
        // A path may have colons only where it has no name.
        let (path, name) = match rest.split_once(':') {
            Some((path, name)) if format != SaveFormat::DockerDir && !name.is_empty() => (path, Some(name)),
            _ => (rest, None),
        };
        if path.is_empty() {
            return refused(
                "the path is missing",
                "Give a destination as oci:DIR, oci-archive:FILE, docker-archive:FILE or dir:DIR.",
            );
        }
        Ok(Destination::File { format, path: path.into(), name: name.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read() {
        let file = |format, path: &str, name: Option<&str>| Destination::File {
            format,
            path: path.into(),
            name: name.map(str::to_owned),
        };
        for (text, wanted) in [
            ("r.io/a/b:1", Destination::Registry("r.io/a/b:1".parse().unwrap())),
            ("docker://r.io/a/b:1", Destination::Registry("r.io/a/b:1".parse().unwrap())),
            ("oci:/tmp/x", file(SaveFormat::OciDir, "/tmp/x", None)),
            ("oci:/tmp/x:a/b:1", file(SaveFormat::OciDir, "/tmp/x", Some("a/b:1"))),
            ("oci-archive:x.tar", file(SaveFormat::OciArchive, "x.tar", None)),
            ("docker-archive:x.tar:a:2", file(SaveFormat::DockerArchive, "x.tar", Some("a:2"))),
            ("dir:/tmp/a:b", file(SaveFormat::DockerDir, "/tmp/a:b", None)),
        ] {
            assert_eq!(text.parse::<Destination>().unwrap(), wanted, "{text}");
        }
        for text in ["", "docker-daemon:x:1", "containers-storage:x", "oci:", "dir:", "A/B"] {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
    }
}
