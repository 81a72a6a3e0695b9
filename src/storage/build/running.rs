//! What running builds need: layers of base images, which others may remove, and layers that nothing names yet.

use super::BuildCache;
use super::locks::try_lock;
use super::steps::StepRecord;
use crate::error::{Error, Kind, Result};
use crate::image::{ChainId, Digest, Image, document};
use crate::storage::SharedLock;
use crate::storage::blobs::Blobs;
use crate::storage::place::Place;
use crate::storage::record::{failed, read_bytes, unique};
use nix::fcntl::OFlag;
use nix::unistd::{Pid, getpid};
use serde::Deserialize;
use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, RawFd};

const RUNNING: &str = "running";
/// Largest list that is read, in bytes: of 100,000 layers and blobs.
const LIST_MAX: u64 = 8 << 20;

/// A build that is at work. While it, or a process forked from it that kept [its descriptor](RunningBuild::descriptor),
/// lives, what it needs is not removed.
#[derive(Debug)]
pub struct RunningBuild {
    dir: Place,
    name: String,
    owner: Pid,
    cache: BuildCache,
    blobs: Blobs,
    file: File,
}

/// What running builds need.
#[derive(Debug, Default)]
pub struct Needed {
    /// Layers.
    pub layers: HashSet<ChainId>,
    /// Blobs.
    pub blobs: HashSet<Digest>,
}

/// The part of a manifest that names its layers.
#[derive(Deserialize)]
struct LayersOf {
    #[serde(default)]
    layers: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    digest: Digest,
}

impl BuildCache {
    /// Begins a build.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn begin(&self) -> Result<RunningBuild> {
        let (dir, name) = (self.make_part(RUNNING)?, unique());
        loop {
            // Who looks for builds that were killed may hold it for a moment.
            if let Some(file) = try_lock(&dir, &name, false)? {
                let blobs = Blobs::new(self.roots.clone());
                return Ok(RunningBuild { dir, name, owner: getpid(), cache: self.clone(), blobs, file });
            }
        }
    }

    /// What running builds need. Lists of builds that were killed are removed.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(in crate::storage) fn needed(&self) -> Result<Needed> {
        let mut needed = Needed::default();
        let Some(dir) = self.part(RUNNING)? else { return Ok(needed) };
        for name in dir.names()? {
            let free = match dir.file(&name, OFlag::O_RDONLY) {
                Ok(Some(file)) => file.try_lock().is_ok(),
                _ => false,
            };
            if free {
                // It means nothing any more, whether it can be removed or not.
                let _ = dir.remove_file(&name);
                continue;
            }
            let bytes = read_bytes(dir.as_fd(), &name, LIST_MAX).ok().flatten().unwrap_or_default();
            for line in String::from_utf8_lossy(&bytes).lines() {
                match line.split_once(' ').map(|(kind, digest)| (kind, digest.parse::<Digest>())) {
                    Some(("layer", Ok(digest))) => drop(needed.layers.insert(ChainId(digest))),
                    Some(("blob", Ok(digest))) => drop(needed.blobs.insert(digest)),
                    _ => {}
                }
            }
        }
        Ok(needed)
    }
}

impl BuildCache {
    /// What results of steps and running builds need, with the layers below.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub(in crate::storage) fn kept(&self) -> Result<Needed> {
        let Needed { layers, blobs } = self.needed()?;
        let mut layers = self.with_those_below(layers);
        layers.extend(self.layers()?);
        Ok(Needed { layers, blobs })
    }
}

impl RunningBuild {
    /// The descriptor that a forked process has to keep for the build to count as running.
    pub fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// The result of a step that stands on this layer, which the build needs already; it needs the result's layer from
    /// now on.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn get(
        &self,
        lock: &SharedLock,
        key: &Digest,
        below: Option<&ChainId>,
    ) -> Result<Option<StepRecord>> {
        let found = self.cache.get_on(lock, key, below);
        if let Some(top) = found.as_ref().and_then(StepRecord::top) {
            self.needs_layers(lock, std::slice::from_ref(top))?;
        }
        Ok(found)
    }

    /// The build needs this image: its layers, and the blobs that a manifest on top of it names.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is not there; when the file system refuses.
    pub fn needs_image(&self, lock: &SharedLock, image: &Image) -> Result<()> {
        let lost = || {
            Error::new(Kind::NotFound, format!("the manifest of image {} is missing", image.id.short()))
                .hint("Fetch the image again: coracle pull IMAGE")
        };
        let manifest = self.blobs.read(&image.manifest)?.ok_or_else(lost)?;
        let named: LayersOf = document::parse(&manifest).map_err(|e| lost().caused_by(e))?;
        let blobs = named.layers.into_iter().map(|layer| layer.digest);
        let blobs = blobs.chain([image.id.clone(), image.manifest.clone()]);
        let lines: String = blobs.map(|blob| format!("blob {blob}\n")).collect();
        self.note(&lines)?;
        self.needs_layers(lock, &image.layers)
    }

    /// The build needs these layers, with those below them.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn needs_layers(&self, _lock: &SharedLock, layers: &[ChainId]) -> Result<()> {
        let lines: String = layers.iter().map(|layer| format!("layer {}\n", layer.0)).collect();
        self.note(&lines)
    }

    /// One write: forked processes write on at the same place.
    fn note(&self, lines: &str) -> Result<()> {
        (&self.file)
            .write_all(lines.as_bytes())
            .map_err(|e| failed("write", &self.dir.path().join(&self.name), e))
    }
}

impl Drop for RunningBuild {
    fn drop(&mut self) {
        // A forked process does not end the build.
        if self.owner == getpid() {
            let _ = self.dir.remove_file(&self.name);
        }
    }
}
