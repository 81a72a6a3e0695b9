//! Platforms as users write them.

use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Operating system, architecture and variant, written `os/arch[/variant]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system, in Go's naming; `linux` for everything that runs here.
    pub os: String,
    /// Architecture, in Go's naming: `amd64`, `arm64`, ...
    pub architecture: String,
    /// Architecture variant: `v8`, `v7`, ...
    pub variant: Option<String>,
}

/// What a single word may be, in Go's naming (`go tool dist list`): an operating system...
const SYSTEMS: [&str; 11] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "illumos",
    "linux",
    "netbsd",
    "openbsd",
    "solaris",
    "windows",
];
/// ... or an architecture.
const ARCHITECTURES: [&str; 15] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le",
    "riscv64", "s390x", "sparc64", "wasm",
];

impl Platform {
    /// The platform this program was built for.
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "x86" => ("386", None),
            "aarch64" => ("arm64", Some("v8")),
            "arm" => ("arm", Some("v7")),
            "powerpc64" => ("ppc64le", None),
            other => (other, None),
        };
        Platform {
            os: "linux".into(),
            architecture: architecture.into(),
            variant: variant.map(str::to_owned),
        }
    }
}

impl Platform {
    /// The platform of these parts; what is not given is this machine's, whose variant belongs to its own
    /// architecture only.
    ///
    /// # Errors
    /// `Usage` for a word that is not part of a platform.
    pub fn of_parts(os: Option<&str>, architecture: Option<&str>, variant: Option<&str>) -> Result<Platform> {
        // An empty part is one that was not given, as for podman.
        let [os, architecture, variant] =
            [os, architecture, variant].map(|part| part.filter(|p| !p.is_empty()));
        if let Some(word) = [os, architecture, variant].into_iter().flatten().find(|word| word.contains('/'))
        {
            return Err(Error::new(Kind::Usage, format!("{word:?} is not part of a platform"))
                .hint("Write each part separately: --os linux --arch arm --variant v7"));
        }
        let host = Platform::host();
        let own = if architecture.is_none() { host.variant.as_deref() } else { None };
        let parts =
            [Some(os.unwrap_or(&host.os)), Some(architecture.unwrap_or(&host.architecture)), variant.or(own)];
        parts.into_iter().flatten().collect::<Vec<_>>().join("/").parse()
    }
}

impl FromStr for Platform {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let parts: Vec<&str> = s.split('/').collect();
        let word = |p: &str| {
            !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        };
        let host = Platform::host();
        if !parts.iter().all(|p| word(p)) {
            return Err(bad_platform(s));
        }
        let architecture = |a: &str| {
            match a {
                "x86_64" | "x86-64" => "amd64",
                "aarch64" => "arm64",
                "i386" => "386",
                "armhf" => "arm",
                other => other,
            }
            .to_owned()
        };
        Ok(match parts.as_slice() {
            [os] if SYSTEMS.contains(os) => Platform { os: (*os).into(), ..host },
            [arch] if ARCHITECTURES.contains(&architecture(arch).as_str()) => {
                Platform { os: host.os, architecture: architecture(arch), variant: None }
            }
            [_] => return Err(bad_platform(s)),
            [os, arch] => Platform { os: (*os).into(), architecture: architecture(arch), variant: None },
            [os, arch, v] => {
                Platform { os: (*os).into(), architecture: architecture(arch), variant: Some((*v).into()) }
            }
            _ => return Err(bad_platform(s)),
        })
    }
}

fn bad_platform(s: &str) -> Error {
    Error::new(Kind::Usage, format!("{s:?} is not a platform"))
        .hint("Write os/arch[/variant], for example --platform linux/arm64.")
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |v| write!(f, "/{v}"))
    }
}
