//! Debian trees by mmdebstrap, kept in the cache directory between runs.

use super::{ImageBuilder, Layer, cache_dir, cache_lock, skip, which};
use serde_json::json;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A small Debian by mmdebstrap as one layer; kept in the cache directory between runs. `None`, with
/// the reason printed, when it cannot be made here (no mmdebstrap, no mirror).
pub(crate) fn debian() -> Option<ImageBuilder> {
    let tar = debian_tar()?;
    let bytes = std::fs::read(&tar).unwrap_or_else(|e| panic!("read {}: {e}", tar.display()));
    Some(ImageBuilder::new().layer(Layer::from_tar(bytes)).config("Cmd", json!(["bash"])))
}

/// The path of the cached Debian tree as a tar file.
pub(crate) fn debian_tar() -> Option<PathBuf> {
    static MADE: std::sync::OnceLock<Option<PathBuf>> = std::sync::OnceLock::new();
    MADE.get_or_init(|| debian_tree("debian-bookworm", &["--variant=essential"])).clone()
}

/// As [`debian_tar`], made with these options of mmdebstrap and kept under this name.
pub(crate) fn debian_tree(name: &str, options: &[&str]) -> Option<PathBuf> {
    let tar = cache_dir().join(format!("{name}.tar"));
    let _lock = cache_lock();
    if tar.exists() {
        return Some(tar);
    }
    if which("mmdebstrap").is_none() {
        skip("mmdebstrap is not installed");
        return None;
    }
    let half = tar.with_extension("half.tar");
    let made = Command::new("mmdebstrap")
        .args(["--quiet", "--format=tar", "--aptopt=Acquire::Retries \"3\""])
        .args(options)
        .arg("bookworm")
        .arg(&half)
        .stdin(Stdio::null())
        .output();
    match made {
        Ok(output) if output.status.success() => {
            std::fs::rename(&half, &tar).unwrap_or_else(|e| panic!("rename {}: {e}", half.display()));
            Some(tar)
        }
        other => {
            skip(&format!("mmdebstrap could not make a tree: {other:?}"));
            let _ = std::fs::remove_file(half);
            None
        }
    }
}

/// A Debian with these packages, without documentation.
fn debian_with(name: &str, packages: &str) -> Option<PathBuf> {
    let include = format!("--include={packages}");
    debian_tree(name, &["--variant=essential", &include, "--dpkgopt=path-exclude=/usr/share/doc/*"])
}

/// A Debian with compilers for C and Rust, as a tar file.
pub(crate) fn debian_compilers() -> Option<PathBuf> {
    debian_with("debian-compilers", "gcc,libc6-dev,make,rustc,cargo")
}

/// A Debian with Python, Node, nginx and redis, as a tar file.
pub(crate) fn debian_servers() -> Option<PathBuf> {
    debian_with("debian-servers", "python3,python3-venv,nodejs,nginx-light,redis-server")
}
