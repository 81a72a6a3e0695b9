//! What a signature may say that it signs (containers-policy.json(5), `signedIdentity`).

use crate::image::Reference;
use serde::{Deserialize, Serialize};

/// How the name in a signature must relate to the name of the image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub enum SignedIdentity {
    /// The same repository and tag.
    MatchExact {},
    /// The same, but for an image by digest any tag of the repository.
    MatchRepoDigestOrExact {},
    /// The same repository.
    MatchRepository {},
    /// This very name.
    #[serde(rename_all = "camelCase")]
    ExactReference {
        /// With its tag or digest.
        docker_reference: String,
    },
    /// Any name in this repository.
    #[serde(rename_all = "camelCase")]
    ExactRepository {
        /// Without tag or digest.
        docker_repository: String,
    },
    /// As [`SignedIdentity::MatchRepoDigestOrExact`], with the beginning of the image's name replaced.
    #[serde(rename_all = "camelCase")]
    RemapIdentity {
        /// Host, namespace or repository.
        prefix: String,
        /// What stands for it in signatures.
        signed_prefix: String,
    },
}

impl Default for SignedIdentity {
    fn default() -> Self {
        SignedIdentity::MatchRepoDigestOrExact {}
    }
}

impl SignedIdentity {
    /// What is wrong with it, if anything is.
    pub(super) fn fault(&self) -> Option<String> {
        let name = |text: &str| text.parse::<Reference>().ok().filter(|name| name.registry().is_some());
        let is_bare = |name: &Reference| name.tag().is_none() && name.digest().is_none();
        match self {
            SignedIdentity::ExactReference { docker_reference }
                if name(docker_reference).is_none_or(|n| is_bare(&n)) =>
            {
                Some(format!("{docker_reference:?} is not a full name with a tag or digest"))
            }
            SignedIdentity::ExactRepository { docker_repository }
                if name(docker_repository).is_none_or(|n| !is_bare(&n)) =>
            {
                Some(format!("{docker_repository:?} is not a full name without a tag"))
            }
            SignedIdentity::RemapIdentity { prefix, signed_prefix } => [prefix, signed_prefix]
                .into_iter()
                // A host alone is a prefix, too.
                .find(|text| !name(&format!("{text}/x")).is_some_and(|n| is_bare(&n)))
                .map(|text| format!("{text:?} is not the beginning of a name")),
            _ => None,
        }
    }

    /// Whether a signature for `signed` is one for the image of this full name.
    pub fn accepts(&self, image: &Reference, signed: &str) -> bool {
        let Some(signed) = parsed(signed) else { return false };
        match self {
            SignedIdentity::MatchExact {} => exact(image, &signed),
            SignedIdentity::MatchRepoDigestOrExact {} => repo_digest_or_exact(image, &signed),
            SignedIdentity::MatchRepository {} => image.repository() == signed.repository(),
            SignedIdentity::ExactReference { docker_reference } => {
                parsed(docker_reference).is_some_and(|wanted| exact(&wanted, &signed))
            }
            SignedIdentity::ExactRepository { docker_repository } => {
                parsed(docker_repository).is_some_and(|wanted| wanted.repository() == signed.repository())
            }
            SignedIdentity::RemapIdentity { prefix, signed_prefix } => remapped(image, prefix, signed_prefix)
                .is_some_and(|image| repo_digest_or_exact(&image, &signed)),
        }
    }
}

/// A name in the form that all names are compared in; docker.io is the registry of those without one.
fn parsed(text: &str) -> Option<Reference> {
    let name: Reference = text.parse().ok()?;
    Some(name.with_registry())
}

fn exact(image: &Reference, signed: &Reference) -> bool {
    let bare = |name: &Reference| name.tag().is_none() && name.digest().is_none();
    // A name without a tag asks for its latest; a signature without one says nothing of which.
    !bare(signed) && image.canonical() == signed.canonical()
}

fn repo_digest_or_exact(image: &Reference, signed: &Reference) -> bool {
    match image.digest() {
        Some(_) => image.repository() == signed.repository(),
        None => exact(image, signed),
    }
}

/// The image's name with the prefix replaced; the name as it is if it does not begin so.
fn remapped(image: &Reference, prefix: &str, signed_prefix: &str) -> Option<Reference> {
    let repository = image.repository();
    let rest = repository.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let Some(rest) = rest else { return Some(image.clone()) };
    let mut text = format!("{signed_prefix}{rest}");
    if let Some(tag) = image.tag_or_latest() {
        text.push_str(&format!(":{tag}"));
    }
    if let Some(digest) = image.digest() {
        text.push_str(&format!("@{}", digest.as_str()));
    }
    parsed(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(identity: &str, image: &str, signed: &str) -> bool {
        let identity: SignedIdentity = serde_json::from_str(identity).unwrap();
        assert_eq!(identity.fault(), None);
        identity.accepts(&image.parse().unwrap(), signed)
    }

    #[test]
    fn signatures_are_for_what_they_say() {
        let digest = format!("@sha256:{}", "a".repeat(64));
        let by_digest = format!("r.io/a{digest}");
        for (identity, image, signed, is) in [
            (r#"{"type":"matchExact"}"#, "r.io/a:1", "r.io/a:1", true),
            (r#"{"type":"matchExact"}"#, "r.io/a", "r.io/a:latest", true),
            (r#"{"type":"matchExact"}"#, "r.io/a", "r.io/a", false),
            (r#"{"type":"matchExact"}"#, "r.io/a:1", "r.io/a:2", false),
            (r#"{"type":"matchExact"}"#, &by_digest, "r.io/a:1", false),
            (r#"{"type":"matchRepoDigestOrExact"}"#, &by_digest, "r.io/a:1", true),
            (r#"{"type":"matchRepoDigestOrExact"}"#, &by_digest, "r.io/ab:1", false),
            (r#"{"type":"matchRepoDigestOrExact"}"#, "r.io/a:1", "r.io/a:2", false),
            (r#"{"type":"matchRepository"}"#, "r.io/a:1", "r.io/a:2", true),
            (r#"{"type":"matchRepository"}"#, "r.io/a:1", "r.io/a", true),
            (r#"{"type":"matchRepository"}"#, "r.io/a:1", "s.io/a:1", false),
            (r#"{"type":"matchRepository"}"#, "docker.io/library/a:1", "a:1", true),
            (r#"{"type":"exactReference","dockerReference":"v.io/p:3"}"#, "r.io/a:1", "v.io/p:3", true),
            (r#"{"type":"exactReference","dockerReference":"v.io/p:3"}"#, "r.io/a:1", "r.io/a:1", false),
            (r#"{"type":"exactRepository","dockerRepository":"v.io/p"}"#, "r.io/a:1", "v.io/p:9", true),
            (
                r#"{"type":"remapIdentity","prefix":"m:5000/v","signedPrefix":"v.io"}"#,
                "m:5000/v/a:1",
                "v.io/a:1",
                true,
            ),
            (
                r#"{"type":"remapIdentity","prefix":"m:5000/v","signedPrefix":"v.io"}"#,
                "m:5000/vx/a:1",
                "v.iox/a:1",
                false,
            ),
            (
                r#"{"type":"remapIdentity","prefix":"m:5000/v","signedPrefix":"v.io"}"#,
                "m:5000/vx/a:1",
                "m:5000/vx/a:1",
                true,
            ),
            (r#"{"type":"matchExact"}"#, "r.io/a:1", "nonsense name", false),
        ] {
            assert_eq!(accepts(identity, image, signed), is, "{identity} {image} {signed}");
        }
    }

    #[test]
    fn malformed_identities_are_told() {
        for bad in [
            r#"{"type":"exactReference","dockerReference":"v.io/p"}"#,
            r#"{"type":"exactRepository","dockerRepository":"v.io/p:1"}"#,
            r#"{"type":"remapIdentity","prefix":"a b","signedPrefix":"v.io"}"#,
            r#"{"type":"remapIdentity","prefix":"v.io/x:1","signedPrefix":"v.io"}"#,
        ] {
            let identity: SignedIdentity = serde_json::from_str(bad).unwrap();
            assert!(identity.fault().is_some(), "{bad}");
        }
        for bad in
            [r#"{"type":"matchAll"}"#, r#"{"type":"matchExact","x":1}"#, r#"{"type":"exactReference"}"#]
        {
            assert!(serde_json::from_str::<SignedIdentity>(bad).is_err(), "{bad}");
        }
    }
}
