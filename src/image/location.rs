//! Where an image is that no name of a registry leads to: containers-transports(5). Pure.

use super::Reference;
use crate::error::{Error, Kind, Result};
use std::fmt;
use std::path::PathBuf;

/// A place of an image, written `TRANSPORT:DETAILS`. What has no transport, or `docker://`, is a [`Reference`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `containers-storage:NAME`: in the store, by its name or its id.
    Stored(String),
    /// In a file or a directory.
    File(FileLocation),
}

/// A file or a directory that has images, and which of them is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLocation {
    /// What it is.
    pub form: FileForm,
    /// Its path, which may be relative.
    pub path: PathBuf,
    /// The image in it; without one, the only image.
    pub member: Option<Member>,
}

/// What a file or a directory with images is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileForm {
    /// `oci:DIR`: an OCI image layout.
    OciDir,
    /// `oci-archive:FILE`: an OCI image layout as an archive.
    OciArchive,
    /// `docker-archive:FILE`: an archive as `docker save` writes it.
    DockerArchive,
    /// `dir:DIR`: the parts of one image as files.
    Dir,
}

/// Which of several images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    /// The one of this name.
    Name(String),
    /// The one at this place, counted from 0; for reading only.
    At(usize),
}

impl FileForm {
    /// The name of the transport.
    pub fn transport(self) -> &'static str {
        match self {
            FileForm::OciDir => "oci",
            FileForm::OciArchive => "oci-archive",
            FileForm::DockerArchive => "docker-archive",
            FileForm::Dir => "dir",
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(self) -> bool {
        matches!(self, FileForm::OciDir | FileForm::Dir)
    }
}

/// Transports of other tools, each with what leads here from there.
const FOREIGN: [(&str, &str, &str, &str); 4] = [
    (
        "docker-daemon",
        "the images of docker's engine are reached by its own command only",
        "docker save",
        "| coracle load",
    ),
    ("ostree", "repositories of ostree are not supported", "skopeo copy ostree:", "oci-archive:FILE"),
    ("sif", "files of Singularity are not supported", "skopeo copy sif:", "oci-archive:FILE"),
    ("tarball", "an archive of files has no settings of an image", "coracle import", "NAME"),
];

impl Location {
    /// The place that a text names; `None` for the name of an image.
    ///
    /// # Errors
    /// `Usage` for a transport that leads nowhere from here, and for what is wrong behind one.
    pub fn of(text: &str) -> Result<Option<Location>> {
        let Some((transport, rest)) = text.split_once(':') else { return Ok(None) };
        if let Some((_, why, before, behind)) = FOREIGN.iter().find(|(name, ..)| *name == transport) {
            let space = if before.ends_with(':') { "" } else { " " };
            return Err(refused(text, why).hint(format!("Use another way: {before}{space}{rest} {behind}")));
        }
        let form = match transport {
            "containers-storage" => return stored(text, rest).map(Some),
            "oci" => FileForm::OciDir,
            "oci-archive" => FileForm::OciArchive,
            "docker-archive" => FileForm::DockerArchive,
            "dir" => FileForm::Dir,
            _ => return Ok(None),
        };
        // The path ends at the first colon; that of a directory of one image may have some.
        let (path, member) = match rest.split_once(':').filter(|_| form != FileForm::Dir) {
            None => (rest, None),
            Some((path, "")) => (path, None),
            Some((path, member)) => (path, Some(Member::of(text, form, member)?)),
        };
        if path.is_empty() {
            return Err(refused(text, "the path is missing").hint(format!("Write {transport}:PATH.")));
        }
        Ok(Some(Location::File(FileLocation { form, path: path.into(), member })))
    }

    /// What to say of a text that has to name an image of the store, if it names a place elsewhere.
    pub fn of_no_image(text: &str) -> Option<Error> {
        match Location::of(text) {
            Ok(None | Some(Location::Stored(_))) => None,
            Ok(Some(Location::File(file))) => {
                let transport = file.form.transport();
                let message = format!("unsupported transport {transport:?} for looking up local images");
                Some(
                    Error::new(Kind::Usage, message)
                        .hint(format!("Bring the image here first: coracle pull {file}")),
                )
            }
            Err(error) => Some(error),
        }
    }
}

fn stored(text: &str, name: &str) -> Result<Location> {
    if name.starts_with('[') {
        return Err(refused(text, "stores of other tools are reached by their own commands only")
            .hint("Use another way: podman save IMAGE | coracle load"));
    }
    match name {
        "" => Err(refused(text, "the name is missing").hint("Write containers-storage:NAME.")),
        name => Ok(Location::Stored(name.to_owned())),
    }
}

impl Member {
    fn of(text: &str, form: FileForm, member: &str) -> Result<Member> {
        if let Some(place) = member.strip_prefix('@') {
            let wrong = || {
                refused(text, &format!("{place:?} is not the number of an image"))
                    .hint("Count from 0: @0 is the first image.")
            };
            return place.parse().map(Member::At).map_err(|_| wrong());
        }
        if form == FileForm::DockerArchive {
            docker_name(member)?;
        }
        Ok(Member::Name(member.to_owned()))
    }
}

/// A name as docker's archives have it: one without a registry is docker.io's, one without a tag is `latest`.
///
/// # Errors
/// `Usage` for what is no name, or one with a digest.
pub fn docker_name(text: &str) -> Result<Reference> {
    let name: Reference = text.parse()?;
    name.with_registry().as_new_name()
}

fn refused(text: &str, why: &str) -> Error {
    Error::new(Kind::Usage, format!("{text}: {why}"))
}

impl FileLocation {
    /// The same file or directory, with another image of it.
    #[must_use]
    pub fn with(&self, member: Member) -> FileLocation {
        FileLocation { member: Some(member), ..self.clone() }
    }
}

impl fmt::Display for FileLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.form.transport(), self.path.display())?;
        match &self.member {
            None => Ok(()),
            Some(Member::Name(name)) => write!(f, ":{name}"),
            Some(Member::At(place)) => write!(f, ":@{place}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(form: FileForm, path: &str, member: Option<Member>) -> Location {
        Location::File(FileLocation { form, path: path.into(), member })
    }

    #[test]
    fn transports_are_read_as_containers_transports_has_them() {
        let name = |text: &str| Some(Member::Name(text.to_owned()));
        for (text, wanted) in [
            ("oci:/tmp/x", file(FileForm::OciDir, "/tmp/x", None)),
            ("oci:/tmp/x:", file(FileForm::OciDir, "/tmp/x", None)),
            ("oci:/tmp/x:a/b:1", file(FileForm::OciDir, "/tmp/x", name("a/b:1"))),
            ("oci:x:@2", file(FileForm::OciDir, "x", Some(Member::At(2)))),
            ("oci:../x:V1", file(FileForm::OciDir, "../x", name("V1"))),
            ("oci-archive:x.tar", file(FileForm::OciArchive, "x.tar", None)),
            ("docker-archive:x.tar:a:2", file(FileForm::DockerArchive, "x.tar", name("a:2"))),
            (
                "docker-archive:/dev/stdin:@0",
                file(FileForm::DockerArchive, "/dev/stdin", Some(Member::At(0))),
            ),
            ("dir:/tmp/a:b", file(FileForm::Dir, "/tmp/a:b", None)),
            ("dir:/tmp/a:", file(FileForm::Dir, "/tmp/a:", None)),
            ("dir:::", file(FileForm::Dir, "::", None)),
            ("containers-storage:a:1", Location::Stored("a:1".to_owned())),
        ] {
            let found = Location::of(text).unwrap().unwrap();
            assert_eq!(found, wanted, "{text}");
            if let Location::File(file) = found {
                let is_dir = file.form == FileForm::Dir;
                let whole = text.strip_suffix(':').filter(|_| !is_dir).unwrap_or(text);
                assert_eq!(file.to_string(), whole);
            }
        }
    }

    #[test]
    fn names_of_images_have_no_transport() {
        for text in
            ["alpine", "alpine:3", "docker:dind", "docker://a/b", "r.io:5000/oci:1", "sha256:ab", "", ":"]
        {
            assert_eq!(Location::of(text).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        for (text, why) in [
            ("docker-daemon:x:1", "docker's engine"),
            ("sif:x.sif", "Singularity"),
            ("containers-storage:[overlay@/x]a", "other tools"),
            ("containers-storage:", "the name is missing"),
            ("oci:", "the path is missing"),
            ("oci::a", "the path is missing"),
            ("dir:", "the path is missing"),
            ("oci:x:@-1", "not the number"),
            ("docker-archive:x:@y", "not the number"),
            ("docker-archive:x:A", "lowercase"),
        ] {
            let error = Location::of(text).unwrap_err();
            assert!(error.message().contains(why), "{text}: {error}");
        }
        let digest = format!("docker-archive:x:a@sha256:{}", "a".repeat(64));
        assert!(Location::of(&digest).is_err());
    }
}
