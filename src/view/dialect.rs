//! The two output dialects.

/// Whose form a document has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Podman's.
    #[default]
    Podman,
    /// Docker's.
    Docker,
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
    fn image_names_are_short_as_dockers() {
        assert_eq!(short_image_name("docker.io/library/alpine:latest"), "alpine");
        assert_eq!(short_image_name("docker.io/team/app:1"), "team/app:1");
        assert_eq!(short_image_name("quay.io/a/b:latest"), "quay.io/a/b");
    }
}
