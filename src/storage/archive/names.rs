//! Names of members and of annotations.

/// The file that says that a directory is an OCI image layout.
pub(super) const LAYOUT: &str = "oci-layout";
/// Its content.
pub(super) const LAYOUT_TEXT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The file that lists a layout's images.
pub(super) const INDEX: &str = "index.json";
/// The file that lists the images of docker's archives; in a `dir:` directory, the manifest itself.
pub(super) const MANIFEST: &str = "manifest.json";
/// The annotation that names an image in a layout's index (OCI image spec, annotations.md).
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Where docker puts the whole name; its `ref.name` is the tag alone.
pub(super) const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The file that says that a directory is one of `dir:`.
pub(super) const VERSION: &str = "version";
/// Its content.
pub(super) const VERSION_TEXT: &[u8] = b"Directory Transport Version: 1.1\n";
