//! What the policy says of images in files and directories.

use super::requirement::{Policy, Requirement};
use crate::error::{Error, Kind, Result};
use crate::image::{Digest, FileForm, FileLocation, Member};
use std::path::Path;

const SHOW: &str = "See what the policy says: coracle image trust show --raw";

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

    /// Refuses an image of the store at `data` with its volatile state at `runtime`, if this policy does not accept that
    /// it is copied from there. As in podman, its scopes are `[overlay@DATA]@ID`, `[overlay@DATA]` and `[DATA]`. The store
    /// keeps no signatures, so what demands one accepts nothing.
    ///
    /// # Errors
    /// The policy rejects it, or demands a signature.
    pub fn admit_stored(&self, id: &Digest, data: &Path, runtime: &Path) -> Result<()> {
        let (data, id) = (data.display(), id.hex());
        let store = format!("[overlay@{data}]");
        let scopes = [format!("{store}@{id}"), store, format!("[{data}]")];
        let place = format!("containers-storage:[overlay@{data}+{}]@{id}", runtime.display());
        for wanted in self.of_transport("containers-storage", &scopes) {
            let why = match wanted {
                Requirement::InsecureAcceptAnything {} => continue,
                Requirement::Reject {} => format!("Running image {place} is rejected by policy."),
                Requirement::SignedBy(_) | Requirement::SigstoreSigned(_) => {
                    "A signature was required, but no signature exists".to_owned()
                }
            };
            return Err(Error::new(Kind::Image, format!("Source image rejected: {why}")).hint(SHOW));
        }
        Ok(())
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
        return Err(Error::new(Kind::Image, message).hint(SHOW));
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

    #[test]
    fn images_of_the_store_have_the_scopes_that_podman_gives_them() {
        const REJECT: &str = r#"[{"type": "reject"}]"#;
        const ACCEPT: &str = r#"[{"type": "insecureAcceptAnything"}]"#;
        let id = Digest::sha256_of(b"x");
        let answer = |default: &str, scope: &str, wanted: &str| {
            let text = format!(
                r#"{{"default": {default}, "transports": {{"containers-storage": {{"{scope}": {wanted}}}}}}}"#
            );
            let policy = Policy::parse(text.as_bytes()).unwrap();
            policy
                .admit_stored(&id, Path::new("/srv/data"), Path::new("/run/x"))
                .map_err(|e| e.message().to_owned())
        };
        let own = format!("[overlay@/srv/data]@{}", id.hex());
        for scope in [own.as_str(), "[overlay@/srv/data]", "[/srv/data]", ""] {
            assert_eq!(answer(REJECT, scope, ACCEPT), Ok(()), "{scope}");
            let refused = answer(ACCEPT, scope, REJECT).unwrap_err();
            let place = format!("containers-storage:[overlay@/srv/data+/run/x]@{}", id.hex());
            assert_eq!(
                refused,
                format!("Source image rejected: Running image {place} is rejected by policy.")
            );
        }
        for scope in ["[overlay@/srv/data+/run/x]", "[/srv]", "/srv/data", "[overlay@/srv/data]localhost/x:1"]
        {
            assert!(answer(REJECT, scope, ACCEPT).is_err(), "{scope}");
        }
        let signed = r#"[{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}]"#;
        let refused = answer(ACCEPT, "", signed).unwrap_err();
        assert_eq!(refused, "Source image rejected: A signature was required, but no signature exists");
    }
}
