//! Images made on the spot: layers as tar streams, a config, a manifest, pushed over plain HTTP.

use super::{Registry, sha256_hex, which};
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use tar::EntryType;

/// Which family of media types a manifest uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// application/vnd.oci...
    Oci,
    /// application/vnd.docker... (schema 2).
    Docker,
}

/// How a layer's tar stream is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zip {
    /// Not at all.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard; OCI only.
    Zstd,
}

/// A layer being written: a tar stream.
pub(crate) struct Layer {
    tar: tar::Builder<Vec<u8>>,
    zip: Zip,
}

impl Layer {
    /// An empty layer, gzip.
    pub(crate) fn new() -> Layer {
        Layer { tar: tar::Builder::new(Vec::new()), zip: Zip::Gzip }
    }

    /// A ready tar stream as a layer.
    pub(crate) fn from_tar(bytes: Vec<u8>) -> Layer {
        let mut layer = Layer::new();
        *layer.tar.get_mut() = bytes;
        layer
    }

    /// Packs it this way.
    pub(crate) fn zip(mut self, zip: Zip) -> Layer {
        self.zip = zip;
        self
    }

    /// A directory owned by 0:0.
    pub(crate) fn dir(self, path: &str, mode: u32) -> Layer {
        self.entry(EntryType::Directory, path, mode, (0, 0), "", b"")
    }

    /// A file owned by 0:0.
    pub(crate) fn file(self, path: &str, mode: u32, bytes: impl AsRef<[u8]>) -> Layer {
        self.entry(EntryType::Regular, path, mode, (0, 0), "", bytes.as_ref())
    }

    /// A file with an owner.
    pub(crate) fn owned_file(
        self,
        path: &str,
        mode: u32,
        owner: (u64, u64),
        bytes: impl AsRef<[u8]>,
    ) -> Layer {
        self.entry(EntryType::Regular, path, mode, owner, "", bytes.as_ref())
    }

    /// A symbolic link.
    pub(crate) fn symlink(self, path: &str, target: &str) -> Layer {
        self.entry(EntryType::Symlink, path, 0o777, (0, 0), target, b"")
    }

    /// A hard link to a path of this layer or of one below it.
    pub(crate) fn hard_link(self, path: &str, target: &str) -> Layer {
        self.entry(EntryType::Link, path, 0o644, (0, 0), target, b"")
    }

    /// A whiteout of `path`.
    pub(crate) fn whiteout(self, path: &str) -> Layer {
        let (dir, name) = path.rsplit_once('/').map_or(("", path), |(dir, name)| (dir, name));
        let joint = if dir.is_empty() { "" } else { "/" };
        self.file(&format!("{dir}{joint}.wh.{name}"), 0o644, b"")
    }

    /// Makes a directory opaque: what the layers below have in it is hidden.
    pub(crate) fn opaque(self, dir: &str) -> Layer {
        self.file(&format!("{}/.wh..wh..opq", dir.trim_end_matches('/')), 0o644, b"")
    }

    /// PAX records for the entry that follows: `SCHILY.xattr.user.x` and the like.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Layer {
        let mut body = Vec::new();
        for (key, value) in records {
            // "LENGTH KEY=VALUE\n", where LENGTH counts itself.
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            body.extend_from_slice(format!("{length} {key}=").as_bytes());
            body.extend_from_slice(value);
            body.push(b'\n');
        }
        self.entry(EntryType::XHeader, "PaxHeaders/next", 0o644, (0, 0), "", &body)
    }

    /// Any entry, however odd: names are written as they are.
    pub(crate) fn entry(
        mut self,
        kind: EntryType,
        path: impl AsRef<[u8]>,
        mode: u32,
        owner: (u64, u64),
        target: impl AsRef<[u8]>,
        bytes: &[u8],
    ) -> Layer {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner.0);
        header.set_gid(owner.1);
        header.set_mtime(1_700_000_000);
        header.set_size(bytes.len() as u64);
        let (path, target) = (path.as_ref(), target.as_ref());
        self.long(b'L', path);
        self.long(b'K', target);
        if let Some(old) = header.as_gnu_mut() {
            let take = path.len().min(old.name.len());
            old.name[..take].copy_from_slice(&path[..take]);
            let take = target.len().min(old.linkname.len());
            old.linkname[..take].copy_from_slice(&target[..take]);
        }
        header.set_cksum();
        self.append(&header, bytes);
        self
    }

    /// A header as it is, with its body.
    pub(crate) fn raw(mut self, header: &tar::Header, bytes: &[u8]) -> Layer {
        self.append(header, bytes);
        self
    }

    fn long(&mut self, kind: u8, text: &[u8]) {
        if text.len() <= 100 {
            return;
        }
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::new(kind));
        header.set_size(text.len() as u64 + 1);
        if let Some(old) = header.as_gnu_mut() {
            old.name[..13].copy_from_slice(b"././@LongLink");
        }
        header.set_cksum();
        let mut body = text.to_owned();
        body.push(0);
        self.append(&header, &body);
    }

    fn append(&mut self, header: &tar::Header, bytes: &[u8]) {
        self.tar.append(header, bytes).unwrap_or_else(|e| panic!("append to a tar in memory: {e}"));
    }

    /// The tar stream and what is sent over the wire.
    pub(crate) fn finish(self) -> (Vec<u8>, Vec<u8>) {
        let tar = self.tar.into_inner().unwrap_or_else(|e| panic!("finish a tar in memory: {e}"));
        let packed = match self.zip {
            Zip::Plain => tar.clone(),
            Zip::Gzip => {
                let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gz.write_all(&tar).and_then(|()| gz.finish()).unwrap_or_else(|e| panic!("gzip: {e}"))
            }
            Zip::Zstd => zstd::encode_all(tar.as_slice(), 3).unwrap_or_else(|e| panic!("zstd: {e}")),
        };
        (tar, packed)
    }
}

/// An image being put together.
pub(crate) struct ImageBuilder {
    format: Format,
    config: Value,
    layers: Vec<Layer>,
    architecture: &'static str,
    variant: Option<&'static str>,
    untold: bool,
}

impl ImageBuilder {
    /// An OCI image for this machine, without layers.
    pub(crate) fn new() -> ImageBuilder {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let config = json!({"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]});
        ImageBuilder {
            format: Format::Oci,
            config,
            layers: Vec::new(),
            architecture,
            variant: None,
            untold: false,
        }
    }

    /// Media types of this family.
    pub(crate) fn format(mut self, format: Format) -> ImageBuilder {
        self.format = format;
        self
    }

    /// For another processor.
    pub(crate) fn platform(
        mut self,
        architecture: &'static str,
        variant: Option<&'static str>,
    ) -> ImageBuilder {
        self.architecture = architecture;
        self.variant = variant;
        self
    }

    /// Sets a field of the config (`Cmd`, `User`, `ExposedPorts`, ...).
    pub(crate) fn config(mut self, field: &str, value: Value) -> ImageBuilder {
        self.config[field] = value;
        self
    }

    /// Adds a layer on top.
    pub(crate) fn layer(mut self, layer: Layer) -> ImageBuilder {
        self.layers.push(layer);
        self
    }

    /// Leaves the history out.
    pub(crate) fn untold(mut self) -> ImageBuilder {
        self.untold = true;
        self
    }

    /// Pushes blobs and manifest; returns the manifest's digest.
    pub(crate) fn push(self, registry: &Registry, repository: &str, tag: &str) -> String {
        let (media_type, manifest) = self.upload(registry, repository);
        registry.put_manifest(repository, tag, media_type, &manifest)
    }

    /// Pushes the blobs only; returns the manifest's media type and bytes, for tests that send their own.
    pub(crate) fn upload(self, registry: &Registry, repository: &str) -> (&'static str, Vec<u8>) {
        let oci = self.format == Format::Oci;
        let mut diff_ids = Vec::new();
        let mut descriptors = Vec::new();
        for layer in self.layers {
            let media_type = match (oci, layer.zip) {
                (true, Zip::Plain) => "application/vnd.oci.image.layer.v1.tar",
                (true, Zip::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
                (true, Zip::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
                (false, Zip::Plain) => "application/vnd.docker.image.rootfs.diff.tar",
                (false, _) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            };
            let (tar, packed) = layer.finish();
            diff_ids.push(format!("sha256:{}", sha256_hex(&tar)));
            let digest = registry.put_blob(repository, &packed);
            descriptors.push(json!({"mediaType": media_type, "digest": digest, "size": packed.len()}));
        }
        let history: Vec<Value> = diff_ids
            .iter()
            .map(|_| json!({"created": "2026-01-02T03:04:05Z", "created_by": "tests"}))
            .collect();
        let mut config = json!({
            "created": "2026-01-02T03:04:05Z",
            "architecture": self.architecture,
            "os": "linux",
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": history,
        });
        if self.untold {
            config["history"] = Value::Null;
        }
        if let Some(variant) = self.variant {
            config["variant"] = json!(variant);
        }
        let config = config.to_string().into_bytes();
        let config_digest = registry.put_blob(repository, &config);
        let (media_type, config_type) = match self.format {
            Format::Oci => {
                ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json")
            }
            Format::Docker => (
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.docker.container.image.v1+json",
            ),
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": {"mediaType": config_type, "digest": config_digest, "size": config.len()},
            "layers": descriptors,
        });
        (media_type, manifest.to_string().into_bytes())
    }
}

/// An image of one file, whose label `content` says what is in it.
pub(crate) fn one_file(content: &str) -> ImageBuilder {
    let layer = Layer::new().file("file", 0o644, content);
    ImageBuilder::new().layer(layer).config("Labels", json!({"content": content}))
}

/// The busybox binary of this machine (package busybox-static).
fn busybox_binary() -> PathBuf {
    which("busybox").unwrap_or_else(|| panic!("busybox-static is not installed: scripts/setup.sh --test"))
}

/// The names of its applets, without itself.
fn applets() -> Vec<String> {
    let output = Command::new(busybox_binary()).arg("--list").output();
    let output = output.unwrap_or_else(|e| panic!("busybox --list: {e}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter(|name| *name != "busybox" && !name.is_empty()).map(str::to_owned).collect()
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n\
                      tester:x:1000:1000:Test user:/home/tester:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str =
    "root:x:0:\ndaemon:x:1:\nwheel:x:10:tester\naudio:x:29:\ntester:x:1000:\nnogroup:x:65534:\n";
const DIRECTORIES: [(&str, u32); 15] = [
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("home/tester", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/bin", 0o755),
    ("var", 0o755),
    ("var/tmp", 0o1777),
    ("var/log", 0o755),
];

/// The busybox image: one layer, `Cmd` is `sh`.
pub(crate) fn busybox() -> ImageBuilder {
    let binary = std::fs::read(busybox_binary()).unwrap_or_else(|e| panic!("read busybox: {e}"));
    let mut layer = Layer::new();
    for (dir, mode) in DIRECTORIES {
        layer = layer.dir(&format!("{dir}/"), mode);
    }
    layer = layer.file("bin/busybox", 0o755, binary);
    for applet in applets() {
        // Real archives repeat the mode, and some tools apply it.
        layer = layer.entry(EntryType::Link, format!("bin/{applet}"), 0o755, (0, 0), "bin/busybox", b"");
    }
    layer = layer.file("etc/passwd", 0o644, PASSWD).file("etc/group", 0o644, GROUP);
    ImageBuilder::new().layer(layer).config("Cmd", json!(["sh"]))
}

/// The same as a directory tree, owned by the caller.
pub(crate) fn busybox_tree(root: &Path) {
    let make = |path: &Path, mode: u32| {
        std::fs::create_dir_all(path)
            .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)))
            .unwrap_or_else(|e| panic!("create {}: {e}", path.display()));
    };
    make(root, 0o755);
    for (dir, mode) in DIRECTORIES {
        make(&root.join(dir), mode);
    }
    let binary = root.join("bin/busybox");
    std::fs::copy(busybox_binary(), &binary).unwrap_or_else(|e| panic!("copy busybox: {e}"));
    for applet in applets() {
        symlink("busybox", root.join("bin").join(&applet)).unwrap_or_else(|e| panic!("link {applet}: {e}"));
    }
    super::write(&root.join("etc/passwd"), PASSWD);
    super::write(&root.join("etc/group"), GROUP);
}

/// An image of `count` layers (at least 12) on top of busybox, with everything that is hard: see the
/// comments. `/many/NUMBER` is from layer NUMBER, and `/many/last` holds the last number.
pub(crate) fn many_layers(count: usize) -> ImageBuilder {
    assert!(count >= 12, "the odd things alone take a dozen layers");
    let mut image = busybox();
    let odd: [fn(Layer) -> Layer; 11] = [
        // Something to hide, replace and link to later.
        |l| {
            l.dir("d", 0o755)
                .file("d/hidden", 0o644, "hidden")
                .file("d/kept", 0o644, "kept")
                .dir("o", 0o755)
                .file("o/below", 0o644, "below")
                .dir("o/sub", 0o755)
                .file("o/sub/below", 0o644, "below")
        },
        |l| l.whiteout("d/hidden"),
        // An opaque directory that also brings something, in either order.
        |l| l.file("o/above", 0o644, "above").opaque("o").dir("o/sub", 0o700),
        // A hard link to a file of a lower layer, and one within the layer.
        |l| l.file("d/a", 0o640, "linked").hard_link("d/b", "d/a").hard_link("d/c", "d/kept"),
        // Extended attributes.
        |l| {
            l.pax(&[("SCHILY.xattr.user.coracle", b"value")])
                .file("d/xattr", 0o644, "x")
                .pax(&[(
                    "SCHILY.xattr.security.capability",
                    // Revision 2, effective, CAP_NET_BIND_SERVICE permitted.
                    b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                )])
                .file("d/capable", 0o755, "x")
        },
        // Names that are hard on careless code.
        |l| {
            let long = "n".repeat(255);
            let deep = "deep/".repeat(60);
            l.entry(EntryType::Regular, b"d/\xff\xfe", 0o644, (0, 0), "", b"bytes")
                .file("d/new\nline", 0o644, "newline")
                .file("d/ leading and trailing ", 0o644, "spaces")
                .file("d/-rf", 0o644, "dash")
                .file("d/a:b,c\\d", 0o644, "overlay's separators")
                .file(&format!("d/{long}"), 0o644, "long")
                .file(&format!("{deep}file"), 0o644, "deep")
        },
        // Owners and mode bits.
        |l| {
            l.entry(EntryType::Regular, "d/suid", 0o4755, (0, 0), "", b"suid")
                .entry(EntryType::Regular, "d/sgid", 0o2755, (0, 1000), "", b"sgid")
                .entry(EntryType::Directory, "d/sticky", 0o1777, (1000, 1000), "", b"")
                .owned_file("d/owned", 0o600, (1000, 1000), "owned")
                .owned_file("d/nobody", 0o400, (65534, 65534), "nobody")
        },
        // A directory becomes a symlink, a file a directory.
        |l| l.symlink("lib", "usr/lib").dir("usr/lib", 0o755).file("usr/lib/real", 0o644, "real"),
        |l| l.file("lib/through-link", 0o644, "merged"),
        |l| l.file("d/turns", 0o644, "file").entry(EntryType::Fifo, "d/fifo", 0o644, (0, 0), "", b""),
        |l| l.whiteout("d/turns").dir("d/turns", 0o755).file("d/turns/inside", 0o644, "inside"),
    ];
    for number in 1..count {
        let zip = [Zip::Gzip, Zip::Zstd, Zip::Plain][number % 3];
        let mut layer = Layer::new().zip(zip).dir("many", 0o755);
        layer = layer.file(&format!("many/{number}"), 0o644, number.to_string());
        layer = layer.file("many/last", 0o644, number.to_string());
        if let Some(add) = odd.get(number - 1) {
            layer = add(layer);
        }
        image = image.layer(layer);
    }
    image
}
