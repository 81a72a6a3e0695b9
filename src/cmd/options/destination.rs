//! Where an image is pushed to.

use crate::error::{Error, Kind, Result};
use crate::image::{FileLocation, Location, Member, Reference};
use std::str::FromStr;

/// A destination, by its transport (containers-transports(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// `[docker://]NAME`.
    Registry(Reference),
    /// `oci:DIR[:NAME]`, `oci-archive:FILE[:NAME]`, `docker-archive:FILE[:NAME]`, `dir:DIR`.
    File(FileLocation),
    /// `containers-storage:NAME`: another name here.
    Stored(Reference),
}

impl FromStr for Destination {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        if text.starts_with("docker-daemon:") {
            let message = format!("{text}: images are not pushed to docker's engine");
            return Err(Error::new(Kind::Usage, message)
                .hint("Use its own command: coracle save IMAGE | docker load"));
        }
        match Location::of(text)? {
            None => text.parse().map(Destination::Registry),
            Some(Location::Stored(name)) => {
                name.parse().and_then(|name: Reference| name.as_new_name()).map(Destination::Stored)
            }
            Some(Location::File(FileLocation { member: Some(Member::At(_)), .. })) => {
                Err(Error::new(Kind::Usage, format!("{text}: the number of an image is no name for one"))
                    .hint("Write a name instead, or nothing."))
            }
            Some(Location::File(file)) => Ok(Destination::File(file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::FileForm;

    #[test]
    fn destinations_are_read() {
        let file = |form, path: &str, name: Option<&str>| {
            let member = name.map(|name| Member::Name(name.to_owned()));
            Destination::File(FileLocation { form, path: path.into(), member })
        };
        for (text, wanted) in [
            ("r.io/a/b:1", Destination::Registry("r.io/a/b:1".parse().unwrap())),
            ("docker://r.io/a/b:1", Destination::Registry("r.io/a/b:1".parse().unwrap())),
            ("oci:/tmp/x:a/b:1", file(FileForm::OciDir, "/tmp/x", Some("a/b:1"))),
            ("dir:/tmp/a:b", file(FileForm::Dir, "/tmp/a:b", None)),
            ("containers-storage:a", Destination::Stored("localhost/a:latest".parse().unwrap())),
        ] {
            assert_eq!(text.parse::<Destination>().unwrap(), wanted, "{text}");
        }
        for text in ["", "docker-daemon:x:1", "containers-storage:[a@b]x", "oci:", "oci:x:@1", "dir:", "A/B"]
        {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
    }
}
