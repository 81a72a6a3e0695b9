//! The parts of `HostConfig` that both documents have.

use super::facts::shown_path;
use crate::spec::DeviceSpec;
use serde::Serialize;

/// Whether it is started again.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RestartPolicy {
    pub(super) name: &'static str,
    pub(super) maximum_retry_count: u32,
}

/// A device of the host.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Device {
    path_on_host: String,
    path_in_container: String,
    cgroup_permissions: String,
}

impl From<&DeviceSpec> for Device {
    fn from(device: &DeviceSpec) -> Device {
        Device {
            path_on_host: shown_path(Some(&device.host)),
            path_in_container: shown_path(Some(&device.inside)),
            cgroup_permissions: device.permissions.clone(),
        }
    }
}
