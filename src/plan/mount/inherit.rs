//! Mounts that were not requested explicitly: those of other containers and those of the image.

use crate::error::{Error, Kind, Result};
use std::str::FromStr;

/// `--image-volume`: what becomes of the places where an image wants a volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ImageVolumes {
    /// Each gets an anonymous volume.
    #[default]
    Bind,
    /// Each gets memory.
    Tmpfs,
    /// They stay what they are.
    Ignore,
}

impl FromStr for ImageVolumes {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "bind" | "anonymous" | "" => Ok(ImageVolumes::Bind),
            "tmpfs" => Ok(ImageVolumes::Tmpfs),
            "ignore" => Ok(ImageVolumes::Ignore),
            _ => Err(Error::new(Kind::Usage, format!("{s:?} is not a way to handle an image's volumes"))
                .hint("Use bind, tmpfs or ignore.")),
        }
    }
}

/// `--volumes-from CONTAINER[:OPTIONS]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumesFrom {
    /// Name or id.
    pub container: String,
    /// Read-only or not, whatever they are there.
    pub read_only: Option<bool>,
}

impl FromStr for VolumesFrom {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let wrong = |why: String| {
            Error::new(Kind::Usage, format!("volumes-from {s:?}: {why}"))
                .hint("Write CONTAINER, CONTAINER:ro or CONTAINER:rw.")
        };
        let (container, words) = s.split_once(':').unwrap_or((s, ""));
        if container.is_empty() {
            return Err(wrong("the container is missing".into()));
        }
        let mut read_only = None;
        for word in words.split(',').filter(|w| !w.is_empty()) {
            let wanted = match word {
                "ro" => true,
                "rw" => false,
                // Labels have no effect here, see the options of --volume.
                "z" | "Z" => continue,
                _ => return Err(wrong(format!("unknown option {word:?}"))),
            };
            if read_only.replace(wanted).is_some_and(|before| before != wanted) {
                return Err(wrong("ro and rw contradict each other".into()));
            }
        }
        Ok(VolumesFrom { container: container.to_owned(), read_only })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_whose_mounts_are_taken() {
        let read = |text: &str| text.parse::<VolumesFrom>();
        assert_eq!(read("web").unwrap(), VolumesFrom { container: "web".into(), read_only: None });
        assert_eq!(read("web:ro,z").unwrap().read_only, Some(true));
        assert_eq!(read("web:rw").unwrap().read_only, Some(false));
        for bad in ["", ":ro", "web:wat", "web:ro,rw"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!("maybe".parse::<ImageVolumes>().is_err());
    }
}
