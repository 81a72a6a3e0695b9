//! Media types of configurations and layers, the same for registries and archives.

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// How a layer's tar stream is compressed, by its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// A plain tar stream.
    None,
    /// gzip, possibly of several members.
    Gzip,
    /// zstd, possibly of several frames.
    Zstd,
}

/// Whether a configuration of this media type may be that of a container image. Registries and tools have
/// written general types too, or none at all, in images that are still in use.
pub fn may_be_config(media_type: &str) -> bool {
    let plain = media_type.split(';').next().unwrap_or(media_type).trim();
    matches!(plain, OCI_CONFIG | DOCKER_CONFIG | "application/octet-stream" | "application/json" | "")
        || plain.starts_with("text/")
}

/// The compression a layer's media type names; `None` for unknown types. A foreign or nondistributable layer
/// is one like any other. Its `urls` are never followed.
pub fn compression(media_type: &str) -> Option<Compression> {
    let plain = media_type.replace(".nondistributable", "").replace(".foreign", "");
    let (oci, docker) = (plain.strip_prefix(OCI_LAYER), plain.strip_prefix(DOCKER_LAYER));
    match (oci, docker) {
        (Some(""), _) | (_, Some("")) => Some(Compression::None),
        (Some("+gzip"), _) | (_, Some(".gzip")) => Some(Compression::Gzip),
        (Some("+zstd"), _) | (_, Some(".zstd")) => Some(Compression::Zstd),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_may_have_a_general_type_or_none() {
        for yes in [
            OCI_CONFIG,
            DOCKER_CONFIG,
            "application/octet-stream",
            "application/json",
            "text/html; charset=utf-8",
            "text/plain",
            "",
        ] {
            assert!(may_be_config(yes), "{yes}");
        }
        for no in ["application/vnd.oci.empty.v1+json", "application/vnd.cncf.helm.config.v1+json"] {
            assert!(!may_be_config(no), "{no}");
        }
    }

    #[test]
    fn layers_of_all_families_are_known() {
        for (media_type, wanted) in [
            (OCI_LAYER, Some(Compression::None)),
            (DOCKER_LAYER, Some(Compression::None)),
            ("application/vnd.docker.image.rootfs.foreign.diff.tar", Some(Compression::None)),
            ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Some(Compression::Gzip)),
            ("application/vnd.docker.image.rootfs.diff.tar.zstd", Some(Compression::Zstd)),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar", Some(Compression::None)),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Some(Compression::Gzip)),
            ("application/vnd.oci.image.layer.v1.tar+zstd", Some(Compression::Zstd)),
            ("application/vnd.oci.image.layer.v1.tar+encrypted", None),
            ("application/vnd.oci.image.layer.v1.tarball", None),
            ("", None),
        ] {
            assert_eq!(compression(media_type), wanted, "{media_type}");
        }
    }
}
