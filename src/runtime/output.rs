//! Where a container's output is stored, according to its plan.

use super::failure::storage_failure;
use super::relay::Sink;
use crate::fork::Failure;
use crate::spec::{ContainerSpec, LogDriver, LogSpec};
use crate::storage::containers::{ContainerDir, log};
use std::path::Path;

/// How the log's files are written and read; `None` when it is not in files.
pub fn files(plan: &LogSpec) -> Option<log::Options<'_>> {
    let form = match plan.driver {
        LogDriver::K8sFile => log::Form::K8s,
        LogDriver::JsonFile => log::Form::Json,
        LogDriver::Journald | LogDriver::None | LogDriver::Passthrough | LogDriver::PassthroughTty => {
            return None;
        }
    };
    Some(log::Options {
        form,
        path: plan.path.as_deref(),
        max_size: plan.max_size,
        max_file: plan.max_file,
        tag: plan.tag.as_deref(),
    })
}

fn stream(number: u8) -> log::Stream {
    if number == 2 { log::Stream::Stderr } else { log::Stream::Stdout }
}

/// Where output goes. A log that cannot be written, for instance because the disk is full, must not stop the
/// container.
pub(super) fn sink(dir: &ContainerDir, plan: &ContainerSpec) -> Result<Sink<'static>, Failure> {
    if let Some(options) = files(&plan.io.log) {
        let opened = log::Writer::open(dir, &options);
        let mut writer = opened.map_err(|e| storage_failure("open", "log", &e))?;
        return Ok(Box::new(move |number, bytes| drop(writer.append(stream(number), bytes))));
    }
    if plan.io.log.driver != LogDriver::Journald {
        return Ok(Box::new(|_, _| {}));
    }
    let name = dir.name_given(plan);
    let tag = plan.io.log.tag.as_deref().unwrap_or_default();
    let marks = log::journal::Marks { id: plan.id.as_str(), name: name.as_str(), tag };
    let connected = log::journal::Writer::connect(Path::new(log::journal::SOCKET), &marks);
    let mut writer =
        connected.map_err(|e| Failure::other("connect to", log::journal::SOCKET, e.to_string()))?;
    Ok(Box::new(move |number, bytes| drop(writer.append(stream(number), bytes))))
}
