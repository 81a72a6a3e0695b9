//! What the policy says of images in files and directories.

use super::requirement::{Policy, Requirement};
use crate::error::{Error, Kind, Result};
use crate::image::{FileForm, FileLocation, Member};
use std::path::Path;

impl Policy {
    /// Refuses the image of a file or directory that this policy does not accept; `real` is its path without links.
    /// Signatures are not looked for there, so what demands one accepts nothing.
    ///
    /// # Errors
    /// The policy rejects it, or demands a signature.
    pub fn admit_file(&self, place: &FileLocation, real: &Path) -> Result<()> {
        let scopes = if place.form == FileForm::DockerArchive { Vec::new() } else { scopes(place, real) };
        admit(self.of_transport(place.form.transport(), &scopes), &place.to_string())
    }

    /// Refuses archives of plain files if this policy does not accept them; `name` is what the archive is called. They
    /// have no scopes.
    ///
    /// # Errors
    /// As [`Policy::admit_file`].
    pub fn admit_tarball(&self, name: &str) -> Result<()> {
        admit(self.of_transport("tarball", &[]), &format!("tarball:{name}"))
    }

    /// The requirements of the most specific scope (containers-policy.json(5)).
    fn of_transport(&self, transport: &str, scopes: &[String]) -> &[Requirement] {
        let Some(known) = self.transports.0.get(transport) else { return &self.default };
        let mut all = scopes.iter().map(String::as_str).chain([""]);
        all.find_map(|scope| known.0.get(scope)).map_or(&self.default, Vec::as_slice)
    }
}

/// The scopes that a place is in, most specific first: the image of a layout, the path, each directory above it.
fn scopes(place: &FileLocation, real: &Path) -> Vec<String> {
    let paths = real.ancestors().filter_map(Path::to_str).filter(|path| *path != "/");
    let image = match (&place.member, place.form, real.to_str()) {
        (Some(Member::Name(name)), FileForm::OciDir, Some(path)) => Some(format!("{path}:{name}")),
        _ => None,
    };
    image.into_iter().chain(paths.map(str::to_owned)).collect()
}

fn admit(wanted: &[Requirement], place: &str) -> Result<()> {
    for wanted in wanted {
        let why = match wanted {
            Requirement::InsecureAcceptAnything {} => continue,
            Requirement::Reject {} => "is rejected by policy.",
            Requirement::SignedBy(_) | Requirement::SigstoreSigned(_) => {
                "needs a signature, and those of files and directories cannot be checked."
            }
        };
        let message = format!("Source image rejected: Running image {place} {why}");
        return Err(
            Error::new(Kind::Image, message).hint("See what the policy says: coracle image trust show --raw")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_in_the_scopes_of_their_directories() {
        let policy = Policy::parse(
            br#"{"default": [{"type": "reject"}], "transports": {
                "oci": {"/srv/good": [{"type": "insecureAcceptAnything"}], "/srv/good/bad": [{"type": "reject"}], "/srv/good/bad:fine": [{"type": "insecureAcceptAnything"}],
                    "/srv/signed": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}]},
                "tarball": {"": [{"type": "reject"}], "/srv": [{"type": "insecureAcceptAnything"}]},
                "dir": {"": [{"type": "insecureAcceptAnything"}]},
                "docker-archive": {"": [{"type": "insecureAcceptAnything"}]}}}"#,
        )
        .unwrap();
        for (form, path, admitted) in [
            (FileForm::OciDir, "/srv/good", true),
            (FileForm::OciDir, "/srv/good/x/y", true),
            (FileForm::OciDir, "/srv/good/bad/x", false),
            (FileForm::OciDir, "/srv/goods", false),
            (FileForm::OciDir, "/srv/signed/x", false),
            (FileForm::OciDir, "/srv", false),
            (FileForm::Dir, "/anywhere", true),
            (FileForm::DockerArchive, "/a.tar", true),
            (FileForm::OciArchive, "/a.tar", false),
        ] {
            let place = FileLocation { form, path: path.into(), member: None };
            assert_eq!(policy.admit_file(&place, Path::new(path)).is_ok(), admitted, "{form:?} {path}");
        }
        let image = |name: &str| FileLocation {
            form: FileForm::OciDir,
            path: "bad".into(),
            member: Some(Member::Name(name.to_owned())),
        };
        for (name, admitted) in [("fine", true), ("fin", false)] {
            assert_eq!(
                policy.admit_file(&image(name), Path::new("/srv/good/bad")).is_ok(),
                admitted,
                "{name}"
            );
        }
        assert!(policy.admit_tarball("/srv/x.tar").is_err());
    }
}
