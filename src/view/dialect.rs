//! The two output dialects.

use crate::image::{Digest, Reference};

/// Whose form a document has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Podman's.
    #[default]
    Podman,
    /// Docker's.
    Docker,
}

impl Dialect {
    /// An image's id as commands print it that made or removed the image: docker's names the algorithm.
    pub fn image_id(self, id: &Digest) -> &str {
        if self == Dialect::Docker { id.as_str() } else { id.hex() }
    }

    /// An image's name as commands print it that removed it; the tag stays.
    pub fn image_name(self, name: &Reference) -> String {
        let name = name.to_string();
        let short = name.strip_prefix("docker.io/library/").or_else(|| name.strip_prefix("docker.io/"));
        short.filter(|_| self == Dialect::Docker).map_or_else(|| name.clone(), str::to_owned)
    }
}

/// An image's name as docker shows it: without its own registry, and without the tag that goes without
/// saying.
pub(super) fn short_image_name(name: &str) -> &str {
    let name =
        name.strip_prefix("docker.io/library/").or_else(|| name.strip_prefix("docker.io/")).unwrap_or(name);
    name.strip_suffix(":latest").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_are_the_dialects() {
        let id = Digest::from_sha256([1; 32]);
        assert!(Dialect::Docker.image_id(&id).starts_with("sha256:01"));
        assert!(Dialect::Podman.image_id(&id).starts_with("0101"));
        let name = "docker.io/library/alpine:latest".parse().unwrap();
        assert_eq!(Dialect::Docker.image_name(&name), "alpine:latest");
        assert_eq!(Dialect::Podman.image_name(&name), "docker.io/library/alpine:latest");
    }

    #[test]
    fn image_names_are_short_as_dockers() {
        assert_eq!(short_image_name("docker.io/library/alpine:latest"), "alpine");
        assert_eq!(short_image_name("docker.io/team/app:1"), "team/app:1");
        assert_eq!(short_image_name("quay.io/a/b:latest"), "quay.io/a/b");
    }
}
