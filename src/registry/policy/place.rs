//! What the policy says of images in files and directories.

use super::requirement::{Policy, Requirement};
use crate::error::{Error, Kind, Result};
use crate::image::{FileForm, FileLocation};
use std::path::Path;

impl Policy {
    /// Refuses the image of a file or directory that this policy does not accept; `real` is its path without links.
    /// Signatures are not looked for there, so what demands one accepts nothing.
    ///
    /// # Errors
    /// The policy rejects it, or demands a signature.
    pub fn admit_file(&self, place: &FileLocation, real: &Path) -> Result<()> {
        for wanted in self.of_file(place.form, real) {
            let why = match wanted {
                Requirement::InsecureAcceptAnything {} => continue,
                Requirement::Reject {} => "is rejected by policy.",
                Requirement::SignedBy(_) | Requirement::SigstoreSigned(_) => {
                    "needs a signature, and those of files and directories cannot be checked."
                }
            };
            let message = format!("Source image rejected: Running image {place} {why}");
            return Err(Error::new(Kind::Image, message)
                .hint("See what the policy says: coracle image trust show --raw"));
        }
        Ok(())
    }

    /// The requirements of the most specific scope (containers-policy.json(5)): the path, each directory above it, the
    /// transport. Docker's archives have no scopes.
    fn of_file(&self, form: FileForm, real: &Path) -> &[Requirement] {
        let Some(scopes) = self.transports.0.get(form.transport()) else { return &self.default };
        let paths = real.ancestors().filter(|_| form != FileForm::DockerArchive);
        let paths = paths.filter_map(Path::to_str).filter(|path| *path != "/");
        let mut all = paths.chain([""]);
        all.find_map(|scope| scopes.0.get(scope)).map_or(&self.default, Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_in_the_scopes_of_their_directories() {
        let policy = Policy::parse(
            br#"{"default": [{"type": "reject"}], "transports": {
                "oci": {"/srv/good": [{"type": "insecureAcceptAnything"}], "/srv/good/bad": [{"type": "reject"}],
                    "/srv/signed": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}]},
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
    }
}
