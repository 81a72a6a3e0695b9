//! `coracle.toml`: settings that would otherwise be typed every time.
//!
//! Read from `/etc/coracle/coracle.toml` and then `$XDG_CONFIG_HOME/coracle/coracle.toml`; the user's
//! file wins key by key, except that image stores of both are used. Options and environment variables
//! win over both. Unknown keys are refused by name: a misspelt setting must not be silently without effect.
//!
//! ```toml
//! root = "/local/alice/coracle"
//! runroot = "/run/user/1000/coracle"
//! additional_image_stores = ["/srv/images"]
//! overlay_driver = "auto"
//! log_level = "info"
//! compression_format = "zstd"
//! compression_level = 3
//! network = "pasta"
//! accelerate = true
//! ```

use super::Level;
use crate::error::{Error, Kind, Result};
use crate::netns::parse_network;
use crate::spec::NetworkMode;
use crate::storage::rootfs::Overlay;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What the configuration files say.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// As `--root`; absolute.
    pub(super) root: Option<PathBuf>,
    /// As `--runroot`; absolute.
    pub(super) runroot: Option<PathBuf>,
    /// As `--storage-opt additionalimagestore=DIR`; absolute.
    #[serde(default)]
    pub(super) additional_image_stores: Vec<PathBuf>,
    /// As `--storage-opt overlay.driver=WHO`.
    pub(super) overlay_driver: Option<Overlay>,
    /// As `--log-level`.
    pub(super) log_level: Option<Level>,
    /// How `push` compresses plain layers.
    pub(super) compression_format: Option<LayerCompression>,
    /// At which level; 1 to 9 for gzip, 1 to 20 for zstd.
    pub(super) compression_level: Option<i32>,
    /// As `--network` of containers that ask for none.
    #[serde(default, deserialize_with = "network")]
    pub(super) network: Option<NetworkMode>,
    /// Connections of containers are made in the host's network.
    pub(super) accelerate: Option<bool>,
}

/// Reads what `--network` takes, but another container's.
fn network<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<NetworkMode>, D::Error> {
    let text = String::deserialize(from)?;
    match parse_network(&text).map_err(D::Error::custom)? {
        NetworkMode::Container(_) => Err(D::Error::custom(format!("{text:?} is for single containers"))),
        mode => Ok(Some(mode)),
    }
}

/// How layers are compressed that are pushed plain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerCompression {
    /// gzip, which every tool reads.
    #[default]
    Gzip,
    /// zstd, which is smaller and faster, and which older tools do not read.
    Zstd,
}

impl LayerCompression {
    /// The highest level; the lowest is 1.
    fn most(self) -> i32 {
        match self {
            LayerCompression::Gzip => 9,
            LayerCompression::Zstd => 20,
        }
    }
}

/// The system's file.
const SYSTEM: &str = "/etc/coracle/coracle.toml";

/// Reads both files; a missing one says nothing.
///
/// # Errors
/// [`Kind::Usage`] with file and line when one is wrong.
pub(super) fn read(config: Option<&Path>) -> Result<Settings> {
    let mut settings = file(Path::new(SYSTEM))?;
    if let Some(config) = config {
        let own = file(&config.join("coracle/coracle.toml"))?;
        settings.root = own.root.or(settings.root);
        settings.runroot = own.runroot.or(settings.runroot);
        settings.overlay_driver = own.overlay_driver.or(settings.overlay_driver);
        settings.log_level = own.log_level.or(settings.log_level);
        // A level is one of the format that it stands with.
        if own.compression_format.is_some() {
            settings.compression_level = None;
        }
        settings.compression_format = own.compression_format.or(settings.compression_format);
        settings.compression_level = own.compression_level.or(settings.compression_level);
        settings.network = own.network.or(settings.network);
        settings.accelerate = own.accelerate.or(settings.accelerate);
        settings.additional_image_stores.extend(own.additional_image_stores);
    }
    Ok(settings)
}

fn refused(path: &Path, why: &str) -> Error {
    Error::new(Kind::Usage, format!("{}: {why}", path.display())).hint(
        "Keys: root, runroot, additional_image_stores, overlay_driver, log_level, compression_format, \
         compression_level, network, accelerate; see man coracle.toml",
    )
}

fn file(path: &Path) -> Result<Settings> {
    match crate::sys::read::settings(path) {
        Ok(bytes) => parse(path, bytes),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Settings::default())
        }
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            Err(Error::new(Kind::Usage, format!("{}: cannot be read", path.display())).caused_by(e).hint(
                "HOME may be another account's, as sudo leaves it: export HOME=$(getent passwd $(id -u) | cut -d: -f6)",
            ))
        }
        Err(e) => Err(refused(path, "cannot be read").caused_by(e)),
    }
}

/// Reads what a file has, which is called `path` in messages.
///
/// # Errors
/// [`Kind::Usage`] with file and line when it is wrong.
pub(super) fn parse(path: &Path, bytes: Vec<u8>) -> Result<Settings> {
    let refused = |why: String| refused(path, &why);
    let text = String::from_utf8(bytes).map_err(|_| refused("it is not UTF-8 text".to_owned()))?;
    let settings: Settings = toml::from_str(&text).map_err(|e| {
        let line = e.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        refused(format!("line {line}: {}", e.message().replace('\n', " ")))
    })?;
    let dirs = settings.root.iter().chain(&settings.runroot).chain(&settings.additional_image_stores);
    for dir in dirs {
        if !dir.is_absolute() {
            return Err(refused(format!("{:?} is not an absolute path", dir)));
        }
    }
    if let Some(level) = settings.compression_level {
        let Some(format) = settings.compression_format else {
            return Err(refused("compression_level goes with compression_format only".to_owned()));
        };
        if !(1..=format.most()).contains(&level) {
            return Err(refused(format!("compression_level {level} is not one of 1 to {}", format.most())));
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn with(text: &str) -> Result<Settings> {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("coracle")).unwrap();
        fs::write(dir.path().join("coracle/coracle.toml"), text).unwrap();
        read(Some(dir.path()))
    }

    #[test]
    fn every_key_is_read() {
        let settings = with(
            "root = \"/data\"\nrunroot = \"/run/x\"\nadditional_image_stores = [\"/a\", \"/b\"]\noverlay_driver = \"fuse\"\nlog_level = \"debug\"\n\
             compression_format = \"zstd\"\ncompression_level = 19\n\
             network = \"pasta:--mtu,1500\"\naccelerate = true\n",
        )
        .unwrap();
        assert_eq!(settings.root.as_deref(), Some(Path::new("/data")));
        assert_eq!(settings.additional_image_stores.len(), 2);
        assert_eq!(settings.overlay_driver, Some(Overlay::Fuse));
        assert_eq!(settings.log_level, Some(Level::Debug));
        assert_eq!(settings.compression_format, Some(LayerCompression::Zstd));
        assert_eq!(settings.compression_level, Some(19));
        assert!(matches!(settings.network, Some(NetworkMode::Pasta(options)) if options.words.len() == 2));
        assert_eq!(settings.accelerate, Some(true));
        assert_eq!(with("").unwrap(), Settings::default());
        assert_eq!(read(Some(Path::new("/nowhere"))).unwrap(), Settings::default());
    }

    #[test]
    fn mistakes_are_refused_by_file_line_and_name() {
        for (text, part) in [
            ("rot = \"/x\"", "line 1: unknown field `rot`"),
            ("\n\nlog_level = \"loud\"", "line 3: unknown variant `loud`"),
            ("overlay_driver = \"vfs\"", "unknown variant `vfs`"),
            ("root = 3", "line 1"),
            ("root = \"data\"", "\"data\" is not an absolute path"),
            ("root", "line 1"),
            ("compression_format = \"zstd:chunked\"", "unknown variant `zstd:chunked`"),
            (
                "compression_format = \"gzip\"\ncompression_level = 10",
                "compression_level 10 is not one of 1 to 9",
            ),
            ("compression_level = 3", "goes with compression_format only"),
            ("network = \"pasta:x\"", "line 1: cannot use network"),
            ("network = \"container:web\"", "is for single containers"),
        ] {
            let error = with(text).unwrap_err();
            assert!(error.message().contains(part), "{text:?}: {error}");
            assert!(error.message().contains("coracle/coracle.toml"), "{error}");
        }
    }
}
