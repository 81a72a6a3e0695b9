//! The results of health checks: in `health.json`, and for listings in the summary.

use super::super::files;
use super::super::health::HealthRecord;
use super::ContainerDir;
use crate::error::{Context, Kind, Result};
use nix::errno::Errno;
use nix::unistd::{UnlinkatFlags, unlinkat};

impl ContainerDir {
    /// Forgets what checks found, once there is no check any more.
    ///
    /// # Errors
    /// When a file cannot be changed.
    pub fn forget_health(&self) -> Result<()> {
        match unlinkat(self.fd(), "health.json", UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => self.note_health(None),
            Err(e) => Err(e.into()),
        }
        .context(Kind::Storage, || format!("write the summary of container {}", self.id().short()))
    }

    /// Records what a check found. The caller holds [`ContainerDir::lock`] since it read the record.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_health(&self, health: &HealthRecord) -> Result<()> {
        let before = self.health().ok().flatten();
        files::replace_json(self.fd(), "health.json", health)
            .and_then(|()| match before.is_some_and(|b| (b.run, b.status) == (health.run, health.status)) {
                true => Ok(()),
                false => self.note_health(Some(health.status)),
            })
            .context(Kind::Storage, || format!("write health.json of container {}", self.id().short()))
    }
}
