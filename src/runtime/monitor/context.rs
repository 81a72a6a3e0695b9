//! What stays the same from a monitor's first run to its last.

use super::layers::Layers;
use crate::netns::Tool;
use crate::runtime::extras::Extras;
use crate::runtime::init::Stdio;
use crate::runtime::seccomp::Filter;
use crate::spec::network::PortPublish;
use crate::spec::{ContainerSpec, UserNetwork};
use crate::storage::Store;
use crate::storage::containers::{AliveLock, ContainerDir};
use crate::storage::rootfs::Places;
use nix::sys::signalfd::SignalFd;
use std::cell::Cell;

/// What stays the same from the first run to the last.
pub(super) struct MonitorContext<'a> {
    pub(super) store: &'a Store,
    pub(super) dir: &'a ContainerDir,
    pub(super) plan: &'a ContainerSpec,
    /// The program that connects it, where there is one.
    pub(super) tool: Option<Tool>,
    /// The networks that the plan names, in its order.
    pub(super) networks: Vec<UserNetwork>,
    pub(super) filter: Option<Filter>,
    pub(super) layers: Layers,
    pub(super) places: Places,
    pub(super) signals: SignalFd,
    /// Ports as they were bound first: a free one stays the same over restarts.
    pub(super) ports: Vec<PortPublish>,
    /// The caller's streams, where they are the payload's (log driver passthrough).
    pub(super) kept: Option<Stdio>,
    /// Says that this process lives and, from exec to the record of the end, that the payload runs.
    pub(super) alive: AliveLock,
    /// How many descriptors of the caller's are for the payload; none once the first run has them.
    pub(super) preserved: Cell<u32>,
    /// What no record says.
    pub(super) extras: Extras,
}
